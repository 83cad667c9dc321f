"""What Lamport's clock tells, and what it cannot."""
from __future__ import annotations

from agreed.clocks import LamportTime


def test_a_message_comes_after_it_was_sent() -> None:
    sent = LamportTime(6, "n1").tick()
    assert LamportTime(2, "n2").receive(sent) == LamportTime(8, "n2")
    assert LamportTime(9, "n2").receive(sent) == LamportTime(10, "n2")


def test_equal_counters_are_put_in_order_by_name() -> None:
    times = [LamportTime(2, "n1"), LamportTime(1, "n3"), LamportTime(1, "n2")]
    assert sorted(times) == [LamportTime(1, "n2"), LamportTime(1, "n3"), LamportTime(2, "n1")]


def test_it_cannot_tell_concurrent_from_caused() -> None:
    """The same two times, once of a cause and its effect, once of strangers."""
    cause = LamportTime(0, "n1").tick()
    effect = LamportTime(0, "n2").receive(cause)
    stranger = LamportTime(0, "n2").tick().tick()
    assert cause < effect == stranger
