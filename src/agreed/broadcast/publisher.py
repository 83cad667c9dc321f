"""Publishing: messages of one name, each once, in the order in which they were given.

One multi at a time is under way; what is given meanwhile is sent together in the next.  So one publisher has
a high rate with many tasks, or with `publish_many`, and a low delay with one.

A multi without an answer is said again, unchanged, until the time is over.  It sets the publisher's node from
the version that this publisher has last seen, so it can happen only once, and a second try is refused; that
the node then holds our token and the number of the last message of the multi tells that the first was done.
"""
from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, NamedTuple, Protocol, Self

from agreed.broadcast.errors import Fenced, OffsetUnknown, PublisherStopped
from agreed.broadcast.layout import (
    MESSAGE_BYTES_MAX,
    Places,
    Published,
    PublisherRecord,
    decode,
    encode,
    offset_of,
)
from agreed.client import aio
from agreed.client.errors import BadVersion, TimedOut, TooLarge, Unanswered
from agreed.client.values import Create, Created, Operation, SetData, Stat
from agreed.errors import AgreedError

BATCH_MESSAGES: Final = 250
BATCH_BYTES: Final = 500_000
"""Of one multi: a server takes a megabyte, and whoever waits behind a multi waits for all of it."""

WAITING_MESSAGES: Final = 10_000
WAITING_BYTES: Final = 8_000_000
"""Given and not yet sent: beyond that `publish` waits before it takes more (backpressure)."""

PAUSE_S: Final = 0.02
"""After a try without an answer."""


class _Waiting(NamedTuple):
    number: int
    payload: bytes
    offset: asyncio.Future[int]


class Finder(Protocol):
    """Looks for messages of a publisher, from an offset on."""

    async def __call__(self, publisher: str, numbers: Sequence[int], since: int) -> dict[int, int]: ...


