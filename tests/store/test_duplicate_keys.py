"""Which transactions write a key twice.  The answers were recorded from an etcd 3.5.1."""
from __future__ import annotations

import pytest

from agreed.store.commands import DeleteRange, Put, Range, Transaction
from agreed.store.duplicate_keys import has_duplicate_keys, is_too_deep

Operation = Put | DeleteRange | Range | Transaction

PUT_A, PUT_B, DELETE_A = Put(b"a", b"1"), Put(b"b", b"1"), DeleteRange(b"a", None)


def nested(*then: Operation, otherwise: tuple[Operation, ...] = ()) -> Transaction:
    return Transaction((), then, otherwise)


TABLE: list[tuple[str, tuple[Operation, ...], bool]] = [
    ("nothing", (), False),
    ("two keys", (PUT_A, PUT_B), False),
    ("twice", (PUT_A, PUT_A), True),
    ("put and delete", (PUT_A, DELETE_A), True),
    ("delete and put", (DELETE_A, PUT_A), True),
    ("delete a range and put in it", (DeleteRange(b"a", b"c"), PUT_B), True),
    ("delete a range and put at its end", (DeleteRange(b"a", b"b"), PUT_B), False),
    ("delete an empty range", (DeleteRange(b"z", b"a"), PUT_B), False),
    ("delete from a key on, and put there", (DeleteRange(b"a", b"\0"), PUT_B), False),
    ("overlapping deletions", (DELETE_A, DeleteRange(b"a", b"c")), False),
    ("reads do not count", (PUT_A, Range(b"a", None)), False),
    ("in a nested one and beside it", (PUT_A, nested(PUT_A)), True),
    ("in two nested ones", (nested(PUT_A), nested(PUT_A)), True),
    ("in both branches of a nested one", (nested(PUT_A, otherwise=(PUT_A,)),), False),
    ("in branches of two nested ones", (nested(otherwise=(PUT_A,)), nested(PUT_A)), True),
    ("put, or else delete", (nested(PUT_A, otherwise=(DELETE_A,)),), False),
    ("put in a nested one, delete beside it", (nested(PUT_A), DELETE_A), True),
    ("delete in a nested one, put beside it", (PUT_A, nested(DELETE_A)), True),
    ("delete in a nested one, put in a later one", (nested(DELETE_A), nested(PUT_A)), True),
    ("put in a nested one, delete in a later one", (nested(PUT_A), nested(DELETE_A)), False),
]


@pytest.mark.parametrize(("_", "operations", "twice"), TABLE, ids=[row[0] for row in TABLE])
def test_in_either_branch(_: str, operations: tuple[Operation, ...], twice: bool) -> None:
    assert has_duplicate_keys(Transaction((), operations, ())) is twice
    assert has_duplicate_keys(Transaction((), (), operations)) is twice


def test_of_two_branches_one_is_done() -> None:
    assert not has_duplicate_keys(Transaction((), (PUT_A,), (PUT_A,)))


@pytest.mark.parametrize(("levels", "too_deep"), [(0, False), (3, False), (4, True)])
def test_how_deep_it_is(levels: int, too_deep: bool) -> None:
    command = Transaction((), (PUT_A,), ())
    for _ in range(levels):
        command = Transaction((), (), (command,))
    assert is_too_deep(command, 3) is too_deep
