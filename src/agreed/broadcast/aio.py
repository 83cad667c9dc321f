"""A named log over an asynchronous session: publish, subscribe, and keep it small.

    log = await Log.open(session, "/orders", Settings(retain_messages=100_000))
    async with await log.publisher("till-3") as publisher:
        offset = await publisher.publish(b"...")
    subscription = await log.subscribe(consumer="invoices")
    async for message in subscription:
        work(message.payload)
        await subscription.commit()

What is promised, and what is not, stands in docs/broadcast.md.  Every object here lives as long as the
session; when that expires, open a log on a new one, take the same names, and go on.
"""
from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeVar

import msgspec

from agreed.broadcast.errors import Gap
from agreed.broadcast.layout import (
    ConsumerRecord,
    Extent,
    Message,
    Places,
    PublisherRecord,
    Settings,
    decode,
    encode,
    good_name,
)
from agreed.broadcast.publisher import Publisher
from agreed.broadcast.subscription import Consumer, Reader, Subscription
from agreed.broadcast.upkeep import Upkeep
from agreed.client import aio
from agreed.client.errors import BadVersion, NodeExists, NoNode
from agreed.client.values import Create
from agreed.errors import AgreedError, ConfigurationError

__all__ = ["EARLIEST", "LATEST", "Log", "Settings"]

Record = TypeVar("Record", bound=msgspec.Struct)

SEGMENT_MESSAGES_MAX: Final = 5_000
"""As many deletions as fit into one multi."""

EARLIEST: Final = "earliest"
"""From the oldest message that is kept."""

LATEST: Final = "latest"
"""From the first message that is published after the call."""


