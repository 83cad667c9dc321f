"""What the tests of logs share: a store in the event loop, and sessions with it."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from agreed.broadcast.aio import Log
from agreed.broadcast.layout import Message, Settings
from agreed.broadcast.subscription import Subscription
from agreed.client import aio
from agreed.client.errors import Unanswered
from tests.client.servers import StoreServer

DEADLINE_S = 30.0
SMALL = Settings(segment_messages=10)

Wanted = TypeVar("Wanted")


@asynccontextmanager
async def serving(seed: int = 0, loss: float = 0.0) -> AsyncIterator[tuple[StoreServer, aio.Session]]:
    async with (
        StoreServer(seed, loss) as server,
        await aio.connect(server.url, request_timeout_s=DEADLINE_S) as session,
    ):
        yield server, session
        server.loss = 0.0


def told(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(2 * DEADLINE_S):
            await story()

    asyncio.run(bounded())


async def stubbornly(wish: Callable[[], Awaitable[Wanted]]) -> Wanted:
    """For what may simply be said again: where there was no answer, say it again."""
    while True:
        try:
            return await wish()
        except Unanswered:
            continue


async def take(subscription: Subscription, many: int) -> list[Message]:
    return [await subscription.next(DEADLINE_S) for _ in range(many)]


async def all_of(log: Log, start: int = 0) -> list[Message]:
    """Everything that is there now."""
    messages: list[Message] = []
    offset = start
    while more := await log.read(offset):
        messages += more
        offset = more[-1].offset + 1
    return messages
