"""Sequential consistency: one order for everybody, of whatever object, and of many objects together."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from agreed.check import saturation
from agreed.check import sequential as sequential_module
from agreed.check.causal_replay import problem as register_problem
from agreed.check.history import History, Operation, Status, history
from agreed.check.linearizable import linearizable
from agreed.check.models import AnyModel, CasRegister, FifoQueue, Keyed, KeyValue, Mutex, Register
from agreed.check.saturation import NAME, Guide
from agreed.check.sequential import sequential
from agreed.check.sequential_replay import problem
from agreed.check.sequential_search import Plan, Search, plan
from agreed.check.verdict import Budget, Outcome
from agreed.errors import MalformedInput
from tests.check.cross_check_causal import cross_check
from tests.check.litmus import GALLERY, TWO_SATISFIABILITY, Litmus, parsed

SMALL = [each for each in GALLERY if each.line != TWO_SATISFIABILITY]


@pytest.mark.parametrize("litmus", GALLERY, ids=lambda litmus: litmus.name)
def test_registers_have_one_order_or_not(litmus: Litmus) -> None:
    told = parsed(litmus.line)
    verdict = sequential(told, Register())
    assert verdict.outcome is (Outcome.HOLDS if litmus.allows("SC") else Outcome.VIOLATED)
    assert register_problem(told, "SC", verdict) is None


@pytest.mark.parametrize("litmus", SMALL, ids=lambda litmus: litmus.name)
def test_searching_finds_the_same(litmus: Litmus) -> None:
    """A compare-and-set that was refused is evidence of which circles know nothing."""
    told = parsed(litmus.line)
    evidence = Operation(99, 99, "cas", (77, 78), None, 0, 1, Status.FAIL, key="x")
    verdict = sequential(history([*told, evidence]), CasRegister())
    assert verdict.outcome is (Outcome.HOLDS if litmus.allows("SC") else Outcome.VIOLATED)
    assert problem(history([*told, evidence]), CasRegister(), verdict) is None


def test_real_time_does_not_matter() -> None:
    """Client 1 reads long after client 0 wrote, and finds what was there before."""
    told = parsed("x=1 | y?- x?-")
    assert not linearizable(told, Register()).holds
    verdict = sequential(told, Register())
    assert verdict.holds
    assert register_problem(told, "SC", verdict) is None


def test_it_is_not_local() -> None:
    """Each register by itself is in order, both together are not."""
    together = parsed("x=1 y?- | y=1 x?-")
    for key in "xy":
        assert sequential(history(each for each in together if each.key == key), Register()).holds
    assert not sequential(together, Register()).holds


def test_there_may_be_no_order_though_no_circle_shows_it() -> None:
    told = parsed(TWO_SATISFIABILITY)
    verdict = sequential(told, Register())
    assert verdict.findings[0].name == NAME
    assert len(verdict.findings[0].operations) == len(told), "each of them is necessary"


def calls(*told: tuple[int, str, object, object]) -> Iterator[Operation]:
    for index, (process, function, argument, result) in enumerate(told):
        yield Operation(index, process, function, argument, result, 2 * index, 2 * index + 1, Status.OK)


QUEUED = calls(
    (0, "enqueue", 1, None),
    (0, "enqueue", 2, None),
    (1, "dequeue", None, 2),
    (2, "dequeue", None, 1),
    (2, "enqueue", 3, None),
)
TAKEN_TWICE = calls((0, "enqueue", 1, None), (1, "dequeue", None, 1), (2, "dequeue", None, 1))
OUT_OF_ORDER = calls(
    (0, "enqueue", 1, None), (0, "enqueue", 2, None), (1, "dequeue", None, 2), (1, "dequeue", None, 1)
)
HELD_BY_TWO = calls((0, "acquire", None, None), (1, "acquire", None, None))
HELD_IN_TURN = calls((0, "acquire", None, None), (1, "acquire", None, None), (0, "release", None, None))
OTHER_OBJECTS: dict[str, tuple[AnyModel, History, bool]] = {
    "queue, whoever was first": (FifoQueue(), history(QUEUED), True),
    "queue, taken twice": (FifoQueue(), history(TAKEN_TWICE), False),
    "queue, out of order": (FifoQueue(), history(OUT_OF_ORDER), False),
    "mutex, held by two": (Mutex(), history(HELD_BY_TWO), False),
    "mutex, held in turn": (Mutex(), history(HELD_IN_TURN), True),
}


@pytest.mark.parametrize("name", OTHER_OBJECTS)
def test_any_object_has_an_order_or_not(name: str) -> None:
    model, told, holds = OTHER_OBJECTS[name]
    verdict = sequential(told, model)
    assert verdict.holds is holds
    assert problem(told, model, verdict) is None


def test_a_piece_leaves_out_what_does_not_matter() -> None:
    """One element that is taken twice is enough; the rest may have happened or not."""
    many = [(3, "enqueue", n, None) for n in range(10, 14)] + [(4, "dequeue", None, n) for n in range(10, 14)]
    told = history(calls(*many, (0, "enqueue", 1, None), (1, "dequeue", None, 1), (2, "dequeue", None, 1)))
    verdict = sequential(told, FifoQueue())
    assert [told.operations[index].result for index in verdict.findings[0].operations] == [1, 1]
    assert verdict.findings[0].attempts[0].order, "and how far one gets is told as well"
    assert problem(told, FifoQueue(), verdict) is None


def test_what_was_never_answered_may_have_happened() -> None:
    assert sequential(parsed("x=1! | x?1 | x?-"), Register()).holds
    cas = [
        Operation(0, 0, "cas", (None, 1), None, 0, None, Status.INFO),
        Operation(1, 1, "read", None, 1, 2, 3, Status.OK),
    ]
    assert sequential(history(cas), CasRegister()).holds
    twice = [*cas, Operation(2, 2, "cas", (None, 2), True, 4, 5, Status.OK)]
    assert not sequential(history(twice), CasRegister()).holds


def test_a_refused_compare_and_set_is_evidence() -> None:
    """It was refused, so something must have been written before."""
    refused = Operation(0, 0, "cas", (None, 1), None, 0, 1, Status.FAIL)
    assert not sequential(history([refused]), CasRegister()).holds
    assert sequential(history([replace(refused, error="no connection")]), CasRegister()).holds


def test_many_objects_may_be_given_as_one() -> None:
    for litmus in GALLERY:
        told = parsed(litmus.line)
        assert sequential(told, Keyed(Register())).holds is litmus.allows("SC")
        assert sequential(told, Keyed(CasRegister())).holds is litmus.allows("SC")


def test_stores_of_texts_are_registers_unless_something_is_appended() -> None:
    told = [
        Operation(0, 0, "put", "a", None, 0, 1, Status.OK, key="x"),
        Operation(1, 1, "get", None, "ab", 2, 3, Status.OK, key="x"),
    ]
    assert not sequential(history(told), KeyValue()).holds
    append = Operation(2, 2, "append", "b", None, 4, 5, Status.OK, key="x")
    verdict = sequential(history([*told, append]), KeyValue())
    assert verdict.holds
    assert problem(history([*told, append]), KeyValue(), verdict) is None


def test_servers_that_tell_revisions_are_believed_first() -> None:
    """Sixty writes answered in the wrong order of time: the revisions are the order, and nothing is tried
    twice."""
    count = 60
    writes = [
        Operation(n, n, "cas", (n, n + 1), True, 0, 1000 - n, Status.OK, revision=n) for n in range(count)
    ]
    verdict = sequential(history(writes), CasRegister(initial=0))
    assert verdict.holds
    assert verdict.steps < 10 * count * count


HARD = [
    Operation(n, n, "cas", (n % 5, (n * 3 + 1) % 5), True, 0, 10, Status.OK) for n in range(24)
]


def test_every_bound_is_kept_and_named() -> None:
    now = iter(range(1_000_000))
    bounds = {
        "steps": Budget(steps=50),
        "memory": Budget(states=20),
        "time": Budget(seconds=3, clock=lambda: float(next(now))),
    }
    told = history([*HARD, Operation(99, 99, "read", None, 77, 0, 10, Status.OK)])
    for name, budget in bounds.items():
        verdict = sequential(told, CasRegister(initial=0), budget)
        assert verdict.outcome is Outcome.UNKNOWN
        assert verdict.reason.startswith(name)


def test_what_is_too_hard_to_make_smaller_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequential_module, "MOST_STEPS_OF_TRIALS", 0)
    told = history(calls((0, "enqueue", 1, None), (1, "dequeue", None, 1), (2, "dequeue", None, 1)))
    verdict = sequential(told, FifoQueue())
    assert verdict.findings[0].operations == (0, 1, 2)
    assert problem(told, FifoQueue(), verdict) is None


def test_unknown_functions_are_refused() -> None:
    with pytest.raises(MalformedInput):
        sequential(history(calls((0, "jump", 1, None))), Register())


@pytest.mark.parametrize("kind", ["SC", "SC-cas"])
def test_random_histories_are_judged_as_by_brute_force(kind: str) -> None:
    outcomes = cross_check(kind, 250, seed=12)
    assert min(outcomes[Outcome.HOLDS], outcomes[Outcome.VIOLATED]) > 25


Mistake = Callable[[pytest.MonkeyPatch], None]


def states_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Where one has been is how far each session has come, whatever the state."""
    moves = Search._moves

    def broken(self: Search, place: Any) -> Any:
        been = self.__dict__.setdefault("been", set())
        if place[0] in been:
            return []
        been.add(place[0])
        return moves(self, place)

    patch.setattr(Search, "_moves", broken)


