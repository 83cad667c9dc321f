"""The two clocks of a machine, in milliseconds, and its dice: all that enters a replica from nowhere."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable
from typing import Protocol

from agreed.types import Instant, Stamp


def now() -> Instant:
    """Monotonic: never goes back, stands still for nobody, means nothing on another machine."""
    return time.monotonic_ns() // 1_000_000


def wall_ms() -> Stamp:
    """Milliseconds since 1970; may jump.  Only ever used as the leader's stamp, which never goes back."""
    return time.time_ns() // 1_000_000


class Alarm(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    """Both clocks, and who rings: a node in a test may live in a time of its own."""

    def now(self) -> Instant: ...

    def wall_ms(self) -> Stamp: ...

    def call_at(self, instant: Instant, callback: Callable[[], None]) -> Alarm:
        """On the event loop, at `instant` or soon after it."""
        ...


class SystemClock:
    """Those of this machine."""

    def now(self) -> Instant:
        return now()

    def wall_ms(self) -> Stamp:
        return wall_ms()

    def call_at(self, instant: Instant, callback: Callable[[], None]) -> Alarm:
        return asyncio.get_running_loop().call_later(max(0, instant - now()) / 1000, callback)


def entropy(size: int) -> bytes:
    return os.urandom(size)


class SystemDice:
    """Randomness for timeouts: not secret, but different on each node."""

    def __init__(self) -> None:
        self._random = random.Random(os.urandom(16))

    def between(self, low: int, high: int) -> int:
        return self._random.randint(low, high)
