"""What an acceptor has accepted: for each slot above a base a value and the ballot, or nothing.

    base                    mark                          last
     | kept for slow followers | above the newest snapshot  |
     o------------------------>o--------o  o--o  o--------->o      there may be holes

The *value* of a slot is an `Entry`; its `term` is the ballot under which somebody first proposed it, and
never changes.  Later leaders propose the same value again under their own ballots: that is the accepted
ballot, which differs from node to node.  So terms need not grow from one index to the next: a leader that
fills a hole with a value of its own before it proposes an older leader's value again makes one that goes
down.

A disk takes a log without gaps and gives back what it was given.  There

    where nothing is accepted               stands an entry of kind NOTHING, term 0 and no payload
    accepted under the value's own ballot   the value itself
    accepted under a later one              an entry of kind NOTHING and the value's term, whose payload is
                                            accepted ballot (8), value's term (8), its kind (1), payload

Whatever the form, the entry of a value bears the value's term, because the driver compares the term of a
snapshot's last entry with that of the log on disk, and voids a log that has another.
"""
from __future__ import annotations

import struct
from collections.abc import Iterable

from agreed.consensus.log import ENTRY_OVERHEAD_BYTES, size_bytes
from agreed.consensus.machine import Entry, EntryKind, SnapshotMark
from agreed.errors import CorruptData
from agreed.types import Index, Term

_ENVELOPE = struct.Struct(">QQB")
_NOTHING = EntryKind.NOTHING


def on_disk(index: Index, ballot: Term, value: Entry | None) -> Entry:
    """How a slot lies on disk."""
    if value is None:
        return Entry(index, 0, _NOTHING, b"")
    return value if ballot == value.term else _enveloped(index, value.term, ballot, value)


def _enveloped(index: Index, term: Term, ballot: Term, value: Entry | None) -> Entry:
    if value is None:
        return Entry(index, term, _NOTHING, _ENVELOPE.pack(0, 0, _NOTHING))
    return Entry(index, term, _NOTHING, _ENVELOPE.pack(ballot, value.term, value.kind) + value.payload)


def from_disk(entry: Entry) -> tuple[Term, Entry | None]:
    """The accepted ballot and the value; 0 and None where nothing was accepted.  Raises CorruptData."""
    if entry.kind != _NOTHING or (entry.term and not entry.payload):
        return entry.term, entry
    if not entry.payload:
        return 0, None
    try:
        ballot, term, kind = _ENVELOPE.unpack_from(entry.payload)
        value = Entry(entry.index, term, EntryKind(kind), entry.payload[_ENVELOPE.size :])
    except (struct.error, ValueError) as error:
        raise CorruptData(f"entry {entry.index} is not what an acceptor writes: {error}") from error
    return (ballot, value) if ballot else (0, None)


