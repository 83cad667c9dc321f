"""Who wants to hear of what: the client's side of watches, over all connections of one session.

A server forgets the watches of a connection when it ends, so the session keeps them and says them again on
the next one (`SetWatches`), together with the newest zxid that it has seen; the server then tells at once
what was missed.  That works for watches that are used up by one event.  Of those that stay it tells nothing,
so each of them is told `GAP` and its holder looks for itself.

    data        set by a read of a node that is there; used up by its change or deletion
    exist       set by looking for a node that is not there; used up by its creation
    child       set by listing children; used up by a child that comes or goes, or the end of the node
    persistent  sees all of these, of one node, and stays
    recursive   sees creation, change and deletion of a node and all below it, and stays

One watcher that hears of one event by two ways hears of it once.  A watcher is anything hashable; a path is
the bytes of the wire.
"""
from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Final, TypeAlias

from agreed.client.values import Change, WatchKind
from agreed.wire.zookeeper.messages import (
    AddWatchRequest,
    ErrorCode,
    EventType,
    ExistsRequest,
    GetChildren2Request,
    GetDataRequest,
    Op,
    Request,
    SetWatchesRequest,
)
from agreed.wire.zookeeper.replies import ErrorReply, Reply, WatchEvent

Watcher: TypeAlias = Hashable
_Book: TypeAlias = dict[bytes, dict[Watcher, None]]
"""Dictionaries as sets that keep their order: who asked first is told first."""

SET_WATCHES_BYTES_MAX: Final = 128 * 1024
"""Of paths in one request, as the Java client has it: a server refuses a frame of more than a megabyte."""

CHANGES: Final = {
    EventType.NODE_CREATED: Change.CREATED,
    EventType.NODE_DELETED: Change.DELETED,
    EventType.NODE_DATA_CHANGED: Change.DATA,
    EventType.NODE_CHILDREN_CHANGED: Change.CHILDREN,
}


class Watches:
    def __init__(self) -> None:
        self._data: _Book = {}
        self._exist: _Book = {}
        self._child: _Book = {}
        self._persistent: _Book = {}
        self._recursive: _Book = {}

    def __len__(self) -> int:
        return sum(len(watchers) for book in self._books() for watchers in book.values())

    def _books(self) -> tuple[_Book, ...]:
        return self._data, self._exist, self._child, self._persistent, self._recursive

    def answered(self, request: Request, reply: Reply, watcher: Watcher) -> None:
        """The server has set a watch, if this request and its answer mean that."""
        error = reply.error if isinstance(reply, ErrorReply) else ErrorCode.OK
        match request:
            case ExistsRequest(watch=True) if error == ErrorCode.NO_NODE:
                _add(self._exist, request.path, watcher)
            case ExistsRequest(watch=True) | GetDataRequest(watch=True) if error == ErrorCode.OK:
                _add(self._data, request.path, watcher)
            case GetChildren2Request(watch=True) if error == ErrorCode.OK:
                _add(self._child, request.path, watcher)
            case AddWatchRequest() if error == ErrorCode.OK:
                _add(self._staying(WatchKind.PERSISTENT if request.mode == 0 else WatchKind.RECURSIVE),
                     request.path, watcher)  # fmt: skip
            case _:
                pass

    def _staying(self, kind: WatchKind) -> _Book:
        return self._persistent if kind is WatchKind.PERSISTENT else self._recursive

    def happened(self, event: WatchEvent) -> list[Watcher]:
        """Whom to tell; those whose watches are used up are forgotten."""
        path, kind = event.path, event.kind
        told: dict[Watcher, None] = {}
        if kind is EventType.NODE_CHILDREN_CHANGED:
            told |= self._child.pop(path, {})
        else:
            told |= self._data.pop(path, {})
            told |= self._exist.pop(path, {})
            if kind is EventType.NODE_DELETED:
                told |= self._child.pop(path, {})
            if self._recursive:
                for above in _upwards(path):
                    told |= self._recursive.get(above, {})
        told |= self._persistent.get(path, {})
        return list(told)

    def forget(self, watcher: Watcher, path: bytes, kind: WatchKind) -> bool:
        """This watch that stays is no longer wanted.  True if the server need not watch there any more."""
        book = self._staying(kind)
        watchers = book.get(path)
        if watchers is None or watcher not in watchers:
            return False
        del watchers[watcher]
        if not watchers:
            del book[path]
        return not watchers

    def are_at(self, path: bytes) -> bool:
        return any(path in book for book in self._books())

    def again(self, relative_zxid: int) -> Iterator[SetWatchesRequest]:
        """What is to be said on a new connection: nothing, or everything in pieces."""
        piece: list[list[bytes]] = [[] for _ in self._books()]
        size = 0
        for kept, book in zip(piece, self._books(), strict=True):
            for path in book:
                if size and size + len(path) + 4 > SET_WATCHES_BYTES_MAX:
                    yield _set_watches(relative_zxid, piece)
                    size = 0
                    for each in piece:
                        each.clear()
                kept.append(path)
                size += len(path) + 4
        if size:
            yield _set_watches(relative_zxid, piece)

    def staying(self) -> list[tuple[Watcher, bytes]]:
        """Those that cannot be told what they missed."""
        return [
            (watcher, path)
            for book in (self._persistent, self._recursive)
            for path, watchers in book.items()
            for watcher in watchers
        ]

    def end(self) -> list[tuple[Watcher, bytes]]:
        """The session is over: all of them, and they are forgotten."""
        all_of_them = [
            (watcher, path)
            for book in self._books()
            for path, watchers in book.items()
            for watcher in watchers
        ]
        for book in self._books():
            book.clear()
        return all_of_them


def _add(book: _Book, path: bytes, watcher: Watcher) -> None:
    book.setdefault(path, {})[watcher] = None


def _upwards(path: bytes) -> Iterator[bytes]:
    """The path, its parent, ... and the root."""
    while len(path) > 1:
        yield path
        path = path[: path.rindex(b"/")]
    yield b"/"


def _set_watches(relative_zxid: int, piece: list[list[bytes]]) -> SetWatchesRequest:
    data, exist, child, persistent, recursive = map(tuple, piece)
    op = Op.SET_WATCHES2 if persistent or recursive else Op.SET_WATCHES
    return SetWatchesRequest(relative_zxid, data, exist, child, persistent, recursive, op)
