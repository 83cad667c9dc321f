"""Transactions as lists of micro-operations, and who wrote what.

    ("append", key, element)    to the list under a key
    ("w", key, value)           to the register under a key
    ("r", key, value)           what was read: a list or a register; None in a call

An operation's argument is such a list, and so is its result, with the reads filled in.  A key that nobody
wrote holds the empty list, or None.  The operation's function and key are not looked at.

Everything here rests on writes that are unique: no element is appended to a key twice, no value written to
it twice.  Then a read says which write it read, and a history says by itself what depended on what.  Where
they are not unique `Ambiguous` is raised, and the verdict is UNKNOWN: whatever was found could be a
mistake.
"""
from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from agreed.check.history import History, Operation, Status
from agreed.errors import MalformedInput

READ: Final = "r"
APPEND: Final = "append"
WRITE: Final = "w"


class Ambiguous(Exception):
    """Two writes of the same value to the same key; which of them a read read cannot be told."""


class MicroOperation(NamedTuple):
    function: str
    key: Hashable
    value: Hashable
    """What was written, or read; a list that was read is a tuple."""


class Transaction(msgspec.Struct, frozen=True, gc=False):
    """One transaction.  Unless it is committed, what it read is not known, and `steps` are its writes
    only."""

    number: int
    """Its position in the history."""
    operation: Operation
    steps: Sequence[MicroOperation]

    @property
    def committed(self) -> bool:
        return self.operation.status is Status.OK

    @property
    def aborted(self) -> bool:
        return self.operation.status is Status.FAIL


class Written(NamedTuple):
    """Where a value comes from."""

    transaction: int
    final: bool
    """Whether its transaction did not overwrite it (or append to it) itself."""


class Transactions:
    """All of a history, by number, with an index of who wrote what.

    `present[n]`: transaction n took effect for sure.  It is committed; or nobody knows, but a committed one
    saw what it wrote.  (Had it aborted all the same, that would be an aborted read, which every model above
    read-uncommitted forbids; so nothing above is wrongly found by taking it for committed.)
    """

    __slots__ = ("present", "transactions", "writers")

    def __init__(self, transactions: Sequence[Transaction], write: str) -> None:
        self.transactions = transactions
        self.writers: dict[Hashable, dict[Hashable, Written]] = {}
        self._index(write)
        self.present = [transaction.committed for transaction in transactions]

    def writer(self, key: Hashable, value: Hashable) -> Written | None:
        return self.writers.get(key, {}).get(value)

    def seen(self, key: Hashable, value: Hashable) -> None:
        """A committed transaction read this value: if nobody knew whether its writer took effect, it did."""
        source = self.writer(key, value)
        if source is not None and not self.transactions[source.transaction].aborted:
            self.present[source.transaction] = True

    def committed(self) -> Iterable[Transaction]:
        return (transaction for transaction in self.transactions if transaction.committed)

    def _index(self, write: str) -> None:
        for transaction in self.transactions:
            last: dict[Hashable, Hashable] = {}
            for function, key, value in transaction.steps:
                if function != write:
                    continue
                written = self.writers.setdefault(key, {})
                if value in written:
                    first = self.transactions[written[value].transaction].operation.index
                    raise Ambiguous(
                        f"{value!r} is written to {key!r} by operation {first} "
                        f"and by operation {transaction.operation.index}"
                    )
                if key in last:
                    written[last[key]] = Written(transaction.number, False)
                written[value] = Written(transaction.number, True)
                last[key] = value


def parse(history: History, write: str) -> list[Transaction]:
    """The transactions of a history of lists (`write` is APPEND) or registers (WRITE).  Raises
    MalformedInput for what is no list of micro-operations, and for a read list that is none."""
    value_read = _list_read if write == APPEND else _hashable
    return [
        Transaction(number, operation, _steps(operation, write, value_read))
        for number, operation in enumerate(history)
    ]


def _steps(
    operation: Operation, write: str, value_read: Callable[[Operation, object], Hashable]
) -> tuple[MicroOperation, ...]:
    committed = operation.status is Status.OK
    listed = operation.result if committed else operation.argument
    if not isinstance(listed, (list, tuple)):
        raise MalformedInput(f"operation {operation.index} is no list of micro-operations: {listed!r}")
    steps: list[MicroOperation] = []
    for one in listed:
        if not isinstance(one, (list, tuple)) or len(one) != 3:
            raise MalformedInput(
                f"operation {operation.index}: {one!r} is no micro-operation (function, key, value)"
            )
        function, key, value = one
        if function == READ:
            if committed:
                steps.append(MicroOperation(READ, _hashable(operation, key), value_read(operation, value)))
        elif function == write:
            steps.append(MicroOperation(write, _hashable(operation, key), _hashable(operation, value)))
        else:
            raise MalformedInput(
                f"operation {operation.index}: {function!r} is neither {READ!r} nor {write!r}"
            )
    return tuple(steps)


def _hashable(operation: Operation, value: object) -> Hashable:
    try:
        hash(value)
    except TypeError:
        raise MalformedInput(f"operation {operation.index}: {value!r} can be no key and no value") from None
    return value


def _list_read(operation: Operation, value: object) -> Hashable:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise MalformedInput(f"operation {operation.index} read {value!r}, which is no list")
    read = tuple(value)
    _hashable(operation, read)
    return read
