"""The two clocks of a machine, in milliseconds, and its dice: all that enters a replica from nowhere."""

from __future__ import annotations

import os
import random
import time

from agreed.types import Instant, Stamp


def now() -> Instant:
    """Monotonic: never goes back, stands still for nobody, means nothing on another machine."""
    return time.monotonic_ns() // 1_000_000


def wall_ms() -> Stamp:
    """Milliseconds since 1970; may jump.  Only ever used as the leader's stamp, which never goes back."""
    return time.time_ns() // 1_000_000


def entropy(size: int) -> bytes:
    return os.urandom(size)


class SystemDice:
    """Randomness for timeouts: not secret, but different on each node."""

    def __init__(self) -> None:
        self._random = random.Random(os.urandom(16))

    def between(self, low: int, high: int) -> int:
        return self._random.randint(low, high)
