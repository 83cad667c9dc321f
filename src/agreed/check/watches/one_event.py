"""ZooKeeper's one-shot watches: set by a read, used up by the first change of what was read.

Promised is, of each client on its connection:

    once        an event for each watch, not two                                   "fired twice"
    first       it comes before the client sees the change itself, or anything
                newer: before every reply whose zxid is not below the change's     "fired too late"
    always      so if a reply shows the change, the event was not missed           "missed"
    true        there was a change after the read, and it tells of the first:      "fired without a change"
                of its kind                                                        "wrong kind"
                and at its zxid                                                    "wrong revision"
    asked for   and somebody watched                                               "fired without a watch"

A data watch (getData, exists) is used up by the creation, change or deletion of its node; a children watch
(getChildren) by a child that comes or goes, or by the deletion of its node.  One event of a deletion uses up
both.  To set what is already set changes nothing.

When a connection breaks the server forgets its watches (`Forgotten`).  A client that sets them anew says what
it has seen (setWatches); what happened meanwhile is then told as one event of the state that came of it, so
of such a watch (`resumed`) any kind is accepted that some change since then explains.

What cannot be known is not judged: where a write may have happened or not (its revision is None), an event
that it would explain is believed.
"""
from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Sequence
from enum import Enum
from heapq import heappop, heappush
from itertools import islice
from typing import NamedTuple

import msgspec

from agreed.check.explain import words
from agreed.check.history import Process
from agreed.check.verdict import Finding, Outcome, Verdict
from agreed.check.watches.records import Change, Write, facts


class WatchOf(Enum):
    DATA = "data"
    CHILDREN = "children"


class FiredKind(Enum):
    """Of an event."""

    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"
    CHILDREN = "children changed"


class WatchSet(msgspec.Struct, frozen=True, tag=True):
    """A read set a watch.  `seen` is the zxid of its reply, or of the version of the node that it read.

    `resumed`: it was set anew after a reconnect, and `seen` is what the client said that it has seen."""

    client: Process
    path: str
    watches: WatchOf
    seen: int
    resumed: bool = False


class WatchFired(msgspec.Struct, frozen=True, tag=True):
    """An event arrived.  `revision` is its zxid, where the server tells it."""

    client: Process
    path: str
    kind: FiredKind
    revision: int | None = None


class Seen(msgspec.Struct, frozen=True, tag=True):
    """A reply arrived, of a read or a write; with its zxid, or the newest that occurs in it."""

    client: Process
    revision: int


class Forgotten(msgspec.Struct, frozen=True, tag=True):
    """The connection broke, or the client removed its watches; `path` None: all of them."""

    client: Process
    path: str | None = None


OneShotRecord = WatchSet | WatchFired | Seen | Forgotten


def one_shot(
    records: Sequence[OneShotRecord], written: Sequence[Write], initial: Collection[str] | None = None
) -> Verdict:
    """Whether one-shot watches kept their promises.

    `records` in the order in which each client lived through them; `written` all writes to nodes (paths as
    keys) that happened or may have; `initial` the nodes that were there before them, where it is known.
    The operations of findings are positions in `records`."""
    changes = _Changes(written, initial)
    clients: dict[Process, _Client] = {}
    for place, record in enumerate(records):
        client = clients.setdefault(record.client, _Client(changes, record.client))
        match record:
            case WatchSet():
                client.set(place, record)
            case WatchFired():
                client.fired(place, record)
            case Seen():
                client.saw(place, record.revision)
            case Forgotten():
                client.forgot(record.path)
    for client in clients.values():
        client.forgot(None)
    findings = sorted(
        (finding for client in clients.values() for finding in client.findings),
        key=lambda finding: max(finding.operations),
    )
    fired = sum(isinstance(record, WatchFired) for record in records)
    outcome = Outcome.VIOLATED if findings else Outcome.HOLDS
    reason = findings[0].steps[0] if findings else f"{fired} events, each in its time"
    return Verdict("one-shot watches", outcome, reason, findings=tuple(findings), steps=len(records))


