"""What is obtained by standing in line, used with `async with` or by hand, and who has it.

    async with wanted as held:                  waits, runs the body, gives back
    async with wanted.hold(timeout=5.0) as held:
    held = await wanted.acquire(timeout=5.0)    AcquireTimeout after five seconds in all
    held = await wanted.try_acquire()           None where somebody has it

One object may be used by any number of tasks at once; each of them stands in line for itself.
"""

from __future__ import annotations

import asyncio
from typing import TypeVar

import msgspec

from agreed.backends.contract import Entry, Kind, Layout, Place, Session
from agreed.recipes.entering import Entering
from agreed.recipes.errors import AcquireTimeout, LockLost, Lost
from agreed.recipes.grant import Grant
from agreed.recipes.sessions import Sessions
from agreed.recipes.waiting import Rule, Turn

Granted = TypeVar("Granted", bound=Grant)


class Holder(msgspec.Struct, frozen=True):
    """Who holds it, or waits.  `value` is what he calls himself; `token` is his, once he holds it."""

    key: str
    value: bytes
    token: int
    session: int
    kind: Kind


class Obtainable(Entering[Granted]):
    """What is obtained by standing in line; locks, permits and leadership are.  `timeout` is for who names no
    other, as `async with` does."""

    granted: type[Granted]
    loss: type[Lost] = LockLost

    def __init__(
        self,
        sessions: Sessions,
        name: str,
        rule: Rule,
        *,
        timeout: float | None = None,
        ttl: float | None = None,
        value: bytes = b"",
        layout: Layout = Layout.KAZOO,
    ) -> None:
        super().__init__()
        self.name = name
        self.timeout_s = timeout
        self._sessions = sessions
        self._rule = rule
        self._ttl_s = ttl
        self._value = value
        self._layout = layout

    async def acquire(self, timeout: float | None = None) -> Granted:
        """Wait for it, `timeout` seconds in all (None: what the recipe was made with; that is as long as it
        takes, if nothing else was said).

        Raises AcquireTimeout; what the backend raises (`agreed.client.errors`), SessionExpired where the
        session ended meanwhile; `Lost` (of its kind) where it was obtained, and lost before it could be used.
        After each of them nobody stands in line for it any more."""
        turn = self._turn()
        timeout = self.timeout_s if timeout is None else timeout
        began = asyncio.timeout(timeout)
        try:
            async with began:
                await self._prepare()
                mine, session = await turn.wait()
        except TimeoutError as error:
            if not began.expired():
                raise  # the backend's own
            raise AcquireTimeout(f"{self.name} was not obtained in {timeout} s") from error
        grant = self._grant(turn, mine, session)
        if grant.lost_by_now():
            self._sessions.tidy(grant.release())
            raise grant.loss()
        return grant

    async def try_acquire(self) -> Granted | None:
        """None where it cannot be had at once."""
        turn = self._turn()
        await self._prepare()
        found = await turn.try_now()
        if found is None:
            return None
        grant = self._grant(turn, *found)
        if grant.lost_by_now():
            self._sessions.tidy(grant.release())
            return None
        return grant

    async def holders(self) -> list[Holder]:
        """Who has it now, in the order in which they came."""
        return [holder for holder, waits in await self._everybody() if not waits]

    async def waiters(self) -> list[Holder]:
        """Who waits for it now."""
        return [holder for holder, waits in await self._everybody() if waits]

    # --- inside -----------------------------------------------------------------------------------------

    async def _prepare(self) -> None:
        """What is to be known before one stands in line."""

    def _turn(self) -> Turn:
        return Turn(
            self._sessions, self.name, self._rule, value=self._value, ttl_s=self._ttl_s, layout=self._layout
        )

    def _grant(self, turn: Turn, mine: Entry, session: Session) -> Granted:
        return self.granted(self._sessions.backend, self.name, mine, session, self.loss, turn.give_back)

    async def _everybody(self) -> list[tuple[Holder, bool]]:
        backend = self._sessions.backend
        line = await backend.line(self.name, self._layout)
        entries = await asyncio.gather(*(backend.get(place.key) for place in line))
        there = [(place, entry) for place, entry in zip(line, entries, strict=True) if entry is not None]
        left = tuple(place for place, _ in there)
        return [
            (
                Holder(place.key, entry.value, entry.created, entry.owner, place.kind),
                self._rule_of(place).before(self.name, left, index) is not None,
            )
            for index, (place, entry) in enumerate(there)
        ]

    def _rule_of(self, place: Place) -> Rule:
        return self._rule
