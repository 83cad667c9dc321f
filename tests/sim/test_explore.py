"""The explorer: it reaches all that can be reached, finds who breaks a rule, and tells the shortest way."""
from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import combinations, count

import pytest

from agreed.consensus.raft.raft import Raft
from agreed.sim.explore import explore
from agreed.sim.explore_cluster import Cluster
from agreed.sim.explore_graph import EPOCH, Form, clone
from agreed.sim.explore_node import CONFIG, Deliver, Node, Player, Tick, choices
from agreed.sim.explore_scope import Progress, Report, Scope
from agreed.sim.explore_story import told
from tests.consensus.raft import mutants
from tests.sim.mutants import ALL

ELECTIONS = Scope(nodes=2, terms=1, operations=0, messages=2, prompt_disks=True)
WRITES = Scope(nodes=2, terms=1, operations=1, messages=1)


# --- it reaches all, and nothing else ---------------------------------------------------------------------


def test_all_of_a_small_scope_is_explored_and_nothing_is_broken() -> None:
    report = explore(WRITES)
    assert report.complete
    assert report.broken is None
    assert report.states > 1_000
    assert report.transitions > report.states, "many ways lead to one state"


def by_hand(scope: Scope) -> int:
    """How many states a scope without clients has: by the plainest search, which looks nothing up."""
    form, cluster = Form(), Cluster(scope, config=CONFIG, machine=Raft, symmetry=False)
    player = cluster._player

    def key(nodes: list[Node], flying: list[tuple[str, str, object]]) -> tuple[object, ...]:
        told = []
        for node in nodes:
            raft = node.raft
            assert raft is not None
            told.append(form.of(node, raft.now, raft.serial, raft.saved_serial))
        return tuple(told), frozenset(form.of(message) for message in flying)

    def steps(nodes: list[Node], flying: list[tuple[str, str, object]]) -> Iterator[tuple[int, object, int]]:
        for place, node in enumerate(nodes):
            if Tick() in choices(node) and node.fired < scope.timers:
                yield place, Tick(), -1
        for number, (source, target, message) in enumerate(flying):
            yield cluster.names.index(target), Deliver(source, message), number

    beginning: list[Node] = [player.born(name) for name in cluster.names]
    seen, waiting = {key(beginning, [])}, [(beginning, list[tuple[str, str, object]]())]
    while waiting:
        nodes, flying = waiting.pop()
        for place, action, consumed in steps(nodes, flying):
            outcome = player.play(nodes[place], action)  # type: ignore[arg-type]
            assert outcome.broken is None
            assert outcome.node.raft is not None
            sent = [(outcome.node.name, target, message) for target, message in outcome.sends]
            if any(each.term > scope.terms for each in (outcome.node.raft, *(m for _, _, m in sent))):  # type: ignore[attr-defined]
                continue
            left = [each for number, each in enumerate(flying) if number != consumed]
            left += [each for each in sent if form.of(each) not in {form.of(other) for other in left}]
            after = [*nodes[:place], outcome.node, *nodes[place + 1 :]]
            for kept in combinations(left, min(len(left), scope.messages)):
                if key(after, list(kept)) not in seen:
                    seen.add(key(after, list(kept)))
                    waiting.append((after, list(kept)))
    return len(seen)


def test_what_is_looked_up_is_what_machines_do() -> None:
    scope = Scope(nodes=2, terms=1, operations=0, messages=1, prompt_disks=True)
    report = explore(scope, symmetry=False)
    assert report.complete
    assert report.states == by_hand(scope)


def test_states_that_differ_in_names_count_once() -> None:
    once, each = (explore(ELECTIONS, symmetry=symmetry) for symmetry in (True, False))
    assert once.complete
    assert each.complete
    assert once.depth == each.depth
    assert each.states / 2 <= once.states < each.states, "a state has one mirror, or is its own"


@pytest.mark.parametrize("more", [{"messages": 3}, {"terms": 2}, {"crashes": 1}, {"reads": 1}, {"timers": 2}])
def test_a_larger_scope_has_more_in_it(more: dict[str, int]) -> None:
    small = Scope(nodes=2, terms=1, operations=0, messages=1, prompt_disks=True)
    large = Scope(**{name: getattr(small, name) for name in small.__struct_fields__} | more)
    assert explore(large).states > explore(small).states


def test_a_node_alone_comes_back_from_all_that_a_crash_may_leave() -> None:
    report = explore(Scope(nodes=1, terms=2, operations=2, crashes=2))
    assert report.complete
    assert report.broken is None


def test_the_time_is_bounded_and_progress_is_told() -> None:
    told_of: list[Progress] = []
    seconds = count()
    report = explore(
        Scope(), seconds=4, clock=lambda: float(next(seconds)), progress=told_of.append
    )
    assert not report.complete
    assert report.broken is None
    assert [each.states for each in told_of] == sorted(each.states for each in told_of)
    assert told_of[-1].waiting > 0
    assert any("the time was over" in line for line in told(report))


# --- it finds who breaks a rule ---------------------------------------------------------------------------

