"""Cuts connections on which a database does not answer in time.

A blocking driver waits for ever for a server that is stopped or cut off, and a transaction that waits for one
branch keeps the locks of all.  So every call of the commit has a deadline, at which its connection is shut
down under the driver; that looks to it as if the server had gone, which is what everything above is made
for.

One thread for all transactions of the process.  It looks at most ten times a second: a deadline is kept to a
tenth of a second, and the many calls that end long before theirs cost it nothing.
"""
from __future__ import annotations

import heapq
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache

log = logging.getLogger("agreed.transactions")

LOOK_EVERY_S = 0.1


class Deadlines:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int]] = []
        self._acts: dict[int, Callable[[], None]] = {}
        self._numbers = 0
        self._thread: threading.Thread | None = None

    def at(self, instant: float, act: Callable[[], None]) -> int:
        """`act()` at that instant, unless it is released before; the number by which it is."""
        with self._changed:
            self._numbers += 1
            self._acts[self._numbers] = act
            heapq.heappush(self._heap, (instant, self._numbers))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="agreed-deadlines", daemon=True)
                self._thread.start()
            elif self._heap[0][1] == self._numbers:
                self._changed.notify()
            return self._numbers

    def release(self, number: int) -> None:
        """After this `act` is not running, and never will: its connection may be somebody else's by then."""
        with self._changed:
            self._acts.pop(number, None)

    def _run(self) -> None:
        with self._changed:
            while True:
                self._look()
                wait_s = max(self._heap[0][0] - self._clock(), LOOK_EVERY_S) if self._heap else None
                self._changed.wait(wait_s)

    def _look(self) -> None:
        while self._heap and self._heap[0][0] <= self._clock():
            _, number = heapq.heappop(self._heap)
            act = self._acts.pop(number, None)
            if act is not None:
                try:
                    act()
                except Exception:
                    log.exception("a connection could not be cut")


@lru_cache(maxsize=1)
def deadlines() -> Deadlines:
    """Those of this process."""
    return Deadlines()


# A forked process has inherited them, and not their thread.
os.register_at_fork(after_in_child=deadlines.cache_clear)


def shut_down(descriptor: int) -> None:
    """Of a socket, in both directions, under whoever uses it; it stays theirs to close."""
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as other:
        other.shutdown(socket.SHUT_RDWR)
