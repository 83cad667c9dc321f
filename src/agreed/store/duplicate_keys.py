"""Whether a transaction would write one key twice: a question about the request alone, so that a node can
refuse it before it is ordered, as etcd does.  The store asks it again.

Looked at are both branches of everything, whichever will be taken.  A key must not be put twice, unless by
the two branches of one nested transaction, of which only one is done; and no key may be put that is also
deleted, by an operation beside the put, or by a transaction that stands before it or around it.

Two gaps are etcd's, and are kept, since a request which a real server takes should not be refused here: a
deletion "from this key on" is not compared with puts; and a nested transaction may delete what an earlier one
beside it has put.  The store therefore lives with two versions of a key at one revision; the later counts.
"""
from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

from agreed.store.commands import DeleteRange, Put, Range, Transaction

DEPTH_MOST: Final = 128
"""How deep transactions may be nested: they are done by recursion.  etcd allows as many as operations."""

_Operation = Put | DeleteRange | Range | Transaction


class _Deleted:
    """What deletions delete: single keys, and the union of their ranges, in order and disjoint.  Ten thousand
    deletions compared with ten thousand puts one by one would keep every node busy for minutes."""

    __slots__ = ("_begins", "_ends", "_keys")

    def __init__(self) -> None:
        self._keys: set[bytes] = set()
        self._begins: list[bytes] = []
        self._ends: list[bytes] = []

    def add(self, begin: bytes, end: bytes | None) -> None:
        if end is None:
            self._keys.add(begin)
        elif begin < end:
            first, last = bisect_left(self._ends, begin), bisect_right(self._begins, end)
            if first < last:
                begin, end = min(begin, self._begins[first]), max(end, self._ends[last - 1])
            self._begins[first:last] = [begin]
            self._ends[first:last] = [end]

    def update(self, other: _Deleted) -> None:
        self._keys |= other._keys
        for begin, end in zip(other._begins, other._ends, strict=True):
            self.add(begin, end)

    def __contains__(self, key: bytes) -> bool:
        """An end of b"\\0" is taken as it is written here: nothing lies before it."""
        place = bisect_right(self._begins, key)
        return key in self._keys or (place > 0 and key < self._ends[place - 1])


class _Twice(Exception):
    pass


def has_duplicate_keys(command: Transaction) -> bool:
    """The transaction must not be too deep."""
    try:
        _written(command.then)
        _written(command.otherwise)
    except _Twice:
        return True
    return False


def is_too_deep(command: Transaction, depth: int = DEPTH_MOST) -> bool:
    """Whether it has more than `depth` levels of transactions below it."""
    return any(
        isinstance(operation, Transaction) and (depth == 0 or is_too_deep(operation, depth - 1))
        for operation in (*command.then, *command.otherwise)
    )


def _written(operations: Sequence[_Operation]) -> tuple[set[bytes], _Deleted]:
    """The keys put and the ranges deleted by these operations, in either branch of what is nested."""
    deleted = _Deleted()
    for operation in operations:
        if isinstance(operation, DeleteRange):
            deleted.add(operation.key, operation.range_end)
    put: set[bytes] = set()
    for operation in operations:
        if isinstance(operation, Transaction):
            then, deleted_then = _written(operation.then)
            otherwise, deleted_otherwise = _written(operation.otherwise)
            nested = then | otherwise
            if nested & put or any(key in deleted for key in nested):
                raise _Twice
            put |= nested
            deleted.update(deleted_then)
            deleted.update(deleted_otherwise)
    for operation in operations:
        if isinstance(operation, Put):
            if operation.key in put or operation.key in deleted:
                raise _Twice
            put.add(operation.key)
    return put, deleted
