"""What was found, by name: the first few of each in full, all of them counted."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from agreed.check.transactions.micro import Transaction
from agreed.check.transactions.sentences import Cast
from agreed.check.verdict import Dependency, Finding

MOST_OF_A_NAME: Final = 8
"""A broken system breaks its word a thousand times in the same way; a reader wants to see a few."""


class Findings:
    def __init__(self, transactions: Sequence[Transaction]) -> None:
        self.transactions = transactions
        self.counts: dict[str, int] = {}
        self.kept: list[Finding] = []

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.counts)

    def cast(self, *numbers: int) -> Cast:
        return Cast(self.transactions, numbers)

    def wants(self, name: str) -> bool:
        """Counts one more, and says whether it is to be told (`add`)."""
        self.counts[name] = self.counts.get(name, 0) + 1
        return self.counts[name] <= MOST_OF_A_NAME

    def add(
        self,
        name: str,
        cast: Cast,
        sentences: Iterable[str],
        key: object = None,
        cycle: Sequence[Dependency] = (),
    ) -> None:
        said = tuple(sentences)
        self.kept.append(Finding(name, cast.operations, (*cast.introductions(), *said), key=key, cycle=cycle))
