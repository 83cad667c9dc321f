"""How long something takes, over and over: counted in buckets, as collectors of metrics want it.

The bounds double from one millisecond to eight seconds.  To count costs a search among fourteen numbers.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from agreed.replica.words import Spread

BOUNDS_S: Final = tuple(2**power / 1000 for power in range(14))


class Durations:
    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self._total_s = 0.0

    def add(self, duration_s: float) -> None:
        self._counts[bisect_left(BOUNDS_S, duration_s)] += 1
        self._total_s += duration_s

    def spread(self) -> Spread:
        return Spread(BOUNDS_S, tuple(self._counts), self._total_s)
