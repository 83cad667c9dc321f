"""A node in memory that nobody reaches for a while, or that stands still."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

from agreed.client.errors import SessionExpired
from agreed.coordination.client import Client, connect
from agreed.embedded.memory import MemoryNode, node_named
from agreed.recipes.errors import LockLost
from agreed.recipes.grant import Grant

DEADLINE_S = 60.0
TTL_S = 0.5

_numbers = itertools.count(1)


def play(story: Callable[[Client, MemoryNode], Awaitable[None]], ttl_s: float = TTL_S) -> None:
    async def bounded() -> None:
        name = f"cut-off-{next(_numbers)}"
        async with asyncio.timeout(DEADLINE_S), await connect(f"memory://{name}", ttl=ttl_s) as client:
            await story(client, node_named(name))

    asyncio.run(bounded())


def test_who_is_cut_off_for_too_long_loses_what_it_holds_and_begins_again() -> None:
    async def story(client: Client, node: MemoryNode) -> None:
        first = await again(client)
        node.cut()
        assert await first.wait_lost()
        node.mend()
        await first.release()
        second = await again(client)
        assert second.token > first.token

    play(story)


async def again(client: Client) -> Grant:
    """The session may be over, and this be the first to hear of it, also at the beginning: its time is short,
    and the machine may stand still for longer."""
    while True:
        try:
            return await client.lock("a").acquire()
        except (SessionExpired, LockLost):
            continue


def test_while_it_stands_still_nobody_is_answered() -> None:
    async def story(client: Client, node: MemoryNode) -> None:
        await client.kv.put("a", b"1")
        loop = asyncio.get_running_loop()
        began = loop.time()
        node.stand_still(0.2)
        assert await client.kv.get("a") is not None
        assert loop.time() - began >= 0.2

    play(story, ttl_s=10.0)
