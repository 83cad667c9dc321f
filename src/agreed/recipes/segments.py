"""Numbered entries, a few dozen to a directory: what a log and a replicated object keep.

    NAME/records/<segment>/<offset>

So a reader lists `SEGMENT` values at a time, wherever it begins; and who takes away the old ones finds what
somebody else has left half done.
"""

from __future__ import annotations

import asyncio
from typing import Final

from agreed.backends.contract import Backend, Delete, Entry

SEGMENT: Final = 64

ONE_BY_ONE: Final = 8
"""So few are asked for by their names; for more the segment is listed."""


class Segments:
    def __init__(self, backend: Backend, name: str) -> None:
        self._backend = backend
        self._name = name

    def key(self, offset: int) -> str:
        return f"{self._directory(offset)}/{offset:014}"

    async def some(self, offset: int, end: int) -> list[Entry] | None:
        """One at least, in order and without a hole, from `offset` up to `end` or to the end of the segment.
        None: one of them is not there."""
        end = min(end, (offset // SEGMENT + 1) * SEGMENT)
        keys = [self.key(each) for each in range(offset, end)]
        if len(keys) <= ONE_BY_ONE:
            entries = list(await asyncio.gather(*map(self._backend.get, keys)))
        else:
            there = {entry.key: entry for entry in await self._backend.entries(self._directory(offset))}
            entries = [there.get(key) for key in keys]
        found = [entry for entry in entries if entry is not None]
        return found if len(found) == len(keys) else None

    async def delete_below(self, first: int) -> None:
        """Down to where nothing is any more, and from there up: so what is left, wherever this ends, has no
        hole, and the next one comes down to it."""
        last = lowest = first // SEGMENT
        while lowest and await self._backend.names(self._directory((lowest - 1) * SEGMENT)):
            lowest -= 1
        most = self._backend.capabilities.changes
        for segment in range(lowest, last + 1):
            begin, end = segment * SEGMENT, min((segment + 1) * SEGMENT, first)
            names = set(await self._backend.names(self._directory(begin))) if end > begin else set()
            there = [key for each in range(begin, end) if (key := self.key(each)).rpartition("/")[2] in names]
            for cut in range(0, len(there), most):
                await self._backend.commit([], [Delete(key) for key in there[cut : cut + most]])

    def _directory(self, offset: int) -> str:
        return f"{self._name}/records/{offset // SEGMENT:012}"
