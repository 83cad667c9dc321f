"""One watch stream of a client, and the watchers on it: their numbers, their manners, and how they are told.

A message that a client does not take is kept until it does, so how many are kept has a bound: a stream with
more than `watch_backlog_bytes` unread is *slow*, and what happens meanwhile is not sent to it.  Its watchers
remember where they stopped and read on in the history once the backlog is gone.
"""
from __future__ import annotations

from typing import Final

import msgspec

from agreed.replica.etcd.calls import Call
from agreed.store.events import EventKind
from agreed.types import Revision
from agreed.wire.etcd import protobuf
from agreed.wire.etcd.messages import Event, FilterType, ResponseHeader, WatchCreateRequest, WatchResponse

DEAF: Final = 16
"""A client that goes on asking with so many times more unread than its stream may have is not going to
read."""

FRAGMENT_BYTES: Final = 1_572_864 + 512 * 1024
"""From this size on a message is sent in pieces to those who have asked for it, as etcd."""

NO_WATCHER: Final = -1
"""The watch id in an answer that is for none of the watchers of a stream, or for all."""

_FILTERED: dict[int, tuple[EventKind, ...]] = {
    FilterType.NOPUT: (EventKind.CREATED, EventKind.CHANGED),
    FilterType.NODELETE: (EventKind.DELETED,),
}


class Watcher:
    """`following` is the first revision that it may still have to be told of; while it hears of changes as
    they happen that is not kept up, and means only that nothing before it is wanted.

    `view`: it watches znodes.  `quiet`: nothing was sent to it since the last round of progress
    notifications."""

    __slots__ = (
        "following", "fragment", "id", "key", "left_out", "previous", "progress", "quiet", "range_end",
        "stream", "synced", "view",
    )  # fmt: skip

    def __init__(
        self,
        stream: WatchStream,
        number: int,
        asked: WatchCreateRequest,
        key: bytes,
        range_end: bytes | None,
        following: Revision,
    ) -> None:
        self.stream = stream
        self.id = number
        self.key = key
        self.range_end = range_end
        self.following = following
        self.previous = asked.prev_kv
        self.fragment = asked.fragment
        self.progress = asked.progress_notify
        self.left_out = frozenset(kind for each in asked.filters for kind in _FILTERED.get(each, ()))
        self.synced = False
        self.quiet = True
        self.view = False


class WatchStream:
    __slots__ = ("_next_id", "call", "gathered", "parked", "slow", "slow_bytes", "ticking", "watchers")

    def __init__(self, call: Call, slow_bytes: int) -> None:
        self.call = call
        self.slow_bytes = slow_bytes
        self.watchers: dict[int, Watcher] = {}
        self.parked: dict[Watcher, None] = {}
        """Those of a slow stream that have missed something."""
        self.slow = False
        self.gathered: list[WatchResponse] = []
        self.ticking = False
        """Whether it stands among those that are told of progress."""
        self._next_id = 0

    def number(self, asked: int) -> int | None:
        """0 asks for the next that is free; None: the one asked for is taken."""
        if asked:
            return None if asked in self.watchers else asked
        while self._next_id in self.watchers:
            self._next_id += 1
        self._next_id += 1
        return self._next_id - 1

    def tell(self, watcher: Watcher, header: ResponseHeader, events: tuple[Event, ...]) -> None:
        """At once."""
        self.gather(watcher, header, events)
        self.leave()

    def gather(self, watcher: Watcher, header: ResponseHeader, events: tuple[Event, ...]) -> None:
        """To be told with others, by `leave`.  `events` is best the same object for all who are told the
        same: it is encoded once."""
        watcher.quiet = False
        response = WatchResponse(header, watcher.id, events=events)
        if watcher.fragment and len(events) > 1:
            self.gathered += fragments(response, FRAGMENT_BYTES)
        else:
            self.gathered.append(response)

    def leave(self) -> None:
        """What was gathered leaves; whoever does not read is found out now."""
        gathered, self.gathered = self.gathered, []
        self.call.send(*gathered)
        if self.call.backlog > self.slow_bytes:
            self.slow = True


def fragments(response: WatchResponse, size_bytes: int) -> list[WatchResponse]:
    """The same in pieces below that size, or of one event; all but the last say that more is to come."""
    events = response.events
    sizes = [len(protobuf.encode(event)) + 6 for event in events]
    if sum(sizes) < size_bytes:
        return [response]
    pieces: list[tuple[Event, ...]] = []
    begin = size = 0
    for place, each in enumerate(sizes):
        if place > begin and size + each >= size_bytes:
            pieces.append(events[begin:place])
            begin, size = place, 0
        size += each
    pieces.append(events[begin:])
    last = len(pieces) - 1
    return [
        msgspec.structs.replace(response, events=piece, fragment=number < last)
        for number, piece in enumerate(pieces)
    ]
