"""Recipes whose connections are cut at any moment: nobody is with another where he wants to be alone, tokens
grow, what is counted is counted once, and nothing is left behind.

The connections of two clients are cut every few hundredths of a second, while all that they do goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from agreed.backends.contract import Backend, Put
from agreed.client.errors import ClientError
from agreed.errors import AgreedError
from agreed.recipes.barrier import Barrier
from agreed.recipes.certain import SLOTS
from agreed.recipes.codec import codec_of
from agreed.recipes.counter import Counter
from agreed.recipes.lock import Lock, ReadWriteLock
from agreed.recipes.multilock import MultiLock
from agreed.recipes.queue import Queue
from agreed.recipes.semaphore import Semaphore
from agreed.recipes.sessions import Sessions
from agreed.recipes.transactions import Transaction, transact
from tests.backends.conftest import Place, with_connections_to_cut
from tests.backends.leash import Leash

CUTS = 12

Work: TypeAlias = Callable[[Sessions], Awaitable[None]]


class Storm:
    """`over`: no more connections are cut."""

    def __init__(self, leash: Leash) -> None:
        self.over = asyncio.Event()
        self._leash = leash

    async def rage(self) -> None:
        dice = random.Random(7)
        for _ in range(CUTS):
            await asyncio.sleep(dice.uniform(0.01, 0.12))
            self._leash.cut()
        self.over.set()

    async def goes_on(self, work: Work, sessions: Sessions) -> None:
        """Again and again, and once when all is calm."""
        while not self.over.is_set():
            try:
                await work(sessions)
            except (ClientError, TimeoutError):
                await asyncio.sleep(0.01)
        await work(sessions)


class Users:
    """What they do, and what has to be true of it."""

    def __init__(self) -> None:
        self.all: list[Work] = [
            self.lock,
            self.write,
            self.permit,
            self.several,
            self.count,
            self.move,
            self.job,
            self.barrier,
        ]
        self.inside: dict[str, int] = {}
        self.tokens: dict[str, list[int]] = {}
        self.counted = self.perhaps = 0
        self.put = 0
        self.put_for_certain: set[int] = set()

    async def body(self, name: str, token: int, most: int = 1) -> None:
        self.inside[name] = self.inside.get(name, 0) + 1
        assert self.inside[name] <= most, name
        try:
            self.tokens.setdefault(name, []).append(token)
            await asyncio.sleep(0.002)
        finally:
            self.inside[name] -= 1

    async def lock(self, sessions: Sessions) -> None:
        async with Lock(sessions, "lock", timeout=20.0) as held:
            await self.body("lock", held.token)

    async def write(self, sessions: Sessions) -> None:
        async with ReadWriteLock(sessions, "rw").write().hold(20.0) as held:
            await self.body("rw", held.token)

    async def permit(self, sessions: Sessions) -> None:
        async with Semaphore(sessions, "permits", 2, timeout=20.0) as held:
            await self.body("permits", held.token, most=2)

    async def several(self, sessions: Sessions) -> None:
        async with MultiLock(sessions, ["m1", "m2"], timeout=20.0) as held:
            await self.body("m1", held.tokens["m1"])

    async def count(self, sessions: Sessions) -> None:
        self.perhaps += 1
        try:
            await Counter(sessions, "counter").add()
        except AgreedError as error:
            self.perhaps -= error.surely_not_done
            raise
        self.perhaps -= 1
        self.counted += 1

    async def move(self, sessions: Sessions) -> None:
        async def work(t: Transaction) -> None:
            left = int(await t.get("account/a") or b"0")
            t.put("account/a", b"%d" % (left - 1))
            t.put("account/b", b"%d" % (int(await t.get("account/b") or b"0") + 1))

        await transact(sessions, work, timeout=20.0)

    async def job(self, sessions: Sessions) -> None:
        queue = Queue(sessions, "q", codec_of(int))
        self.put += 1
        number = self.put
        with contextlib.suppress(ClientError):
            await queue.put(number)
            self.put_for_certain.add(number)
        async with await queue.take(20.0) as job:
            await job.ack(also=[Put(f"done/{job.value}", b"")])

    async def barrier(self, sessions: Sessions) -> None:
        await Barrier(sessions, "barrier", 1).wait(20.0)


@with_connections_to_cut
def test_what_is_promised_is_so_while_connections_are_cut(place: Place) -> None:
    async def story() -> None:
        async with (
            Leash(place.service.address) as leash,
            place.backend() as direct,
            place.backend(by=leash) as mine,
            place.backend(by=leash) as yours,
        ):
            users = Users()
            both = Sessions(mine, 10.0), Sessions(yours, 10.0)
            storm = Storm(leash)
            async with asyncio.timeout(90.0), asyncio.TaskGroup() as group:
                group.create_task(storm.rage())
                for work in users.all:
                    for sessions in both:
                        group.create_task(storm.goes_on(work, sessions))
            for sessions in both:
                await sessions.tidied()
                await sessions.certain.settled()
            await look_at_the_end(users, Sessions(direct, 10.0))
            for sessions in both:
                await sessions.close()

    asyncio.run(story())


async def look_at_the_end(users: Users, sessions: Sessions) -> None:
    assert await left_behind(sessions.backend, "") == []
    for name, tokens in users.tokens.items():
        assert len(set(tokens)) == len(tokens)
        assert tokens == sorted(tokens) or name == "permits"
    counter = await Counter(sessions, "counter").get()
    assert users.counted <= counter <= users.counted + users.perhaps
    accounts = [await sessions.backend.get(f"account/{each}") for each in "ab"]
    assert sum(int(entry.value) for entry in accounts if entry is not None) == 0
    assert accounts[0] is not None
    queue = Queue(sessions, "q", codec_of(int))
    while (job := await queue.try_take()) is not None:
        await job.ack(also=[Put(f"done/{job.value}", b"")])
    done = {int(name) for name in await sessions.backend.names("done")}
    assert done >= users.put_for_certain


async def left_behind(backend: Backend, directory: str) -> list[str]:
    """Keys that go with a session, and are no slots."""
    found: list[str] = []
    for name in await backend.names(directory):
        key = f"{directory}/{name}" if directory else name
        if not SLOTS.startswith(key):
            entry = await backend.get(key)
            found += [key] if entry is not None and entry.owner else await left_behind(backend, key)
    return found
