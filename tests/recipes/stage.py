"""A coordination service in a dictionary: the contract and nothing else, and failures when a test says so.

    stage = Stage()
    mine, yours = stage.client(), stage.client()
    session.end()                       it is over, at once, with all that hangs on it
    session.certain_s = 0.0             nobody knows whether it lives
    stage.before = delay                awaited before whatever a client asks: to be late, or to fail

What real services do besides is not played here; the same recipes run on them in the tests beside this file.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Self

from agreed.backends.contract import (
    Absent,
    At,
    Capabilities,
    Change,
    Delete,
    Entry,
    Event,
    Guard,
    Kind,
    Layout,
    Place,
    Put,
    Session,
    Standing,
    Subtree,
    Touched,
)
from agreed.backends.errors import TooMuchBelow, Unsupported
from agreed.client.errors import SessionExpired

CAPABILITIES = Capabilities(
    name="stage",
    durable=False,
    shared=False,
    history=False,
    deletes_parents=True,
    value_bytes=1 << 20,
    changes=128,
    ttl_s=(0.1, 1000.0),
)


async def at_once(question: str) -> None:
    await asyncio.sleep(0)


class Stage:
    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.kinds: dict[str, Kind] = {}
        self.revision = 1
        self.opened: list[StageSession] = []
        self.watching: list[StageChanges] = []
        self.before: Callable[[str], Awaitable[None]] = at_once

    def client(self) -> StageBackend:
        return StageBackend(self)

    def put(self, key: str, value: bytes, owner: int) -> Entry:
        known = self.entries.get(key)
        made = known.created if known is not None else self.revision
        who = known.owner if known is not None else owner
        self.entries[key] = entry = Entry(key, value, self.revision, made, self.revision, who)
        self.changed(key)
        return entry

    def delete(self, key: str) -> None:
        if self.entries.pop(key, None) is not None:
            self.changed(key)

    def changed(self, key: str) -> None:
        for changes in self.watching:
            if changes.key == key or (
                changes.below and (not changes.key or key.startswith(f"{changes.key}/"))
            ):
                changes.hear(key)

    def holds(self, guard: Guard) -> bool:
        entry = self.entries.get(guard.key)
        if isinstance(guard, Absent):
            return entry is None
        if entry is None:
            return False
        return entry.version == guard.version if isinstance(guard, At) else entry.created == guard.created


class StageSession:
    """`certain_s` is what `remaining_s` says; `end` ends it."""

    def __init__(self, stage: Stage, ttl_s: float) -> None:
        stage.opened.append(self)
        self.id = len(stage.opened)
        self.ttl_s = ttl_s
        self.certain_s = ttl_s
        self.ended = False
        self._stage = stage
        self._callbacks: list[Callable[[], None]] = []

    def remaining_s(self) -> float:
        return 0.0 if self.ended else self.certain_s

    def on_end(self, callback: Callable[[], None]) -> Callable[[], None]:
        if self.ended:
            callback()
            return lambda: None
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback) if callback in self._callbacks else None

    def end(self) -> None:
        self.ended = True
        stage = self._stage
        stage.revision += 1
        for entry in [entry for entry in stage.entries.values() if entry.owner == self.id]:
            stage.delete(entry.key)
        for callback in list(self._callbacks):
            callback()

    async def close(self) -> None:
        if not self.ended:
            self.end()


class StageChanges:
    def __init__(self, stage: Stage, key: str, below: bool) -> None:
        self.key = key
        self.below = below
        self.wake = asyncio.Event()
        self.keys: set[str] = set()
        self.tells_what = True
        self._stage = stage

    def hear(self, key: str) -> None:
        self.keys.add(key)
        self.wake.set()

    async def wait(self, timeout_s: float | None = None) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await self.wake.wait()
        except TimeoutError:
            return False
        self.wake.clear()
        return True

    def touched(self) -> Touched:
        keys, self.keys = frozenset(self.keys), set()
        return Touched(self._stage.revision, keys if self.tells_what else None)

    async def __aenter__(self) -> Self:
        await self._stage.before("changes")
        self._stage.watching.append(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stage.watching.remove(self)


class StageBackend:
    """One client; `opened` are its sessions."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.opened: list[StageSession] = []
        self.capabilities = CAPABILITIES

    async def get(self, key: str) -> Entry | None:
        await self.stage.before("get")
        return self.stage.entries.get(key)

    async def entries(self, directory: str) -> list[Entry]:
        await self.stage.before("entries")
        below = f"{directory}/" if directory else ""
        return sorted(
            (
                entry
                for key, entry in self.stage.entries.items()
                if key.startswith(below) and "/" not in key.removeprefix(below)
            ),
            key=lambda entry: entry.key,
        )

    async def names(self, directory: str) -> list[str]:
        await self.stage.before("names")
        below = f"{directory}/" if directory else ""
        return sorted(
            {key.removeprefix(below).split("/")[0] for key in self.stage.entries if key.startswith(below)}
        )

    async def subtree(self, key: str, *, most: int, most_bytes: int) -> Subtree:
        await self.stage.before("subtree")
        found = [
            entry
            for name, entry in sorted(self.stage.entries.items())
            if not key or name == key or name.startswith(f"{key}/")
        ]
        if len(found) > most or sum(len(entry.key) + len(entry.value) for entry in found) > most_bytes:
            raise TooMuchBelow(key, most, most_bytes)
        return Subtree(self.stage.revision, tuple(found))

    async def commit(self, guards: Sequence[Guard], changes: Sequence[Change]) -> int | None:
        await self.stage.before("commit")
        stage = self.stage
        if not all(map(stage.holds, guards)):
            return None
        stage.revision += 1
        for change in changes:
            if isinstance(change, Delete):
                stage.delete(change.key)
            else:
                assert isinstance(change, Put)
                stage.put(change.key, change.value, 0 if change.session is None else change.session.id)
        return stage.revision

    async def enter(
        self, directory: str, session: Session, mark: str, value: bytes, kind: Kind, layout: Layout
    ) -> Standing:
        await self.stage.before("enter")
        key = f"{directory}/{mark}"
        if key not in self.stage.entries:
            self.stage.revision += 1
            self.stage.put(key, value, session.id)
            self.stage.kinds[key] = kind
        return Standing(self.stage.entries[key], self._line(directory))

    async def leave(self, directory: str, session: Session, mark: str) -> None:
        await self.stage.before("leave")
        self.stage.revision += 1
        self.stage.delete(f"{directory}/{mark}")

    async def line(self, directory: str, layout: Layout) -> tuple[Place, ...]:
        await self.stage.before("line")
        return self._line(directory)

    async def line_before(
        self, directory: str, layout: Layout, mine: Entry, session: Session
    ) -> tuple[Place, ...]:
        await self.stage.before("line")
        return tuple(place for place in self._line(directory) if place.created <= mine.created)

    async def until_gone(self, place: Place, mine: Entry, session: Session) -> None:
        async with self.changes(place.key, below=False) as changes:
            take_off = session.on_end(changes.wake.set)
            try:
                while (there := self.stage.entries.get(place.key)) and there.created == place.created:
                    if session.ended:
                        raise SessionExpired("the session ended while it stood in line", maybe=False)
                    await changes.wait()
            finally:
                take_off()

    def _line(self, directory: str) -> tuple[Place, ...]:
        there = [entry for key, entry in self.stage.entries.items() if key.startswith(f"{directory}/")]
        return tuple(
            Place(
                entry.key,
                entry.key.rpartition("/")[2],
                self.stage.kinds.get(entry.key, Kind.WRITER),
                entry.created,
            )
            for entry in sorted(there, key=lambda entry: entry.created)
        )

    def changes(self, key: str, *, below: bool) -> StageChanges:
        return StageChanges(self.stage, key, below)

    def history(self, key: str, *, below: bool, since: int | None) -> AsyncIterator[Event]:
        raise Unsupported("a stage keeps no history")

    async def open_session(self, ttl_s: float) -> StageSession:
        await self.stage.before("open_session")
        session = StageSession(self.stage, ttl_s)
        self.opened.append(session)
        return session

    async def close(self) -> None:
        for session in self.opened:
            await session.close()