class _Change(NamedTuple):
    """What may use up a watch; `certain` unless nobody knows whether it was a change of what is watched."""

    revision: int
    kind: FiredKind
    certain: bool


class _Changes:
    """The changes, by what is watched."""

    def __init__(self, written: Sequence[Write], initial: Collection[str] | None) -> None:
        self._of: dict[tuple[str, WatchOf], list[_Change]] = defaultdict(list)
        self._doubtful: set[tuple[str, WatchOf]] = set()
        self._perhaps_made: set[str] = set()
        self._perhaps_deleted: set[str] = set()
        doubtful: set[str] = set()
        for write in written:
            if write.revision is None:
                doubtful.add(write.key)
                (self._perhaps_deleted if write.deleted else self._perhaps_made).add(write.key)
                self._doubtful |= {(write.key, WatchOf.DATA), (write.key, WatchOf.CHILDREN)}
                self._doubtful.add((_parent(write.key), WatchOf.CHILDREN))
        there: dict[str, object] | None = None if initial is None else dict.fromkeys(initial)
        for fact in facts(enumerate(written), there, doubtful):
            path = fact.key
            for change in fact.kinds:
                self._add(path, WatchOf.DATA, fact.revision, FiredKind(change.value))
                if change is Change.DELETED:
                    self._add(path, WatchOf.CHILDREN, fact.revision, FiredKind.DELETED)
                if change is not Change.CHANGED:
                    certain = len(fact.kinds) == 1
                    self._add(_parent(path), WatchOf.CHILDREN, fact.revision, FiredKind.CHILDREN, certain)

    def _add(self, path: str, watches: WatchOf, revision: int, kind: FiredKind, certain: bool = True) -> None:
        self._of[path, watches].append(_Change(revision, kind, certain))

    def doubtful(self, record: WatchSet) -> bool:
        return (record.path, record.watches) in self._doubtful

    def using_up(self, record: WatchSet) -> tuple[Sequence[_Change], int | None]:
        """The changes of which one has to use up this watch, and the revision at which it is used up at the
        latest; None: it may stay for ever."""
        changes = self._of.get((record.path, record.watches), [])
        begin = bisect_right(changes, record.seen, key=lambda change: change.revision)
        last = next((change.revision for change in islice(changes, begin, None) if change.certain), None)
        if record.resumed:
            return changes[begin:], None if self._may_be_absent_as_before(record, changes[begin:]) else last
        if last is None:
            return changes[begin:], None
        return changes[begin : bisect_right(changes, last, key=lambda change: change.revision)], last

    def _may_be_absent_as_before(self, record: WatchSet, since: Sequence[_Change]) -> bool:
        """A node that came and went while nobody watched is no event: to whom it was absent, it is absent.
        (Either may have been the doing of a write that was never answered.)"""
        if record.watches is WatchOf.CHILDREN:
            return False
        first = {change.kind for change in since if change.revision == since[0].revision}
        came = FiredKind.CREATED in first or record.path in self._perhaps_made
        went = any(change.kind is FiredKind.DELETED for change in since)
        return came and (went or record.path in self._perhaps_deleted)


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "/"


_AS_ONE = {FiredKind.CREATED: FiredKind.CHANGED, FiredKind.DELETED: FiredKind.CHILDREN}
"""A node that went and came again while nobody watched is told as one that changed, or whose children did."""


class _Held(NamedTuple):
    """A watch that is set, and where."""

    place: int
    record: WatchSet
    changes: Sequence[_Change]
    due: int | None


