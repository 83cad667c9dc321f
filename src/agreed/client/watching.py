"""A watch that stays, as a stream of events for the program that reads it."""
from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from agreed.client.values import Change, WatchEvent, WatchKind

EVENTS_MAX: Final = 10_000
"""How many events one watch keeps for a reader that is slow; beyond that they become one `GAP`."""


class Watch:
    """`async for event in watch`, or `await watch.next(timeout_s)`.  Made by `Session.watch`.

    It ends when it or its session is closed, or the session expires: `ENDED` is its last event.  A reader
    that is more than `EVENTS_MAX` events behind gets `GAP` in their place: look at everything again.

        async with await session.watch("/jobs") as watch:
            async for event in watch: ...
    """

    def __init__(self, path: str, kind: WatchKind, stop: Callable[[Watch], None]) -> None:
        self.path = path
        self.kind = kind
        self._stop = stop
        self._events: deque[WatchEvent] = deque()
        self._arrived = asyncio.Event()
        self._ended = False

    def __call__(self, event: WatchEvent) -> None:
        """For the session alone: something was seen."""
        if self._ended:
            return
        self._ended = event.change is Change.ENDED
        if len(self._events) >= EVENTS_MAX:
            self._events.clear()
            self._events.append(WatchEvent(Change.GAP, self.path))
        if event.change is not Change.GAP or event not in self._events:
            self._events.append(event)
        self._arrived.set()

    async def next(self, timeout_s: float | None = None) -> WatchEvent:
        """The next event; after the last one `ENDED` again and again.  Raises TimeoutError; None waits for
        ever."""
        async with asyncio.timeout(timeout_s):
            while not self._events:
                if self._ended:
                    return WatchEvent(Change.ENDED, self.path)
                self._arrived.clear()
                await self._arrived.wait()
        return self._events.popleft()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WatchEvent:
        if self._ended and not self._events:
            raise StopAsyncIteration
        return await self.next()

    def close(self) -> None:
        """No more events; the server is told, as far as that is possible."""
        if not self._ended:
            self._stop(self)
            self(WatchEvent(Change.ENDED, self.path))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
