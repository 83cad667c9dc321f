"""The watchers of one simulated client: one stream for all of them, and bookmarks for when it breaks.

A watcher begins now, in the past or in the future, of one key, a prefix or everything.  When its connection
breaks it goes on elsewhere behind the last revision of which it was told everything; when that is compacted
it begins again where history begins.  What it is told is written down for the judge (`etcd_truth.py`).
"""
from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from agreed.check.watches import Change, Delivered, Ended, Progressed, WatchEvent, Watching
from agreed.sim.outcome import Broken
from agreed.store.ranges import prefix_end
from agreed.wire.etcd.messages import (
    Event,
    FilterType,
    WatchCancelRequest,
    WatchCreateRequest,
    WatchProgressRequest,
    WatchRequest,
    WatchResponse,
)

if TYPE_CHECKING:
    from agreed.sim.etcd_clients import EtcdClient

PUTS, DELETES = frozenset({Change.CREATED, Change.CHANGED}), frozenset({Change.DELETED})

MOST = 3
"""Watchers of one client."""


class Watcher:
    """`bookmark`: of all up to this revision it was told (None: it has not begun)."""

    def __init__(self, name: str, asked: WatchCreateRequest) -> None:
        self.name = name
        self.asked = asked
        self.bookmark: int | None = None
        self.id: int | None = None
        self.watches = False
        """Whether the judge knows of it."""
        self.pieces: list[WatchEvent] = []
        """Of a revision that comes in fragments."""

    @property
    def first(self) -> int:
        """The revision from which on it has to be told; 0: now."""
        return self.asked.start_revision if self.bookmark is None else self.bookmark + 1


