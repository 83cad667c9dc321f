"""Watches: clients are told of every change they asked for, in order, once, and none is left out.

A watcher is in one of three states:

    synced      it stands in the index and is told of each change right after it was applied, before whoever
                made the change is answered
    catching up it wants to know of revisions that are past, and is told out of the history
                (`watch_history.py`), a piece at a time, until it is synced
    parked      its client reads too slowly; it will catch up when the client has read what it was sent

What is promised, and by what:

    ordered, unique   one number per watcher, `following`, says from which revision on it is still to be told;
                      it moves only forward, and with each message beyond what the message tells
    reliable          whoever cannot be told now (a slow client, a snapshot that replaced the store) goes
                      back to the history at that number; where that is compacted the watch is cancelled, and
                      says so
    atomic            changes are told a command at a time, the history is read in whole revisions
    bookmarked        progress is told to those only who are synced, and to none who begin in the future: it
                      would move a client's bookmark back before the revision it asked for

Not promised: when.  A watcher sees what its node has applied, which may be behind the leader.  What a watcher
may read is decided when it is created, as in etcd, and by who its client is then: streams outlive logins.

The history is read in slices: `SLICE` versions looked at in one turn, whoever they are for, so that no
watcher with a million revisions behind it keeps the node from its work.
"""
from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import msgspec

from agreed.replica.etcd.calls import Call
from agreed.replica.etcd.watch_history import Missed, missed, told_of_event, told_of_record
from agreed.replica.etcd.watch_index import WatchIndex
from agreed.replica.etcd.watch_streams import DEAF, NO_WATCHER, Watcher, WatchStream
from agreed.store.events import Event, EventKind, Space
from agreed.store.mvcc import is_tombstone
from agreed.store.ranges import FROM_KEY_ON, contains
from agreed.store.records import Record
from agreed.store.results import Refusal
from agreed.store.znode_view import as_event, is_in_view, since
from agreed.types import Instant, Revision
from agreed.wire.etcd import errors, messages
from agreed.wire.etcd.messages import (
    WatchCreateRequest,
    WatchRequest,
    WatchResponse,
)

if TYPE_CHECKING:
    from agreed.replica.etcd.front import EtcdClients

TOGETHER_BYTES: Final = 64 * 1024
"""About how much is gathered for one stream before it leaves, and before its client may be found slow."""

SLICE: Final = 4_000
"""Versions of the history that are looked at in one turn: about a millisecond."""


