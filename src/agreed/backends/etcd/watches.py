"""All watches of a backend, on one stream.

    watches.add(watcher)            from its next revision on it is told what happens to its keys
    watches.remove(watcher)

The stream is always read: what comes is handed over at once, and a watcher that cannot take it has itself
removed, and added again when it can.  A stream that breaks is opened anew, elsewhere, and everybody is asked
for where he was (`Watcher.start`).  It is opened so that a server which is cut off from the others ends it,
rather than be silent as though nothing happened.

A server that does not know our token any more says that we may not watch, as it does to whom the rules do not
allow it: which of the two it is a read tells, which also gets a new token.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from agreed.backends.etcd.calls import Calls, failure
from agreed.backends.etcd.keys import Range
from agreed.backends.etcd.sessions import NEEDS_A_LEADER
from agreed.client.errors import AuthenticationFailed, ClientError, NoAuth, Refused
from agreed.client.etcd_channel import CallFailed, EtcdStream
from agreed.wire.etcd.messages import (
    RangeRequest,
    WatchCancelRequest,
    WatchCreateRequest,
    WatchRequest,
    WatchResponse,
)

PAUSE_S: Final = (0.02, 1.0)
"""After a stream was lost: the first pause and the longest; it doubles."""

REFUSED_MOST: Final = 3
"""A watch that is refused so often although its keys can be read."""

_WATCH: Final = "/etcdserverpb.Watch/Watch"


class Watcher(Protocol):
    """What is told is told on the event loop, in the order in which the server said it."""

    @property
    def range(self) -> Range: ...

    @property
    def before(self) -> bool:
        """It wants to know what was there before."""
        ...

    def start(self) -> int:
        """The first revision of interest; 0: from now on.  Asked each time a stream is opened."""
        ...

    def created(self, revision: int) -> None:
        """The server watches now, and was at `revision` when it began."""
        ...

    def came(self, response: WatchResponse) -> None:
        """Events, or none of them up to the revision of the header."""
        ...

    def compacted(self) -> None:
        """What it is interested in is not kept any more; it has been removed."""
        ...

    def failed(self, error: ClientError) -> None:
        """It cannot be watched; it has been removed."""
        ...


class Watches:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._watchers: dict[Watcher, int] = {}
        """With the number by which it is known on the stream; 0: on none yet."""
        self._by_number: dict[int, Watcher] = {}
        self._awaited: dict[int, None] = {}
        """Numbers whose creation was not answered yet: the answers come in this order."""
        self._refused: dict[Watcher, int] = {}
        self._last_number = 0
        self._stream: EtcdStream | None = None
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def add(self, watcher: Watcher) -> None:
        self._watchers[watcher] = 0
        self._wanted.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        if self._stream is not None:
            self._create(self._stream, watcher)

    def remove(self, watcher: Watcher) -> None:
        number = self._watchers.pop(watcher, 0)
        self._refused.pop(watcher, None)
        if self._by_number.pop(number, None) is not None and self._stream is not None:
            self._stream.send(WatchRequest(cancel_request=WatchCancelRequest(watch_id=number)))

    def close(self, error: ClientError) -> None:
        if self._task is not None:
            self._task.cancel()
        self._fail_all(error)

    # --- the stream -------------------------------------------------------------------------------------

    async def _run(self) -> None:
        pause_s = PAUSE_S[0]
        while True:
            if not self._watchers:
                self._wanted.clear()
                await self._wanted.wait()
            try:
                stream = await self._calls.channel.stream(
                    _WATCH, timeout_s=self._calls.request_timeout_s, metadata=NEEDS_A_LEADER
                )
            except CallFailed as error:
                wrong = failure(error, "watches", changes=False)
                if isinstance(wrong, Refused | AuthenticationFailed):
                    self._fail_all(wrong)
            else:
                self._begin(stream)
                if await self._listen(stream):
                    pause_s = PAUSE_S[0]
                self._stream = None
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_S[1])

    def _begin(self, stream: EtcdStream) -> None:
        self._stream = stream
        self._by_number.clear()
        self._awaited.clear()
        for watcher in list(self._watchers):
            self._create(stream, watcher)

    def _create(self, stream: EtcdStream, watcher: Watcher) -> None:
        self._last_number += 1
        number = self._watchers[watcher] = self._last_number
        self._by_number[number] = watcher
        self._awaited[number] = None
        request = WatchCreateRequest(
            key=watcher.range.start,
            range_end=watcher.range.end,
            start_revision=watcher.start(),
            progress_notify=True,
            prev_kv=watcher.before,
            watch_id=number,
            fragment=True,
        )
        stream.send(WatchRequest(create_request=request))

    async def _listen(self, stream: EtcdStream) -> bool:
        """Until its end.  Whether anything was said."""
        heard = False
        try:
            while (response := await stream.receive()) is not None:
                heard = True
                self._heard(response)
        except CallFailed as error:
            self._calls.channel.give_up(stream, error)
        finally:
            stream.close()
        return heard

    def _heard(self, response: WatchResponse) -> None:
        number = response.watch_id
        if response.created:
            if number not in self._awaited:
                number = next(iter(self._awaited), 0)  # who is refused is told so without his number
            self._awaited.pop(number, None)
        watcher = self._by_number.get(number)
        if watcher is None:
            return
        revision = response.header.revision if response.header is not None else 0
        if response.canceled:
            self._canceled(watcher, number, response)
        elif response.created:
            self._refused.pop(watcher, None)
            watcher.created(revision)
        else:
            watcher.came(response)

    def _canceled(self, watcher: Watcher, number: int, response: WatchResponse) -> None:
        del self._by_number[number]
        if response.compact_revision or "compacted" in response.cancel_reason:
            self._watchers.pop(watcher, None)
            watcher.compacted()
            return
        self._watchers[watcher] = 0
        self._calls.in_background(self._look_why(watcher, response.cancel_reason))

    async def _look_why(self, watcher: Watcher, reason: str) -> None:
        times = self._refused[watcher] = self._refused.get(watcher, 0) + 1
        error: ClientError | None = NoAuth(f"a watch: {reason}") if times >= REFUSED_MOST else None
        try:
            keys = RangeRequest(key=watcher.range.start, range_end=watcher.range.end, count_only=True)
            await self._calls.range(keys, "a watch")
        except (Refused, AuthenticationFailed) as refused:
            error = refused
        except ClientError:
            pass  # nobody knows; it is asked for again
        if watcher not in self._watchers:
            return
        if error is not None:
            self.remove(watcher)
            watcher.failed(error)
        elif self._stream is not None:
            self._stream.close()  # the next one is opened with the token of today

    def _fail_all(self, error: ClientError) -> None:
        for watcher in list(self._watchers):
            self.remove(watcher)
            watcher.failed(error)
