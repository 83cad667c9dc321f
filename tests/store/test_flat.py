"""Reads of the flat space."""
from __future__ import annotations

import pytest

from agreed.store.commands import Compact, Delete, Put, Range, Transaction
from agreed.store.machine import Store
from agreed.store.results import RangeResult, Refusal


@pytest.fixture
def store() -> Store:
    return begun()


def begun() -> Store:
    """Revisions 1 to 4: a, b, c, then b again."""
    store = Store()
    for key in (b"a", b"b", b"c", b"b"):
        store.execute(Transaction((), (Put(key, b"at %d" % (store.revision + 1)),), ()))
    return store


def read(store: Store, asked: Range) -> tuple[list[bytes | None], int, bool] | Refusal:
    result = store.flat.range(asked, store.revision)
    if isinstance(result, RangeResult):
        return [record.value for record in result.records], result.count, result.more
    return result


TABLE = [
    (Range(b"a", None), ([b"at 1"], 1, False)),
    (Range(b"x", None), ([], 0, False)),
    (Range(b"a", b"c"), ([b"at 1", b"at 4"], 2, False)),
    (Range(b"b", b"\0"), ([b"at 4", b"at 3"], 2, False)),
    (Range(b"c", b"a"), ([], 0, False)),
    (Range(b"a", b"\0", limit=2), ([b"at 1", b"at 4"], 3, True)),
    (Range(b"a", b"\0", limit=3), ([b"at 1", b"at 4", b"at 3"], 3, False)),
    (Range(b"a", b"\0", limit=1 << 63), ([b"at 1", b"at 4", b"at 3"], 3, False)),
    (Range(b"a", b"\0", revision=2), ([b"at 1", b"at 2"], 2, False)),
    (Range(b"a", b"\0", limit=-1), ([b"at 1", b"at 4", b"at 3"], 3, False)),
    (Range(b"a", b"\0", revision=-1), Refusal.COMPACTED),
    (Range(b"a", None, revision=5), Refusal.FUTURE_REVISION),
    (Range(b"", None), Refusal.EMPTY_KEY),
]


@pytest.mark.parametrize(("asked", "expected"), TABLE)
def test_a_range(store: Store, asked: Range, expected: object) -> None:
    assert read(store, asked) == expected
    count = store.flat.count(asked, store.revision)
    assert count == (expected[1] if isinstance(expected, tuple) else expected)


def test_before_a_compaction_nothing_can_be_read_but_at_it_everything(store: Store) -> None:
    store.execute(Compact(3))
    assert read(store, Range(b"b", None, revision=2)) is Refusal.COMPACTED
    assert read(store, Range(b"b", None, revision=3)) == ([b"at 2"], 1, False)


def test_the_spaces_do_not_know_each_other(store: Store) -> None:
    assert store.tree.get(b"a") is None
    store.execute(Delete(0, b"/a", -1))
    assert store.flat.get(b"a") is not None
    assert store.flat.get(b"/") is None
