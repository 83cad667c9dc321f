"""Hybrid logical clocks, step by step, and the bound on skew."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.clocks import HybridClock, HybridTime
from agreed.clocks.hybrid import LOGICAL_MOST, WALL_MOST
from agreed.errors import ClockSkew, MalformedInput

"""On a machine that is busy with something else an example may take any time."""

TIMES = st.builds(HybridTime, st.integers(0, WALL_MOST), st.integers(0, LOGICAL_MOST))


def test_while_the_wall_moves_it_is_the_wall() -> None:
    clock = HybridClock(500).tick(1_000).tick(1_001)
    assert clock.time == HybridTime(1_001, 0)


def test_within_a_millisecond_it_counts() -> None:
    clock = HybridClock(500).tick(1_000).tick(1_000).tick(1_000)
    assert clock.time == HybridTime(1_000, 2)


RECEIVED = [
    ("the wall is ahead of both", HybridTime(900, 5), HybridTime(950, 7), 1_000, HybridTime(1_000, 0)),
    ("the message is ahead", HybridTime(1_000, 5), HybridTime(1_100, 7), 1_000, HybridTime(1_100, 8)),
    ("we are ahead", HybridTime(1_100, 5), HybridTime(1_050, 7), 1_000, HybridTime(1_100, 6)),
    ("both are, alike", HybridTime(1_100, 5), HybridTime(1_100, 7), 1_000, HybridTime(1_100, 8)),
]


@pytest.mark.parametrize(("ours", "sent", "wall_ms", "then"), [each[1:] for each in RECEIVED])
def test_receipt(ours: HybridTime, sent: HybridTime, wall_ms: int, then: HybridTime) -> None:
    assert HybridClock(500, ours).receive(sent, wall_ms).time == then


def test_a_time_from_too_far_ahead_is_refused_and_changes_nothing() -> None:
    clock = HybridClock(500).tick(1_000)
    assert clock.receive(HybridTime(1_500, 0), 1_000).time == HybridTime(1_500, 1)
    with pytest.raises(ClockSkew, match="501 ms ahead of our clock, where 500 ms are allowed") as refused:
        clock.receive(HybridTime(1_501, 0), 1_000)
    assert (refused.value.ahead_ms, refused.value.bound_ms) == (501, 500)
    assert refused.value.surely_not_done
    assert clock.time == HybridTime(1_000, 0)


def test_old_times_are_not_refused() -> None:
    clock = HybridClock(500).tick(9_000_000)
    assert clock.receive(HybridTime(1, 0), 9_000_000).time == HybridTime(9_000_000, 1)


def test_a_clock_that_is_set_back_goes_on_and_says_how_far_it_is_ahead() -> None:
    clock = HybridClock(500).tick(10_000)
    back = clock.tick(4_000)
    assert back.time > clock.time
    assert back.ahead_ms(4_000) == 6_000
    with pytest.raises(ClockSkew):
        HybridClock(500).tick(4_000).receive(back.time, 4_000)


def test_after_65536_events_in_a_millisecond_the_next_one_begins() -> None:
    full = HybridTime(1_000, LOGICAL_MOST)
    assert full < full.next() == HybridTime(1_001, 0)


@given(TIMES, TIMES)
def test_bytes_are_in_the_order_of_the_times(first: HybridTime, second: HybridTime) -> None:
    assert HybridTime.decode(first.encode()) == first
    assert (first.encode() < second.encode()) is (first < second)
    assert first < first.next()


@given(st.binary(max_size=20))
def test_any_bytes_are_a_time_or_refused(data: bytes) -> None:
    if len(data) == 8:
        assert HybridTime.decode(data).encode() == data
        return
    with pytest.raises(MalformedInput, match="8 bytes"):
        HybridTime.decode(data)


@pytest.mark.parametrize("time", [HybridTime(WALL_MOST + 1), HybridTime(-1), HybridTime(0, LOGICAL_MOST + 1)])
def test_what_does_not_fit_into_eight_bytes_is_refused(time: HybridTime) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        time.encode()


def test_the_wall_does_not_tell_what_was_first() -> None:
    """The converse fails: n2's clock is behind, so its later event has the smaller time."""
    first, later = HybridClock(500).tick(1_000), HybridClock(500).tick(990)
    assert later.time < first.time