class _Client:
    """One client, and the watches that it holds."""

    def __init__(self, changes: _Changes, name: Process) -> None:
        self.changes = changes
        self.name = words.client(name)
        self.held: dict[tuple[str, WatchOf], _Held] = {}
        self.overdue: dict[tuple[str, WatchOf], int] = {}
        """WatchOf that should have fired by now, and the place of the reply that says so."""
        self.used: dict[tuple[str, WatchOf], int] = {}
        """Where the last event used up such a watch."""
        self.by_due: list[tuple[int, int, tuple[str, WatchOf]]] = []
        self.findings: list[Finding] = []

    def set(self, place: int, record: WatchSet) -> None:
        watched = (record.path, record.watches)
        self.saw(place, record.seen)
        if watched in self.overdue:
            self._missed(watched)
        # If it was set before and has not fired, nothing happened up to this reply: it is as if set now.
        self.held[watched] = held = _Held(place, record, *self.changes.using_up(record))
        self.used.pop(watched, None)
        if held.due is not None:
            heappush(self.by_due, (held.due, place, watched))

    def saw(self, place: int, revision: int) -> None:
        while self.by_due and self.by_due[0][0] <= revision:
            _, set_at, watched = heappop(self.by_due)
            if watched in self.held and self.held[watched].place == set_at:
                self.overdue.setdefault(watched, place)

    def forgot(self, path: str | None) -> None:
        for watched in [each for each in self.held if path in (None, each[0])]:
            if watched in self.overdue:
                self._missed(watched)
            else:
                del self.held[watched]

    def fired(self, place: int, event: WatchFired) -> None:
        watches = [WatchOf.CHILDREN] if event.kind is FiredKind.CHILDREN else [WatchOf.DATA]
        if event.kind is FiredKind.DELETED:
            watches.append(WatchOf.CHILDREN)
        using = [(event.path, each) for each in watches if (event.path, each) in self.held]
        said = f"{self.name} is told that {event.path} was {event.kind.value}"
        if event.kind is FiredKind.CHILDREN:
            said = f"{self.name} is told that the children of {event.path} changed"
        if not using:
            before = [self.used[event.path, each] for each in watches if (event.path, each) in self.used]
            if before:
                self._wrong("fired twice", (before[0], place), said, "the watch was used up before")
            else:
                self._wrong("fired without a watch", (place,), said, "it holds no watch of that")
        for watched in using:
            held = self.held.pop(watched)
            self.used[watched] = place
            reply = self.overdue.pop(watched, None)
            if reply is not None:
                step = f"a reply before showed revision {held.due} or newer, at which it happened"
                self._wrong("fired too late", (held.place, reply, place), said, step)
            elif not self.changes.doubtful(held.record):
                self._true(place, event, held, said)

    def _true(self, place: int, event: WatchFired, held: _Held, said: str) -> None:
        since = f"the watch was set at revision {held.record.seen}"
        kinds = {change.kind for change in held.changes}
        if held.record.resumed:
            kinds |= {_AS_ONE[kind] for kind in kinds if kind in _AS_ONE}
        revisions = sorted({change.revision for change in held.changes})
        if not kinds:
            self._wrong("fired without a change", (held.place, place), said, since, "nothing changed since")
        elif event.kind not in kinds:
            first = " or ".join(sorted(kind.value for kind in kinds))
            self._wrong("wrong kind", (held.place, place), said, since, f"what happened first is: {first}")
        elif event.revision is not None and event.revision not in revisions:
            step = f"it happened at {revisions[0]}, and the event says {event.revision}"
            self._wrong("wrong revision", (held.place, place), said, since, step)

    def _missed(self, watched: tuple[str, WatchOf]) -> None:
        held, reply = self.held.pop(watched), self.overdue.pop(watched)
        path, watches = watched
        self._wrong(
            "missed",
            (held.place, reply),
            f"{self.name} watches the {watches.value} of {path} since revision {held.record.seen}",
            f"it was changed at revision {held.due}, and a reply showed that revision or a newer one",
            "no event came",
        )

    def _wrong(self, name: str, operations: tuple[int, ...], *steps: str) -> None:
        self.findings.append(Finding(name, operations, steps))
