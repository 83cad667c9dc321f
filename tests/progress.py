"""How far a long run is, said now and then to whoever waits for it."""

from __future__ import annotations

import sys
import time

EVERY_S = 10.0


class Progress:
    """Of a run that does `wanted` of `things`, from the moment on at which this is made."""

    def __init__(self, wanted: int, things: str) -> None:
        self._wanted = wanted
        self._things = things
        self._started = self._told = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._started

    def tell(self, done: int, more: str = "") -> None:
        """Say it on the standard error, unless it was said a moment ago."""
        now = time.monotonic()
        if now < self._told + EVERY_S:
            return
        self._told = now
        rate = done / self.seconds
        line = f"{done} of {self._wanted} {self._things}, {rate:.0f} a second{more}"
        print(line, file=sys.stderr, flush=True)
