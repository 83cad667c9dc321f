"""How many keys a transaction looks at, told without looking at them."""

from __future__ import annotations

import pytest

from agreed.store.commands import DeleteRange, Guard, Put, Range, Transaction
from agreed.store.machine import Store
from agreed.store.work import KEYS_MOST, PART_KEYS, TOLD_KEYS, keys_looked_at

ALL = (b"k", b"l")
READ = 1 + TOLD_KEYS


@pytest.fixture(scope="module")
def store() -> Store:
    """A hundred keys, and ten that are gone."""
    store = Store()
    for number in range(110):
        store.execute(Put(b"k%03d" % number, b""))
    store.execute(DeleteRange(b"k000", b"k010"))
    return store


def guard(*where: bytes) -> Guard:
    key, *end = where
    return Guard(key, end[0] if end else None, "version", ">", 0)


def txn(*then: Put | DeleteRange | Range | Transaction) -> Transaction:
    return Transaction((), then, ())


@pytest.mark.parametrize(
    ("command", "keys"),
    [
        (txn(), 0),
        (txn(Put(b"k", b"")), PART_KEYS),
        (Transaction((guard(b"k"),), (), ()), PART_KEYS + 1),
        (Transaction((guard(*ALL), guard(*ALL)), (), ()), 2 * (PART_KEYS + 110)),
        (txn(DeleteRange(*ALL)), PART_KEYS + 110),
        (txn(Range(b"k000", None)), PART_KEYS + READ),
        (txn(Range(*ALL)), PART_KEYS + 110 * READ),
        (txn(Range(b"k", b"\0")), PART_KEYS + 110 * READ),
        (txn(Range(*ALL, revision=5)), PART_KEYS + 110 * (READ + 1)),
        (txn(Range(*ALL, limit=3)), PART_KEYS + 10 + 3 * READ),
        (txn(Range(b"k050", b"l", limit=3)), PART_KEYS + 3 * READ),
        (txn(txn(DeleteRange(*ALL)), Put(b"z", b"")), 3 * PART_KEYS + 110),
        (Transaction((), (DeleteRange(*ALL),), (DeleteRange(*ALL),) * 2), 2 * (PART_KEYS + 110)),
    ],
)
def test_each_part_counts_what_it_looks_at(store: Store, command: Transaction, keys: int) -> None:
    assert keys_looked_at(store.flat.history, command) == keys


def test_of_too_much_it_is_known_soon_enough(store: Store) -> None:
    """A request may hold a hundred thousand of them."""
    many = (guard(*ALL),) * 100_000
    assert KEYS_MOST < keys_looked_at(store.flat.history, Transaction(many, (), ())) < KEYS_MOST + 200
    branch = (DeleteRange(*ALL),) * 100_000
    assert KEYS_MOST < keys_looked_at(store.flat.history, Transaction(many[:1], branch, ())) < KEYS_MOST + 400
