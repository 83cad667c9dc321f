"""What one holds: a lock, a permit, leadership, membership, a job; and how one learns that one does not.

    grant.token         grows with every grant of that name on that cluster: give it to what is written to,
                        and let that refuse a smaller one than it has seen (a fence)
    grant.remaining()   seconds for which it is certain that nobody else holds it
    grant.check()       raises unless it is certain now
    grant.condition()   a guard for a commit: it holds only while this is ours

A grant is lost when its session is over, when nobody could renew that in time (then it may be over, and
nobody here knows), or when somebody has deleted its key.  Lost is for ever: a connection that comes back a
moment later does not bring it back, because in between somebody else may have been let in.

What is not promised: that what the program does stops in the moment in which a grant is lost.  A process may
stand still between `check` and what it does next, for longer than any time to live.  Only a fence at the
other end excludes that, which is what the token is for.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

from agreed.backends.contract import Backend, Entry, Session, Stands
from agreed.client.errors import Forked
from agreed.errors import AgreedError
from agreed.recipes.errors import Lost, NotHeld

LOG: Final = logging.getLogger("agreed.recipes")

LOOK_AFTER_S: Final = 1.0
"""A grant that is held for so long is worth a watch on its key: an operator may delete that.  Those that are
held for a moment are not: the watch would cost as much as the lock."""


class Grant:
    """Made by recipes.  `name` is what was asked for, `key` where it stands in the store."""

    def __init__(
        self,
        backend: Backend,
        name: str,
        mine: Entry,
        session: Session,
        loss: type[Lost],
        give_back: Callable[[], Awaitable[None]],
    ) -> None:
        self.name = name
        self.session = session
        self._backend = backend
        self._mine = mine
        self._loss = loss
        self._give_back = give_back
        self._why_lost = ""
        self._released = False
        self._taken_again = 0
        self._process = os.getpid()
        self._gone = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(LOOK_AFTER_S, self._look_soon)
        self._deadline: asyncio.TimerHandle | None = None
        self._watching: asyncio.Task[None] | None = None
        self._cleaning: asyncio.Task[None] | None = None
        self._off: Callable[[], None] = lambda: None
        self._off = session.on_end(self._session_ended)
        self._set_deadline()

    def __repr__(self) -> str:
        state = "released" if self._released else f"lost: {self._why_lost}" if self._why_lost else "held"
        return f"<{type(self).__name__} {self.name!r} token {self.token}, {state}>"

    @property
    def key(self) -> str:
        return self._mine.key

    @property
    def token(self) -> int:
        return self._mine.created

    @property
    def lost(self) -> bool:
        return bool(self._why_lost)

    @property
    def held(self) -> bool:
        """Neither lost nor given back, as far as is known here; `check` is the stricter question."""
        return not self._why_lost and not self._released

    def remaining(self) -> float:
        """0 once it is lost or given back, and in a forked process."""
        return self.session.remaining_s() if self.held and os.getpid() == self._process else 0.0

    def check(self) -> None:
        """Raises `Lost` (of its kind) unless nobody else can hold it now, NotHeld after `release`, and Forked
        in a forked process, which does not know whether it was given back."""
        if self.lost_by_now():
            raise self.loss()
        if self._released:
            raise NotHeld(f"{self.name} was given back")

    def lost_by_now(self) -> bool:
        """`lost`, also where nobody has noticed so far: the process stood still, or something kept the event
        loop from its work.  Raises Forked."""
        if os.getpid() != self._process:
            raise Forked
        if self.held and self.session.remaining_s() <= 0:
            self.lose("its session could not be renewed in time")
        return self.lost

    def loss(self) -> Lost:
        return self._loss(f"{self.name} (token {self.token}) is lost: {self._why_lost}")

    def condition(self) -> Stands:
        return Stands(self.key, self.token)

    async def wait_lost(self) -> bool:
        """Returns once it is lost (True) or given back (False)."""
        await self._gone.wait()
        return self.lost

    def on_lost(self, callback: Callable[[], None]) -> Callable[[], None]:
        """`callback()` on the event loop, once; at once if it is lost already.  Returns what takes it off."""
        if self.lost:
            callback()
            return lambda: None
        self._listeners.append(callback)

        def take_off() -> None:
            if callback in self._listeners:
                self._listeners.remove(callback)

        return take_off

    def taken_again(self) -> None:
        """One `release` more is needed to give it back."""
        self._taken_again += 1

    async def release(self) -> None:
        """Give it back; whoever waits may have it when this returns.  A lost one is cleaned away as well.
        Doing it twice is doing it once.  Raises what the backend does; it goes with the session then."""
        if os.getpid() != self._process:
            raise Forked
        if self._released:
            return
        if self._taken_again:
            self._taken_again -= 1
            return
        self._released = True
        self._stop()
        self._gone.set()
        if self._cleaning is None:
            await self._give_back()
        else:
            await asyncio.wait([self._cleaning])

    # --- how it is lost ---------------------------------------------------------------------------------

    def _stop(self) -> None:
        self._off()
        self._stop_looking()
        if self._deadline is not None:
            self._deadline.cancel()

    def lose(self, why: str) -> None:
        """For recipes: somebody has found out that it is."""
        if not self.held:
            return
        self._why_lost = why
        self._stop()
        self._gone.set()
        self._cleaning = self._loop.create_task(self._clean_away())
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener()

    async def _clean_away(self) -> None:
        """Its session may live, and whoever was told of the loss give nothing back: others would wait for
        him, and he for himself."""
        try:
            await self._give_back()
        except AgreedError as error:
            LOG.info("%s, which was lost, is not given back: %s", self.key, error)

    def _session_ended(self) -> None:
        self.lose("its session is over")

    def _set_deadline(self) -> None:
        """The timer comes when the certainty ends that there is now; by then there is more, as a rule."""
        if not self.held:
            return
        if not self.lost_by_now():
            self._deadline = self._loop.call_later(self.session.remaining_s(), self._set_deadline)

    @contextmanager
    def _key_may_go(self) -> Iterator[None]:
        """While its holder does what ends with the deletion of its key: that it is gone is no loss then, and
        what he does tells him whether it was his."""
        self._stop_looking()
        try:
            yield
        finally:
            self._stop_looking()
            if self.held:
                self._timer = self._loop.call_later(LOOK_AFTER_S, self._look_soon)

    def _stop_looking(self) -> None:
        self._timer.cancel()
        if self._watching is not None:
            self._watching.cancel()

    def _look_soon(self) -> None:
        self._watching = self._loop.create_task(self._look())

    async def _look(self) -> None:
        while self.held:
            try:
                await self._until_deleted()
            except AgreedError as error:
                LOG.info("whether %s is still there is asked for again: %s", self.key, error)
                await asyncio.sleep(LOOK_AFTER_S)

    async def _until_deleted(self) -> None:
        async with self._backend.changes(self.key, below=False) as changes:
            while True:
                there = await self._backend.get(self.key)
                if there is None or there.created != self.token:
                    self.lose("its key was deleted by somebody else")
                    return
                await changes.wait()
