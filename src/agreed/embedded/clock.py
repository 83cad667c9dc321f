"""A time that stands still until it is told to move.

    clock.advance(30)       thirty seconds pass; whatever becomes due on the way is done, in its order

Only the time of nodes is meant (how long sessions, leases and keys live, what the stamps say), not that of
sockets, nor that of clients: they live in the same world as the test.  So a debugger, or a machine that is
loaded, ends no session.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

from agreed.types import Instant, Stamp

START_WALL_MS: Stamp = 1_700_000_000_000


class VirtualAlarm:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class VirtualClock:
    """`agreed.node.clock.Clock`.  To be used on the event loop of the nodes that live by it."""

    def __init__(self, wall_ms: Stamp = START_WALL_MS) -> None:
        self.now_ms: Instant = 0
        self._start_wall_ms = wall_ms
        self._alarms: list[tuple[Instant, int, VirtualAlarm]] = []
        self._order = itertools.count()

    def now(self) -> Instant:
        return self.now_ms

    def wall_ms(self) -> Stamp:
        return self._start_wall_ms + self.now_ms

    def call_at(self, instant: Instant, callback: Callable[[], None]) -> VirtualAlarm:
        alarm = VirtualAlarm(callback)
        heapq.heappush(self._alarms, (instant, next(self._order), alarm))
        return alarm

    def advance(self, seconds: float) -> None:
        """At once, as fast as what is due can be done.  Raises ValueError for a time that would go back."""
        if seconds < 0:
            raise ValueError(f"time does not go back, nor by {-seconds:g} s")
        until = self.now_ms + round(seconds * 1000)
        while self._alarms and self._alarms[0][0] <= until:
            instant, _, alarm = heapq.heappop(self._alarms)
            if alarm.callback is not None:
                self.now_ms = max(self.now_ms, instant)
                alarm.callback()
        self.now_ms = until
