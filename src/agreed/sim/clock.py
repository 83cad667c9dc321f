"""The two clocks of a node.

The monotonic clock never goes back and never jumps, but runs a little fast or slow; what stands still with
the node is the node and not its clock, so a paused process finds that time has leapt.  The clock on the wall
may show anything: it jumps when somebody sets it, and strobes when two time servers quarrel.

Drift is a whole number of millionths, and all arithmetic is on whole microseconds, so that no machine rounds
otherwise than another.
"""
from __future__ import annotations

from agreed.sim.streams import MILLION

WALL_EPOCH_MS = 1_700_000_000_000


class Clock:
    """`start_ms` is what the monotonic clock shows at the beginning: it means nothing on another machine."""

    def __init__(self, start_ms: int, drift_millionths: int = 0) -> None:
        self._base_us = start_ms * 1_000
        self._since = 0
        self._rate = MILLION + drift_millionths
        self._wall_skew_ms = 0

    def monotonic_ms(self, now: int) -> int:
        return (self._base_us + (now - self._since) * self._rate // MILLION) // 1_000

    def wall_ms(self, now: int) -> int:
        return WALL_EPOCH_MS + self._wall_skew_ms + now * self._rate // MILLION // 1_000

    def when(self, instant_ms: int) -> int:
        """The time of the world at which the monotonic clock shows this."""
        wanted = instant_ms * 1_000 - self._base_us
        return self._since + -(-wanted * MILLION // self._rate)

    def drift(self, now: int, millionths: int) -> None:
        """From now on it runs faster by so much."""
        self._base_us += (now - self._since) * self._rate // MILLION
        self._since = now
        self._rate = MILLION + millionths

    def set_wall(self, jump_ms: int) -> None:
        """Somebody sets the clock on the wall forward by so much, or back."""
        self._wall_skew_ms += jump_ms