class Publisher:
    """Made by `Log.publisher`."""

    def __init__(
        self,
        session: aio.Session,
        places: Places,
        name: str,
        record: PublisherRecord,
        version: int,
        *,
        end: int,
        timeout_s: float,
        find: Finder,
        published: Callable[[int], None],
    ) -> None:
        self.name = name
        self._session = session
        self._places = places
        self._token = record.token
        self._version = version
        self._last_number = record.number
        self._last_given = record.number
        self._since = end
        self._timeout_s = timeout_s
        self._find = find
        self._published = published
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._under_way: dict[int, asyncio.Future[int]] = {}
        self._room = asyncio.Event()
        self._room.set()
        self._failure: Exception | None = None
        self._sending: asyncio.Task[None] | None = None

    @property
    def last_number(self) -> int:
        """Of the last message under this name that is known to be published: 0 before the first.  A program
        that numbers its messages goes on behind it."""
        return self._last_number

    async def publish(self, payload: bytes) -> int:
        """The offset of the message, when it is published.

        Raises TooLarge; Fenced; and what the session raises, where `surely_not_done` tells whether it may
        have been published.  After any of these but TooLarge this publisher has stopped: what was given
        behind that message fails with PublisherStopped, for it must not be published without it.

        Waits while too much is waiting."""
        await self._room_for(payload)
        return await asyncio.shield(self._give(payload, self._last_given + 1))

    async def publish_once(self, number: int, payload: bytes) -> int | None:
        """Publish it unless it was published before; None if it was.

        `number` is the program's own and grows: a message whose number is not above that of all given before
        counts as published.  So a program that starts again after a crash, with the same name and the same
        numbers, publishes each message once."""
        await self._room_for(payload)
        offset = self._under_way.get(number)
        if offset is None:
            if number <= self._last_given:
                return None
            offset = self._give(payload, number)
        return await asyncio.shield(offset)

    async def publish_many(self, payloads: Sequence[bytes]) -> list[int]:
        """Their offsets, in the same order; those of other publishers may lie between."""
        offsets = []
        for payload in payloads:
            await self._room_for(payload)
            offsets.append(self._give(payload, self._last_given + 1))
        return [await asyncio.shield(offset) for offset in offsets]

    async def _room_for(self, payload: bytes) -> None:
        if len(payload) > MESSAGE_BYTES_MAX:
            raise TooLarge(self._places.path)
        while not self._room.is_set():
            await self._room.wait()
        if self._failure is not None:
            raise PublisherStopped(self.name) from self._failure

    def _give(self, payload: bytes, number: int) -> asyncio.Future[int]:
        """Without an `await` since the number was looked at: nobody else has given it meanwhile."""
        self._last_given = number
        offset: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(number, payload, offset))
        self._waiting_bytes += len(payload)
        self._under_way[number] = offset
        self._look_for_room()
        if self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send_all())
        return offset

    def _look_for_room(self) -> None:
        full = len(self._waiting) >= WAITING_MESSAGES or self._waiting_bytes >= WAITING_BYTES
        if full and self._failure is None:
            self._room.clear()
        else:
            self._room.set()

    async def flush(self) -> None:
        """Wait for everything that was given; raises what stopped this publisher, if something did."""
        waiting = list(self._under_way.values())
        if waiting:
            await asyncio.wait(waiting)
        if self._failure is not None:
            raise PublisherStopped(self.name) from self._failure

    async def close(self) -> None:
        """Publish what is waiting, then end.  The name and its last number stay in the log."""
        with contextlib.suppress(AgreedError):
            await self.flush()
        self._stop(PublisherStopped(self.name))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- sending ----------------------------------------------------------------------------------------

    async def _send_all(self) -> None:
        """As long as there is something to send."""
        while self._waiting:
            batch = self._next_batch()
            try:
                offsets = await self._send(batch)
            except Exception as error:  # whatever it was: nobody may wait for ever
                self._stop(error, batch)
                break
            self._last_number = batch[-1].number
            self._since = offsets[-1] + 1
            for waiting, offset in zip(batch, offsets, strict=True):
                del self._under_way[waiting.number]
                waiting.offset.set_result(offset)
            self._published(offsets[-1])
        self._sending = None

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._waiting and len(batch) < BATCH_MESSAGES:
            size += len(self._waiting[0].payload) + 100
            if batch and size > BATCH_BYTES:
                break
            batch.append(self._waiting.popleft())
            self._waiting_bytes -= len(batch[-1].payload)
        self._look_for_room()
        return batch

    async def _send(self, batch: Sequence[_Waiting]) -> list[int]:
        """The offsets.  Says the same until it knows what came of it, or the time is over."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._timeout_s
        path = self._places.publisher(self.name)
        record = PublisherRecord(self._token, batch[-1].number)
        operations: list[Operation] = [SetData(path, encode(record), self._version)]
        operations += [
            Create(
                path=self._places.next_message,
                data=encode(Published(self.name, each.number, each.payload)),
                sequential=True,
            )
            for each in batch
        ]
        maybe = False
        while True:
            try:
                changed, *made = await self._session.multi(operations, timeout_s=ends_at - loop.time())
            except BadVersion:
                return await self._look_what_happened(path, record, batch, maybe, ends_at - loop.time())
            except Unanswered as error:
                if self._session.state.final or loop.time() >= ends_at:
                    raise _as_it_is(error, maybe) from None
                maybe = maybe or error.maybe
                await asyncio.sleep(PAUSE_S)
                continue
            assert isinstance(changed, Stat)
            self._version = changed.version
            return [offset_of(each.path if isinstance(each, Created) else str(each)) for each in made]

    async def _look_what_happened(
        self, path: str, record: PublisherRecord, batch: Sequence[_Waiting], maybe: bool, timeout_s: float
    ) -> list[int]:
        """Our node is at another version: we have set it ourselves in a try without an answer, or somebody
        has taken our name."""
        try:
            data, stat = await self._session.get(path, fresh=True, timeout_s=timeout_s)
        except Unanswered as error:
            raise _as_it_is(error, maybe) from None
        if decode(data, PublisherRecord, path) != record:
            raise Fenced(self.name, maybe=maybe)
        self._version = stat.version
        numbers = [each.number for each in batch]
        try:
            found = await self._find(self.name, numbers, self._since)
        except Unanswered as error:
            raise _as_it_is(error, True) from None
        if len(found) < len(numbers):
            raise OffsetUnknown(f"{path}: {numbers[0]} to {numbers[-1]} were published and are not kept")
        return [found[number] for number in numbers]

    def _stop(self, failure: Exception, batch: Sequence[_Waiting] = ()) -> None:
        """Nothing more is published: what was not sent fails as surely not done, `batch` with `failure`."""
        if self._failure is None:
            self._failure = failure
        for waiting in batch:
            _fail(waiting.offset, failure)
        stopped = PublisherStopped(self.name)
        stopped.__cause__ = self._failure
        for waiting in self._waiting:
            _fail(waiting.offset, stopped)
        self._waiting.clear()
        self._waiting_bytes = 0
        self._under_way.clear()
        self._room.set()


def _as_it_is(error: Unanswered, maybe: bool) -> Unanswered:
    """The last try may surely not have been done; that says nothing of those before it."""
    if error.maybe or not maybe:
        return error
    return TimedOut(f"an earlier try had no answer, and then: {error}", maybe=True)


def _fail(offset: asyncio.Future[int], error: Exception) -> None:
    offset.set_exception(error)
    offset.exception()  # whoever has stopped waiting does not want to hear of it
