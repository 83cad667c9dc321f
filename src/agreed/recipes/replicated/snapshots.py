"""The state of a replicated object in the service, so that the log stays short.

    await snapshots.write(state)            if there is no newer one
    found = await snapshots.newest()        what is said of it; None: there is none
    raw = await snapshots.read(found)       its bytes; None: a newer one has taken its place meanwhile

The bytes are cut into parts of half the longest value.  They are written first, then the key `snapshot` is
made to tell of them, if it does not tell of a newer one by then; so whoever dies halfway has changed nothing,
and of two who write at the same time the newer one counts.  Last, what is not needed any more goes: the parts
of older snapshots, also of those that were never finished, and the commands from before the snapshot that was
there until now.  The commands since that one are kept for replicas that are a little behind, and for who does
not know yet what has become of his command.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from typing import Any, Final

import msgspec

from agreed.backends.contract import Absent, At, Backend, Change, Delete, Guard, Put
from agreed.client.errors import Unanswered
from agreed.recipes.errors import CodecError
from agreed.recipes.replicated.layout import Snapshot, read
from agreed.recipes.replicated.state import State, digest_of
from agreed.recipes.segments import Segments
from agreed.recipes.transactions import pause_s

LOST_ANSWERS_MOST: Final = 8
"""Of one request.  What is written here may be written twice."""


class Snapshots:
    def __init__(self, backend: Backend, name: str, records: Segments) -> None:
        self._backend = backend
        self._key = f"{name}/snapshot"
        self._parts = f"{name}/parts"
        self._records = records

    async def newest(self) -> Snapshot | None:
        """Raises CodecError."""
        return (await self._look())[0]

    async def read(self, snapshot: Snapshot) -> bytes | None:
        """Raises CodecError where they are not the bytes that were written."""
        keys = [self._part(snapshot.place, number) for number in range(snapshot.parts)]
        parts = await asyncio.gather(*map(self._backend.get, keys))
        raw = b"".join(part.value for part in parts if part is not None)
        if digest_of(raw) == snapshot.digest:
            return raw
        if await self.newest() == snapshot:
            raise CodecError(f"what stands at {self._parts}/{snapshot.place} is not the snapshot")
        return None

    async def write(self, state: State[Any]) -> None:
        """Raises what the backend does; then there is none, or it is there and older things are as well."""
        before, guard = await self._look()
        place = f"{state.position:014}-{uuid.uuid4().hex}"
        size = self._backend.capabilities.value_bytes // 2
        parts = [state.raw[cut : cut + size] for cut in range(0, len(state.raw), size)]
        snapshot = Snapshot(
            state.position, place, len(parts), state.schema.version, state.digest, state.now_ms
        )
        for number, part in enumerate(parts):
            await self._put([], [Put(self._part(place, number), part)])
        told = [Put(self._key, msgspec.json.encode(snapshot))]
        for attempt in itertools.count(1):
            if before is not None and before.position >= state.position:
                return await self._delete_parts(place)
            await self._put([guard], told)
            now, guard = await self._look()
            if now is not None and now.place == place:
                break
            before = now
            await asyncio.sleep(pause_s(attempt))
        for each in await self._backend.names(self._parts):
            if each != place and each <= place:
                await self._delete_parts(each)
        if before is not None:
            await self._records.delete_below(before.position)

    async def _look(self) -> tuple[Snapshot | None, Guard]:
        entry = await self._backend.get(self._key)
        if entry is None:
            return None, Absent(self._key)
        return read(self._key, entry.value, Snapshot), At(self._key, entry.version)

    async def _put(self, guards: list[Guard], changes: list[Put]) -> None:
        """Done or not: whoever has a guard looks."""
        for attempt in range(LOST_ANSWERS_MOST):
            try:
                await self._backend.commit(guards, changes)
                return
            except Unanswered:
                if attempt + 1 == LOST_ANSWERS_MOST:
                    raise
            await asyncio.sleep(pause_s(attempt + 1))

    async def _delete_parts(self, place: str) -> None:
        most = self._backend.capabilities.changes
        names = await self._backend.names(f"{self._parts}/{place}")
        gone: list[Change] = [Delete(f"{self._parts}/{place}/{name}") for name in names]
        for cut in range(0, len(gone), most):
            await self._backend.commit([], gone[cut : cut + most])

    def _part(self, place: str, number: int) -> str:
        return f"{self._parts}/{place}/{number:06}"
