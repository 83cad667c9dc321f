"""Two kinds of watchers, which write down all that reaches them, in the order in which it does.

A `Follower` has a recursive watch on a tree, made anew on each connection.  From the revision at which it was
made it is to be told of every change, in order, once; and no reply may be newer than what it has been told.

An `Asker` reads nodes and sets a one-shot watch each time.  After a lost connection it sets them anew
(setWatches) with the newest revision that it has seen, and is told what happened meanwhile.

What a server does not tell (the revision of an event, before ZooKeeper 3.9) cannot be judged (`untold`).
"""
from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from agreed.check.watches import (
    Change,
    Delivered,
    Ended,
    FiredKind,
    Forgotten,
    OneShotRecord,
    Progressed,
    Seen,
    WatchEvent,
    WatchFired,
    Watching,
    WatchOf,
    WatchRecord,
    WatchSet,
)
from agreed.torture.zookeeper_client import ZooKeeperClient
from agreed.wire.zookeeper.connection import Answer, Notification
from agreed.wire.zookeeper.messages import (
    AddWatchMode,
    AddWatchRequest,
    ErrorCode,
    EventType,
    ExistsRequest,
    GetChildren2Request,
    GetDataRequest,
    Op,
    Request,
    SetWatchesRequest,
    SyncRequest,
)
from agreed.wire.zookeeper.replies import ErrorReply

CHANGES: Final = {
    EventType.NODE_CREATED: Change.CREATED,
    EventType.NODE_DATA_CHANGED: Change.CHANGED,
    EventType.NODE_DELETED: Change.DELETED,
}

KINDS: Final = {
    EventType.NODE_CREATED: FiredKind.CREATED,
    EventType.NODE_DATA_CHANGED: FiredKind.CHANGED,
    EventType.NODE_DELETED: FiredKind.DELETED,
    EventType.NODE_CHILDREN_CHANGED: FiredKind.CHILDREN,
}

HANG_UP = 0.03
"""How often a watcher leaves its server of its own accord."""


class Follower:
    """Each of its connections is a watch of its own: what happens between two of them is not promised."""

    def __init__(self, client: ZooKeeperClient, tree: str) -> None:
        self.records: list[WatchRecord] = []
        self.untold = False
        self._client = client
        self._tree = tree
        self._connections = 0
        self._watching = False
        client.listener = self
        client.disconnect()

    @property
    def _name(self) -> str:
        return f"{self._client.name}/{self._connections}"

    async def step(self, dice: random.Random) -> None:
        if dice.random() < HANG_UP:
            self._client.disconnect()
        await self._client.ask(SyncRequest(self._tree.encode()))

    def connected(self) -> Sequence[Request]:
        self._connections += 1
        return [AddWatchRequest(self._tree.encode(), AddWatchMode.PERSISTENT_RECURSIVE)]

    def answered(self, request: Request, answer: Answer) -> None:
        if isinstance(request, AddWatchRequest) and not isinstance(answer.reply, ErrorReply):
            self._watching = True
            self.records.append(Watching(self._name, answer.zxid, f"{self._tree}/", True))
        elif self._watching and answer.zxid > 0:
            self.records.append(Progressed(self._name, answer.zxid))

    def notified(self, notification: Notification) -> None:
        change = CHANGES.get(notification.event.kind)
        if not self._watching or change is None:
            return
        self.untold = self.untold or notification.zxid < 0
        event = WatchEvent(notification.zxid, notification.event.path.decode(), change)
        self.records.append(Delivered(self._name, (event,)))

    def lost(self) -> None:
        if self._watching:
            self.records.append(Ended(self._name))
        self._watching = False


class Asker:
    """Watches some nodes, and the list of the children of `tree`.  `paths` may change meanwhile."""

    def __init__(self, client: ZooKeeperClient, tree: str, paths: Sequence[str]) -> None:
        self.records: list[OneShotRecord] = []
        self._client = client
        self._tree = tree
        self._paths = paths
        self._set: dict[tuple[str, WatchOf], bool] = {}
        """Watches that are set; True: while there was no such node, so that it waits for a creation."""
        client.listener = self
        client.disconnect()

    async def step(self, dice: random.Random) -> None:
        if dice.random() < HANG_UP:
            self._client.disconnect()
        if dice.random() < 0.2:
            if (self._tree, WatchOf.CHILDREN) not in self._set:
                await self._client.ask(GetChildren2Request(self._tree.encode(), True))
            return
        path = dice.choice(self._paths)
        watch = (path, WatchOf.DATA) not in self._set
        ask = GetDataRequest if dice.random() < 0.6 else ExistsRequest
        await self._client.ask(ask(path.encode(), watch))

    def connected(self) -> Sequence[Request]:
        if not self._set:
            return []
        seen = self._client.last_zxid
        self.records += [WatchSet(self._client.name, path, what, seen, True) for path, what in self._set]

        def those(watches: WatchOf, absent: bool) -> tuple[bytes, ...]:
            return tuple(
                path.encode()
                for (path, what), was_absent in self._set.items()
                if (what, was_absent) == (watches, absent)
            )

        return [
            SetWatchesRequest(
                seen,
                those(WatchOf.DATA, False),
                those(WatchOf.DATA, True),
                those(WatchOf.CHILDREN, False),
                op=Op.SET_WATCHES,
            )
        ]

    def answered(self, request: Request, answer: Answer) -> None:
        if answer.zxid > 0:
            self.records.append(Seen(self._client.name, answer.zxid))
        error = answer.reply.error if isinstance(answer.reply, ErrorReply) else 0
        match request:
            case GetDataRequest(path, True) if not error:
                self._is_set(path, WatchOf.DATA, False, answer.zxid)
            case ExistsRequest(path, True) if error in (0, ErrorCode.NO_NODE):
                self._is_set(path, WatchOf.DATA, bool(error), answer.zxid)
            case GetChildren2Request(path, True) if not error:
                self._is_set(path, WatchOf.CHILDREN, False, answer.zxid)

    def _is_set(self, path: bytes, what: WatchOf, absent: bool, seen: int) -> None:
        self._set[path.decode(), what] = absent
        self.records.append(WatchSet(self._client.name, path.decode(), what, seen))

    def notified(self, notification: Notification) -> None:
        path, kind = notification.event.path.decode(), KINDS.get(notification.event.kind)
        if kind is None:
            return
        revision = notification.zxid if notification.zxid > 0 else None
        self.records.append(WatchFired(self._client.name, path, kind, revision))
        if kind is not FiredKind.CHILDREN:
            self._set.pop((path, WatchOf.DATA), None)
        if kind in (FiredKind.CHILDREN, FiredKind.DELETED):
            self._set.pop((path, WatchOf.CHILDREN), None)

    def lost(self) -> None:
        self.records.append(Forgotten(self._client.name))
