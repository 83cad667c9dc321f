"""Randomness by name: each part of a world has a stream of its own, all made from one seed.

A single generator for everything would tie everything to everything: leave out one fault, and each message
after it would meet another fate.  Here the dice of a link, a disk, a clock, a client or a single fault depend
on the seed and on their name alone, so a smaller plan is the same story with something left out.

Only bits are taken from the generator, and only integers are computed from them: the same numbers on every
machine and under every version of Python, whatever its hash seed and its library of mathematics.
"""
from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

MILLION = 1_000_000


class Stream:
    """An endless row of dice with a name.  Also the `Dice` and the entropy of a machine."""

    __slots__ = ("bits",)

    def __init__(self, seed: int, *names: object) -> None:
        name = "/".join([str(seed), *map(str, names)])
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "big")
        self.bits: Callable[[int], int] = random.Random(number).getrandbits
        """So many random bits, as a number."""

    def below(self, end: int) -> int:
        """0, 1, ... or `end` - 1."""
        return self.bits(32) * end >> 32

    def between(self, low: int, high: int) -> int:
        """A number of [low, high], both ends included."""
        return low + (self.bits(32) * (high - low + 1) >> 32)

    def chance(self, permille: int) -> bool:
        return (self.bits(32) * 1000 >> 32) < permille

    def pick(self, choices: Sequence[T]) -> T:
        return choices[self.bits(32) * len(choices) >> 32]

    def weighted(self, choices: Sequence[tuple[T, int]]) -> T:
        """One of them, in proportion to the weights (not all 0)."""
        left = self.below(sum(weight for _, weight in choices))
        for choice, weight in choices:
            left -= weight
            if left < 0:
                return choice
        raise AssertionError("the weights add up")

    def sample(self, choices: Sequence[T], count: int) -> list[T]:
        """So many different ones, in random order."""
        left = list(choices)
        return [left.pop(self.below(len(left))) for _ in range(min(count, len(left)))]

    def bytes(self, size: int) -> bytes:
        return self.bits(8 * size).to_bytes(size, "big") if size else b""
