"""The sessions of one client, and what is still to be cleaned away behind it.

All grants with the same time to live hang on one session; what asks for another time gets another session.  A
session that is over is not used again: the next one who asks gets a new one, and what hung on the old one is
lost.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from agreed.backends.contract import Backend, Session
from agreed.client.errors import QuotaExceeded, ReadOnly, SessionClosed, SessionExpired, Throttled, Unanswered
from agreed.errors import AgreedError
from agreed.recipes.certain import Certain

LOG: Final = logging.getLogger("agreed.recipes")

PAUSE_S: Final = (0.02, 2.0)
"""Between two attempts to clean away: a random part of it; the first and the longest, it doubles."""

PASSES: Final = (Unanswered, Throttled, QuotaExceeded, ReadOnly)
"""What is worth another attempt, later."""


class Sessions:
    """`ttl_s` is for who names no other.  `certain`: for commits whose answers may be lost."""

    def __init__(self, backend: Backend, ttl_s: float) -> None:
        self.backend = backend
        self.ttl_s = ttl_s
        self.certain = Certain(backend, self.get)
        self._open: dict[float, Session] = {}
        self._opening: dict[float, asyncio.Lock] = {}
        self._tidying: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()

    async def get(self, ttl_s: float | None = None) -> Session:
        """One that is not over, for all we know."""
        wanted_s = self.ttl_s if ttl_s is None else ttl_s
        session = self._open.get(wanted_s)
        if session is not None and not session.ended:
            return session
        async with self._opening.setdefault(wanted_s, asyncio.Lock()):
            session = self._open.get(wanted_s)
            if session is None or session.ended:
                session = self._open[wanted_s] = await self.backend.open_session(wanted_s)
            return session

    def tidy(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it in any case, though whoever began it was cancelled.  What cannot be done now is done by the
        end of the session."""
        self._begin(self._tidy(work))

    async def in_any_case(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it, and wait for it here.  Where whoever waits is cancelled, it goes on."""
        await asyncio.shield(self._begin(work))

    async def clean(self, session: Session, action: Callable[[], Awaitable[None]]) -> None:
        """Take away what hangs on this session, which may well live on: so that is done again and again until
        it is done or the session over, whatever becomes of whoever waits here.  Raises what went wrong the
        first time."""
        try:
            await action()  # here, and not in a task of its own: giving back is half of what a lock costs
        except AgreedError as error:
            if not self._is_in_vain(session, error):
                self._begin(self._clean(session, action, attempts=1))
            raise
        except asyncio.CancelledError:
            self._begin(self._clean(session, action, attempts=0))
            raise

    async def pause(self, seconds: float) -> None:
        """Wait for a time that is no backend's.  Raises SessionClosed where the client is closed meanwhile:
        nobody is to wait an hour for what he cannot get any more."""
        try:
            async with asyncio.timeout(seconds):
                await self._over.wait()
        except TimeoutError:
            return
        raise SessionClosed("the client was closed", maybe=False)

    async def tidied(self) -> None:
        """All that was begun by now."""
        while self._tidying:
            await asyncio.wait(self._tidying)

    async def close(self) -> None:
        """What is still to be cleaned away has time for as long as its sessions live; then their end does
        it."""
        sessions = list(self._open.values())
        longest_s = max((session.ttl_s for session in sessions), default=0.0)
        await asyncio.wait(
            [asyncio.ensure_future(self.tidied()), asyncio.ensure_future(self.certain.settled())],
            timeout=longest_s,
        )
        await self.end()

    async def end(self) -> None:
        """All that hangs on them goes now, and what is under way may fail."""
        self._over.set()
        sessions, self._open = list(self._open.values()), {}
        await asyncio.gather(*(session.close() for session in sessions))

    # --- inside -----------------------------------------------------------------------------------------

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tidying.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tidying.discard(task)
        if not task.cancelled():
            task.exception()  # it is told to whoever waits; if nobody does, to nobody

    async def _tidy(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except AgreedError as error:
            LOG.info("not cleaned away, it goes with its session: %s", error)

    async def _clean(self, session: Session, action: Callable[[], Awaitable[None]], attempts: int) -> None:
        """`attempts`: so many were in vain already."""
        for attempt in itertools.count(attempts):
            if attempt:
                pause_s = min(PAUSE_S[0] * 2.0 ** min(attempt - 1, 10), PAUSE_S[1])
                await asyncio.sleep(random.random() * pause_s)
            try:
                await action()
                return
            except AgreedError as error:
                if self._is_in_vain(session, error):
                    return

    def _is_in_vain(self, session: Session, error: AgreedError) -> bool:
        is_over = session.ended or isinstance(error, SessionClosed | SessionExpired)
        if is_over or not isinstance(error, PASSES):
            LOG.info("not cleaned away, it goes with its session: %s", error)
            return True
        return False