class Slots:
    """`base_index`, `base_term`, `last_index` and `mark` are read freely, written only here."""

    __slots__ = ("_ballots", "_values", "base_index", "base_term", "last_index", "mark")

    _values: list[Entry | None]
    _ballots: list[Term]

    def __init__(self, mark: SnapshotMark, entries: Iterable[Entry] = ()) -> None:
        """`entries` as they lie on disk: what the snapshot contains is dropped.

        Raises CorruptData where they do not join the snapshot or are not consecutive.
        """
        self.mark = mark
        self.base_index: Index = mark.index
        self.base_term: Term = mark.term
        self.last_index: Index = mark.index
        self._values, self._ballots = [], []
        for entry in entries:
            if entry.index <= mark.index:
                continue
            if entry.index != self.last_index + 1:
                raise CorruptData(
                    f"entry {entry.index} stands where entry {self.last_index + 1} was expected: the log "
                    "does not join the snapshot; restore this node from its peers"
                )
            ballot, value = from_disk(entry)
            self._values.append(value)
            self._ballots.append(ballot)
            self.last_index += 1

    # --- reading ---

    def ballot(self, index: Index) -> Term:
        """Under which ballot something is accepted there; 0: nothing is, or the slot is not held."""
        offset = index - self.base_index
        return self._ballots[offset - 1] if 0 < offset <= len(self._ballots) else 0

    def value(self, index: Index) -> Entry | None:
        offset = index - self.base_index
        return self._values[offset - 1] if 0 < offset <= len(self._values) else None

    def term(self, index: Index) -> Term | None:
        """Of the value there, or of the base."""
        if index == self.base_index:
            return self.base_term
        value = self.value(index)
        return value.term if value is not None else None

    def between(self, first: Index, last: Index) -> list[Entry]:
        """The values from `first` to `last`, both included; all must be held and have one."""
        assert first > self.base_index
        assert last <= self.last_index
        values = self._values[first - self.base_index - 1 : last - self.base_index]
        return [value for value in values if value is not None]

    def batch(self, first: Index, max_bytes: int) -> tuple[list[Entry], int]:
        """The values from `first` on that fit, but at least one; and their bytes.  Ends at a hole."""
        start = first - self.base_index - 1
        assert start >= 0
        taken: list[Entry] = []
        total = 0
        for position in range(start, len(self._values)):
            value = self._values[position]
            if value is None:
                break
            size = len(value.payload) + ENTRY_OVERHEAD_BYTES
            if taken and total + size > max_bytes:
                break
            taken.append(value)
            total += size
        return taken, total

    def to_save(self, first: Index, marker: SnapshotMark | None = None) -> list[Entry]:
        """The slots from `first` on as they lie on disk.

        With a marker, the first slot bears the term of the snapshot that is about to take its place: by it
        the driver knows that what follows goes on, and does not void it.  What was accepted in that slot is
        kept besides: the snapshot may yet be rejected.
        """
        start = first - self.base_index - 1
        assert start >= 0
        pairs = zip(self._values[start:], self._ballots[start:], strict=True)
        entries = [
            value if value is not None and value.term == ballot else on_disk(index, ballot, value)
            for index, (value, ballot) in enumerate(pairs, first)
        ]
        if marker is not None and entries[0].term != marker.term:
            entries[0] = _enveloped(first, marker.term, self._ballots[start], self._values[start])
        return entries

    # --- writing ---

    def accept(self, ballot: Term, entries: list[Entry]) -> Index | None:
        """Accept consecutive values under this ballot; the first slot that this has changed, None where all
        of it was accepted before.  Slots between the end and the first of them stay empty."""
        first = entries[0].index
        if first == self.last_index + 1:
            self._values += entries
            self._ballots += [ballot] * len(entries)
            self.last_index += len(entries)
            return first
        assert first > self.base_index
        changed: Index | None = None
        if first > self.last_index + 1:
            changed, gap = self.last_index + 1, first - self.last_index - 1
            self._values += [None] * gap
            self._ballots += [0] * gap
            self.last_index += gap
        position = 0
        if first <= self.last_index:
            start = first - self.base_index - 1
            for position in range(min(len(entries), self.last_index - first + 1)):
                if self._ballots[start + position] != ballot:
                    self._ballots[start + position] = ballot
                    self._values[start + position] = entries[position]
                    if changed is None:
                        changed = first + position
            position += 1
        rest = entries[position:] if position else entries
        if rest:
            self._values += rest
            self._ballots += [ballot] * len(rest)
            self.last_index += len(rest)
            if changed is None:
                changed = rest[0].index
        return changed

    def compact(
        self,
        mark: SnapshotMark,
        tail_entries: int,
        tail_bytes: int,
        needed_after: Index | None = None,
        needed_bytes: int = 0,
    ) -> None:
        """A snapshot up to `mark`, all of it chosen, is durable: forget what it contains, but for a tail, and
        for what somebody needs after an index that we still hold, if that is no more than so many bytes."""
        if mark.index <= self.mark.index or self.term(mark.index) != mark.term:
            return
        self.mark = mark
        cut, kept_bytes = mark.index, 0
        while cut > self.base_index and mark.index - cut < tail_entries:
            value = self.value(cut)
            kept_bytes += size_bytes(value) if value is not None else 0
            if kept_bytes > tail_bytes:
                break
            cut -= 1
        if needed_after is not None and self.base_index <= needed_after < cut:
            needed = self.between(needed_after + 1, mark.index)
            if sum([len(entry.payload) + ENTRY_OVERHEAD_BYTES for entry in needed]) <= needed_bytes:
                cut = needed_after
        term = self.term(cut)
        if cut == self.base_index or term is None:
            return
        del self._values[: cut - self.base_index]
        del self._ballots[: cut - self.base_index]
        self.base_index, self.base_term = cut, term

    def restore(self, mark: SnapshotMark) -> None:
        """Everything up to `mark` is this snapshot.  What was accepted behind it still is: each slot is a
        Paxos of its own, and an acceptor that forgets may unsay what was chosen with its voice."""
        kept = max(0, min(mark.index - self.base_index, len(self._values)))
        del self._values[:kept]
        del self._ballots[:kept]
        self.mark = mark
        self.base_index, self.base_term = mark.index, mark.term
        self.last_index = mark.index + len(self._values)
