"""Packing and dropping: what keeps a log small, done by whoever publishes.

Both are one multi with a compare-and-set of `extent`, so any number of programs may do them at once, and
whoever comes second does nothing.  A multi without an answer needs no care: the next round reads `extent`
again.

    pack    the oldest messages of the tail become one segment, once the tail has two segments' worth of them;
            so one segment's worth of the newest always stays in the tail, where readers that keep up are
    drop    `first` moves up, and what lies wholly below it is deleted
"""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from agreed.broadcast.errors import LogChanged
from agreed.broadcast.layout import (
    SEGMENT_BYTES_MAX,
    Extent,
    Packed,
    Places,
    Published,
    Settings,
    decode,
    encode,
    end_of,
    segment_starts,
)
from agreed.client import aio
from agreed.client.errors import BadVersion, NodeExists, NoNode
from agreed.client.values import Create, Delete, Operation, SetData

DELETE_AT_ONCE = 1000


class _Now(NamedTuple):
    """The log as it is."""

    extent: Extent
    version: int
    end: int


class Upkeep:
    """`wall_ms`: milliseconds since 1970, for the age of messages."""

    def __init__(
        self, session: aio.Session, places: Places, settings: Settings, wall_ms: Callable[[], int]
    ) -> None:
        self._session = session
        self._places = places
        self._settings = settings
        self._wall_ms = wall_ms

    async def work(self) -> None:
        """Pack and drop until there is nothing to do.  Raises what the session raises, never half-way: what
        was done is whole."""
        while await self._pack() or await self._drop():
            pass

    async def look(self) -> _Now:
        """Raises NoNode."""
        places = self._places
        data, stat = await self._session.get(places.extent, fresh=True)
        tail = await self._session.exists(places.tail)
        if tail is None:
            raise NoNode(places.path)
        return _Now(decode(data, Extent, places.extent), stat.version, end_of(tail))

    async def _pack(self) -> bool:
        many = self._settings.segment_messages
        now = await self.look()
        if now.end - now.extent.packed < 2 * many:
            return False
        start = now.extent.packed
        packed: list[Packed] = []
        each_costs = len(self._places.message(start)) + 50  # its node's deletion, its place in the list
        size = 0
        while len(packed) < many and size < SEGMENT_BYTES_MAX:
            more = await self._read(start + len(packed), min(100, many - len(packed)))
            if not more:
                return True  # somebody else has packed it; look again
            for message in more:
                size += len(message.payload) + len(message.publisher) + each_costs
                if packed and size > SEGMENT_BYTES_MAX:
                    break
                packed.append(message)
        end = start + len(packed)
        operations: list[Operation] = [
            SetData(self._places.extent, encode(Extent(now.extent.first, end)), now.version),
            Create(path=self._places.segment(start), data=encode(packed)),
            *(Delete(self._places.message(offset)) for offset in range(start, end)),
        ]
        return await self._try(operations)

    async def _read(self, offset: int, many: int) -> list[Packed]:
        messages = []
        paths = [self._places.message(offset + index) for index in range(many)]
        for path, node in zip(paths, await self._session.get_many(paths), strict=True):
            if node is None:
                break
            message = decode(node.data, Published, path)
            messages.append(Packed(message.publisher, message.number, node.stat.created_ms, message.payload))
        return messages

    async def _try(self, operations: list[Operation]) -> bool:
        """True: look again, there may be more to do, or somebody else has done it.  Raises LogChanged."""
        try:
            await self._session.multi(operations)
        except BadVersion:
            pass
        except (NoNode, NodeExists) as refused:
            if refused.index == 0:
                raise  # the whole log is gone
            # `extent` was as we have read it, and what it speaks of changes only together with it.
            raise LogChanged(f"{refused.path} is not as {self._places.extent} says") from None
        return True

    # --- dropping ---------------------------------------------------------------------------------------

    async def _drop(self) -> bool:
        now = await self.look()
        keep_from = now.extent.first
        if self._settings.retain_messages is not None:
            keep_from = max(keep_from, now.end - self._settings.retain_messages)
        if self._settings.retain_ms is not None:
            since_ms = self._wall_ms() - self._settings.retain_ms
            keep_from = max(keep_from, await self._older_than(since_ms, now))
        return keep_from > now.extent.first and await self.drop_before(keep_from)

    async def _older_than(self, published_ms: int, now: _Now) -> int:
        """The offset of the oldest message published since; the end if there is none.  Times grow with
        offsets: they are those of the cluster's clock, which never goes back."""
        for start in segment_starts((await self._session.children(self._places.segments)).names):
            path = self._places.segment(start)
            stat = await self._session.exists(path)
            if stat is not None and stat.created_ms < published_ms:
                continue  # packed before: then published before
            try:
                data, _ = await self._session.get(path)
            except NoNode:
                return now.extent.first  # somebody else is at it
            packed = decode(data, list[Packed], path)
            for index, message in enumerate(packed):
                if message.published_ms >= published_ms:
                    return start + index
        offset = now.extent.packed
        while more := await self._read(offset, 100):
            for message in more:
                if message.published_ms >= published_ms:
                    return offset
                offset += 1
        return min(offset, now.end)

    async def drop_before(self, offset: int) -> bool:
        """Messages before this offset are no longer kept.  True: look again."""
        now = await self.look()
        offset = min(offset, now.end)
        if offset <= now.extent.first:
            return False
        names = (await self._session.children(self._places.segments)).names
        starts = segment_starts(names)
        ends = [*starts[1:], now.extent.packed][: len(starts)]
        gone = [start for start, end in zip(starts, ends, strict=True) if end <= offset][:DELETE_AT_ONCE]
        alone = range(now.extent.packed, offset)[:DELETE_AT_ONCE]
        # If that is not all at once, go as far as it is and come again.
        if len(gone) == DELETE_AT_ONCE:
            offset, alone = ends[DELETE_AT_ONCE - 1], range(0)
        elif alone:
            offset = alone[-1] + 1
        extent = Extent(offset, max(now.extent.packed, offset))
        return await self._try(
            [
                SetData(self._places.extent, encode(extent), now.version),
                *(Delete(self._places.segment(start)) for start in gone),
                *(Delete(self._places.message(each)) for each in alone),
            ]
        )
