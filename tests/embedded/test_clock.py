"""A time that stands still until it is told to move."""

from __future__ import annotations

import pytest

from agreed.embedded.clock import VirtualClock


def test_what_becomes_due_is_done_in_its_order_and_at_its_time() -> None:
    clock = VirtualClock(wall_ms=1_000)
    rung: list[tuple[str, int, int]] = []

    def ring(name: str) -> None:
        rung.append((name, clock.now(), clock.wall_ms()))

    clock.call_at(300, lambda: ring("late"))
    clock.call_at(100, lambda: ring("first"))
    clock.call_at(100, lambda: ring("second"))
    clock.call_at(200, lambda: ring("never")).cancel()

    def set_another() -> None:
        clock.call_at(150, lambda: ring("set on the way"))

    clock.call_at(100, set_another)
    clock.advance(0.25)
    assert rung == [("first", 100, 1_100), ("second", 100, 1_100), ("set on the way", 150, 1_150)]
    assert clock.now() == 250
    clock.advance(0.05)
    assert rung[3:] == [("late", 300, 1_300)]


def test_an_alarm_for_the_past_rings_now_and_time_does_not_go_back() -> None:
    clock = VirtualClock()
    clock.advance(10)
    heard: list[int] = []
    clock.call_at(5, lambda: heard.append(clock.now()))
    clock.advance(0)
    assert heard == [10_000]
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)