def reads_fit_everywhere(patch: pytest.MonkeyPatch) -> None:
    after = Search._after

    def broken(self: Search, number: int, state: int) -> tuple[int, ...]:
        return (state,) if self._plan.pure[number] else after(self, number, state)

    patch.setattr(Search, "_after", broken)


def planned(change: Callable[[Plan], object]) -> Mistake:
    """With a plan that is changed afterwards."""

    def mutate(patch: pytest.MonkeyPatch) -> None:
        def broken(*told: Any) -> Plan:
            made = plan(*told)
            change(made)
            return made

        patch.setattr(sequential_module, "plan", broken)

    return mutate


def all_must_have_happened(made: Plan) -> None:
    made.optional = [False] * len(made.optional)


def all_is_one_object(made: Plan) -> None:
    made.objects = [0] * len(made.objects)


def sessions_have_no_order(made: Plan) -> None:
    made.sessions = [[number] for own in made.sessions for number in own]


def what_was_lost_never_happened(made: Plan) -> None:
    made.sessions = [[each for each in own if not made.optional[each]] for own in made.sessions]


def refusals_are_no_evidence(made: Plan) -> None:
    failed = [each.status is Status.FAIL for each in made.operations]
    made.sessions = [[each for each in own if not failed[each]] for own in made.sessions]


