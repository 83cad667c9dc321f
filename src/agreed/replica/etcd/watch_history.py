"""What a watcher has missed, out of the history of the store: a piece at a time, whole revisions only.

A watcher that begins in the past, that fell behind because its client reads slowly, or whose node took over a
snapshot of the leader, knows one number: the first revision that it has not been told of.  From there
`missed` reads on, as far as one message may reach or one turn of the node may take; the number moves on,
also where nothing was found, and when it is beyond the store's revision the watcher hears of changes as
they happen.

What was compacted is not there.  Who needs a revision before `history.compacted` cannot be served: to send
what is left would be a gap that nobody can see.
"""
from __future__ import annotations

from bisect import bisect_left
from operator import attrgetter
from typing import Final, NamedTuple

from agreed.store.events import Event, EventKind
from agreed.store.mvcc import History, is_tombstone
from agreed.store.ranges import FROM_KEY_ON
from agreed.store.records import Record
from agreed.types import Revision
from agreed.wire.etcd import messages
from agreed.wire.etcd.messages import EventType, KeyValue
from agreed.wire.etcd.translate import key_value

REVISIONS_MOST: Final = 1_000
"""In one message, as etcd."""

BYTES_MOST: Final = 1024 * 1024
"""Of keys and values in one message, where that is more than one revision."""

_by_revision = attrgetter("modify_revision")


class Missed(NamedTuple):
    """`records`: the versions to be told of, tombstones among them, in order, each revision whole.
    `following`: the first revision that was not looked at.  `looked_at`: how many versions were."""

    records: list[Record]
    following: Revision
    looked_at: int


def missed(
    history: History,
    key: bytes,
    range_end: bytes | None,
    first: Revision,
    newest: Revision,
    most: int,
) -> Missed:
    """From the revision `first` on, to `newest` (the store's) at most, looking at about `most` versions."""
    if range_end is None:
        return _of_one_key(history, key, first, newest)
    log = history.log
    begin = bisect_left(log, first, key=_by_revision)
    end = begin + most
    following = newest + 1
    if end < len(log):
        revision = log[end - 1].modify_revision
        while end < len(log) and log[end].modify_revision == revision:
            end += 1
        if end < len(log):
            following = revision + 1
    looked_at = log[begin:end]
    if range_end == FROM_KEY_ON:
        found = [record for record in looked_at if key <= record.key]
    else:
        found = [record for record in looked_at if key <= record.key < range_end]
    return _cut(found, following, len(looked_at))


def _of_one_key(history: History, key: bytes, first: Revision, newest: Revision) -> Missed:
    current = history.current.get(key)
    if current is None or current.modify_revision < first:
        return Missed([], newest + 1, 1)
    older = history.older.get(key, [])
    begin = bisect_left(older, first, key=_by_revision)
    found = older[begin : begin + REVISIONS_MOST + 1]
    if begin + len(found) == len(older):
        found.append(current)
    return _cut(found, newest + 1, len(found) + 1)


def _cut(found: list[Record], following: Revision, looked_at: int) -> Missed:
    """As many revisions as one message takes."""
    revision = revisions = size = 0
    for place, record in enumerate(found):
        if record.modify_revision != revision:
            if revisions == REVISIONS_MOST or size > BYTES_MOST:
                return Missed(found[:place], record.modify_revision, looked_at)
            revision = record.modify_revision
            revisions += 1
        size += len(record.key) + len(record.value or b"")
    return Missed(found, following, looked_at)


# --- as clients are told ------------------------------------------------------------------------------------


def told_of_event(history: History, event: Event, previous: bool) -> messages.Event:
    """Of a change that has just been made.  Of a deletion only key and revision are told, as etcd does.

    The value before is that of the revision before, also where one transaction put the key and deleted it."""
    earlier = event.previous if previous else None
    if earlier is not None and earlier.modify_revision == event.revision:
        earlier = history.at(earlier.key, event.revision - 1)
    if event.kind is EventKind.DELETED:
        return _deleted(event.record.key, event.revision, earlier)
    return _put(event.record, earlier)


def told_of_record(history: History, record: Record, previous: bool) -> messages.Event:
    """Of a version out of the history; without the value before it where that is compacted."""
    earlier = history.before(record) if previous else None
    if is_tombstone(record):
        return _deleted(record.key, record.modify_revision, earlier)
    return _put(record, None if record.create_revision == record.modify_revision else earlier)


def _put(record: Record, earlier: Record | None) -> messages.Event:
    return messages.Event(
        EventType.PUT, key_value(record), None if earlier is None else key_value(earlier)
    )


def _deleted(key: bytes, revision: Revision, earlier: Record | None) -> messages.Event:
    return messages.Event(
        EventType.DELETE,
        KeyValue(key, mod_revision=revision),
        None if earlier is None else key_value(earlier),
    )