class Log:
    """Made by `Log.open`."""

    def __init__(self, session: aio.Session, path: str, settings: Settings) -> None:
        self.path = path
        self.settings = settings
        self._session = session
        self._places = Places(path)
        self._upkeep = Upkeep(session, self._places, settings, lambda: time.time_ns() // 1_000_000)
        self._working: asyncio.Task[None] | None = None
        self._worked_at = -1

    @classmethod
    async def open(cls, session: aio.Session, path: str, settings: Settings | None = None) -> Log:
        """The log at `path`; made with these settings if it is not there.  The settings of a log that is
        there stay as they are.  Raises ConfigurationError for settings that make no sense, LogChanged where
        something else is there, and what the session raises."""
        wished = settings or Settings()
        _check(path, wished)
        places = Places(path)
        while True:
            try:
                data, _ = await session.get(path, fresh=True)
                return cls(session, path, decode(data, Settings, path))
            except NoNode:
                await session.ensure_path(path.rpartition("/")[0] or "/")
            with contextlib.suppress(NodeExists):  # somebody else has made it: look again
                await session.multi(
                    [
                        Create(path=path, data=encode(wished)),
                        Create(path=places.extent, data=encode(Extent(0, 0))),
                        Create(path=places.tail),
                        Create(path=places.segments),
                        Create(path=places.publishers),
                        Create(path=places.consumers),
                    ]
                )

    # --- publishing -------------------------------------------------------------------------------------

    async def publisher(self, name: str | None = None, *, timeout_s: float = 30.0) -> Publisher:
        """Take a name and publish under it.  Whoever had it is `Fenced`.

        name        kept by the log with the number of its last message, so that one who comes back goes on
                    exactly behind it.  None: a new name that goes with the session
        timeout_s   how long a message without an answer is said again before it fails

        Raises ConfigurationError for a name that is none, and what the session raises."""
        chosen = f"anonymous-{uuid.uuid4().hex}" if name is None else _checked(name)
        path = self._places.publisher(chosen)
        token = uuid.uuid4().hex

        def taken(data: bytes | None) -> PublisherRecord:
            known = 0 if data is None else decode(data, PublisherRecord, path).number
            return PublisherRecord(token, known)

        record, version = await self._take(path, taken, ephemeral=name is None)
        return Publisher(
            self._session,
            self._places,
            chosen,
            record,
            version,
            end=await self.end(),
            timeout_s=timeout_s,
            find=self._find,
            published=self._has_grown,
        )

    async def _take(
        self, path: str, taken: Callable[[bytes | None], Record], *, ephemeral: bool = False
    ) -> tuple[Record, int]:
        """Set a node from what stands there (None: nothing yet) to `taken` of it; its version then."""
        while True:
            try:
                data, stat = await self._session.get(path, fresh=True)
            except NoNode:
                record = taken(None)
                with contextlib.suppress(NodeExists):  # somebody took it at the same moment: look again
                    made = await self._session.create(path, encode(record), ephemeral=ephemeral)
                    return record, made.stat.version
                continue
            record = taken(data)
            with contextlib.suppress(BadVersion):
                return record, (await self._session.set(path, encode(record), stat.version)).version

    async def _find(self, publisher: str, numbers: Sequence[int], since: int) -> dict[int, int]:
        """The offsets of those messages of a publisher that are still kept, looked for from `since` on."""
        wanted = set(numbers)
        found: dict[int, int] = {}
        reader = Reader(self._session, self._places)
        while len(found) < len(wanted):
            try:
                messages = await reader.read(since)
            except Gap as gap:
                since = gap.first
                continue
            if not messages and since >= await self.end():
                break
            for message in messages:
                if message.publisher == publisher and message.number in wanted:
                    found[message.number] = message.offset
                since = message.offset + 1
        return found

    # --- subscribing ------------------------------------------------------------------------------------

    async def subscribe(
        self, start: int | Literal["earliest", "latest"] = EARLIEST, *, consumer: str | None = None
    ) -> Subscription:
        """The messages from `start` on: an offset, `EARLIEST` (the oldest that is kept) or `LATEST` (the
        first that is published after this call).

        consumer    a name under which `Subscription.commit` remembers an offset.  If it has done so before,
                    that is where the subscription begins, and `start` counts only for the first time.
                    Whoever had the name is `Fenced` at its next commit

        Raises ConfigurationError for a name that is none, and what the session raises.  An offset that is no
        longer kept raises Gap at the first message, one that is not published yet is waited for."""
        if isinstance(start, str):
            start = await self.first() if start == EARLIEST else await self.end()
        reader = Reader(self._session, self._places)
        if consumer is None:
            return Subscription(reader, start, None)
        path = self._places.consumer(_checked(consumer))
        token, begin = uuid.uuid4().hex, start

        def taken(data: bytes | None) -> ConsumerRecord:
            known = begin if data is None else decode(data, ConsumerRecord, path).next_offset
            return ConsumerRecord(token, known)

        record, version = await self._take(path, taken)
        position = Consumer(self._session, path, consumer, record, version)
        return Subscription(reader, record.next_offset, position)

    async def read(self, offset: int) -> list[Message]:
        """Some of the messages from this offset on, as many as one request brings; none if there is none yet.
        Raises Gap."""
        return await Reader(self._session, self._places).read(offset)

    async def first(self) -> int:
        """The offset of the oldest message that is kept; that of the next one, if none is."""
        return (await self._upkeep.look()).extent.first

    async def end(self) -> int:
        """The offset of the next message that will be published."""
        return (await self._upkeep.look()).end

    # --- upkeep -----------------------------------------------------------------------------------------

    async def trim(self, before: int) -> None:
        """Drop the messages before this offset, whatever the settings say."""
        while await self._upkeep.drop_before(before):
            pass

    async def tidy(self) -> None:
        """Pack and drop now.  Publishers do it by themselves; a log with `retain_ms` in which nobody
        publishes any more needs somebody who does it."""
        await self._upkeep.work()

    def _has_grown(self, offset: int) -> None:
        """Pack and drop beside the publishing, each time a segment's worth was published."""
        step = max(1, min(self.settings.segment_messages, self.settings.retain_messages or 1 << 62))
        if offset // step == self._worked_at // step or (self._working and not self._working.done()):
            return
        self._worked_at = offset
        self._working = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        with contextlib.suppress(AgreedError):  # the next time will do
            await self.tidy()


def _check(path: str, settings: Settings) -> None:
    if not path.startswith("/") or path.endswith("/"):
        raise ConfigurationError(f"{path!r} is no path for a log")
    if not 1 <= settings.segment_messages <= SEGMENT_MESSAGES_MAX:
        raise ConfigurationError(f"segment_messages: 1 to {SEGMENT_MESSAGES_MAX}")
    if any(bound is not None and bound < 1 for bound in (settings.retain_messages, settings.retain_ms)):
        raise ConfigurationError("a log keeps at least one message, and for at least a millisecond")


def _checked(name: str) -> str:
    if not good_name(name):
        raise ConfigurationError(f"{name!r} is no name for a publisher or a consumer")
    return name
