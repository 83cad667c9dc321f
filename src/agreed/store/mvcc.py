"""Every version of every flat key since the last compaction, in three views of the same records.

    log        all versions in the order in which they came to be: what a snapshot writes and a watch reads
    current    per key its newest version
    older      per key with more than one version the others, oldest first: what a read at a revision looks
               into

A deletion is a version too (`is_tombstone`): a record with version 0.  A key that is created again after it
starts with version 1 and a new create_revision.  A transaction may delete a key and put it, or put it and
delete it, at one revision: what counts from then on is the last.

`compact(revision)` forgets what was replaced at or before that revision; reads at `revision` itself still
work, and a watch that starts there misses nothing: so a deletion at `revision` itself is kept until the next
one.  From then on nothing before it is readable, but with a million versions to look at the memory is given
back in pieces (`sweep`): a node that swept them all at once would be silent for a second, and be thought
dead.  How far the sweeping has come is a function of the log alone, so that snapshots of two nodes are equal
while it is under way.
"""
from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Final

from sortedcontainers import SortedList

from agreed.store.ranges import contains, count_in, keys_in
from agreed.store.records import OPEN_ACL, Record
from agreed.types import Revision, Stamp

VERSION_BYTES: Final = 256
"""What a version takes beside its key and value, as etcd reckons it before a put."""

SWEPT_BY_COMPACTION: Final = 5_000
SWEPT_PER_PAYLOAD: Final = 500
"""Versions looked at in one go: some milliseconds, and about one.  Changing these changes what is in a
snapshot."""

_by_revision = attrgetter("modify_revision")
_DEARER: Final = 10
"""To find the version of a key at a revision takes about so many times as long as to look at one of the
log."""

_PIECE: Final = 1_000

_version = attrgetter("version")


