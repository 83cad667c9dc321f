"""What is left of a failing plan: everything that is needed, and nothing else."""
from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.check.history import History
from agreed.sim.outcome import Outcome
from agreed.sim.plan import Ask, Conditions, Fault, FaultKind, Plan
from agreed.sim.run import run
from agreed.sim.shrink import NotRepeatable, minimal, shrink
from agreed.sim.transcript import transcript
from tests.sim import mutants

PLAN = Plan(
    seed=1,
    profile="swarm",
    nodes=5,
    clients=4,
    storm_ms=4_000,
    conditions=Conditions(loose_frames=True, pipelined=4, snapshot_entries=7),
    faults=tuple(Fault(number, 100 * number, FaultKind.KILL, "n1", lasting_ms=800) for number in range(30)),
    asks=tuple(Ask(number, 10 * number, f"c{number % 4 + 1}", "set", "a") for number in range(200)),
)


def outcome(plan: Plan, failure: str | None) -> Outcome:
    """As the simulator would tell it; the failure comes while the storm rages."""
    until_ms = min(plan.storm_ms, 2_500)
    trace_hash = str(hash(plan))
    return Outcome(1, plan.profile, plan, failure, "", trace_hash, 0, until_ms, {}, [], History(()))


def needing(plan: Plan) -> Outcome:
    """Two faults, one of which must last, one ask of the second client, three nodes and one condition."""
    faults = {fault.number: fault.lasting_ms for fault in plan.faults}
    asks = {ask.number for ask in plan.asks}
    asked = 9 in asks and plan.nodes >= 3 and plan.conditions.pipelined > 1
    if asked and 3 in faults and faults.get(17, 0) >= 150:
        return outcome(plan, "two leaders")
    return outcome(plan, "no progress" if 3 in faults else None)


def test_a_plan_is_cut_down_to_what_the_failure_needs() -> None:
    found = shrink(needing(PLAN), needing)
    plan = found.plan
    assert found.finished
    assert found.before == PLAN
    assert found.outcome.failure == "two leaders"
    assert [(fault.number, fault.lasting_ms) for fault in plan.faults] == [(3, 1), (17, 200)]
    assert [ask.number for ask in plan.asks] == [9]
    assert (plan.nodes, plan.clients) == (3, 2)
    assert plan.conditions == Conditions(pipelined=4)
    assert plan.storm_ms <= 2_501, "what comes after the failure is gone"


def test_the_same_search_every_time() -> None:
    assert shrink(needing(PLAN), needing) == shrink(needing(PLAN), needing)


@pytest.mark.parametrize("attempts_most", [0, 1, 10, 40])
def test_it_keeps_to_its_bound_and_to_what_it_found(attempts_most: int) -> None:
    played = []

    def play(plan: Plan) -> Outcome:
        played.append(plan)
        return needing(plan)

    found = shrink(needing(PLAN), play, attempts_most=attempts_most)
    assert not found.finished
    assert found.attempts == attempts_most == len(played) - 1, "the first is the plan as it was"
    assert found.outcome.failure == "two leaders"


def test_it_ends_when_time_is_over() -> None:
    found = shrink(needing(PLAN), needing, out_of_time=lambda: True)
    assert (found.plan, found.attempts, found.finished) == (PLAN, 0, False)


def test_another_failure_is_not_taken_for_it() -> None:
    """Without fault 17 the run fails as well, otherwise; a search that follows it ends somewhere else."""
    assert 17 in {fault.number for fault in shrink(needing(PLAN), needing).plan.faults}


@pytest.mark.parametrize("failure", [None, "two leaders"])
def test_what_does_not_fail_again_in_the_same_way_is_told(failure: str | None) -> None:
    failed = msgspec.structs.replace(needing(PLAN), trace_hash="another run")
    with pytest.raises(NotRepeatable):
        shrink(failed, lambda plan: outcome(plan, failure))


def test_a_node_that_is_wrong_is_shown_by_a_short_story() -> None:
    """One that votes before its vote is durable: two nodes and no client are enough to see it."""
    parts = mutants.ALL["R1"].parts

    def play(plan: Plan) -> Outcome:
        return run(plan.seed, plan.profile, plan=plan, parts=parts)

    failed = next(each for seed in range(20) if (each := run(seed, "swarm", parts=parts)).failure)
    found = shrink(failed, play)
    assert found.finished
    assert found.outcome.failure == failed.failure
    assert (found.plan.faults, found.plan.asks, found.plan.nodes) == ((), (), 2)
    told = run(found.plan.seed, plan=found.plan, parts=parts, telling=True)
    assert told.trace_hash == found.outcome.trace_hash
    assert len(transcript(told).splitlines()) < 30


# --- the search in a list -----------------------------------------------------------------------------------


@given(st.integers(0, 60), st.sets(st.integers(0, 59), max_size=6))
def test_what_is_needed_is_left_and_nothing_else(size: int, needed: set[int]) -> None:
    needed &= set(range(size))
    asked = []

    def fails(items: tuple[int, ...]) -> bool:
        asked.append(items)
        return needed <= set(items)

    assert minimal(tuple(range(size)), fails) == tuple(sorted(needed))
    assert len(asked) <= 3 * size + 20, "a bound far below trying everything"


@given(st.lists(st.sets(st.integers(0, 19), min_size=1, max_size=4), min_size=1, max_size=3))
def test_where_several_parts_fail_no_single_item_can_go(causes: list[set[int]]) -> None:
    def fails(items: tuple[int, ...]) -> bool:
        return any(cause <= set(items) for cause in causes)

    left = minimal(tuple(range(20)), fails)
    assert fails(left)
    for number in range(len(left)):
        assert not fails(left[:number] + left[number + 1 :])


def test_what_comes_after_the_failure_goes_first() -> None:
    asked = []

    def fails(items: tuple[int, ...]) -> bool:
        asked.append(items)
        return 0 in items

    assert minimal(tuple(range(8)), fails) == (0,)
    assert asked[:2] == [(), (0, 1, 2, 3)]


def test_a_failure_without_any_of_them_needs_none_of_them() -> None:
    assert minimal((1, 2, 3), lambda _: True) == ()


def test_whatever_is_raised_ends_the_search() -> None:
    def fails(_: tuple[int, ...]) -> bool:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        minimal((1, 2), fails)
