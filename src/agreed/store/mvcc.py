"""Every version of every flat key since the last compaction, in two views of the same records.

    log         all versions in the order in which they came to be: what a snapshot writes, and a restore
    reads versions    per key its versions, oldest first: what a read at a revision looks into

A deletion is a version too (`is_tombstone`): a record with version 0.  A key that is created again after it
starts with version 1 and a new create_revision.

`compact(revision)` forgets what was replaced at or before that revision; reads at `revision` itself still
work.  It looks only at the keys that have something to forget, but rebuilds the log in one go.
"""
from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from operator import attrgetter

from sortedcontainers import SortedList

from agreed.store.ranges import keys_in
from agreed.store.records import OPEN_ACL, Record
from agreed.types import Revision, Stamp

_by_revision = attrgetter("modify_revision")


class History:
    """The versions of flat keys.  `compacted` is the oldest revision that can be read."""

    __slots__ = ("compacted", "keys", "log", "replaced", "versions")

    def __init__(self) -> None:
        self.log: list[Record] = []
        self.versions: dict[bytes, list[Record]] = {}
        self.keys: SortedList[bytes] = SortedList()
        """Every key with a version, also of keys whose newest version is a tombstone."""
        self.replaced: dict[bytes, None] = {}
        """The keys of which a compaction could forget something."""
        self.compacted: Revision = 0

    def newest(self, key: bytes) -> Record | None:
        """The key as it is now; None if it is absent."""
        versions = self.versions.get(key)
        if versions is None or is_tombstone(versions[-1]):
            return None
        return versions[-1]

    def at(self, key: bytes, revision: Revision) -> Record | None:
        """The key as it was at a revision that was not compacted; None if it was absent."""
        versions = self.versions.get(key, [])
        position = bisect_right(versions, revision, key=_by_revision)
        if position == 0 or is_tombstone(versions[position - 1]):
            return None
        return versions[position - 1]

    def range(
        self, key: bytes, range_end: bytes | None, revision: Revision | None = None
    ) -> Iterator[Record]:
        """The records of a range in order of their keys, as of `revision` (None: now)."""
        for candidate in keys_in(self.keys, key, range_end):
            record = self.newest(candidate) if revision is None else self.at(candidate, revision)
            if record is not None:
                yield record

    def append(self, record: Record) -> None:
        """A new version (or the first one) of a key; revisions never go back."""
        key = record.key
        versions = self.versions.get(key)
        if versions is None:
            self.versions[key] = [record]
            self.keys.add(key)
        else:
            versions.append(record)
            self.replaced[key] = None
        self.log.append(record)

    def compact(self, revision: Revision) -> None:
        """Forgets every version that was replaced at or before `revision`."""
        self.compacted = revision
        forgotten: set[int] = set()
        for key in list(self.replaced):
            versions = self.versions[key]
            kept_from = max(bisect_right(versions, revision, key=_by_revision) - 1, 0)
            if is_tombstone(versions[kept_from]) and versions[kept_from].modify_revision <= revision:
                kept_from += 1
            forgotten.update(id(record) for record in versions[:kept_from])
            del versions[:kept_from]
            if not versions:
                del self.versions[key]
                self.keys.remove(key)
            if len(versions) < 2:
                del self.replaced[key]
        if forgotten:
            # A new list: a capture may still hold the old one.
            self.log = [record for record in self.log if id(record) not in forgotten]


def is_tombstone(record: Record) -> bool:
    """Whether this version says that the key was deleted."""
    return record.version == 0


def tombstone(key: bytes, revision: Revision, stamp_ms: Stamp) -> Record:
    return Record(key, None, 0, revision, 0, 0, stamp_ms, 0, 0, 0, 0, 0, OPEN_ACL, None)
