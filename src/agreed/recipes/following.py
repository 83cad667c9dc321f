"""The newest state, then each newer one: how one keeps up with something without asking again and again.

    async with election.follow() as leaders:
        async for leader in leaders:            the leader now (None: nobody), then whenever it is another
            ...

A state that lasts for a moment may not be seen: what is told is always the newest that was read, and two that
follow each other differ.  Each is read after something has changed, so none is older than one that was told
before, as long as the service reads linearizably (all backends do).

`break` and the end of `async with` end the watching at the server.  After a lost connection the state is read
again, so that nothing is missed but what did not last.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

from agreed.backends.contract import Backend

State = TypeVar("State")
Item = TypeVar("Item")


class Stream(Generic[Item]):
    """An asynchronous iterator and a context manager; `next` waits for so long at most.  For one reader."""

    def __init__(self, items: AsyncGenerator[Item, None]) -> None:
        self._items = items
        self._waiting: asyncio.Task[Item] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        return await self.next()

    async def next(self, timeout: float | None = None) -> Item:
        """Raises TimeoutError, and StopAsyncIteration where there are no more, or it was closed meanwhile.
        After a TimeoutError, or a cancellation, the next call goes on waiting for what this one has waited
        for, and nothing is lost of what came in the very moment in which the time was over."""
        if self._waiting is None:
            self._waiting = asyncio.ensure_future(anext(self._items))
        waiting = self._waiting
        await asyncio.wait((waiting,), timeout=timeout)
        if not waiting.done():
            raise TimeoutError
        if waiting.cancelled():
            raise StopAsyncIteration  # it was closed by somebody else
        self._waiting = None
        return waiting.result()

    async def close(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.cancel()
            await asyncio.wait((waiting,))
            if not waiting.cancelled():
                waiting.exception()  # nobody wants to know any more
        await self._items.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class Following(Stream[State]):
    """What `look` tells now, and again whenever something changes at `key` (with `below`: or below it)."""

    def __init__(
        self, backend: Backend, key: str, look: Callable[[], Awaitable[State]], *, below: bool
    ) -> None:
        super().__init__(_follow(backend, key, look, below=below))


async def _follow(
    backend: Backend, key: str, look: Callable[[], Awaitable[State]], *, below: bool
) -> AsyncGenerator[State, None]:
    async with backend.changes(key, below=below) as changes:
        told = await look()
        yield told
        while True:
            await changes.wait()
            state = await look()
            if state != told:
                told = state
                yield state
