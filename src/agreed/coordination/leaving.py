"""A program that ends in order gives back what its synchronous clients hold, also without a `with`.

Else others would wait for as long as it said that it may be silent, for somebody who has said farewell.  It
takes no longer than `LEAVE_WITHIN_S`; then, and where a process is killed, what it held outlives it by its
`ttl`.  (What is held on an event loop ends with `async with`: there is no loop any more when this comes.)
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import weakref
from typing import Final

from agreed.client.loop_thread import LoopThread
from agreed.recipes.sessions import Sessions

LEAVE_WITHIN_S: Final = 2.0


class Leaving:
    """The clients of this process whose sessions are still there."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._sessions: dict[LoopThread, weakref.WeakSet[Sessions]] = {}

    def remember(self, thread: LoopThread, sessions: Sessions) -> None:
        if os.getpid() != self._process:
            self._process, self._sessions = os.getpid(), {}
        if not self._sessions:
            # What is registered last is called first: the thread, made before this, stops after it.
            atexit.unregister(self._leave)
            atexit.register(self._leave)
        self._sessions.setdefault(thread, weakref.WeakSet()).add(sessions)

    def _leave(self) -> None:
        if os.getpid() != self._process:
            return
        for thread, all_sessions in self._sessions.items():
            with contextlib.suppress(Exception):
                asyncio.run_coroutine_threadsafe(_end(list(all_sessions)), thread.loop).result(LEAVE_WITHIN_S)


async def _end(all_sessions: list[Sessions]) -> None:
    await asyncio.gather(*(sessions.end() for sessions in all_sessions), return_exceptions=True)


LEAVING: Final = Leaving()
