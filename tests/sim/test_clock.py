"""The clocks of a node: one that only drifts, and one that shows anything."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.sim.clock import WALL_EPOCH_MS, Clock
from agreed.sim.world import MS

DRIFTS = st.integers(-150_000, 150_000)


@pytest.mark.parametrize(("millionths", "shown"), [(0, 10_000), (20_000, 10_200), (-150_000, 8_500)])
def test_a_clock_runs_a_little_fast_or_slow(millionths: int, shown: int) -> None:
    clock = Clock(500, millionths)
    assert clock.monotonic_ms(0) == 500
    assert clock.monotonic_ms(10_000 * MS) == 500 + shown


@given(st.lists(st.tuples(st.integers(0, 10**7), DRIFTS), max_size=6), DRIFTS)
def test_the_monotonic_clock_never_goes_back(changes: list[tuple[int, int]], drift: int) -> None:
    clock, now = Clock(0, drift), 0
    shown = clock.monotonic_ms(now)
    for later, millionths in changes:
        now += later
        before = clock.monotonic_ms(now)
        assert before >= shown
        clock.drift(now, millionths)
        shown = clock.monotonic_ms(now)
        assert shown == before, "a change of its rate is no jump"


@given(DRIFTS, st.integers(0, 10**7), st.integers(0, 10**6))
def test_an_alarm_rings_when_the_clock_shows_its_time_and_no_moment_before(
    millionths: int, start_ms: int, delay_ms: int
) -> None:
    clock = Clock(start_ms, millionths)
    when = clock.when(start_ms + delay_ms)
    assert clock.monotonic_ms(when) >= start_ms + delay_ms
    assert when == 0 or clock.monotonic_ms(when - 1) < start_ms + delay_ms


def test_the_clock_on_the_wall_jumps_and_the_other_does_not() -> None:
    clock = Clock(7)
    clock.set_wall(-90_000)
    assert clock.wall_ms(1_000 * MS) == WALL_EPOCH_MS + 1_000 - 90_000
    assert clock.monotonic_ms(1_000 * MS) == 1_007
