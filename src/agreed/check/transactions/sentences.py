"""What was found, in plain sentences.

Within a finding transactions are called T1, T2 ..., as in the literature; its first sentences say which
operations these are.  Whatever is shown of a transaction or a list is cut when it is long.
"""
from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final

from agreed.check.transactions.graph import Kind
from agreed.check.transactions.micro import READ, Transaction
from agreed.check.transactions.versions import Reason, Versions

MOST_ELEMENTS: Final = 12
MOST_STEPS: Final = 10


def value_text(value: object) -> str:
    if value is None:
        return "nothing"
    if not isinstance(value, tuple):
        return str(value)
    if len(value) <= MOST_ELEMENTS:
        return "[" + " ".join(str(element) for element in value) + "]"
    half = MOST_ELEMENTS // 2
    first, last = (" ".join(str(element) for element in part) for part in (value[:half], value[-half:]))
    return f"[{first} ... {last}] ({len(value)} elements)"


def transaction_text(transaction: Transaction) -> str:
    parts = [
        f"read {key} as {value_text(value)}" if function == READ
        else f"{'append' if function == 'append' else 'write'} {value_text(value)} to {key}"
        for function, key, value in transaction.steps
    ]  # fmt: skip
    if len(parts) > MOST_STEPS:
        parts[MOST_STEPS:] = [f"and {len(parts) - MOST_STEPS} more"]
    return ", ".join(parts) or "nothing that is known"


def operation_text(transaction: Transaction) -> str:
    state = "" if transaction.committed else ", aborted" if transaction.aborted else ", never answered"
    return f"operation {transaction.operation.index} (process {transaction.operation.process}{state})"


class Cast:
    """Who is who in one finding: T1, T2 ... in the order in which they are first named."""

    def __init__(self, transactions: Sequence[Transaction], numbers: Iterable[int] = ()) -> None:
        self._transactions = transactions
        self.numbers: list[int] = []
        for number in numbers:
            self.name(number)

    def name(self, number: int) -> str:
        if number not in self.numbers:
            self.numbers.append(number)
        return f"T{self.numbers.index(number) + 1}"

    def __getitem__(self, number: int) -> Transaction:
        return self._transactions[number]

    def introductions(self) -> list[str]:
        return [
            f"T{position} is {operation_text(self[number])}: {transaction_text(self[number])}."
            for position, number in enumerate(self.numbers, 1)
        ]

    @property
    def operations(self) -> tuple[int, ...]:
        return tuple(self[number].operation.index for number in self.numbers)


def order_text(cast: Cast, versions: Versions, first: int, second: int) -> str:
    """Why a version came before another: because of the reason that was noted, or of several in a row."""
    way = versions.way(first, second)
    return ", and ".join(
        reason_text(cast, versions, versions.reason(one, other), one, other)
        for one, other in pairwise(way)
    )


def reason_text(cast: Cast, versions: Versions, reason: Reason, first: int, second: int) -> str:
    key = versions.key
    one, other = value_text(versions.values[first]), value_text(versions.values[second])
    names = [cast.name(number) for number in reason.transactions]
    match reason.kind:
        case "read":
            return f"{names[0]} read {key} with {one} before {other}"
        case "unread":
            return f"{names[0]} read {key} with {one} and without {other}"
        case "initial":
            return f"{key} held nothing before {other}"
        case "wfr":
            return f"{names[0]} read {one} and then wrote {other}"
        case "process":
            return f"one process saw {one} in {names[0]} and then {other} in {names[1]}"
        case "realtime":
            return f"{names[0]}, with {one}, had returned before {names[1]}, with {other}, was called"
        case "revision":
            at = [cast[number].operation.revision for number in reason.transactions]
            return (
                f"the server put {one} ({names[0]}) at revision {at[0]} and {other} ({names[1]}) at {at[1]}"
            )
        case unknown:
            raise AssertionError(f"no reason is called {unknown}")


def cause(
    orders: Mapping[Hashable, Versions], before: Transaction, after: Transaction, kind: Kind
) -> tuple[Versions, int, int]:
    """Of a dependency by data: the key, and the versions on both sides of it (the same one for wr)."""
    for key in dict.fromkeys(step.key for step in before.steps):
        versions = orders[key]
        for version, writer in enumerate(versions.writers):
            wrote = writer == before.number
            if kind is Kind.WR:
                if wrote and after.number in versions.readers[version]:
                    return versions, version, version
            elif wrote if kind is Kind.WW else before.number in versions.readers[version]:
                for certain in (False, True):
                    for target in versions.next_written(version, certain=certain):
                        if versions.writers[target] == after.number:
                            return versions, version, target
    raise AssertionError(f"no reason for {kind.value} from {before.number} to {after.number}")


def dependency_text(
    cast: Cast, orders: Mapping[Hashable, Versions], before: int, after: int, kind: Kind
) -> tuple[str, Hashable]:
    """One side of a circle as a sentence, and the key that it is about (None if it is about time)."""
    one, other = cast.name(before), cast.name(after)
    key: Hashable = None
    if kind is Kind.PROCESS:
        because = f"process {cast[before].operation.process} ran them in this order"
    elif kind is Kind.REALTIME:
        because = f"it had returned before {other} was called"
    else:
        versions, first, second = cause(orders, cast[before], cast[after], kind)
        key = versions.key
        because = _data_text(cast, versions, (one, first), (other, second), kind)
    return f"{one} comes before {other}: {because}.", key


def _data_text(
    cast: Cast, versions: Versions, before: tuple[str, int], after: tuple[str, int], kind: Kind
) -> str:
    """`before` and `after` are the names of the transactions, and the versions in question."""
    key, other = versions.key, after[0]
    earlier, later = (value_text(versions.values[version]) for _, version in (before, after))
    if kind is Kind.WR:
        return f"it wrote {earlier} to {key}, and {other} read that"
    if kind is Kind.RW and isinstance(versions.values[0], tuple):
        return f"it read {key} without {later}, which {other} appended"
    why = order_text(cast, versions, before[1], after[1])
    if kind is Kind.WW:
        return f"both wrote {key}, {earlier} before {later}, since {why}"
    return f"it read {earlier} from {key}, and {other} wrote {later} later, since {why}"
