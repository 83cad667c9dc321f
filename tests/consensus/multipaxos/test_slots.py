"""What an acceptor has accepted, in memory and on disk."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.consensus.machine import Entry, EntryKind, SnapshotMark
from agreed.consensus.multipaxos.slots import Slots, from_disk, on_disk
from agreed.errors import CorruptData
from tests.consensus.lone import members_of

MEMBERS = members_of(3)
START = SnapshotMark(0, 0, MEMBERS)

NUMBERS = st.integers(1, (1 << 63) - 1)
PAYLOADS = st.builds(
    lambda index, term, payload: Entry(index, term, EntryKind.PAYLOAD, payload),
    NUMBERS, NUMBERS, st.binary(max_size=40),
)  # fmt: skip
NOTHINGS = st.builds(lambda index, term: Entry(index, term, EntryKind.NOTHING, b""), NUMBERS, NUMBERS)


@given(st.one_of(PAYLOADS, NOTHINGS), NUMBERS)
def test_a_disk_gives_back_what_was_accepted(value: Entry, ballot: int) -> None:
    entry = on_disk(value.index, ballot, value)
    assert from_disk(entry) == (ballot, value)
    # The driver compares these with a snapshot's.
    assert (entry.index, entry.term) == (value.index, value.term)


def test_an_empty_slot_on_disk_is_empty() -> None:
    assert from_disk(on_disk(7, 0, None)) == (0, None)


def test_a_value_under_its_own_ballot_is_not_copied() -> None:
    value = Entry(1, 64, EntryKind.PAYLOAD, b"x")
    assert on_disk(1, 64, value) is value


@pytest.mark.parametrize("payload", [b"x", b"x" * 16, b"\0" * 16 + b"\x07"])
def test_what_no_acceptor_writes_is_corrupt(payload: bytes) -> None:
    with pytest.raises(CorruptData):
        from_disk(Entry(1, 64, EntryKind.NOTHING, payload))


def test_a_log_that_does_not_join_its_snapshot_is_corrupt() -> None:
    with pytest.raises(CorruptData):
        Slots(SnapshotMark(3, 64, MEMBERS), [Entry(5, 64, EntryKind.PAYLOAD, b"x")])
    with pytest.raises(CorruptData):
        Slots(START, [Entry(1, 64, EntryKind.PAYLOAD, b"x"), Entry(3, 64, EntryKind.PAYLOAD, b"x")])


class Model:
    """The same, as a dictionary."""

    def __init__(self) -> None:
        self.slots: dict[int, tuple[int, Entry]] = {}
        self.base = 0

    def tell(self, last: int) -> list[tuple[int, Entry | None]]:
        return [self.slots.get(index, (0, None)) for index in range(self.base + 1, last + 1)]


RUNS = st.lists(
    st.one_of(
        st.tuples(st.just("accept"), st.integers(1, 12), st.integers(1, 5)),
        st.tuples(st.just("restore"), st.integers(1, 14), st.just(0)),
        st.tuples(st.just("restart"), st.just(0), st.just(0)),
    ),
    max_size=12,
)


@given(RUNS)
def test_slots_are_a_dictionary_that_outlives_restarts(run: list[tuple[str, int, int]]) -> None:
    slots, model, ballot = Slots(START), Model(), 0
    disk: dict[int, Entry] = {}
    for what, number, count in run:
        if what == "accept":
            ballot += 1
            first = max(number, slots.base_index + 1)
            values = [Entry(i, ballot, EntryKind.PAYLOAD, b"%d" % i) for i in range(first, first + count)]
            changed = slots.accept(ballot, values)
            model.slots.update((value.index, (ballot, value)) for value in values)
            assert changed is not None
            assert slots.accept(ballot, values) is None, "twice is once"
            saved = slots.to_save(changed)
            assert [entry.index for entry in saved] == list(range(changed, slots.last_index + 1))
            disk = {i: entry for i, entry in disk.items() if i < changed}
            disk.update((entry.index, entry) for entry in saved)
        elif what == "restore":
            if number > slots.base_index:
                slots.restore(SnapshotMark(number, 1, MEMBERS))
                model.base = number
                disk = {i: entry for i, entry in disk.items() if i > number}
        else:
            slots = Slots(slots.mark, [disk[index] for index in sorted(disk)])
        last = slots.last_index
        assert last == max([model.base, *model.slots])
        told = [(slots.ballot(i), slots.value(i)) for i in range(slots.base_index + 1, last + 1)]
        assert told == model.tell(last)


def test_compaction_keeps_a_tail_and_what_is_needed() -> None:
    def slots() -> Slots:
        made = Slots(START)
        made.accept(64, [Entry(i, 64, EntryKind.PAYLOAD, b"%d" % i) for i in range(1, 11)])
        return made

    mark = SnapshotMark(8, 64, MEMBERS)
    plain = slots()
    plain.compact(mark, 2, 10_000)
    assert (plain.base_index, plain.base_term, plain.mark) == (6, 64, mark)
    needed = slots()
    needed.compact(mark, 2, 10_000, 3, 10_000)
    assert needed.base_index == 3
    too_much = slots()
    too_much.compact(mark, 2, 10_000, 3, 10)
    assert too_much.base_index == 6
    other = slots()
    other.compact(SnapshotMark(8, 65, MEMBERS), 2, 10_000)
    assert other.base_index == 0, "that is not what we have there"
