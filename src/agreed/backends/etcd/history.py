"""Every change since a revision, in order, none twice, and a `GAP` where some are not kept any more.

What has come and was not taken is kept in memory up to `EVENTS_MOST` and `BYTES_MOST`; a consumer that is
slower has its watch taken off the server, and put on again when he has caught up, from where he was.

A position is a revision and how many of its changes were handed on: a large one comes in fragments, and the
connection may break between two.  The server begins at a whole revision, so what was handed on is skipped.

An etcd before 3.4.34 and 3.5.16 that is asked to begin at exactly the revision to which it was compacted does
so, and leaves out the deletions of that revision without a word.  So whoever begins in the past makes sure,
when the first has come, that the revision before can still be read; if it cannot, it is a gap.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeVar

from agreed.backends.contract import Event, EventKind
from agreed.backends.etcd.calls import Calls, Compacted
from agreed.backends.etcd.keys import Keys, Range
from agreed.backends.etcd.watches import Watches
from agreed.client.errors import ClientError, Unanswered
from agreed.wire.etcd import messages
from agreed.wire.etcd.messages import RangeRequest, WatchResponse

EVENTS_MOST: Final = 1024
BYTES_MOST: Final = 8 * 1024 * 1024

_T = TypeVar("_T")


async def history(
    calls: Calls, keys: Keys, watches: Watches, key: str, *, below: bool, since: int | None
) -> AsyncIterator[Event]:
    """See `contract.Backend.history`.  "From now on" is from when the first event is asked for."""
    watched = keys.watched(key, below=below)
    if since is None:
        since = await calls.revision(watched.start, key)
    watcher = _HistoryWatcher(watches, watched, since)
    watches.add(watcher)
    try:
        while True:
            for event in await _next_events(calls, watcher, key):
                if event.kv is not None and keys.concerns(event.kv.key, key, below=below):
                    yield _told(keys, event)
            if watcher.gap:
                revision = await _answered(calls, partial(calls.revision, watched.start, key))
                yield Event(EventKind.GAP, revision, None, None)
                watcher.go_on_behind(revision)
    finally:
        watches.remove(watcher)


async def _next_events(calls: Calls, watcher: _HistoryWatcher, key: str) -> Sequence[messages.Event]:
    """Empty where nothing but a gap is new."""
    await watcher.something_new()
    while watcher.unverified:
        first, watcher.unverified = watcher.began_at, False
        before = RangeRequest(key=watcher.range.start, count_only=True, revision=first - 1)
        try:
            await _answered(calls, partial(calls.range, before, key))
        except Compacted:
            watcher.lose()
    return watcher.take()


async def _answered(calls: Calls, ask: Callable[[], Awaitable[_T]]) -> _T:
    """Who watches waits for a server as long as it takes."""
    while True:
        try:
            return await ask()
        except Unanswered:
            calls.raise_if_unusable()


def _told(keys: Keys, event: messages.Event) -> Event:
    assert event.kv is not None
    kind = EventKind.DELETED if event.type == messages.EventType.DELETE else EventKind.PUT
    before = keys.entry(event.prev_kv) if event.prev_kv is not None else None
    return Event(kind, event.kv.mod_revision, keys.entry(event.kv), before)


def _revision(event: messages.Event) -> int:
    return event.kv.mod_revision if event.kv is not None else 0


class _HistoryWatcher:
    """`_revision`: the last of which anything was kept for the consumer, `_taken` so many of its changes, and
    `_whole`: all of them.  `_skip`: so many come again."""

    before = True

    def __init__(self, watches: Watches, watched: Range, since: int) -> None:
        self._watches = watches
        self._range = watched
        self._kept: deque[messages.Event] = deque()
        self._kept_bytes = 0
        self._revision = since
        self._taken = 0
        self._whole = True
        self._skip = 0
        self._is_full = False
        self._told = asyncio.Event()
        self._error: ClientError | None = None
        self._catches_up = False
        self.gap = False
        self.unverified = False
        self.began_at = 0

    # --- for the consumer -------------------------------------------------------------------------------

    async def something_new(self) -> None:
        if self._is_full:
            self._is_full = False
            self._watches.add(self)
        while not self._kept and not self.gap and not self.unverified:
            if self._error is not None:
                raise self._error
            self._told.clear()
            await self._told.wait()

    def take(self) -> list[messages.Event]:
        kept = list(self._kept)
        self._kept.clear()
        self._kept_bytes = 0
        return kept

    def lose(self) -> None:
        """What came since `began_at` is not all."""
        self._watches.remove(self)
        self.take()
        self.gap = True

    def go_on_behind(self, revision: int) -> None:
        self._revision, self._taken, self._whole = revision, 0, True
        self.gap = self._is_full = False
        self._watches.add(self)

    # --- for the stream ---------------------------------------------------------------------------------

    @property
    def range(self) -> Range:
        return self._range

    def start(self) -> int:
        self._skip = 0 if self._whole else self._taken
        self.began_at = self._revision + 1 if self._whole else self._revision
        return self.began_at

    def created(self, revision: int) -> None:
        if 1 < self.began_at <= revision:
            self._catches_up = self.unverified = True
            self._told.set()

    def came(self, response: WatchResponse) -> None:
        if not response.events:
            self._nothing_happened(response.header.revision if response.header is not None else 0)
            return
        if self._catches_up:
            self._catches_up, self.unverified = False, True
        # Some versions tell a watch that begins in the future, or after a partition, of what was before.
        events = [each for each in response.events if _revision(each) >= self.began_at]
        for place, event in enumerate(events, start=1):
            self._keep(event)
            if len(self._kept) >= EVENTS_MOST or self._kept_bytes >= BYTES_MOST:
                self._whole = place == len(events) and not response.fragment
                self._is_full = True
                self._watches.remove(self)
                break
        else:
            if events:
                self._whole = not response.fragment
        self._told.set()

    def _keep(self, event: messages.Event) -> None:
        revision = _revision(event)
        if revision == self._revision and self._skip:
            self._skip -= 1
            return
        if revision > self._revision:
            self._revision, self._taken, self._skip = revision, 0, 0
        self._taken += 1
        self._kept.append(event)
        self._kept_bytes += sum(len(kv.value) for kv in (event.kv, event.prev_kv) if kv is not None)

    def _nothing_happened(self, revision: int) -> None:
        if self._whole and revision > self._revision:
            self._revision, self._taken = revision, 0

    def compacted(self) -> None:
        self.gap = True
        self._told.set()

    def failed(self, error: ClientError) -> None:
        self._error = error
        self._told.set()
