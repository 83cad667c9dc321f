"""The log in memory: all entries above a base, the terms of each, and the members they put in force.

    base                    mark                          last
     | kept for slow followers | above the newest snapshot  |
     o------------------------>o--------------------------->o

The base is the entry before the first one held; only its index and term are known.  `mark` names the newest
snapshot, which is at the base or above it: after a snapshot a tail of older entries is kept, bounded in
number and in bytes, so that a follower that lags a little is sent entries and not a whole snapshot.

Members are in force from the moment their entry is *in* the log, committed or not (§6), and no longer once it
is truncated; so the log is the one place that knows them.  What is durable, and what is committed, is not the
log's business.
"""
from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from agreed.consensus.machine import Entry, EntryKind, SnapshotMark
from agreed.consensus.members import Members, decode_members
from agreed.errors import CorruptData
from agreed.types import Index, Term

ENTRY_OVERHEAD_BYTES = 32
"""What an entry costs in a message besides its payload; windows and tails count it, or a million empty
entries would be free."""

_MEMBERS = EntryKind.MEMBERS


def size_bytes(entry: Entry) -> int:
    return len(entry.payload) + ENTRY_OVERHEAD_BYTES


class Log:
    """`base_index`, `base_term`, `last_index`, `last_term`, `mark` and `members` are read freely, written
    only here."""

    __slots__ = (
        "_entries",
        "_members",
        "_run_starts",
        "_run_terms",
        "base_index",
        "base_term",
        "last_index",
        "last_term",
        "mark",
        "members",
    )

    _entries: list[Entry]
    _run_starts: list[Index]
    _run_terms: list[Term]
    base_index: Index
    base_term: Term
    last_index: Index
    last_term: Term
    mark: SnapshotMark
    members: Members

    def __init__(self, mark: SnapshotMark, entries: Iterable[Entry] = ()) -> None:
        """`entries` as they lie on disk: what the snapshot contains is dropped.

        Raises CorruptData where they do not join the snapshot, or are not consecutive, or terms go down.
        """
        self._members: list[tuple[Index, Members]] = []
        self.restore(mark)
        after_mark: list[Entry] = []
        for entry in entries:
            if entry.index < mark.index:
                continue
            if entry.index == mark.index:
                if entry.term != mark.term:
                    # A crash between "the received snapshot is durable" and "the old log is gone": all that
                    # follows continues a history that was never agreed (§7).
                    break
                continue
            previous = after_mark[-1] if after_mark else None
            expected = previous.index + 1 if previous else mark.index + 1
            if entry.index != expected or entry.term < (previous.term if previous else mark.term):
                raise CorruptData(
                    f"entry {entry.index} of term {entry.term} stands where entry {expected} was expected: "
                    "the log does not join the snapshot; restore this node from its peers"
                )
            after_mark.append(entry)
        if after_mark:
            self.append(after_mark)

    # --- reading ---

    def __len__(self) -> int:
        return len(self._entries)

    def term(self, index: Index) -> Term | None:
        """The term of the entry at this index; None before the base and after the end."""
        offset = index - self.base_index
        if offset > 0:
            entries = self._entries
            return entries[offset - 1].term if offset <= len(entries) else None
        return self.base_term if offset == 0 else None

    def entry(self, index: Index) -> Entry:
        assert self.base_index < index <= self.last_index
        return self._entries[index - self.base_index - 1]

    def between(self, first: Index, last: Index) -> list[Entry]:
        """The entries from `first` to `last`, both included; all must be held."""
        assert first > self.base_index
        assert last <= self.last_index
        return self._entries[first - self.base_index - 1 : last - self.base_index]

    def batch(self, first: Index, max_bytes: int) -> tuple[list[Entry], int]:
        """The entries from `first` on that fit, but at least one; and their bytes."""
        start = first - self.base_index - 1
        assert start >= 0
        entries = self._entries
        count, total = 0, 0
        for position in range(start, len(entries)):
            size = len(entries[position].payload) + ENTRY_OVERHEAD_BYTES
            if count and total + size > max_bytes:
                break
            count += 1
            total += size
        return entries[start : start + count], total

    def first_of_term(self, index: Index) -> Index:
        """The first held index, the base included, whose term is the term at `index`."""
        return self._run_starts[bisect_right(self._run_starts, index) - 1]

    def last_up_to_term(self, term: Term) -> Index:
        """The last held index whose term is at most `term`; below the base where there is none."""
        run = bisect_right(self._run_terms, term)
        if run == len(self._run_starts):
            return self.last_index
        return self._run_starts[run] - 1

    def members_at(self, index: Index) -> Members:
        """The members in force after the entry at `index`, which must not be before the base."""
        position = bisect_right(self._members, index, key=lambda pair: pair[0]) - 1
        assert position >= 0
        return self._members[position][1]

    @property
    def members_index(self) -> Index:
        """Where the members in force were appended, or the base they are known from."""
        return self._members[-1][0]

    # --- writing ---

    def append(self, entries: list[Entry]) -> None:
        """Add entries that follow the last one.  Their MEMBERS payloads are known to be well formed."""
        last_index, last_term = self.last_index, self.last_term
        for entry in entries:
            assert entry.index == last_index + 1
            last_index += 1
            if entry.term != last_term:
                assert entry.term > last_term
                last_term = entry.term
                self._run_starts.append(last_index)
                self._run_terms.append(last_term)
            if entry.kind == _MEMBERS:
                self.members = decode_members(entry.payload)
                self._members.append((last_index, self.members))
        self._entries += entries
        self.last_index, self.last_term = last_index, last_term

    def truncate(self, index: Index) -> None:
        """Take back the entry at `index` and all after it; members go back with them."""
        assert self.base_index < index
        del self._entries[index - self.base_index - 1 :]
        self.last_index = index - 1
        while self._run_starts[-1] >= index:
            self._run_starts.pop()
            self._run_terms.pop()
        self.last_term = self._run_terms[-1]
        while self._members[-1][0] >= index:
            self._members.pop()
        self.members = self._members[-1][1]

    def compact(
        self,
        mark: SnapshotMark,
        tail_entries: int,
        tail_bytes: int,
        needed_after: Index | None = None,
        needed_bytes: int = 0,
    ) -> None:
        """A snapshot up to `mark` is durable: forget what it contains, but for a tail, and for what somebody
        needs after an index that we still hold, if that is no more than so many bytes.

        A mark that is older than the newest snapshot, or names an entry we do not have, changes nothing.
        """
        if mark.index <= self.mark.index or self.term(mark.index) != mark.term:
            return
        self.mark = mark
        cut, kept_bytes = mark.index, 0
        while cut > self.base_index and mark.index - cut < tail_entries:
            kept_bytes += size_bytes(self.entry(cut))
            if kept_bytes > tail_bytes:
                break
            cut -= 1
        if needed_after is not None and self.base_index <= needed_after < cut:
            needed = self.between(needed_after + 1, mark.index)
            if sum([len(entry.payload) + ENTRY_OVERHEAD_BYTES for entry in needed]) <= needed_bytes:
                cut = needed_after
        if cut == self.base_index:
            return
        base_term = self.entry(cut).term
        del self._entries[: cut - self.base_index]
        self.base_index, self.base_term = cut, base_term
        while len(self._run_starts) > 1 and self._run_starts[1] <= cut:
            del self._run_starts[0], self._run_terms[0]
        self._run_starts[0] = cut
        while len(self._members) > 1 and self._members[1][0] <= cut:
            del self._members[0]

    def restore(self, mark: SnapshotMark) -> None:
        """The log is now exactly this snapshot, with nothing after it."""
        self.mark = mark
        self._entries = []
        # A run is an index and the term of all entries from there to the next run; the first is the base's.
        self._run_starts = [mark.index]
        self._run_terms = [mark.term]
        self.base_index, self.base_term = mark.index, mark.term
        self.last_index, self.last_term = mark.index, mark.term
        self.members = mark.members
        self._members = [(mark.index, mark.members)]