class Watchers:
    def __init__(self, client: EtcdClient) -> None:
        self._client = client
        self._cluster = client.cluster
        self._dice = client.cluster.world.stream("watchers", client.name)
        self._count = 0
        self._all: list[Watcher] = []
        self._by_id: dict[int, Watcher] = {}
        self._creating: deque[Watcher] = deque()
        self._cancelling: dict[int, Watcher] = {}
        self._send: Callable[[WatchRequest], None] | None = None
        self.told_up_to = 0
        """By the newest progress of all of them."""

    # --- what the client wants ----------------------------------------------------------------------------

    @property
    def wanted(self) -> bool:
        return bool(self._all)

    def begin(self) -> None:
        """One more, if there are not too many."""
        if len(self._all) >= MOST:
            return
        dice, seen = self._dice, self._client.seen
        self._count += 1
        key, end = dice.pick(
            [
                (b"/register/a", b""), (b"/counter/a", b""), (b"/pair/", prefix_end(b"/pair/")),
                (b"/gone/", prefix_end(b"/gone/")), (b"/lock/", prefix_end(b"/lock/")),
                (b"/", prefix_end(b"/")), (b"", b"\0"),
            ]
        )  # fmt: skip
        start = dice.pick([0, 0, max(seen - 10, 1), seen + 1, seen + 4])
        asked = WatchCreateRequest(
            key, end, start,
            progress_notify=dice.chance(500),
            filters=dice.pick([(), (), (), (FilterType.NOPUT,), (FilterType.NODELETE,)]),
            prev_kv=dice.chance(500),
            fragment=dice.chance(200),
        )  # fmt: skip
        watcher = Watcher(f"{self._client.name}.w{self._count}", asked)
        self._all.append(watcher)
        self._create(watcher)

    def end_one(self) -> None:
        told = [number for number, each in self._by_id.items() if number not in self._cancelling]
        if told and self._send is not None:
            number = self._dice.pick(told)
            self._cancelling[number] = self._by_id[number]
            self._send(WatchRequest(cancel_request=WatchCancelRequest(number)))

    def forget(self) -> None:
        """The client dies, and its watchers with it."""
        for watcher in self._all:
            self._note_end(watcher)
        self._all.clear()
        self.lost()

    def end_future(self, newest: int) -> None:
        """Who waits for what may never come is of no use once the storm is over."""
        for number, watcher in self._by_id.items():
            if watcher.first > newest + 1 and number not in self._cancelling and self._send is not None:
                self._cancelling[number] = watcher
                self._send(WatchRequest(cancel_request=WatchCancelRequest(number)))

    def ask_progress(self) -> None:
        if self._send is not None:
            self._send(WatchRequest(progress_request=WatchProgressRequest()))

    # --- the stream ---------------------------------------------------------------------------------------

    def connected(self, send: Callable[[WatchRequest], None]) -> None:
        self._send = send
        self.told_up_to = 0
        for watcher in self._all:
            self._create(watcher)

    def lost(self) -> None:
        self._send = None
        self._by_id.clear()
        self._creating.clear()
        for watcher in self._cancelling.values():
            if watcher in self._all:
                self._all.remove(watcher)
                self._note_end(watcher)
        self._cancelling.clear()
        for watcher in self._all:
            watcher.id = None
            watcher.pieces = []

    def _create(self, watcher: Watcher) -> None:
        if self._send is not None:
            self._creating.append(watcher)
            asked = msgspec.structs.replace(watcher.asked, start_revision=watcher.first)
            self._send(WatchRequest(create_request=asked))

    def told(self, response: WatchResponse) -> None:
        assert response.header is not None
        if response.created:
            self._created(response, response.header.revision)
            return
        if response.watch_id == -1:
            for watcher in self._by_id.values():
                self._progressed(watcher, response.header.revision)
            self.told_up_to = response.header.revision
            return
        found = self._by_id.get(response.watch_id)
        if found is None:
            raise Broken("a watch nobody set", f"{self._client.name} is told {response}")
        if response.canceled:
            self._cancelled(found, response)
        elif response.events:
            self._events(found, response)
        else:
            self._progressed(found, response.header.revision)

    def _created(self, response: WatchResponse, revision: int) -> None:
        if not self._creating or response.canceled:
            raise Broken("a watch that was refused", f"{self._client.name} is told {response}")
        watcher = self._creating.popleft()
        watcher.id = response.watch_id
        self._by_id[response.watch_id] = watcher
        asked = watcher.asked
        after = (watcher.first or revision + 1) - 1
        key = None if asked.range_end == b"\0" else asked.key.decode()
        kinds = DELETES if asked.filters == (0,) else PUTS if asked.filters else PUTS | DELETES
        if watcher.bookmark is None:
            watcher.bookmark = after
        watcher.watches = True
        self._cluster.judge.truth.flat.watched.append(
            Watching(watcher.name, after, key, bool(asked.range_end), kinds)
        )

    def _cancelled(self, watcher: Watcher, response: WatchResponse) -> None:
        del self._by_id[response.watch_id]
        self._note_end(watcher)
        wanted = self._cancelling.pop(response.watch_id, None)
        if response.compact_revision:
            assert watcher.bookmark is not None
            if response.compact_revision <= watcher.bookmark + 1:
                raise Broken("a watch cancelled without need", f"{watcher.name} at {watcher.bookmark}")
            self._client.world.mark("watch overtaken by a compaction")
            watcher.bookmark = response.compact_revision - 1
            if wanted is None:
                self._create(watcher)
                return
        elif wanted is None:
            raise Broken("a watch cancelled without need", f"{watcher.name}: {response}")
        self._all.remove(watcher)

    def _note_end(self, watcher: Watcher) -> None:
        """Once: one that was overtaken by a compaction may end again before it begins anew."""
        if not watcher.watches:
            return
        watcher.watches = False
        self._cluster.judge.truth.flat.watched.append(Ended(watcher.name))

    def _progressed(self, watcher: Watcher, revision: int) -> None:
        self._client.world.mark("watch progress told")
        self._cluster.judge.truth.flat.watched.append(Progressed(watcher.name, revision))
        watcher.bookmark = revision

    def _events(self, watcher: Watcher, response: WatchResponse) -> None:
        watcher.pieces += [self._event(watcher, event) for event in response.events]
        if response.fragment:
            return
        events, watcher.pieces = watcher.pieces, []
        self._client.world.mark("watch told")
        self._cluster.judge.truth.flat.watched.append(Delivered(watcher.name, events))
        assert watcher.bookmark is not None
        watcher.bookmark = max(watcher.bookmark, events[-1].revision)

    def _event(self, watcher: Watcher, event: Event) -> WatchEvent:
        kv = event.kv
        assert kv is not None
        kind = Change.DELETED
        if not event.type:
            kind = Change.CREATED if kv.create_revision == kv.mod_revision else Change.CHANGED
        # Without it the value before was not asked for, or is compacted.
        previous: object = msgspec.UNSET if event.prev_kv is None else event.prev_kv.value
        if event.prev_kv is None and kind is Change.CREATED and watcher.asked.prev_kv:
            previous = None
        return WatchEvent(kv.mod_revision, kv.key.decode(), kind, kv.value, previous)
