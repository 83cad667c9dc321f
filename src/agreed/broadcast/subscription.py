"""Subscribing: the messages of a log from an offset on, one after the other, without a gap.

A subscription asks for the next few messages when its reader wants one and there is none at hand, so a
reader that is slow has at most one answer in its memory.  Where there are none yet, it waits for the node of
the next message to appear; where they are packed, it reads the segment.

`extent` and the tail are read at one moment.  What is missing in the tail is thus either packed, or not
published yet, or no longer kept, and `extent` says which.
"""
from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from typing import Final, Self

from agreed.broadcast.errors import Fenced, Gap, LogChanged
from agreed.broadcast.layout import (
    ConsumerRecord,
    Extent,
    Message,
    Packed,
    Places,
    Published,
    decode,
    encode,
    end_of,
    segment_starts,
)
from agreed.client import aio
from agreed.client.errors import BadVersion, NoNode
from agreed.client.values import WatchEvent, Znode
from agreed.errors import ConfigurationError

FETCH_MIN: Final = 8
FETCH_MAX: Final = 256
FETCH_BYTES: Final = 1_000_000
"""Messages of the tail in one request: more while they are many, fewer while they are large."""


class Reader:
    """Reads what there is, and waits for what there is not; knows no position of its own."""

    def __init__(self, session: aio.Session, places: Places) -> None:
        self._session = session
        self._places = places
        self._many = FETCH_MIN
        self._segments: list[int] = []

    async def read(self, offset: int) -> list[Message]:
        """Messages from this offset on: some, or none if there is none yet.  Raises Gap, LogChanged, and
        NoNode where the whole log is gone."""
        places = self._places
        names = [places.message(offset + index) for index in range(self._many)]
        found_extent, tail, *found = await self._session.get_many([places.extent, places.tail, *names])
        if found_extent is None or tail is None:
            raise NoNode(places.path)
        extent = decode(found_extent.data, Extent, places.extent)
        if offset < extent.first:
            raise Gap(offset, extent.first)
        messages = []
        for index, node in enumerate(found):
            if node is None:
                break
            messages.append(self._unwrapped(offset + index, node))
        self._fit(messages)
        if not messages and offset < extent.packed:
            return await self._read_segment(offset)
        if not messages and offset < end_of(tail.stat):
            raise LogChanged(f"{places.message(offset)} is missing, and was not dropped by us")
        return messages

    def _unwrapped(self, offset: int, node: Znode) -> Message:
        message = decode(node.data, Published, self._places.message(offset))
        return Message(offset, message.payload, message.publisher, message.number, node.stat.created_ms)

    def _fit(self, messages: Sequence[Message]) -> None:
        size = sum(len(message.payload) for message in messages)
        if size > FETCH_BYTES:
            self._many = max(FETCH_MIN, self._many // 2)
        elif len(messages) == self._many and 2 * size <= FETCH_BYTES:
            self._many = min(FETCH_MAX, self._many * 2)

    async def _read_segment(self, offset: int) -> list[Message]:
        """Where it has gone in the meantime there is nothing, and the next `read` tells why."""
        start = await self._segment_with(offset)
        if start is None:
            return []
        path = self._places.segment(start)
        try:
            data, _ = await self._session.get(path)
        except NoNode:
            self._segments = []
            return []
        packed = decode(data, list[Packed], path)
        if not start <= offset < start + len(packed):
            raise LogChanged(f"{path} does not hold {offset}")
        return [
            Message(start + index, each.payload, each.publisher, each.number, each.published_ms)
            for index, each in enumerate(packed)
            if start + index >= offset
        ]

    async def _segment_with(self, offset: int) -> int | None:
        """Its first offset.  The list of segments is read again when it ends before this offset may."""
        if not self._segments or offset >= self._segments[-1]:
            names = (await self._session.children(self._places.segments)).names
            self._segments = segment_starts(names)
        index = bisect_right(self._segments, offset) - 1
        return self._segments[index] if index >= 0 else None

    async def watch(self, offset: int) -> asyncio.Event:
        """Set when this message appears in the tail, or is there by now.

        It must be followed by one more look (`read`): between a look and a watch a thousand messages may come
        and this one be packed, and then its node never appears."""
        appeared = asyncio.Event()

        def seen(event: WatchEvent) -> None:
            appeared.set()

        if await self._session.exists(self._places.message(offset), watch=seen) is not None:
            appeared.set()
        return appeared


class Consumer:
    """Where somebody of this name has got to, in the store.  One instance at a time has the name."""

    def __init__(
        self, session: aio.Session, path: str, name: str, record: ConsumerRecord, version: int
    ) -> None:
        self.name = name
        self.next_offset = record.next_offset
        self._token = record.token
        self._session = session
        self._path = path
        self._version = version

    async def commit(self, next_offset: int, timeout_s: float | None) -> None:
        """Raises Fenced, and what the session raises; after `maybe` it may simply be said again."""
        record = ConsumerRecord(self._token, next_offset)
        try:
            stat = await self._session.set(self._path, encode(record), self._version, timeout_s=timeout_s)
        except BadVersion:
            data, stat = await self._session.get(self._path, fresh=True, timeout_s=timeout_s)
            present = decode(data, ConsumerRecord, self._path)
            if present.token != self._token:
                raise Fenced(self.name) from None
            # It was us, in a try without an answer; perhaps with another offset.
            self._version = stat.version
            if present != record:
                await self.commit(next_offset, timeout_s)
                return
        self._version = stat.version
        self.next_offset = next_offset


class Subscription:
    """Made by `Log.subscribe`: `async for message in subscription`, or `await subscription.next(timeout_s)`.

    position    the offset of the message that it will give next"""

    def __init__(self, reader: Reader, position: int, consumer: Consumer | None) -> None:
        self.position = position
        self._reader = reader
        self._consumer = consumer
        self._at_hand: deque[Message] = deque()

    def at_hand(self) -> Message | None:
        """The next message, if it need not be fetched."""
        if not self._at_hand:
            return None
        message = self._at_hand.popleft()
        self.position = message.offset + 1
        return message

    async def next(self, timeout_s: float | None = None) -> Message:
        """The next message; None waits for ever.  Raises TimeoutError; Gap, where it is no longer kept; and
        what the session raises.  After any of these it may be asked again."""
        async with asyncio.timeout(timeout_s):
            while (message := self.at_hand()) is None:
                await self._fetch()
        return message

    async def _fetch(self) -> None:
        """Something, or at least a wait."""
        self._at_hand.extend(await self._reader.read(self.position))
        if self._at_hand:
            return
        appeared = await self._reader.watch(self.position)
        self._at_hand.extend(await self._reader.read(self.position))
        if not self._at_hand:
            await appeared.wait()

    def seek(self, offset: int) -> None:
        """Go on there: behind a `Gap`, or back."""
        self.position = offset
        self._at_hand.clear()

    async def commit(self, next_offset: int | None = None, *, timeout_s: float | None = None) -> None:
        """Remember under the consumer's name that everything before `next_offset` was worked on (None:
        everything that was given).  Another `subscribe` with this name goes on there.

        Whoever crashes between the work and this sees messages again: at least once.  Whoever stores the
        offset together with what it does, and begins there, sees each exactly once.

        Raises Fenced; ConfigurationError without a name; and what the session raises: then it may be said
        again."""
        if self._consumer is None:
            raise ConfigurationError("this subscription has no consumer's name to remember an offset under")
        await self._consumer.commit(self.position if next_offset is None else next_offset, timeout_s)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        return await self.next()
