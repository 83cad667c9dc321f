"""Virtual time: one queue, one thread; what is next happens next, and nothing happens meanwhile.

Times are whole microseconds since the beginning of the run.  What is due at the same time happens in the
order in which it was planned.
"""
from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from agreed.sim.streams import Stream
from agreed.sim.trace import Trace

MS = 1_000
"""Microseconds."""

Act = Callable[[Any, Any], None]


class World:
    def __init__(self, seed: int, trace: Trace) -> None:
        self.seed = seed
        self.trace = trace
        self.now = 0
        self.marks: dict[str, int] = {}
        self._queue: list[tuple[int, int, Act, Any, Any]] = []
        self._order = 0

    def stream(self, *names: object) -> Stream:
        return Stream(self.seed, *names)

    def mark(self, name: str) -> None:
        """The run got into this situation."""
        self.marks[name] = self.marks.get(name, 0) + 1

    def at(self, instant: int, act: Act, one: Any = None, other: Any = None) -> None:
        """`act(one, other)` at this time, or now if that is over."""
        self._order += 1
        heappush(self._queue, (instant if instant > self.now else self.now, self._order, act, one, other))

    def later(self, delay: int, act: Act, one: Any = None, other: Any = None) -> None:
        self._order += 1
        heappush(self._queue, (self.now + delay, self._order, act, one, other))

    def run(self, until: int) -> None:
        """All that is due before `until`; then it is that time."""
        queue = self._queue
        while queue and queue[0][0] < until:
            self.now, _, act, one, other = heappop(queue)
            act(one, other)
        if self.now < until:
            self.now = until

    def clear(self) -> None:
        """Nothing that was planned will happen (it holds on to everything)."""
        self._queue.clear()
