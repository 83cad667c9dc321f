"""Happens-before as the properties have it, against walking back from the later event."""
from __future__ import annotations

from random import Random

from tests.clocks.executions import Event, Execution, drawn


def reached(execution: Execution, first: int, second: int) -> bool:
    """Whether `second` leads back to `first`, rule by rule."""
    events = execution.events
    for number in range(second):
        direct = events[second].sent_by == number or (
            events[number].node == events[second].node
            and all(events[between].node != events[second].node for between in range(number + 1, second))
        )
        if direct and (number == first or reached(execution, first, number)):
            return True
    return False


def test_the_definition() -> None:
    for seed in range(150):
        execution = drawn(Random(seed), 8)
        for first, second in execution.pairs():
            assert execution.happens_before(first, second) is reached(execution, first, second)
            assert not execution.happens_before(second, first)


def test_a_message_overtaken() -> None:
    execution = Execution([Event("n1", None, 0), Event("n1", None, 0), Event("n2", 1, 0), Event("n3", 0, 0)])
    assert execution.happens_before(0, 2)
    assert execution.happens_before(0, 3)
    assert not execution.happens_before(1, 3)
    assert "2: n2 hears 1" in execution.told()


def test_what_is_drawn_is_the_same_for_a_seed_and_has_everything() -> None:
    assert drawn(Random(3), 30) == drawn(Random(3), 30)
    pairs = [(drawn(Random(seed), 20), seed) for seed in range(30)]
    related = sum(bin(past).count("1") for execution, _ in pairs for past in execution.past)
    everything = sum(len(execution.pairs()) for execution, _ in pairs)
    assert 0.2 < related / everything < 0.9
