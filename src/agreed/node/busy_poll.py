"""Looks again for a moment before the process sleeps, while a lone write is under way.

A write that is alone waits for others all the time: the leader for a follower, the follower for its disk, the
client for the leader.  Each of these waits is a few hundred microseconds, and whoever sleeps through it wakes
up late: the processor has gone to rest (in a virtual machine: it was given back to the host), and what it
knew of the program is gone from its caches.  Measured, that is a quarter to a third of the time of the write.
So the loop goes round without sleeping, for a bounded time, and between two looks it offers the processor to
whoever wants it.

Where that takes long, somebody did want it, and has had it for a whole turn of the scheduler: a processor
that others work on does not go to rest, and who gives it away waits longer for it than who sleeps and is
woken up.  Then it is not looked any more for a while.  (It shows where a lock is handed on by more processes
than there are processors: every commit there is a lone one.)

    poll = BusyPoll(loop.call_soon, 500)
    poll.expect()           something comes soon: look for it for 500 microseconds from now on

When much is under way nobody calls `expect`: there is always something to do then, and looking for more takes
time from those who do it.  Nothing depends on any of this but how soon a node notices what has come.

The name is that of the kernel's own way of doing it for sockets (`net.core.busy_poll`, SO_BUSY_POLL in
socket(7)).
"""
from __future__ import annotations

import os
from collections.abc import Callable
from time import perf_counter_ns
from typing import Final

TAKEN_NS: Final = 300_000
"""The processor was given away for longer than a node works on one lone write."""

LEAVE_ALONE_NS: Final = 20_000_000
"""For so long it is not looked where others want the processor."""


class BusyPoll:
    """Of one event loop."""

    def __init__(
        self,
        call_soon: Callable[[Callable[[], None]], object],
        microseconds: int,
        clock_ns: Callable[[], int] = perf_counter_ns,
        give_way: Callable[[], object] = os.sched_yield,
    ) -> None:
        """0 microseconds: never.  `call_soon` makes the loop go round once more without waiting."""
        self._call_soon = call_soon
        self._nanoseconds = microseconds * 1_000
        self._clock_ns = clock_ns
        self._give_way = give_way
        self._until = 0
        self._not_before = 0
        self._looks = False

    def expect(self) -> None:
        now = self._clock_ns()
        if now < self._not_before:
            return
        self._until = now + self._nanoseconds
        if not self._looks and self._nanoseconds:
            self._looks = True
            self._call_soon(self._look)

    def _look(self) -> None:
        """Called again by each round of the loop, after whatever has come."""
        began = self._clock_ns()
        if began < self._until:
            self._give_way()
            now = self._clock_ns()
            if now - began < TAKEN_NS:
                self._call_soon(self._look)
                return
            self._not_before = now + LEAVE_ALONE_NS
        self._looks = False