def equal_effects_are_equal_sessions(made: Plan) -> None:
    """As if it did not matter who did something that was never answered, and what came before."""
    made.kinds = [0 if optional else kind for kind, optional in zip(made.kinds, made.optional, strict=True)]


def the_guide_waits_for_every_read(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        Guide,
        "may_be_next",
        lambda self, write, positions: not any(
            len(own) and self._order.registers.place[own[-1]] >= positions[session]
            for session, own in self._reads.get(self._order.registers.operations[write].key, {}).items()
        ),
    )


def nothing_was_there_in_the_beginning(patch: pytest.MonkeyPatch) -> None:
    """Reads of the initial value come after the writes."""
    first = saturation._from_the_beginning
    patch.setattr(saturation, "_from_the_beginning", lambda read: {(b, a): None for a, b in first(read)})


def pieces_are_cut_too_short(patch: pytest.MonkeyPatch) -> None:
    finding = sequential_module._finding

    def broken(*told: Any) -> Any:
        found = finding(*told)
        return replace(found, operations=found.operations[1:])

    patch.setattr(sequential_module, "_finding", broken)


MISTAKES: dict[str, Mistake] = {
    each.__name__: each
    for each in (
        states_are_forgotten,
        reads_fit_everywhere,
        the_guide_waits_for_every_read,
        nothing_was_there_in_the_beginning,
        pieces_are_cut_too_short,
    )
} | {
    each.__name__: planned(each)
    for each in (
        all_must_have_happened,
        all_is_one_object,
        sessions_have_no_order,
        what_was_lost_never_happened,
        refusals_are_no_evidence,
        equal_effects_are_equal_sessions,
    )
}


def found_out() -> bool:
    """Whether brute force, a replay or an assertion of our own finds a mistake."""
    try:
        cross_check("SC-cas", 400, seed=13)
        cross_check("SC", 100, seed=13)
    except (AssertionError, IndexError):
        return True
    return False


def test_the_judge_itself_is_not_found_out() -> None:
    assert not found_out()


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MISTAKES[name](monkeypatch)
    assert found_out()
