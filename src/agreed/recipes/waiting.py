"""Standing in line: how one waits for one's turn, whatever it is a turn of.

    turn = Turn(sessions, "orders/42", Exclusive(), value=b"me")
    mine, session = await turn.wait()

Everybody who wants something puts an entry behind those that are there, and waits for some of those before
him to go: for a lock the one directly before (nobody else wakes up when it is given back), for a reader the
last writer before, for one of n permits until fewer than n are before him.  That is the recipe of ZooKeeper's
documentation and of etcd's concurrency package, and since the entries are where theirs are, they and we
exclude one another.

An entry goes with its session, so that nobody waits for the dead.  Who stops waiting, for whatever reason,
takes his entry away, also one of which he does not know whether it was made.  Nobody can be passed over: an
entry that is first stays first.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Protocol

import msgspec

from agreed.backends.contract import Changes, Entry, Kind, Layout, Place, Session
from agreed.client.errors import SessionExpired
from agreed.recipes.sessions import Sessions


class Awaited(msgspec.Struct, frozen=True):
    """Wait until whoever stands at `place` has left; without one, until anybody in the line has."""

    place: Place | None


class Rule(Protocol):
    kind: Kind

    def before(self, directory: str, line: tuple[Place, ...], index: int) -> Awaited | None:
        """What the one at `index` waits for; None: it is his turn."""
        ...


class Exclusive:
    """One at a time."""

    kind = Kind.WRITER

    def before(self, directory: str, line: tuple[Place, ...], index: int) -> Awaited | None:
        if not index:
            return None
        return Awaited(line[index - 1])


class Shared:
    """Any number of them together, and no writer."""

    kind = Kind.READER

    def before(self, directory: str, line: tuple[Place, ...], index: int) -> Awaited | None:
        writers = [place for place in line[:index] if place.kind is Kind.WRITER]
        if not writers:
            return None
        return Awaited(writers[-1])


class Among:
    """So many at a time."""

    kind = Kind.WRITER

    def __init__(self, permits: int) -> None:
        self.permits = permits

    def before(self, directory: str, line: tuple[Place, ...], index: int) -> Awaited | None:
        return Awaited(None) if index >= self.permits else None


class Turn:
    """One attempt.  After `wait` has returned, `give_back` ends it."""

    def __init__(
        self,
        sessions: Sessions,
        directory: str,
        rule: Rule,
        *,
        value: bytes = b"",
        ttl_s: float | None = None,
        layout: Layout = Layout.KAZOO,
    ) -> None:
        self._sessions = sessions
        self._backend = sessions.backend
        self._directory = directory
        self._rule = rule
        self._value = value
        self._ttl_s = ttl_s
        self._layout = layout
        self._mark = uuid.uuid4().hex
        self._session: Session | None = None

    async def wait(self) -> tuple[Entry, Session]:
        """One's entry, once it is one's turn.  Raises SessionExpired where it ended before."""
        found = await self._guarded(wait=True)
        assert found is not None
        return found

    async def try_now(self) -> tuple[Entry, Session] | None:
        """None, and nothing is left behind: it is not one's turn now."""
        return await self._guarded(wait=False)

    async def give_back(self) -> None:
        """Nobody stands there any more, also where whoever waits for this is cancelled."""
        session = self._session
        if session is not None:
            await self._sessions.clean(
                session, lambda: self._backend.leave(self._directory, session, self._mark)
            )

    async def _guarded(self, *, wait: bool) -> tuple[Entry, Session] | None:
        found = None
        try:
            session = self._session = await self._sessions.get(self._ttl_s)
            mine = await self._stand(session, wait=wait)
            found = None if mine is None else (mine, session)
            return found
        finally:
            if found is None and self._session is not None:
                self._sessions.tidy(self.give_back())

    async def _stand(self, session: Session, *, wait: bool) -> Entry | None:
        standing = await self._backend.enter(
            self._directory, session, self._mark, self._value, self._rule.kind, self._layout
        )
        mine, line = standing.mine, standing.line
        while True:
            awaited = self._before(mine, line)
            if awaited is None:
                return mine
            if not wait:
                return None
            if awaited.place is None:
                line = await self._line_after_a_change(mine, session)
            else:
                await self._backend.until_gone(awaited.place, mine, session)
                line = await self._line_behind(mine, session)

    async def _line_behind(self, mine: Entry, session: Session) -> tuple[Place, ...]:
        """That the one before us is gone is not enough: who deletes the directory deletes both.  This look is
        all that lies between his departure and our turn, so it is the cheapest that will do."""
        line = await self._backend.line_before(self._directory, self._layout, mine, session)
        return line if line and line[-1].key == mine.key else await self._line()

    async def _line_after_a_change(self, mine: Entry, session: Session) -> tuple[Place, ...]:
        async with self._backend.changes(self._directory, below=True) as changes:
            line = await self._line()
            if self._before(mine, line) is None:
                return line
            await until_changed(changes, session)
            return await self._line()

    async def _line(self) -> tuple[Place, ...]:
        return await self._backend.line(self._directory, self._layout)

    def _before(self, mine: Entry, line: tuple[Place, ...]) -> Awaited | None:
        for index, place in enumerate(line):
            if place.key == mine.key:
                return self._rule.before(self._directory, line, index)
        raise SessionExpired(f"{mine.key} was deleted while it stood in line", maybe=False)


async def until_changed(changes: Changes, session: Session) -> None:
    """Whoever waits for others notices when he has lost his own place."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    take_off = session.on_end(lambda: None if ended.done() else ended.set_result(None))
    waiting = loop.create_task(changes.wait())
    try:
        await asyncio.wait((waiting, ended), return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            waiting.result()
        if session.ended:
            raise SessionExpired("the session ended while it stood in line", maybe=False)
    finally:
        take_off()
        waiting.cancel()
