"""Keeps a copy of something as new as what is heard of it, for as long as somebody has entered.

    follower = Follower(backend, "config/app", read, below=False)
    await follower.begin()          returns when it was read once, or raises what that did
    follower.error                  why it is not followed at present; None: it is, for all we know
    follower.stale_for()            seconds since the service was heard last; 0 while it is followed
    await follower.newer(...)       for who waits for something newer
    await follower.end()            as often as it was begun; with the last one it stops

It is always the same round, and whatever goes wrong in it ends in its beginning:

    watch, and `read(None)`: all of it      what was changed in the meantime is read now
    rest for as long as that took           so at most half of the time is spent on reading much
    wait until something changes            and where nothing does, ask now and then whether anybody answers
    `read(changes)`: what has changed       and so on
    anything fails                          `error` says what; after a pause again from the beginning

Only asking tells silence from quiet: a connection may be dead without anybody noticing, and a watch on it
tells nothing then, just as it does where nothing happens.

What fails for good (the client is closed, the process is a fork, or whatever `for_good` names) is not tried
again; whoever waits in `newer` is told.  An exception that nobody has expected is logged with all it says,
and tried again as others are: a copy that is silently not followed any more would be worse.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from agreed.backends.contract import Backend, Changes
from agreed.client.driver import seconds
from agreed.client.errors import Forked, SessionClosed, TimedOut
from agreed.errors import AgreedError

Answer = TypeVar("Answer")

LOG: Final = logging.getLogger("agreed.recipes")

ASKED_EVERY_S: Final = 2.0
"""So often somebody looks whether the service still answers, while nothing changes."""

ANSWERED_WITHIN_S: Final = 3.0

AGAIN_AFTER_S: Final = 0.5
"""A service that cannot be reached is asked again after so long; its own client has tried by then."""


class Follower:
    """`read` is given the watch and reads what that was told of; None: all of it.

    Where that is much it asks by `asked`: what is rested from, and since when the service was heard, is known
    by that.  What reads little does not: it would rest for a minute because somebody else kept it waiting."""

    def __init__(
        self,
        backend: Backend,
        key: str,
        read: Callable[[Changes | None], Awaitable[object]],
        *,
        below: bool,
        for_good: tuple[type[AgreedError], ...] = (),
    ) -> None:
        self.entered = 0
        """So many have begun and not ended yet."""
        self.error: AgreedError | None = None
        self._backend = backend
        self._key = key
        self._read = read
        self._below = below
        self._for_good = (SessionClosed, Forked, *for_good)
        self._is_over = False
        self._took_s = 0.0
        self._heard_at = self._answered_at = seconds()
        self._process = os.getpid()
        self._told = asyncio.Event()
        self._begun: asyncio.Future[None] | None = None
        self._following: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """For any number of tasks: who comes while it is followed waits for nothing."""
        self.entered += 1
        try:
            if self._begun is None or self._following is None or self._following.done():
                loop = asyncio.get_running_loop()
                self._begun = loop.create_future()
                self._following = loop.create_task(self._follow(self._begun))
            await asyncio.shield(self._begun)
        except BaseException:
            await self.end()
            raise

    async def end(self) -> None:
        self.entered -= 1
        if self.entered:
            return
        following, self._following = self._following, None
        self.tell()  # before anything is waited for: who is cancelled here has told them all the same
        if following is not None:
            following.cancel()
            await asyncio.wait((following,))

    def stale_for(self) -> float:
        """Also where nothing could be noticed here, because the process stood still."""
        is_ours = os.getpid() == self._process  # in a forked process nobody follows it
        follows = is_ours and self._following is not None and not self._following.done()
        is_in_time = seconds() - self._answered_at <= ASKED_EVERY_S + ANSWERED_WITHIN_S
        if follows and self.error is None and is_in_time:
            return 0.0
        return max(0.0, seconds() - self._heard_at)

    async def asked(self, question: Awaitable[Answer]) -> Answer:
        """Its answer is a word of the service, and is as new as the moment at which it was asked for."""
        asked_at = seconds()
        try:
            answer = await question
        finally:
            self._took_s = seconds() - asked_at
        self._heard_at, self._answered_at = asked_at, seconds()
        return answer

    async def rest(self) -> None:
        """For as long as the last question took."""
        left_s = self._took_s
        while left_s > ASKED_EVERY_S:
            await asyncio.sleep(ASKED_EVERY_S)
            left_s -= ASKED_EVERY_S
            await self._ask()
        await asyncio.sleep(left_s)

    def tell(self) -> None:
        """Whoever waits looks again."""
        told, self._told = self._told, asyncio.Event()
        told.set()

    async def newer(self, shown: Callable[[], object], told: object) -> bool:
        """Returns when something else is shown than was told; False: nobody follows it any more.  Raises the
        error that is for good."""
        while self.entered:
            if shown() is not told:
                return True
            if self._is_over and self.error is not None:
                raise self.error.with_traceback(None)
            await self._told.wait()
        return False

    # --- inside -----------------------------------------------------------------------------------------

    async def _follow(self, begun: asyncio.Future[None]) -> None:
        self._is_over = False
        while True:
            try:
                async with self._backend.changes(self._key, below=self._below) as changes:
                    await self._read(None)
                    self._succeeded(begun)
                    while True:
                        await self.rest()
                        while not await changes.wait(ASKED_EVERY_S):
                            await self._ask()
                        await self._read(changes)
            except Exception as error:
                if not begun.done():
                    begun.set_exception(error)
                    begun.exception()  # if nobody waits for it any more, nobody needs to know
                    return
                self._failed(error)
                if self._is_over:
                    return
            await asyncio.sleep(max(AGAIN_AFTER_S, self._took_s))

    def _succeeded(self, begun: asyncio.Future[None]) -> None:
        if self.error is not None:
            LOG.info("%s is followed again", self._key)
        self.error = None
        if not begun.done():
            begun.set_result(None)

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, AgreedError):
            LOG.error("what keeps up with %s has failed", self._key, exc_info=error)
            error = AgreedError(f"{self._key}: {type(error).__name__}: {error}")
        elif self.error is None:  # once for each absence, however long that lasts
            LOG.warning("%s cannot be followed at present: %s", self._key, error)
        self.error = error
        self._is_over = isinstance(error, self._for_good)
        self.tell()

    async def _ask(self) -> None:
        """Whether anybody answers."""
        took_s = self._took_s
        try:
            async with asyncio.timeout(ANSWERED_WITHIN_S) as limit:
                await self.asked(self._backend.get(self._key or "0"))
        except TimeoutError:
            if not limit.expired():
                raise
            raise TimedOut(f"{self._key}: no answer in {ANSWERED_WITHIN_S:g} s", maybe=False) from None
        finally:
            self._took_s = took_s
