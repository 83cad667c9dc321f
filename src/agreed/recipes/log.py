"""A log that everybody reads in the same order.

    log = Log(sessions, "events", codec_of(Event))
    offset = await log.append(event)                        0, 1, 2, ... without a hole
    async with log.read(since=0, follow=True) as records:
        async for record in records: ...                    Record(offset, value), the next ones as they come

What was appended before is read before, by everybody.  An append is in the log exactly once when it returns,
also where its answer was lost on the way (`certain.py`).

One key says how long the log is; each append changes it, and holds only for the length that it has seen.  So
the order is one, and those who append from many places at once are in each other's way: what one `Log` is
asked to append at the same time goes into one commit, but of several clients one gets through at a time.  The
log is for events that people or operators notice, and not for a thousand of them in a second.

All records are kept (`segments.py`) until somebody says `trim`; a reader who is not there in time gets
LogTrimmed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, Sequence
from typing import Final, Generic, TypeVar

import msgspec

from agreed.backends.contract import Absent, At, Change, Entry, Guard, Put
from agreed.recipes.codec import Codec
from agreed.recipes.errors import CodecError, LogTrimmed
from agreed.recipes.following import Stream
from agreed.recipes.segments import SEGMENT, Segments
from agreed.recipes.sessions import Sessions
from agreed.recipes.transactions import pause_s

Value = TypeVar("Value")


class Record(msgspec.Struct, Generic[Value], frozen=True):
    """`revision` is that of the commit by which it was appended; records of one commit share it."""

    offset: int
    value: Value
    revision: int


class _Extent(msgspec.Struct, frozen=True):
    """Records from `first` on are kept, and `next` is the offset of the next one."""

    next: int = 0
    first: int = 0
    format: int = 1


class _Seen(msgspec.Struct, frozen=True):
    extent: _Extent
    guard: Guard


class _Append(msgspec.Struct):
    raw: bytes
    offset: asyncio.Future[int]


_DECODER: Final = msgspec.json.Decoder(_Extent)


class Log(Generic[Value]):
    def __init__(self, sessions: Sessions, name: str, codec: Codec[Value]) -> None:
        self.name = name
        self._sessions = sessions
        self._backend = sessions.backend
        self._codec = codec
        self._extent_key = f"{name}/extent"
        self._segments = Segments(self._backend, name)
        self._seen: _Seen | None = None
        self._asked: list[_Append] = []
        self._writing: asyncio.Task[None] | None = None

    async def append(self, value: Value) -> int:
        """Its offset.  Who is cancelled does not know whether it was appended.

        Raises CodecError; what the backend does, with `maybe` only where the session was lost meanwhile."""
        asked = _Append(self._codec.encode(value), asyncio.get_running_loop().create_future())
        self._asked.append(asked)
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write())
        return await asked.offset

    async def length(self) -> int:
        """The offset of the next one that is appended."""
        return (await self._look()).extent.next

    async def first(self) -> int:
        """The offset of the first one that is kept."""
        return (await self._look()).extent.first

    def read(self, since: int | None = 0, *, follow: bool = False) -> Stream[Record[Value]]:
        """From offset `since` on (None: what is appended from the first `next` on).  With `follow` it waits
        for those that come, otherwise it ends with the last one that is there.

        The stream raises LogTrimmed where the next one is not kept any more."""
        return Stream(self._records(since, follow))

    async def trim(self, before: int) -> None:
        """Records below offset `before` are not needed any more.  Doing it twice is doing it once."""
        for attempt in itertools.count(1):
            seen = await self._look()
            extent = seen.extent
            first = max(extent.first, min(before, extent.next))
            trimmed = msgspec.structs.replace(extent, first=first)
            if trimmed == extent or await self._put_extent(seen, trimmed, []):
                break
            await asyncio.sleep(pause_s(attempt))
        await self._segments.delete_below(first)

    # --- appending --------------------------------------------------------------------------------------

    async def _write(self) -> None:
        """All that is asked for, in the order in which it was, as much as one commit takes at a time."""
        try:
            while self._asked:
                await asyncio.sleep(0)  # who asks in the same moment goes with it
                batch = self._next_batch()
                if batch:
                    await self._append(batch)
        finally:
            self._writing = None

    def _next_batch(self) -> list[_Append]:
        most = min(SEGMENT, self._sessions.certain.changes - 1)
        most_bytes = self._backend.capabilities.value_bytes // 2
        batch: list[_Append] = []
        size = 0
        while self._asked and len(batch) < most:
            size += len(self._asked[0].raw)
            if batch and size > most_bytes:
                break
            asked = self._asked.pop(0)
            if not asked.offset.done():
                batch.append(asked)
        return batch

    async def _append(self, batch: Sequence[_Append]) -> None:
        try:
            first = await self._appended([asked.raw for asked in batch])
        except Exception as error:
            for asked in batch:
                if not asked.offset.done():
                    asked.offset.set_exception(error)
            return
        for offset, asked in enumerate(batch, start=first):
            if not asked.offset.done():
                asked.offset.set_result(offset)

    async def _appended(self, raws: Sequence[bytes]) -> int:
        seen = self._seen or await self._look()
        for attempt in itertools.count(1):
            first = seen.extent.next
            longer = msgspec.structs.replace(seen.extent, next=first + len(raws))
            puts: list[Change] = [
                Put(self._segments.key(offset), raw) for offset, raw in enumerate(raws, start=first)
            ]
            if await self._put_extent(seen, longer, puts):
                return first
            await asyncio.sleep(pause_s(attempt))
            seen = await self._look()
        raise AssertionError("it counts for ever")

    async def _put_extent(self, seen: _Seen, extent: _Extent, also: Sequence[Change]) -> bool:
        changes = [Put(self._extent_key, msgspec.json.encode(extent)), *also]
        self._seen = None
        revision = await self._sessions.certain.commit([seen.guard], changes)
        if revision is not None:
            self._seen = _Seen(extent, At(self._extent_key, revision))
        return revision is not None

    # --- reading ----------------------------------------------------------------------------------------

    async def _records(self, since: int | None, follow: bool) -> AsyncGenerator[Record[Value], None]:
        async with contextlib.AsyncExitStack() as watching:
            changes = None
            if follow:
                watched = self._backend.changes(self._extent_key, below=False)
                changes = await watching.enter_async_context(watched)
            offset = since
            while True:
                extent = (await self._look()).extent
                offset = extent.next if offset is None else offset
                while offset < extent.next:
                    for record in await self._some(offset, extent.next):
                        yield record
                        offset += 1
                if changes is None:
                    return
                await changes.wait()

    async def _some(self, offset: int, end: int) -> list[Record[Value]]:
        """At least one, in order and without a hole, up to the end of the segment."""
        entries = await self._segments.some(offset, end)
        if entries is None:
            # Each was there when the extent was read, and only `trim` takes one away.
            raise LogTrimmed(self.name, (await self._look()).extent.first)
        return [
            Record(each, self._codec.decode(entry.value), entry.created)
            for each, entry in enumerate(entries, start=offset)
        ]

    # --- where it stands --------------------------------------------------------------------------------

    async def _look(self) -> _Seen:
        entry: Entry | None = await self._backend.get(self._extent_key)
        if entry is None:
            return _Seen(_Extent(), Absent(self._extent_key))
        try:
            extent = _DECODER.decode(entry.value)
        except (ValueError, msgspec.MsgspecError) as error:
            raise CodecError(f"what stands at {entry.key} is no log: {error}") from error
        return _Seen(extent, At(entry.key, entry.version))
