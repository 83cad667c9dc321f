"""The connections of one backend: one on which it asks, and one for each session that users hold.

A session of ZooKeeper is a connection of its own.  The first one that is opened with the backend's own time
is the backend's own connection: most programs have one session, and need one connection.  When the own
session is over, by whatever cause, the next request makes a new one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeAlias, TypeVar

from agreed.backends.zookeeper.packets import Deadline
from agreed.client import aio
from agreed.client.errors import Forked, SessionClosed, SessionExpired, TimedOut
from agreed.client.values import SessionState
from agreed.errors import ConfigurationError

Opener: TypeAlias = Callable[[float], Awaitable[aio.Session]]
"""From the wished time of a session, in seconds, to one that is connected and whose root is that of the whole
tree.  Raises `agreed.client.errors`."""

Answered = TypeVar("Answered")

GRANTED_WITHIN_S: Final = 0.001
"""The protocol counts in milliseconds."""


class ZooKeeperSession:
    """`agreed.backends.contract.Session`."""

    def __init__(self, connection: aio.Session) -> None:
        self.connection = connection
        self.making: dict[bytes, set[Making]] = {}
        """Who is about to make which nodes in this session (see `commits.py`)."""
        self.names: dict[tuple[str, str], str] = {}
        """What stands in a line, by its directory and mark, where that is known (see `standing.py`)."""

    @property
    def id(self) -> int:
        return self.connection.id

    @property
    def ttl_s(self) -> float:
        return self.connection.timeout_s

    @property
    def ended(self) -> bool:
        return self.connection.state.final

    def remaining_s(self) -> float:
        """What this rests on is told at `agreed.client.certainty`."""
        return self.connection.remaining_s()

    def on_end(self, callback: Callable[[], None]) -> Callable[[], None]:
        if self.ended:
            callback()
            return lambda: None

        def became(state: SessionState) -> None:
            if state.final:
                take_off()
                callback()

        take_off = self.connection.on_state(became)
        return take_off

    async def close(self) -> None:
        try:
            await self.connection.close()
        finally:
            self.connection.abandon()  # also for who is cancelled: nobody renews it any longer


class Making:
    """Which nodes one commit would make in its session.  `alone`: nobody else of this program would, or might
    still, make one of them in the same session: that it is there and is that session's then says who made
    it."""

    def __init__(self, paths: Iterable[bytes]) -> None:
        self._paths = list(paths)
        self._all: dict[bytes, set[Making]] = {}
        self.alone = True

    def begin(self, all_of_session: dict[bytes, set[Making]]) -> None:
        self._all = all_of_session
        for path in self._paths:
            others = self._all.setdefault(path, set())
            for other in others:
                other.alone = self.alone = False
            others.add(self)

    def end(self) -> None:
        """Its outcome is known.  Who does not know it never says so, and nobody is alone behind him."""
        for path in self._paths:
            self._all[path].discard(self)
            if not self._all[path]:
                del self._all[path]


class Sessions:
    def __init__(self, opener: Opener, ttl_s: float) -> None:
        self.ttl_s = ttl_s
        self._opener = opener
        self._process = os.getpid()
        self._own: ZooKeeperSession | None = None
        self._own_is_given = False
        self._opening: asyncio.Task[ZooKeeperSession] | None = None
        self._open: set[ZooKeeperSession] = set()
        self._closed = False

    async def own(self, deadline: Deadline | None = None) -> ZooKeeperSession:
        """The one on which is asked; a new one where it is over.  Does not wait where there is one, and not
        beyond `deadline` for a new one."""
        self._raise_if_unusable()
        if self._own is not None and not self._own.ended:
            return self._own
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open_own())
            self._opening.add_done_callback(lambda task: task.cancelled() or task.exception())
        # Who stops waiting does not take it from the others, who wait for the same one.
        opening = self._opening
        await asyncio.wait([opening], timeout=None if deadline is None else deadline.left_s)
        self._raise_if_unusable()
        if not opening.done():
            raise TimedOut("no new session in time", maybe=False)
        return opening.result()

    async def _open_own(self) -> ZooKeeperSession:
        try:
            self._own = await self._connect(self.ttl_s)
            self._own_is_given = False
            return self._own
        finally:
            self._opening = None

    async def open(self, ttl_s: float) -> ZooKeeperSession:
        """Raises ConfigurationError where the servers grant another time than this."""
        self._raise_if_unusable()
        own = self._own
        if own is not None and not own.ended and not self._own_is_given and _is(own.ttl_s, ttl_s):
            self._own_is_given = True
            return own
        session = await self._connect(ttl_s)
        if not _is(session.ttl_s, ttl_s):
            await session.close()
            raise ConfigurationError(
                f"a session of {ttl_s:g} s was asked for, and the servers would give one of "
                f"{session.ttl_s:g} s: they have bounds for it, 2 and 20 ticks where nothing else is set"
            )
        return session

    async def _connect(self, ttl_s: float) -> ZooKeeperSession:
        connection = await self._opener(ttl_s)
        if self._closed:
            await connection.close()
            self._raise_if_unusable()
        session = ZooKeeperSession(connection)
        self._open.add(session)
        session.on_end(lambda: self._open.discard(session))
        return session

    def _raise_if_unusable(self) -> None:
        if os.getpid() != self._process:
            raise Forked()
        if self._closed:
            raise SessionClosed("the client was closed", maybe=False)

    async def close(self) -> None:
        if self._closed or os.getpid() != self._process:
            return
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        await asyncio.gather(*(session.close() for session in list(self._open)))

    async def on_own(
        self, call: Callable[[ZooKeeperSession], Awaitable[Answered]], deadline: Deadline
    ) -> Answered:
        """`call` with the session on which is asked, and again if that is over: for what changes nothing."""
        while True:
            session = await self.own(deadline)
            try:
                return await call(session)
            except (SessionExpired, SessionClosed):
                if self._closed or not session.ended:
                    raise


def _is(granted_s: float, wished_s: float) -> bool:
    return abs(granted_s - wished_s) <= GRANTED_WITHIN_S
