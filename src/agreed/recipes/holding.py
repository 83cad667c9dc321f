"""`async with`: a body that never runs without its grant, and is cancelled when that is lost.

    async with lock as held:            AcquireTimeout, and the body does not run
        await work(held.token)          cancelled when the lock is lost; then LockLost is raised here

How the cancellation is told from others, with what Python 3.11 has for it: every `Task.cancel` is counted
(`cancelling`), and ours is taken back (`uncancel`) at the end of the body.  If then none is left but those
from before the body, it was ours alone and becomes `Lost`.  Otherwise somebody outside has cancelled as well
(a task group that ends, a timeout that is over), and what he has begun goes on: CancelledError.

A body that raises something of its own after the loss gets `Lost` with that as its cause: what it was doing
was not protected any more, and that is the first thing to know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from agreed.errors import AgreedError
from agreed.recipes.errors import Lost


class Held(Protocol):
    """What a body is run with; a `Grant`, or several of them."""

    def lost_by_now(self) -> bool: ...

    def loss(self) -> Lost: ...

    def on_lost(self, callback: Callable[[], None]) -> Callable[[], None]: ...

    async def release(self) -> None: ...


class Holding:
    """Watches over one body; made and used by the recipes' `__aenter__` and `__aexit__`."""

    def __init__(self, grant: Held) -> None:
        self.grant = grant
        task = asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"
        self._task = task
        self._cancelling_before = task.cancelling()
        self._cancelled = self._ended = False
        self._off = grant.on_lost(self._lost)

    def _lost(self) -> None:
        if asyncio.current_task() is self._task:
            # The body itself has found out, by `check`, and is told by that.  Cancelled now, it would be
            # cancelled at whatever it waits for next, which may be the end of this.
            asyncio.get_running_loop().call_soon(self._cancel)
        else:
            self._cancel()

    def _cancel(self) -> None:
        if not self._ended:
            self._cancelled = True
            self._task.cancel(str(self.grant.loss()))

    async def end(self, error: BaseException | None) -> None:
        """Give back what was granted, and raise `Lost` if it was lost meanwhile.  `error` is what the body
        ended with."""
        self._off()
        self._ended = True
        others = self._cancelled and self._task.uncancel() > self._cancelling_before
        lost = self.grant.lost_by_now()
        cancelled = isinstance(error, asyncio.CancelledError)
        try:
            await self.grant.release()
        except AgreedError:
            if not lost and error is None:
                raise
        if lost and not (cancelled and (others or not self._cancelled)):
            raise self.grant.loss() from (None if cancelled else error)
