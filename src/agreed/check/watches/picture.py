"""Watches as a history, so that what is found wrong with them can be drawn like everything else.

One lane is the store, with its writes in the order of revisions; the others are the watchers.  There is no
clock in it: an event stands soon after the write of which it tells, and after what its watcher saw before.
"""
from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET

from agreed.check.history import History, Operation, Process, Status, history
from agreed.check.watches.records import Delivered, Ended, Progressed, Watching, WatchRecord, Write, settle

_APART = 10


def picture(records: Sequence[WatchRecord], written: Sequence[Write]) -> History:
    """The records keep their numbers; the writes are numbered after them.  Writes of which nobody knows
    whether they happened are not drawn."""
    made = [(write.revision or 0, number, write) for number, write in settle(records, written)[0]]
    revisions = sorted({revision for revision, _, _ in made} | _heard_of(records))
    line = {revision: _APART * (number + 1) for number, revision in enumerate(revisions)}
    operations = []
    free = 0
    for revision, number, write in sorted(made, key=lambda each: each[:2]):
        called = max(line[revision], free + 1)
        free = called + 1
        operations.append(
            Operation(
                index=len(records) + number,
                process="store",
                function="delete" if write.deleted else "write",
                argument=[write.key] if write.deleted else [write.key, write.value],
                result=None,
                called=called,
                returned=free,
                status=Status.OK,
                revision=revision,
            )
        )
    last: dict[Process, int] = {}
    for number, record in enumerate(records):
        function, argument, revision = _told(record)
        called = max(line.get(revision, 0) + 3, last.get(record.watcher, 0) + 2)
        last[record.watcher] = called
        operations.append(
            Operation(
                index=number,
                process=record.watcher if isinstance(record.watcher, str) else f"watcher {record.watcher}",
                function=function,
                argument=argument,
                result=None,
                called=called,
                returned=called + 1,
                status=Status.OK,
                revision=revision or None,
            )
        )
    return history(operations)


def _heard_of(records: Sequence[WatchRecord]) -> set[int]:
    return {_told(record)[2] for record in records} - {0}


def _told(record: WatchRecord) -> tuple[str, object, int]:
    """What happened, with what, and the revision after which it can have happened."""
    match record:
        case Watching():
            key = "everything" if record.key is None else record.key
            return "watch", [key, "after", record.after], record.after
        case Delivered():
            events = [_event(each.kind.value, each.key, each.value, each.revision) for each in record.events]
            return "told", events, max((each.revision for each in record.events), default=0)
        case Progressed():
            return "progress", record.revision, record.revision
        case Ended():
            return "end", None, 0


def _event(*parts: object) -> list[object]:
    kind, key, value, revision = parts
    return [kind, key, "at", revision] if value in (None, UNSET) else [kind, key, value, "at", revision]
