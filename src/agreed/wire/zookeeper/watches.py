"""The watches which the clients of one node have set, and what each of them sees of a change.

Watches are the node's own affair: they are in no log, and they die with their connection (not with the
session).  The table answers one question: who has to be told of this event, and what?

There are four kinds, any of which one connection may hold on one path at the same time:

    DATA        set by getData and exists; used up by the creation, change or deletion of the node
    CHILD       set by getChildren; used up by its deletion, or by a child that comes or goes
    PERSISTENT  sees what the two above see, and stays
    RECURSIVE   sees creation, change and deletion of the node and of all below it, and stays

    change of /a/b      on /a/b                                on /a                    above
    created             DATA PERSISTENT RECURSIVE: created     CHILD PERSISTENT:        RECURSIVE: as on /a/b
    data changed        the same three:            changed     (nothing)                RECURSIVE: as on /a/b
    deleted             all four:                  deleted     as for created           RECURSIVE: as on /a/b
                                                               children changed
    ACL changed         nothing, anywhere (the store makes no event of it)

What is promised:

* A connection hears of one change of one node once, however many of its watches see it; and what happened to
  the node comes before "children changed" of its parent.
* Who may not read the node is told nothing (CVE-2024-23944): the ACL of the node itself counts, for a
  deletion the one it had; for "children changed" the parent's.  A one-shot watch is used up all the same.
* While no watch is set an event costs one look at an empty dict; else it costs one look for the node, one for
  its parent, and one for each ancestor while anybody holds a recursive watch.
* One connection holds watches on at most `limit` paths, so that it cannot exhaust the memory of the node.

What is not done here: missed events of persistent watches are not replayed after a reconnect (nor does a
ZooKeeper server).  If the store jumps ahead without events (a snapshot from the leader was installed), the
table cannot know what was missed: the connections must be closed, so that their clients set watches anew.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

from agreed.errors import AgreedError
from agreed.store.events import Event, EventKind, Space
from agreed.store.paths import ROOT, parent_of
from agreed.store.records import OPEN_ACL, Acl, Record
from agreed.types import Revision
from agreed.wire.zookeeper.messages import EventType, SetWatchesRequest, WatcherType
from agreed.wire.zookeeper.reply_codec import watch_event

DATA, CHILD, PERSISTENT, RECURSIVE = 1, 2, 4, 8
"""Kinds of watches, as bits: what one connection holds on one path is their sum."""

_ONE_SHOT = DATA | CHILD
_SEES_NODE = DATA | PERSISTENT | RECURSIVE
_SEES_CHILDREN = CHILD | PERSISTENT
_ALL = DATA | CHILD | PERSISTENT | RECURSIVE

_KINDS_OF = {
    WatcherType.CHILDREN: CHILD,
    WatcherType.DATA: DATA,
    WatcherType.PERSISTENT: PERSISTENT,
    WatcherType.PERSISTENT_RECURSIVE: RECURSIVE,
    WatcherType.ANY: _ALL,
}

Connection: TypeAlias = int
"""Number of a client connection; never used again in the life of a node."""

Lookup: TypeAlias = Callable[[bytes], Record | None]
"""Path of a znode -> its record now."""


class TooManyWatches(AgreedError):
    """The connection already watches as many paths as it may; the watch was not set."""

    surely_not_done = True


class WatchTotals(NamedTuple):
    """What `wchs` and `mntr` tell: connections which watch, paths which are watched, watches."""

    connections: int
    paths: int
    watches: int


_UNTIMED: Revision = -1
"""The zxid of events that setWatches finds: they tell of the past, of no one transaction."""


class Watches:
    """The table of one node.

    may_read    (connection, ACL) -> may this connection's session read a node with that ACL?
    limit       on how many paths one connection may hold watches
    """

    def __init__(self, may_read: Callable[[Connection, Acl], bool], limit: int = 100_000) -> None:
        self._may_read = may_read
        self._limit = limit
        self.watched: dict[bytes, dict[Connection, int]] = {}
        """By path.  Others only ask whether there is any: who notifies need not, where nobody watches."""
        self._by_connection: dict[Connection, dict[bytes, None]] = {}
        self._recursive = 0
        """How many recursive watches there are: while none, no ancestors need to be looked at."""

    # --- setting and removing ----------------------------------------------------------------------------

    def add(self, connection: Connection, path: bytes, kinds: int) -> None:
        """Set watches of `kinds` (a sum).  Those which are there already stay.  Raises `TooManyWatches`."""
        watchers = self.watched.get(path)
        held = 0 if watchers is None else watchers.get(connection, 0)
        if not held:
            paths = self._by_connection.get(connection, {})
            if len(paths) >= self._limit:
                raise TooManyWatches(f"a connection may watch {self._limit} paths")
            self._by_connection.setdefault(connection, paths)[path] = None
            if watchers is None:
                watchers = self.watched[path] = {}
        assert watchers is not None
        watchers[connection] = held | kinds
        if kinds & RECURSIVE and not held & RECURSIVE:
            self._recursive += 1

    def remove(self, connection: Connection, path: bytes, kind: WatcherType) -> bool:
        """removeWatches.  False: there was none of that kind (-121)."""
        if not self.holds(connection, path, kind):
            return False
        self._forget(connection, path, _KINDS_OF[kind])
        return True

    def holds(self, connection: Connection, path: bytes, kind: WatcherType) -> bool:
        """checkWatches."""
        return bool(self.watched.get(path, {}).get(connection, 0) & _KINDS_OF[kind])

    def drop(self, connection: Connection) -> None:
        """The connection is gone.  Costs as much as it held."""
        for path in tuple(self._by_connection.get(connection, ())):
            self._forget(connection, path, _ALL)

    def _forget(self, connection: Connection, path: bytes, kinds: int) -> None:
        watchers = self.watched[path]
        held = watchers[connection]
        if held & kinds & RECURSIVE:
            self._recursive -= 1
        left = held & ~kinds
        if left:
            watchers[connection] = left
            return
        del watchers[connection]
        if not watchers:
            del self.watched[path]
        paths = self._by_connection[connection]
        del paths[path]
        if not paths:
            del self._by_connection[connection]

    # --- telling -----------------------------------------------------------------------------------------

    def notify(self, events: Sequence[Event], lookup: Lookup) -> list[tuple[Connection, bytes]]:
        """Who is to be sent which frame, in order.  `events` are those of one or more whole revisions,
        in order; `lookup` sees the tree after the last of them."""
        told: list[tuple[Connection, bytes]] = []
        for position, event in enumerate(events):
            if event.space is not Space.TREE:
                continue
            record, revision = event.record, event.revision
            if event.kind is EventKind.CREATED:
                self._tell_of_node(told, record, EventType.NODE_CREATED, revision, _SEES_NODE)
            elif event.kind is EventKind.DELETED:
                self._tell_of_node(told, record, EventType.NODE_DELETED, revision, _ALL)
            else:
                self._tell_of_node(told, record, EventType.NODE_DATA_CHANGED, revision, _SEES_NODE)
                continue
            parent = parent_of(record.key)
            if parent in self.watched:
                acl = _acl_of_parent(parent, events, position, lookup)
                if acl is not None:
                    self._tell_of_children(told, parent, acl, revision)
        return told

    def _tell_of_node(
        self,
        told: list[tuple[Connection, bytes]],
        record: Record,
        kind: EventType,
        revision: Revision,
        seen_by: int,
    ) -> None:
        path = record.key
        hit = self._use_up(path, seen_by)
        if self._recursive:
            ancestor = path
            while ancestor != ROOT:
                ancestor = parent_of(ancestor)
                watchers = self.watched.get(ancestor)
                if watchers is not None:
                    hit += [connection for connection, kinds in watchers.items() if kinds & RECURSIVE]
            hit = list(dict.fromkeys(hit))
        if hit:
            self._send(told, hit, watch_event(revision, kind, path), record.acl)

    def _tell_of_children(
        self, told: list[tuple[Connection, bytes]], parent: bytes, acl: Acl, revision: Revision
    ) -> None:
        hit = self._use_up(parent, _SEES_CHILDREN)
        if hit:
            self._send(told, hit, watch_event(revision, EventType.NODE_CHILDREN_CHANGED, parent), acl)

    def _use_up(self, path: bytes, seen_by: int) -> list[Connection]:
        """Who holds a watch of these kinds on just this path; the one-shot ones of them are taken away."""
        watchers = self.watched.get(path)
        if watchers is None:
            return []
        hit = [connection for connection, kinds in watchers.items() if kinds & seen_by]
        for connection in hit:
            if watchers[connection] & seen_by & _ONE_SHOT:
                self._forget(connection, path, seen_by & _ONE_SHOT)
        return hit

    def _send(
        self, told: list[tuple[Connection, bytes]], hit: list[Connection], frame: bytes, acl: Acl
    ) -> None:
        if acl is OPEN_ACL:
            told += [(connection, frame) for connection in hit]
        else:
            told += [(connection, frame) for connection in hit if self._may_read(connection, acl)]

    # --- setWatches --------------------------------------------------------------------------------------

    def rearm(self, connection: Connection, request: SetWatchesRequest, lookup: Lookup) -> list[bytes]:
        """setWatches and setWatches2: what the client has missed since `relative_zxid`, as frames which go
        before the reply; watches which missed nothing are set again.

        Of a node which the session may not read nothing is told, and its watches are set: else anybody could
        find out, by asking with one zxid after the other, when an unreadable node was last changed.

        Raises `TooManyWatches`: then the connection must be closed, because its client would take the
        watches that were not set for set.
        """
        missed: list[bytes] = []
        since = request.relative_zxid

        def found(kind: EventType, path: bytes) -> None:
            missed.append(watch_event(_UNTIMED, kind, path))

        def readable(record: Record) -> bool:
            return record.acl is OPEN_ACL or self._may_read(connection, record.acl)

        for path in request.data:
            record = lookup(path)
            if record is None:
                found(EventType.NODE_DELETED, path)
            elif record.modify_revision > since and readable(record):
                found(EventType.NODE_DATA_CHANGED, path)
            else:
                self.add(connection, path, DATA)
        for path in request.exist:
            record = lookup(path)
            if record is not None and readable(record):
                found(EventType.NODE_CREATED, path)
            else:
                self.add(connection, path, DATA)
        for path in request.child:
            record = lookup(path)
            if record is None:
                found(EventType.NODE_DELETED, path)
            elif record.children_revision > since and readable(record):
                found(EventType.NODE_CHILDREN_CHANGED, path)
            else:
                self.add(connection, path, CHILD)
        for path in request.persistent:
            self.add(connection, path, PERSISTENT)
        for path in request.persistent_recursive:
            self.add(connection, path, RECURSIVE)
        return missed

    # --- for operators -----------------------------------------------------------------------------------

    def totals(self) -> WatchTotals:
        """Walks over the whole table (for `wchs` and `mntr`, which are asked for seldom)."""
        watches = sum(kinds.bit_count() for watchers in self.watched.values() for kinds in watchers.values())
        return WatchTotals(len(self._by_connection), len(self.watched), watches)

    def by_connection(self) -> Iterable[tuple[Connection, Iterable[bytes]]]:
        """For `wchc`."""
        return self._by_connection.items()

    def by_path(self) -> Iterable[tuple[bytes, Iterable[Connection]]]:
        """For `wchp`."""
        return self.watched.items()


def _acl_of_parent(parent: bytes, events: Sequence[Event], position: int, lookup: Lookup) -> Acl | None:
    """The ACL that decides who hears of the child of `parent` that event number `position` tells of.

    The parent may be gone by now, if it was deleted by a later one of the `events`; that one has the ACL.
    Else None: its deletion is still to be told, and uses up the watches that would have been used up here.
    """
    record = lookup(parent)
    if record is not None:
        return record.acl
    for later in range(position + 1, len(events)):
        event = events[later]
        if event.kind is EventKind.DELETED and event.record.key == parent:
            return event.record.acl
    return None