class WatchService:
    def __init__(self, front: EtcdClients) -> None:
        self._front = front
        self._replica = front.replica
        self._index: WatchIndex[Watcher] = WatchIndex(front.replica.entropy)
        self._view_index: WatchIndex[Watcher] = WatchIndex(front.replica.entropy)
        """Of those who watch znodes (`store/znode_view.py`)."""
        self._behind: dict[Watcher, None] = {}
        """Who is catching up, in turn."""
        self._streams: dict[Call, WatchStream] = {}
        self._parked = 0
        self._told_to: Revision = 0
        """The newest revision of which the synced watchers were told."""
        self._progress: list[tuple[Instant, int, WatchStream]] = []
        self._order = count()
        front.on_change.append(self.changed)
        front.on_restored.append(self.restored)
        front.on_round.append(self.round)
        front.on_turn.append(self.turn)

    def handlers(self) -> dict[str, Callable[[Call, Any], None]]:
        return {"/etcdserverpb.Watch/Watch": self.watch}

    @property
    def streams(self) -> int:
        return len(self._streams)

    @property
    def watchers(self) -> int:
        return len(self._index) + len(self._view_index) + self.slow

    def watched_keys(self) -> list[bytes]:
        """Of each watcher; of a range where it begins."""
        return [watcher.key for stream in self._streams.values() for watcher in stream.watchers.values()]

    @property
    def slow(self) -> int:
        """Watchers that have yet to be told of something that is past."""
        return len(self._behind) + self._parked

    # --- what clients ask ---------------------------------------------------------------------------------

    def watch(self, call: Call, request: WatchRequest) -> None:
        """A client that says that it has nothing more to ask (`on_ended`) still wants to be told."""
        stream = self._streams[call] = WatchStream(call, self._replica.settings.watch_backlog_bytes)
        call.on_message = lambda message: self._asked(stream, message)
        call.on_closed = lambda: self._ended(stream)
        call.on_drained = lambda: self._drained(stream)
        self._asked(stream, request)

    def _asked(self, stream: WatchStream, request: Any) -> None:
        if stream.call.closed:
            return
        if stream.call.backlog > DEAF * max(stream.slow_bytes, 65_536):
            self._ended(stream)
            stream.call.fail(errors.WATCH_CANCELED)
        elif request.create_request is not None:
            self._create(stream, request.create_request)
        elif request.cancel_request is not None:
            watcher = stream.watchers.get(request.cancel_request.watch_id)
            if watcher is not None:
                self._forget(watcher)
                stream.call.send(WatchResponse(self._front.header(), watcher.id, canceled=True))
        elif request.progress_request is not None and self._all_told(stream):
            stream.call.send(WatchResponse(self._front.header(), NO_WATCHER))

    def _create(self, stream: WatchStream, asked: WatchCreateRequest) -> None:
        header = self._front.header()
        key = asked.key or b"\0"
        range_end = asked.range_end or None
        front = self._front
        refusal = front.callers.again(stream.call) or front.may_read(stream.call, key, range_end)
        if refusal is not None:
            reason = errors.as_reason(errors.PERMISSION_DENIED)
        elif range_end is not None and range_end != FROM_KEY_ON and range_end <= key:
            reason = errors.WATCH_EMPTY_RANGE
        elif (number := stream.number(asked.watch_id)) is None:
            reason = errors.WATCH_DUPLICATE_ID
        else:
            stream.call.send(WatchResponse(header, number, created=True))
            watcher = Watcher(stream, number, asked, key, range_end, self._first(asked.start_revision))
            watcher.view = self._replica.settings.znode_view and is_in_view(key, range_end)
            self._begin(watcher)
            return
        stream.call.send(
            WatchResponse(header, NO_WATCHER, created=True, canceled=True, cancel_reason=reason)
        )

    def _first(self, start_revision: int) -> Revision:
        """A negative one is told that it is compacted where anything is, and else means now: as etcd 3.5."""
        if start_revision > 0 or (start_revision and self._replica.store.flat.history.compacted):
            return start_revision
        return self._replica.store.revision + 1

    def _begin(self, watcher: Watcher) -> None:
        watcher.stream.watchers[watcher.id] = watcher
        if watcher.progress:
            self._tick_from_now(watcher.stream)
        if watcher.following > self._replica.store.revision:
            self._sync(watcher)
        elif watcher.stream.slow:
            self._park(watcher)
        else:
            self._behind[watcher] = None

    def _all_told(self, stream: WatchStream) -> bool:
        """Whether all of its watchers know of all up to now, and begin no later than with what comes next."""
        following = self._replica.store.revision + 1
        return all(watcher.synced and watcher.following <= following for watcher in stream.watchers.values())

    # --- from state to state ------------------------------------------------------------------------------

    def _sync(self, watcher: Watcher) -> None:
        watcher.synced = True
        self._index_of(watcher).add(watcher)

    def _index_of(self, watcher: Watcher) -> WatchIndex[Watcher]:
        return self._view_index if watcher.view else self._index

    def _park(self, watcher: Watcher) -> None:
        watcher.stream.parked[watcher] = None
        self._parked += 1

    def _fall_behind(self, watcher: Watcher, following: Revision) -> None:
        """It was to be told of that revision, and its client does not read."""
        self._index_of(watcher).remove(watcher)
        watcher.synced = False
        watcher.following = following
        self._park(watcher)

    def _forget(self, watcher: Watcher) -> None:
        stream = watcher.stream
        del stream.watchers[watcher.id]
        if watcher.synced:
            self._index_of(watcher).remove(watcher)
            watcher.synced = False
        elif watcher in stream.parked:
            del stream.parked[watcher]
            self._parked -= 1
        else:
            self._behind.pop(watcher, None)

    def _drained(self, stream: WatchStream) -> None:
        stream.slow = False
        parked, stream.parked = stream.parked, {}
        self._parked -= len(parked)
        self._behind.update(parked)

    def _ended(self, stream: WatchStream) -> None:
        for watcher in list(stream.watchers.values()):
            self._forget(watcher)
        self._streams.pop(stream.call, None)

    def restored(self) -> None:
        """The store is another one, and what happened in between nobody told: everybody reads on where he
        stopped, in the new one's history."""
        for watcher in self._index.clear() + self._view_index.clear():
            watcher.synced = False
            watcher.following = max(watcher.following, self._told_to + 1)
            if watcher.stream.slow:
                self._park(watcher)
            else:
                self._behind[watcher] = None

    # --- what happens -------------------------------------------------------------------------------------

    def changed(self, fresh: Sequence[Event]) -> None:
        """One command was applied, and this is what it changed."""
        self._told_to = fresh[-1].revision
        if self._index:
            flat = [event for event in fresh if event.space is Space.FLAT]
            if flat:
                self._tell(self._index, flat)
        if self._view_index:
            shown = [seen for event in fresh if (seen := as_event(event)) is not None]
            if shown:
                self._tell(self._view_index, shown)

    def _tell(self, index: WatchIndex[Watcher], flat: list[Event]) -> None:
        """Those who stand in this index of what one command did."""
        revision = flat[-1].revision
        header = self._front.header()
        history = self._replica.store.flat.history
        made: dict[tuple[tuple[int, ...], bool], tuple[tuple[messages.Event, ...], int]] = {}
        gathering: dict[WatchStream, None] = {}
        for watcher, places in _who_is_told(index, flat):
            if watcher.following > revision:
                continue
            if watcher.left_out:
                places = tuple(place for place in places if flat[place].kind not in watcher.left_out)
                if not places:
                    continue
            stream = watcher.stream
            if stream.slow:
                self._fall_behind(watcher, revision)
                continue
            told = made.get((places, watcher.previous))
            if told is None:
                told_events = tuple(
                    told_of_event(history, flat[place], watcher.previous) for place in places
                )
                told = made[places, watcher.previous] = told_events, _together(told_events)
            stream.gather(watcher, header, told[0])
            if len(stream.gathered) >= told[1]:
                stream.leave()
            else:
                gathering[stream] = None
        for stream in gathering:
            if stream.gathered:
                stream.leave()

    # --- catching up --------------------------------------------------------------------------------------

    def turn(self) -> bool:
        """At the end of a turn.  Whether there is more to do as soon as possible."""
        behind = self._behind
        if not behind:
            return False
        left = SLICE
        read: dict[tuple[bytes, bytes | None, Revision], Missed] = {}
        made: dict[tuple[bytes, bytes | None, Revision, bool], tuple[messages.Event, ...]] = {}
        while behind and left > 0:
            watcher = next(iter(behind))
            del behind[watcher]
            left -= 1 + self._catch_up(watcher, read, made)
        return bool(behind)

    def _catch_up(
        self,
        watcher: Watcher,
        read: dict[tuple[bytes, bytes | None, Revision], Missed],
        made: dict[tuple[bytes, bytes | None, Revision, bool], tuple[messages.Event, ...]],
    ) -> int:
        """One message for one watcher at most; how many versions were looked at for it.

        `read`, `made`: what was read in this turn, for those who ask for the same (after a leader died a
        thousand clients may come back with one bookmark)."""
        store, stream = self._replica.store, watcher.stream
        history = store.flat.history
        if watcher.following > store.revision:
            # It begins in the future (of this node, which may be behind): there is nothing to read, and what
            # is read up to is no reason to begin sooner.
            self._sync(watcher)
            return 0
        if stream.slow:
            self._park(watcher)
            return 0
        if watcher.view:
            return self._catch_up_view(watcher)
        if watcher.following < history.compacted:
            self._cancel_compacted(watcher, history.compacted)
            return 0
        wanted = watcher.key, watcher.range_end, watcher.following
        looked_at = 0
        found = read.get(wanted)
        if found is None:
            found = read[wanted] = missed(history, *wanted, store.revision, SLICE)
            looked_at = found.looked_at
        records, watcher.following, _ = found
        if watcher.left_out:
            told = tuple(
                told_of_record(history, record, watcher.previous)
                for record in records
                if _kind(record) not in watcher.left_out
            )
        else:
            kept = made.get((*wanted, watcher.previous))
            if kept is None:
                kept = made[*wanted, watcher.previous] = tuple(
                    told_of_record(history, record, watcher.previous) for record in records
                )
            told = kept
        if told:
            stream.tell(watcher, self._front.header(), told)
        if watcher.following > store.revision:
            self._sync(watcher)
        elif stream.slow:
            self._park(watcher)
        else:
            self._behind[watcher] = None
        return looked_at + len(told)

    def _catch_up_view(self, watcher: Watcher) -> int:
        """Znodes have no history but the feed, which is short."""
        store = self._replica.store
        found = since(store, watcher.following - 1)
        if isinstance(found, Refusal):
            self._cancel_compacted(watcher, store.feed.compacted + 1)
            return 0
        told = tuple(
            told_of_event(store.flat.history, event, watcher.previous)
            for event in found
            if event.kind not in watcher.left_out
            and contains(watcher.key, watcher.range_end, event.record.key)
        )
        if told:
            watcher.stream.tell(watcher, self._front.header(), told)
        watcher.following = store.revision + 1
        self._sync(watcher)
        return len(told)

    def _cancel_compacted(self, watcher: Watcher, compacted: Revision) -> None:
        stream = watcher.stream
        self._forget(watcher)
        header = msgspec.structs.replace(self._front.header(), revision=0)
        stream.call.send(WatchResponse(header, watcher.id, canceled=True, compact_revision=compacted))

    # --- progress -----------------------------------------------------------------------------------------

    def _tick_from_now(self, stream: WatchStream) -> None:
        if not stream.ticking:
            stream.ticking = True
            every_ms = self._replica.settings.watch_progress_ms
            jitter_ms = int.from_bytes(self._replica.entropy(4), "big") % (every_ms // 10 + 1)
            due = self._replica.now + every_ms + jitter_ms
            heapq.heappush(self._progress, (due, next(self._order), stream))

    def round(self) -> None:
        """Who has heard nothing for a while is told that there was nothing."""
        now = self._replica.now
        while self._progress and self._progress[0][0] <= now:
            stream = heapq.heappop(self._progress)[2]
            stream.ticking = False
            if stream.call.closed:
                continue
            told = [watcher for watcher in stream.watchers.values() if watcher.progress]
            for watcher in told:
                if watcher.quiet and self._may_be_told_of_progress(watcher):
                    stream.call.send(WatchResponse(self._front.header(), watcher.id))
                watcher.quiet = True
            if told:
                self._tick_from_now(stream)
        if len(self._progress) > 2 * len(self._streams) + 1_000:
            # Streams come and go faster than their time comes.
            self._progress = [each for each in self._progress if not each[2].call.closed]
            heapq.heapify(self._progress)

    def _may_be_told_of_progress(self, watcher: Watcher) -> bool:
        following = self._replica.store.revision + 1
        return watcher.synced and not watcher.stream.slow and watcher.following <= following


def _kind(record: Record) -> EventKind:
    return EventKind.DELETED if is_tombstone(record) else EventKind.CHANGED


def _who_is_told(
    index: WatchIndex[Watcher], flat: list[Event]
) -> Iterable[tuple[Watcher, tuple[int, ...]]]:
    """Each watcher once, and which of the events are for it."""
    if len(flat) == 1:
        only = (0,)
        return [(watcher, only) for watcher in index.at(flat[0].record.key)]
    found: dict[Watcher, list[int]] = {}
    for place, event in enumerate(flat):
        for watcher in index.at(event.record.key):
            found.setdefault(watcher, []).append(place)
    return [(watcher, tuple(places)) for watcher, places in found.items()]


def _together(events: tuple[messages.Event, ...]) -> int:
    """How many watchers of one stream are told of these in one piece."""
    size = sum(
        32 + len(each.value)
        for event in events
        for each in (event.kv, event.prev_kv)
        if each is not None
    )
    return max(1, TOGETHER_BYTES // size)
