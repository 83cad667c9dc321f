"""The locks of the tooz driver: one lock of ours for writers and readers, with tooz's methods.

What tooz promises of one object: it may be used by several threads; it is not reentrant, but may be held
several times where it is shared; `release` gives back what was obtained last, and says whether that was still
ours.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from agreed.backends.contract import Delete
from agreed.integrations.extras import missing
from agreed.recipes.errors import AcquireTimeout
from agreed.recipes.grant import Grant
from agreed.recipes.lock import ReadOrWriteLock, ReadWriteLock
from agreed.recipes.sessions import Sessions

try:
    from tooz import locking, utils
except ImportError as error:
    raise missing("tooz", error) from error


async def _unwanted(grant: Grant | None) -> None:
    if grant is not None:
        await grant.release()


class AgreedLock(locking.Lock):
    """`wait_for` runs a coroutine where the sessions live, and another one with its result where whoever
    waits is interrupted in that very moment."""

    def __init__(
        self,
        name: bytes,
        directory: str,
        sessions: Callable[[], Sessions],
        wait_for: Callable[..., Any],
    ) -> None:
        super().__init__(name)
        self._directory = directory
        self._sessions = sessions
        self._wait_for = wait_for
        self._mutex = threading.Lock()
        self._grants: list[Grant] = []

    def acquire(
        self, blocking: bool | float = True, shared: bool = False, timeout: float | None = None
    ) -> bool:
        """False: not obtained in time; nothing of the attempt is left."""
        blocks, timeout = utils.convert_blocking(blocking, timeout)
        wanted = self._wanted(shared)
        try:
            grant = self._wait_for(wanted.acquire(timeout) if blocks else wanted.try_acquire(), _unwanted)
        except AcquireTimeout:
            return False
        if grant is None:
            return False
        with self._mutex:
            self._grants.append(grant)
        return True

    def release(self) -> bool:
        """False: it was not held, or not any more."""
        with self._mutex:
            if not self._grants:
                return False
            grant = self._grants.pop()
        released: bool = self._wait_for(self._give_back(grant))
        return released

    async def _give_back(self, grant: Grant) -> bool:
        """Also where nobody can say whose it is: nobody has the grant any more, to give it back later."""
        ours = False
        try:
            there = await self._sessions().backend.get(grant.key)
            ours = not grant.lost and there is not None and there.created == grant.token
        finally:
            await grant.release()
        return ours

    def break_(self) -> bool:
        """Whoever has it loses it, and whoever waits first has it.  False: nobody had it."""

        async def break_it() -> bool:
            wanted = self._wanted(shared=False)
            holders = await wanted.holders()
            for holder in holders:
                await self._sessions().backend.commit([], [Delete(holder.key)])
            return bool(holders)

        broken: bool = self._wait_for(break_it())
        return broken

    @property
    def acquired(self) -> bool:
        """It was, and was not given back; `is_still_owner` is the stricter question."""
        return bool(self._grants)

    @property
    def token(self) -> int | None:
        """The fencing token of what was obtained last."""
        grant = self._newest()
        return None if grant is None else grant.token

    def is_still_owner(self) -> bool:
        """It is certain now that nobody else has it."""
        grant = self._newest()

        async def certain() -> bool:
            return grant is not None and grant.remaining() > 0

        answer: bool = self._wait_for(certain())
        return answer

    def _newest(self) -> Grant | None:
        with self._mutex:
            return self._grants[-1] if self._grants else None

    def _wanted(self, shared: bool) -> ReadOrWriteLock:
        lock = ReadWriteLock(self._sessions(), self._directory)
        return lock.read() if shared else lock.write()
