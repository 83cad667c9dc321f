"""Keys and values, as they stand in the store.

    entry = await kv.get("orders/42")               Entry(key, value, version, ...), or None
    version = await kv.put("orders/42", b"paid", if_version=entry.version)      Conflict where it is another
    await kv.put("orders/43", b"new", if_absent=True)                           Conflict where it is there
    for entry in await kv.list("orders"): ...
    async with kv.watch("orders", below=True) as events:        every change, in order
    async with kv.follow("orders/42") as states:                the newest state, not each in between

Keys are names between slashes.  A list is of one level: what is deeper is below one of its names.  Not every
service has more (ZooKeeper), so nothing here asks for ranges; who has ten thousand keys puts them into a
hundred directories.

Values are bytes.  What else one may want stands on top: typed values in `cell.py`, several keys together in
`transactions.py`.  A `put` whose answer is lost raises an error with `maybe`: the same bytes put by somebody
else could not be told from ours.  Who has to know makes a transaction of it.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from typing import Self, TypeAlias

from agreed.backends.contract import Absent, At, Backend, Delete, Entry, Event, Guard, Put
from agreed.backends.errors import Unsupported
from agreed.recipes.errors import Conflict
from agreed.recipes.following import Following, Stream
from agreed.recipes.sessions import Sessions

Entries: TypeAlias = list[Entry]
Names: TypeAlias = list[str]


class Watching(Stream[Event]):
    """Every change behind revision `since`, in order, none twice; those from `async with` on, if no revision
    was named.  A GAP says that some are not known any more, and as of which revision to look again.

    Changes of one revision were made together: who wants to go on later begins behind a revision of which he
    has seen the last one, that is, whose successor has come."""

    def __init__(self, backend: Backend, key: str, *, below: bool, since: int | None) -> None:
        if not backend.capabilities.history:
            name = backend.capabilities.name
            raise Unsupported(f"{name} does not keep what was changed: follow what is there")
        super().__init__(self._events())
        self._backend = backend
        self._key = key
        self._below = below
        self._since = since

    async def __aenter__(self) -> Self:
        await self._begin()
        return self

    async def _begin(self) -> int:
        """What is now is known by a commit that changes nothing and holds only if nobody has thought of the
        same name as we."""
        if self._since is None:
            nobody = Absent(f"{self._key}/{uuid.uuid4().hex}" if self._key else uuid.uuid4().hex)
            self._since = await self._backend.commit([nobody], [])
            assert self._since is not None
        return self._since

    async def _events(self) -> AsyncGenerator[Event, None]:
        events = self._backend.history(self._key, below=self._below, since=await self._begin())
        try:
            async for event in events:
                yield event
        finally:
            if isinstance(events, AsyncGenerator):
                await events.aclose()


class KeyValues:
    def __init__(self, sessions: Sessions) -> None:
        self._backend = sessions.backend

    async def get(self, key: str) -> Entry | None:
        return await self._backend.get(key)

    async def put(
        self, key: str, value: bytes, *, if_absent: bool = False, if_version: int | None = None
    ) -> int:
        """The version that it has now.  Raises Conflict."""
        if if_absent and if_version is not None:
            raise ValueError("what is absent has no version")
        guards = [Absent(key)] if if_absent else _at(key, if_version)
        version = await self._backend.commit(guards, [Put(key, value)])
        if version is None:
            raise Conflict(f"{key} is there" if if_absent else f"{key} is not at version {if_version}")
        return version

    async def delete(self, key: str, *, if_version: int | None = None) -> None:
        """It may be gone already, unless a version is named.  Raises Conflict."""
        if await self._backend.commit(_at(key, if_version), [Delete(key)]) is None:
            raise Conflict(f"{key} is not at version {if_version}")

    async def list(self, directory: str = "") -> Entries:
        """The keys directly below it, by name; their values come with them."""
        return await self._backend.entries(directory)

    async def names(self, directory: str = "") -> Names:
        """The names directly below it; also of what is no key and has keys below it."""
        return await self._backend.names(directory)

    async def count(self, directory: str = "") -> int:
        """How many `names` there are; no values are read for it."""
        return len(await self._backend.names(directory))

    def watch(self, key: str, *, below: bool = False, since: int | None = None) -> Watching:
        """Every change of the key (`below`: and of all below it), in order.  Raises Unsupported."""
        return Watching(self._backend, key, below=below, since=since)

    def follow(self, key: str) -> Following[Entry | None]:
        """What is there now, then each newer state."""

        async def look() -> Entry | None:
            return await self._backend.get(key)

        return Following(self._backend, key, look, below=False)

    def follow_list(self, directory: str = "") -> Following[Entries]:
        """All that is directly below now, then whenever it is another; each time the whole list is read."""

        async def look() -> Entries:
            return await self._backend.entries(directory)

        return Following(self._backend, directory, look, below=True)


def _at(key: str, version: int | None) -> list[Guard]:
    return [] if version is None else [At(key, version)]
