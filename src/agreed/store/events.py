"""The one feed of changes: every watch of every wire protocol is a view of it.

The feed keeps the newest events in memory, whole revisions only.  It can be read from revision `compacted`
on; before that the answer is COMPACTED, and the reader has to look at the present state instead.  It is each
node's own: how far back it reaches is not agreed upon, and a node that was restored from a snapshot starts
with an empty one.
"""
from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from enum import IntEnum
from itertools import islice
from operator import attrgetter

import msgspec

from agreed.store.records import Record
from agreed.store.results import Refusal
from agreed.types import Revision


class Space(IntEnum):
    TREE = 0
    FLAT = 1


class EventKind(IntEnum):
    CREATED = 1
    CHANGED = 2
    DELETED = 3


class Event(msgspec.Struct, frozen=True, gc=False):
    """`record` is the key after the change (for a deletion: the key as it was before it)."""

    revision: Revision
    kind: EventKind
    space: Space
    record: Record
    previous: Record | None
    """The record before the change, None for a creation."""


class Feed:
    """The newest `retention` events, sometimes up to twice as many, and fewer where their data is large.

    They are not many, because each holds on to the record that it replaced: with two thousand of them a write
    always took memory that no cache knew any more, which cost each node a tenth of its time.

    `compacted` is the last revision of which events may be missing: `since(compacted)` looks back farthest.
    `bytes_most` bounds the data of the records after each change (those before it are mostly the same)."""

    __slots__ = ("_weighed", "_weight", "bytes_most", "compacted", "events", "retention")

    def __init__(
        self, compacted: Revision = 0, retention: int = 256, bytes_most: int = 32 * 1024 * 1024
    ) -> None:
        self.events: list[Event] = []
        self.compacted = compacted
        self.retention = retention
        self.bytes_most = bytes_most
        self._weighed = 0
        self._weight = 0

    def since(self, revision: Revision) -> Iterator[Event] | Refusal:
        """All events of the revisions after `revision`, in order; `Refusal.COMPACTED` if some are gone."""
        if revision < self.compacted:
            return Refusal.COMPACTED
        return islice(self.events, bisect_right(self.events, revision, key=attrgetter("revision")), None)

    def trim(self) -> None:
        """Lets go of what is beyond the bounds.  Called once per payload; between two calls events are only
        appended, or taken away again from the end."""
        events = self.events
        self._weight += _weight(events[self._weighed :])
        gone = len(events) - self.retention if len(events) > 2 * self.retention else 0
        if self._weight > self.bytes_most:
            kept = self._weight - _weight(events[:gone])
            while kept > self.bytes_most // 2:
                kept -= _weight(events[gone : gone + 1])
                gone += 1
        if gone:
            self.compacted = events[gone - 1].revision
            # A revision is kept whole or not at all: a reader must never see half of a transaction.
            gone = bisect_right(events, self.compacted, key=attrgetter("revision"))
            self._weight -= _weight(events[:gone])
            del events[:gone]
        self._weighed = len(events)


def _weight(events: list[Event]) -> int:
    return sum([len(value) for event in events if (value := event.record.value)])
