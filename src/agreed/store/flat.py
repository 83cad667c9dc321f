"""The flat space: etcd's keys, sorted, with their history, and with the leases they hang on.

Versions, revisions and ranges mean what they mean in etcd: `version` counts the puts since the key was
created, starting with 1; `create_revision` is that of the put which created it; a read at a revision sees
what was true then. Reads stand here; what changes keys is a `Transaction` (`flat_commands.py`).
"""
from __future__ import annotations

from itertools import islice

from agreed.store.commands import Range
from agreed.store.mvcc import History
from agreed.store.records import Record
from agreed.store.results import RangeResult, Refusal
from agreed.types import Revision


class Flat:
    """All flat keys."""

    __slots__ = ("history",)

    def __init__(self) -> None:
        self.history = History()

    def get(self, key: bytes) -> Record | None:
        """The key as it is now."""
        return self.history.newest(key)

    def range(self, asked: Range, revision: Revision) -> RangeResult | Refusal:
        """`revision` is the store's; refuses what lies in its future or before the last compaction."""
        refusal = self.range_refusal(asked, revision)
        if refusal is not None:
            return refusal
        found = self.history.range(asked.key, asked.range_end, asked.revision if asked.revision > 0 else None)
        records = tuple(islice(found, asked.limit) if asked.limit > 0 else found)
        count = len(records) + sum(1 for _ in found)
        return RangeResult(records, count, count > len(records))

    def range_refusal(self, asked: Range, revision: Revision) -> Refusal | None:
        if not asked.key:
            return Refusal.BAD_ARGUMENTS
        if asked.revision > revision:
            return Refusal.FUTURE_REVISION
        if 0 < asked.revision < self.history.compacted:
            return Refusal.COMPACTED
        return None
