"""Versions of keys, in the order in which they came to be, and by key."""
from __future__ import annotations

import pytest

from agreed.store.mvcc import History, is_tombstone, tombstone
from agreed.store.records import OPEN_ACL, Record


def version(key: bytes, revision: int, create_revision: int, number: int) -> Record:
    value = b"%d" % revision
    return Record(key, value, create_revision, revision, 0, 0, 0, number, 0, 0, 0, 0, OPEN_ACL, None)


@pytest.fixture
def history() -> History:
    return begun()


def begun() -> History:
    """k: put at 1 and 3, deleted at 5, put at 7.  gone: put at 2, deleted at 4.  still: put at 6."""
    history = History()
    for record in (
        version(b"k", 1, 1, 1),
        version(b"gone", 2, 2, 1),
        version(b"k", 3, 1, 2),
        tombstone(b"gone", 4, 0),
        tombstone(b"k", 5, 0),
        version(b"still", 6, 6, 1),
        version(b"k", 7, 7, 1),
    ):
        history.append(record)
    return history


def values(history: History, revision: int | None) -> list[bytes | None]:
    return [record.value for record in history.range(b"a", b"z", revision)]


AT = [
    (0, []),
    (1, [b"1"]),
    (2, [b"2", b"1"]),
    (3, [b"2", b"3"]),
    (4, [b"3"]),
    (5, []),
    (6, [b"6"]),
    (7, [b"7", b"6"]),
]


@pytest.mark.parametrize(("revision", "expected"), AT)
def test_a_read_sees_what_was_true_at_its_revision(
    history: History, revision: int, expected: list[bytes]
) -> None:
    assert values(history, revision) == expected


def test_a_read_without_a_revision_sees_what_is_true_now(history: History) -> None:
    assert values(history, None) == [b"7", b"6"]
    assert history.newest(b"gone") is None
    assert history.newest(b"never") is None
    assert history.at(b"never", 3) is None


@pytest.mark.parametrize("compacted", range(1, 8))
def test_what_is_at_or_after_a_compaction_can_still_be_read(history: History, compacted: int) -> None:
    history.compact(compacted)
    for revision, expected in AT:
        if revision >= compacted:
            assert values(history, revision) == expected


KEPT = [(1, 7), (2, 7), (3, 6), (4, 5), (5, 3), (6, 2), (7, 2)]
"""A deletion at the very revision is kept: a watch may begin there."""


@pytest.mark.parametrize(("compacted", "kept"), KEPT)
def test_a_compaction_forgets_all_that_cannot_be_read_any_more(
    history: History, compacted: int, kept: int
) -> None:
    history.compact(compacted)
    assert len(history.log) == kept
    assert len(history.current) + sum(len(versions) for versions in history.older.values()) == kept
    assert list(history.keys) == sorted(history.current)


def test_compacting_twice_is_compacting_once(history: History) -> None:
    history.compact(3)
    history.compact(5)
    assert [record.modify_revision for record in history.log] == [5, 6, 7]
    history.compact(6)
    assert [record.modify_revision for record in history.log] == [6, 7]
    assert history.older == {}
    assert not any(is_tombstone(record) for record in history.log)


def test_a_captured_log_is_not_changed_by_a_compaction(history: History) -> None:
    captured = list(history.log)
    history.compact(7)
    assert len(captured) == 7