BROKEN: list[tuple[type[Raft], Scope, str]] = [
    (mutants.HalfIsEnough, Scope(nodes=2, operations=0, messages=1), "committed is durable"),
    (mutants.CommitsWhatItAppends, WRITES, "committed is durable"),
    (mutants.CountsItsOwnUnsavedLog, WRITES, "our own log counts once saved"),
    (mutants.AcknowledgesBeforeItSaves, WRITES, "committed is durable"),
    (mutants.AnswersTwice, Scope(nodes=2, operations=0, reads=1, messages=1), "one answer"),
    (mutants.OverwritesItsOwnLog, Scope(nodes=2, operations=2, messages=1), "our own log counts"),
    (mutants.CommitGoesBack, Scope(nodes=2, messages=2, timers=2, prompt_disks=True), "the commit index"),
    (mutants.BelievesTheLastWord, Scope(nodes=2, messages=2, prompt_disks=True), "match never goes back"),
    (mutants.TruncatesWithoutConflict, Scope(nodes=2, messages=2, prompt_disks=True), "committed is"),
    (
        mutants.VotesTwice,
        Scope(nodes=3, operations=0, messages=2, callers=2, prompt_disks=True),
        "election safety",
    ),
    (
        mutants.ForgetsItsVote,
        Scope(nodes=3, operations=0, messages=2, callers=2, crashes=1, prompt_disks=True),
        "election safety",
    ),
]  # fmt: skip


@cache
def explored(machine: type[Raft], scope: Scope) -> Report:
    return explore(scope, machine=machine)


@pytest.mark.parametrize(("machine", "scope", "rule"), BROKEN, ids=[each.__name__ for each, _, _ in BROKEN])
def test_a_machine_that_breaks_a_rule_is_refused(machine: type[Raft], scope: Scope, rule: str) -> None:
    report = explored(machine, scope)
    assert report.broken is not None
    assert report.broken.startswith(rule)
    assert len(report.steps) == report.depth + 1


def test_a_machine_that_raises_is_refused() -> None:
    class Stumbles(Raft):
        def _on_request_vote(self, source: str, message: object) -> None:
            raise LookupError("no such ballot box")

    report = explore(ELECTIONS, machine=Stumbles)
    assert report.broken == "no such ballot box"


# --- and tells the shortest way ---------------------------------------------------------------------------


def test_a_counterexample_is_a_shortest_one_and_can_be_played() -> None:
    report = explored(mutants.AcknowledgesBeforeItSaves, WRITES)
    lines = list(told(report))
    broken = next(number for number, line in enumerate(lines) if line.startswith("broken: "))
    assert lines[0] == "scope: nodes 2, terms 1, operations 1, crashes 0, messages 1"
    assert lines[broken + 1] == f"a shortest way there, in {len(report.steps)} steps:"
    assert lines[broken + 2].endswith("its timer fires")
    assert "n2 to n1: AppendEntriesReply term=1 round=1 match=1" in lines[-2], "believed, and not yet durable"
    assert "saved up to 1, commit 1" in lines[-1]


def test_what_crashes_and_comes_back_is_told() -> None:
    report = explored(*BROKEN[-1][:2])
    story = "\n".join(told(report))
    assert "crashes; 0 of the saves under way had reached the disk" in story
    assert "down; on its disk: term 1" in story
    assert "starts again" in story


# --- the copies and the forms beneath ---------------------------------------------------------------------


@pytest.fixture
def player() -> Player:
    return Cluster(ELECTIONS, config=CONFIG, machine=Raft, symmetry=False)._player


def form(node: Node, renaming: dict[str, str] | None = None) -> bytes:
    assert node.raft is not None
    return Form(renaming).of(node, node.raft.now, node.raft.serial, node.raft.saved_serial)


def test_a_step_of_a_copy_does_not_touch_the_other(player: Player) -> None:
    node = player.born("n1")
    before = form(node)
    after = player.play(node, Tick()).node
    assert form(node) == before != form(after)
    assert form(player.play(node, Tick()).node) == form(after), "the same step leads to the same state"
    assert node.raft is not None
    assert clone(node.raft).log is not node.raft.log


def test_nodes_that_exchange_their_names_have_each_others_form(player: Player) -> None:
    exchanged = {"n1": "n2", "n2": "n1"}
    one, other = (player.play(player.born(name), Tick()).node for name in ("n1", "n2"))
    assert form(one) != form(other)
    assert form(one, exchanged) == form(other)


def test_how_late_it_is_makes_no_new_state() -> None:
    """Clocks go on for ever; what matters is how far away an instant is, and not that either if it is far."""
    early, late = EPOCH + 5, EPOCH + 70
    assert Form().of([early + 2, "n1"], now=early) == Form().of([late + 2, "n1"], now=late)
    assert Form().of([early + 2], now=early) != Form().of([late + 1], now=late)
    assert Form().of([late - 50], now=late) == Form().of([late - 60], now=late)


def test_the_mutants_here_are_those_of_the_list() -> None:
    """By what name the explorer's victims are known elsewhere."""
    numbered = {mutant.part for mutant in ALL.values()}
    assert len([machine for machine, _, _ in BROKEN if machine in numbered]) >= 8
