"""The tree as clients of etcd may read it, where it is switched on: each znode under `/.znodes` + its path.

    znode /app/leader        key /.znodes/app/leader
    data                     value (null data is empty)
    czxid, mzxid             create_revision, mod_revision: they are revisions of the same counter
    version                  version, one more: etcd begins with 1 where ZooKeeper begins with 0
    ephemeral owner          lease

What this promises:

* It is read only.  Who writes here is refused, and the two spaces stay apart.
* It is seen by requests that ask for nothing else: a range which begins before the prefix or ends beyond it
  sees the flat space alone.
* A read sees the newest revision.  The tree has no history: an older one is COMPACTED, as soon as anything
  was written anywhere.
* A watch sees each creation, change of data and deletion, at its revision, in order, and once.  It may begin
  as far back as the feed of its node reaches (`feed.compacted`), which is not far.  After that it has to read
  what is there now, and begin anew.
* Whom nobody has introduced to ZooKeeper sees what the whole world may read there.  A znode with a closer
  access list is not there, and nothing is told of it.  (A change of the list itself is no event.)
* What changes only in ZooKeeper's eyes, such as a parent's counters of children, is not seen.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agreed.store.access import allowed
from agreed.store.commands import Command, DeleteRange, Guard, OnBehalf, Put, Range, Transaction
from agreed.store.events import Event, Space
from agreed.store.paths import ROOT
from agreed.store.ranges import FROM_KEY_ON, contains, prefix_end
from agreed.store.records import OPEN_ACL, READ, Record
from agreed.store.results import RangeResult, Refusal
from agreed.store.state import State
from agreed.types import Revision

PREFIX: Final = b"/.znodes"
_END: Final = prefix_end(PREFIX)


def is_in_view(key: bytes, range_end: bytes | None) -> bool:
    """Whether a request for this range is one for the view."""
    if not key.startswith(PREFIX):
        return False
    return range_end is None or (range_end != FROM_KEY_ON and range_end <= _END)


def is_refused(command: Command | Guard | Range) -> bool:
    """Whether a command may not be done while the view is on: it writes into it, or a transaction of the flat
    space wants to look at it.  A deletion that begins before the view and ends beyond it passes it over."""
    if isinstance(command, OnBehalf):
        return is_refused(command.command)
    if isinstance(command, Put):
        return command.key.startswith(PREFIX)
    if isinstance(command, DeleteRange | Range | Guard):
        return is_in_view(command.key, command.range_end)
    if isinstance(command, Transaction):
        return any(map(is_refused, (*command.guards, *command.then, *command.otherwise)))
    return False


def read(state: State, asked: Range) -> RangeResult | Refusal:
    """Of a range that `is_in_view`.  Looks at all znodes below the last directory that the range lies in."""
    if asked.revision > state.revision:
        return Refusal.FUTURE_REVISION
    if 0 < asked.revision < state.revision:
        return Refusal.COMPACTED
    if asked.range_end is None:
        record = state.tree.get(asked.key[len(PREFIX) :])
        records = [record] if record is not None else []
    else:
        records = sorted(_below(state, asked.key, asked.range_end), key=lambda record: record.key)
    seen = [shown for record in records if (shown := as_shown(record)) is not None]
    limit = asked.limit if asked.limit > 0 else len(seen)
    return RangeResult(tuple(seen[:limit]), len(seen), len(seen) > limit)


def since(state: State, revision: Revision) -> Iterator[Event] | Refusal:
    """What happened in the view in the revisions after `revision`; `COMPACTED` if some of it is gone, or if
    that lies before `state.feed.compacted`."""
    events = state.feed.since(revision)
    if isinstance(events, Refusal):
        return events
    return (shown for event in events if (shown := as_event(event)) is not None)


def as_event(event: Event) -> Event | None:
    """A change of a znode as one of a flat key; None for what is not seen."""
    if event.space is not Space.TREE:
        return None
    record = as_shown(event.record)
    if record is None:
        return None
    previous = as_shown(event.previous) if event.previous is not None else None
    return Event(event.revision, event.kind, Space.FLAT, record, previous)


def as_shown(record: Record) -> Record | None:
    """A znode as a flat key; None if not the whole world may read it."""
    if record.acl is not OPEN_ACL and not allowed(record.acl, READ, ()):
        return None
    # What is there from the beginning was created by no revision; to etcd that would be absent.
    created, modified = max(record.create_revision, 1), max(record.modify_revision, 1)
    return Record(
        PREFIX + record.key, record.value or b"", created, modified, 0, record.created_ms,
        record.modified_ms, max(record.version, 0) + 1, 0, 0, record.lease, 0, OPEN_ACL, None,
    )  # fmt: skip


def _below(state: State, key: bytes, range_end: bytes) -> Iterator[Record]:
    """The znodes of a range, in no order.  A directory is entered only if the range may reach into it."""
    waiting = [ROOT]
    while waiting:
        path = waiting.pop()
        record = state.tree.records[path]
        shown = PREFIX + path
        if contains(key, range_end, shown):
            yield record
        inside = PREFIX if path == ROOT else shown
        if record.children and inside + b"0" > key and inside + b"/" < range_end:
            directory = b"" if path == ROOT else path
            waiting.extend(directory + b"/" + name for name in record.children)
