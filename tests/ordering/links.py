"""Messages between machines, under way: which of them arrives next is drawn."""
from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any, NamedTuple

from agreed.consensus.machine import Send

DELAYS = ((0, 4), (0, 4), (30, 90))
"""In turns.  Some messages are very slow, or there would be little to see."""


class Letter(NamedTuple):
    source: str
    target: str
    message: Any
    due: int


class Links:
    """`doubled` and `lost` are the chances of each message."""

    def __init__(self, random: Random, doubled: float = 0.1, lost: float = 0.0) -> None:
        self.random = random
        self.doubled = doubled
        self.lost = lost
        self.under_way: list[Letter] = []
        self.turn = 0
        self.calm = False
        """Whether everything arrives that can."""
        self.cut_off: set[str] = set()
        """Messages to and from these wait."""

    def put(self, source: str, sends: Iterable[Send]) -> None:
        for send in sends:
            delay = self.random.randint(*self.random.choice(DELAYS))
            letter = Letter(source, send.target, send.message, self.turn + delay)
            if self.random.random() >= self.lost:
                self.under_way.append(letter)
            if self.random.random() < self.doubled:
                self.under_way.append(letter)

    def take(self) -> Letter | None:
        """One that arrives now, any; None if none does."""
        self.turn += 1
        due = [
            number
            for number, letter in enumerate(self.under_way)
            if (self.calm or letter.due <= self.turn) and not self.cut_off & {letter.source, letter.target}
        ]
        return self.under_way.pop(self.random.choice(due)) if due else None

    def crash(self, node: str) -> None:
        """Of what it was sending some is lost."""
        self.under_way = [
            letter for letter in self.under_way if letter.source != node or self.random.random() < 0.5
        ]
