"""The flat space: etcd's keys, sorted, with their history, and with the leases they hang on.

Versions, revisions and ranges mean what they mean in etcd: `version` counts the puts since the key was
created, starting with 1; `create_revision` is that of the put which created it; a read at a revision sees
what was true then. Reads stand here; what changes keys stands in `flat_commands.py`.
"""
from __future__ import annotations

from itertools import islice
from typing import Final

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
        history = self.history
        at = asked.revision if asked.revision > 0 else None
        if asked.range_end is None:
            record = history.newest(asked.key) if at is None else history.at(asked.key, at)
            return _NOTHING if record is None else RangeResult((record,), 1, False)
        found = history.range(asked.key, asked.range_end, at)
        if asked.limit <= 0:
            records = tuple(found)
            return RangeResult(records, len(records), False)
        # A limit may be any number at all, and `islice` takes none above that of the largest list.
        records = tuple(islice(found, min(asked.limit, len(history.keys))))
        if len(records) < asked.limit:
            return RangeResult(records, len(records), False)
        count = history.count(asked.key, asked.range_end, at)
        return RangeResult(records, count, count > len(records))

    def count(self, asked: Range, revision: Revision) -> int | Refusal:
        """How many keys `range` would find, had it no limit."""
        refusal = self.range_refusal(asked, revision)
        if refusal is not None:
            return refusal
        at = asked.revision if asked.revision > 0 else None
        return self.history.count(asked.key, asked.range_end, at)

    def range_refusal(self, asked: Range, revision: Revision) -> Refusal | None:
        if not asked.key:
            return Refusal.EMPTY_KEY
        if asked.revision > revision:
            return Refusal.FUTURE_REVISION
        if asked.revision and asked.revision < self.history.compacted:
            return Refusal.COMPACTED
        return None


_NOTHING: Final = RangeResult((), 0, False)
