"""The log in memory, against the plainest model there is: a list of everything that was ever in it."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.consensus.log import ENTRY_OVERHEAD_BYTES, Log
from agreed.consensus.machine import Entry, EntryKind, SnapshotMark
from agreed.consensus.members import Member, Members, encode_members
from agreed.errors import CorruptData

NOBODY = Members(())
START = SnapshotMark(0, 0, NOBODY)


def of(*terms: int, first: int = 1) -> list[Entry]:
    return [Entry(first + i, term, EntryKind.PAYLOAD, b"x") for i, term in enumerate(terms)]


def set_of(*names: str) -> Members:
    return Members(tuple(Member(name, 1, "") for name in names))


def members_entry(index: int, term: int, *names: str) -> Entry:
    return Entry(index, term, EntryKind.MEMBERS, encode_members(set_of(*names)))


def test_terms_are_known_from_the_base_to_the_end() -> None:
    log = Log(SnapshotMark(3, 2, NOBODY), of(2, 4, 4, first=4))
    assert [log.term(index) for index in range(1, 8)] == [None, None, 2, 2, 4, 4, None]
    assert (log.last_index, log.last_term, len(log)) == (6, 4, 3)


def test_where_terms_begin_and_end() -> None:
    log = Log(START, of(1, 1, 4, 4, 4, 6))
    assert [log.first_of_term(index) for index in (2, 3, 5, 6)] == [1, 3, 3, 6]
    assert [log.last_up_to_term(term) for term in (0, 1, 3, 4, 5, 6, 9)] == [0, 2, 2, 5, 5, 6, 6]


def test_a_batch_has_at_least_one_entry_and_then_only_what_fits() -> None:
    log = Log(START, of(1, 1, 1, 1))
    size = 1 + ENTRY_OVERHEAD_BYTES
    assert log.batch(2, 1) == (log.between(2, 2), size)
    assert log.batch(2, 2 * size) == (log.between(2, 3), 2 * size)
    assert log.batch(2, 99 * size) == (log.between(2, 4), 3 * size)


def test_members_are_in_force_from_append_and_go_with_their_entry() -> None:
    log = Log(SnapshotMark(0, 0, set_of("a")))
    log.append([*of(1), members_entry(2, 1, "a", "b"), members_entry(3, 1, "b")])
    assert log.members == set_of("b")
    assert (log.members_at(1), log.members_at(2)) == (set_of("a"), set_of("a", "b"))
    log.truncate(3)
    assert (log.members, log.members_index) == (set_of("a", "b"), 2)
    log.truncate(1)
    assert log.members == set_of("a")


@pytest.mark.parametrize(
    ("tail_entries", "tail_bytes", "base"),
    [(0, 999, 4), (2, 999, 2), (99, 999, 0), (99, 2 * (1 + ENTRY_OVERHEAD_BYTES), 2), (99, 0, 4)],
)
def test_after_a_snapshot_a_bounded_tail_is_kept(tail_entries: int, tail_bytes: int, base: int) -> None:
    log = Log(START, of(1, 1, 2, 2, 3, 3))
    log.compact(SnapshotMark(4, 2, NOBODY), tail_entries, tail_bytes)
    assert (log.base_index, log.mark.index, log.last_index) == (base, 4, 6)
    assert log.term(base) == (0, 1, 1, 2, 2)[base]


def test_an_older_or_unknown_snapshot_changes_nothing() -> None:
    log = Log(SnapshotMark(3, 1, NOBODY), of(2, 2, first=4))
    for mark in (SnapshotMark(2, 1, NOBODY), SnapshotMark(4, 1, NOBODY), SnapshotMark(9, 2, NOBODY)):
        log.compact(mark, 0, 0)
        assert (log.base_index, log.mark.index) == (3, 3)


def test_what_a_snapshot_contains_is_dropped_at_start() -> None:
    log = Log(SnapshotMark(3, 2, NOBODY), of(1, 1, 2, 2, 3))
    assert (log.base_index, log.last_index) == (3, 5)


def test_a_log_that_contradicts_its_snapshot_is_dropped_at_start() -> None:
    """A crash came between "the received snapshot is durable" and "the old log is gone"."""
    log = Log(SnapshotMark(3, 4, NOBODY), of(1, 1, 2, 2, 3))
    assert (log.base_index, log.last_index, log.last_term) == (3, 3, 4)


@pytest.mark.parametrize(
    "entries",
    [of(2, first=5), [*of(2, first=4), *of(2, first=6)], of(1, first=4), of(3, 2, first=4)],
    ids=["a gap after the snapshot", "a gap", "a term before the snapshot's", "terms go down"],
)
def test_a_log_that_does_not_hang_together_is_corrupt(entries: list[Entry]) -> None:
    with pytest.raises(CorruptData, match="does not join"):
        Log(SnapshotMark(3, 2, NOBODY), entries)


@given(st.data())
def test_it_is_a_list_with_a_forgotten_beginning(data: st.DataObject) -> None:
    log, model, base = Log(SnapshotMark(0, 0, set_of("a"))), [Entry(0, 0, EntryKind.NOTHING, b"")], 0
    committed = 0
    for _ in range(data.draw(st.integers(1, 12))):
        what = data.draw(st.sampled_from(["append", "truncate", "compact"]))
        if what == "append":
            added = []
            for _ in range(data.draw(st.integers(1, 4))):
                previous = (model + added)[-1]
                term = previous.term + data.draw(st.integers(0 if previous.term else 1, 2))
                kind = data.draw(st.sampled_from([EntryKind.PAYLOAD, EntryKind.MEMBERS]))
                payload = encode_members(set_of(f"m{previous.index}")) if kind == EntryKind.MEMBERS else b"p"
                added.append(Entry(previous.index + 1, term, kind, payload))
            log.append(added)
            model += added
        elif what == "truncate" and len(model) - 1 > committed:
            index = data.draw(st.integers(committed + 1, len(model) - 1))
            log.truncate(index)
            del model[index:]
        elif what == "compact":
            committed = data.draw(st.integers(committed, len(model) - 1))
            tail = data.draw(st.integers(0, 3))
            log.compact(SnapshotMark(committed, model[committed].term, set_of("a")), tail, 10_000)
            base = log.base_index
            assert base <= committed
        assert log.between(base + 1, log.last_index) == model[base + 1 :]
        assert log.last_index == len(model) - 1
        terms = [entry.term for entry in model]
        assert [log.term(index) for index in range(base, len(model))] == terms[base:]
        for index in range(base, len(model)):
            assert log.first_of_term(index) == max(base, terms.index(terms[index]))
        for term in set(terms[base:]):
            assert log.last_up_to_term(term) == max(i for i, t in enumerate(terms) if t <= term)
        in_force = [entry.payload for entry in model if entry.kind == EntryKind.MEMBERS]
        assert encode_members(log.members) == (in_force[-1] if in_force else encode_members(set_of("a")))