class History:
    """The versions of flat keys.  `compacted` is the oldest revision that can be read.

    dead         keys whose newest version is a tombstone
    size_bytes   of all versions that are held: keys, values, and `VERSION_BYTES` each
    swept        how many versions at the beginning of the log are known to be needed still
    """

    __slots__ = ("compacted", "current", "dead", "keys", "log", "older", "size_bytes", "swept")

    def __init__(self) -> None:
        self.log: list[Record] = []
        self.current: dict[bytes, Record] = {}
        self.older: dict[bytes, list[Record]] = {}
        self.keys: SortedList[bytes] = SortedList()
        """Every key with a version, also of keys whose newest version is a tombstone."""
        self.dead: SortedList[bytes] = SortedList()
        self.compacted: Revision = 0
        self.size_bytes = 0
        self.swept = 0

    # --- reads ----------------------------------------------------------------------------------------

    def newest(self, key: bytes) -> Record | None:
        """The key as it is now; None if it is absent."""
        record = self.current.get(key)
        return None if record is None or record.version == 0 else record

    def at(self, key: bytes, revision: Revision) -> Record | None:
        """The key as it was at a revision that was not compacted; None if it was absent."""
        record = self.current.get(key)
        if record is None:
            return None
        if record.modify_revision > revision:
            older = self.older.get(key, ())
            position = bisect_right(older, revision, key=_by_revision)
            if position == 0:
                return None
            record = older[position - 1]
        return None if record.version == 0 else record

    def before(self, record: Record) -> Record | None:
        """What the key was before the revision of this version of it; None where it was absent, or where
        that is compacted.  (Not what it was a moment before, within one transaction: etcd tells this.)"""
        revision = record.modify_revision - 1
        return None if revision < self.compacted else self.at(record.key, revision)

    def since(self, revision: Revision) -> Iterator[Record]:
        """All versions with a higher modify_revision, in order.  Nothing is missing if `revision` is at least
        `compacted` - 1.  To be used up before the next command."""
        return self._from(bisect_right(self.log, revision, key=_by_revision))

    def _from(self, position: int) -> Iterator[Record]:
        """In pieces: to skip a million with `islice` takes as long as to look at them."""
        while some := self.log[position : position + _PIECE]:
            yield from some
            position += _PIECE

    def kept_until(self, revision: Revision) -> list[Record]:
        """All versions up to a revision that survive the compaction, whether they were swept or not."""
        end = bisect_right(self.log, revision, key=_by_revision)
        swept = min(self.swept, end)
        compacted = min(bisect_right(self.log, self.compacted, key=_by_revision), end)
        unswept = [record for record in self.log[swept:compacted] if self.survives(record)]
        return self.log[:swept] + unswept + self.log[max(swept, compacted) : end]

    def range(
        self, key: bytes, range_end: bytes | None, revision: Revision | None = None
    ) -> Iterator[Record]:
        """The records of a range in order of their keys, as of `revision` (None: now)."""
        keys = keys_in(self.keys, key, range_end)
        if revision is None:
            records = map(self.current.__getitem__, keys)
            return filter(_version, records) if self.dead else records
        return (record for candidate in keys if (record := self.at(candidate, revision)) is not None)

    def count(self, key: bytes, range_end: bytes | None, revision: Revision | None = None) -> int:
        """How many keys of the range there are, or were, with as little of a walk as there can be: over what
        has changed since, or over the keys."""
        known = count_in(self.keys, key, range_end)
        if revision is None:
            return known - count_in(self.dead, key, range_end)
        changed_from = bisect_right(self.log, revision, key=_by_revision)
        if len(self.log) - changed_from > _DEARER * known:
            return sum(1 for _ in self.range(key, range_end, revision))
        count = known - count_in(self.dead, key, range_end)
        for record in self._from(changed_from):
            # What is neither the first version of a key nor its deletion changes nothing here.
            if record.version < 2 and contains(key, range_end, record.key):
                count += -1 if record.version else 1
        return count

    # --- changes --------------------------------------------------------------------------------------

    def append(self, record: Record) -> None:
        """A new version (or the first one) of a key; revisions never go back."""
        key = record.key
        previous = self.current.get(key)
        self.current[key] = record
        value = record.value
        self.size_bytes += len(key) + VERSION_BYTES + (len(value) if value is not None else 0)
        if previous is None:
            self.keys.add(key)
        else:
            older = self.older.get(key)
            if older is None:
                self.older[key] = [previous]
            else:
                older.append(previous)
            if previous.version == 0:
                self.dead.remove(key)
        if record.version == 0:
            self.dead.add(key)
        self.log.append(record)

    def bury(self, keys: Sequence[bytes], revision: Revision, stamp_ms: Stamp) -> None:
        """Deletes keys that are there; for many this takes half as long as to append as many tombstones."""
        current, older, append = self.current, self.older, self.log.append
        for key in keys:
            previous = current[key]
            current[key] = record = tombstone(key, revision, stamp_ms)
            versions = older.get(key)
            if versions is None:
                older[key] = [previous]
            else:
                versions.append(previous)
            append(record)
        self.size_bytes += sum(map(len, keys)) + VERSION_BYTES * len(keys)
        self.dead.update(keys)

    def compact(self, revision: Revision) -> None:
        """From now on nothing can be read that was replaced at or before `revision`."""
        self.compacted = revision
        self.swept = 0
        self.sweep(SWEPT_BY_COMPACTION)

    @property
    def sweeping(self) -> bool:
        """Whether there are versions at or before the compaction which were not looked at yet."""
        log = self.log
        return self.swept < len(log) and log[self.swept].modify_revision <= self.compacted

    def sweep(self, most: int) -> None:
        """Looks at the next `most` versions of the log, and forgets those which cannot be read any more."""
        if not self.sweeping:
            return
        begin = self.swept
        # A capture has a list of its own.
        looked_at = self.log[begin : begin + most]
        kept = [record for record in looked_at if self._needed(record)]
        if len(kept) < len(looked_at):
            self.log[begin : begin + most] = kept
        self.swept = begin + len(kept)

    def survives(self, record: Record) -> bool:
        """Whether a version that is in the log can be read still, or a watch can be told of it."""
        compacted = self.compacted
        if record.modify_revision > compacted:
            return True
        last = self.current.get(record.key)
        if last is not None and last.modify_revision > compacted:
            older = self.older.get(record.key, ())
            position = bisect_right(older, compacted, key=_by_revision)
            last = older[position - 1] if position else None
        return last is record and (record.version != 0 or record.modify_revision == compacted)

    def _needed(self, record: Record) -> bool:
        """Whether a version survives; if not, it is taken out of everything but the log."""
        if self.survives(record):
            return True
        key = record.key
        value = record.value
        self.size_bytes -= len(key) + VERSION_BYTES + (len(value) if value is not None else 0)
        if self.current.get(key) is record:
            del self.current[key]
            self.keys.remove(key)
            self.dead.remove(key)
        elif key in self.older:
            # All that is dead of this key goes at once; its other versions will find themselves gone.
            older = self.older[key]
            position = bisect_right(older, self.compacted, key=_by_revision)
            if position and self.survives(older[position - 1]):
                position -= 1
            del older[:position]
            if not older:
                del self.older[key]
        return False


def is_tombstone(record: Record) -> bool:
    """Whether this version says that the key was deleted."""
    return record.version == 0


def tombstone(key: bytes, revision: Revision, stamp_ms: Stamp) -> Record:
    return Record(key, None, 0, revision, 0, 0, stamp_ms, 0, 0, 0, 0, 0, OPEN_ACL, None)
