"""Copies that each client has: all see the same, nothing older, and the newest soon after all is well."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress

import agreed
from agreed.backends.contract import Entry, Put
from agreed.client.errors import ClientError
from agreed.recipes.cached_subtree import CachedSubtree
from agreed.recipes.replicated.replica import Replica
from tests.recipes.world.plays.numbers import OfEachClient, wrongly_told
from tests.recipes.world.world import Play, User, World

SOON_S = 20.0


@agreed.replicated
class Numbers:
    all: list[int]

    def __init__(self) -> None:
        self.all = []

    @agreed.command
    def add(self, number: int) -> int:
        self.all.append(number)
        return len(self.all)

    @agreed.query
    def list_all(self) -> list[int]:
        return self.all


class Replicas(OfEachClient):
    name = "replicated object"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._number = 0
        self._all: list[int] = []

    def _replica(self, user: User) -> Replica[Numbers]:
        return self.mine(user, lambda: Replica(user.sessions, "r", Numbers, timeout=user.timeout()))

    async def act(self, user: User) -> None:
        replica = self._replica(user)
        what = user.dice.random()
        if what < 0.6:
            self._number += 1
            await user.tries("add", self._number, replica.call(Numbers.add, self._number))
        elif what < 0.8:
            await user.tries("list", None, replica.call(Numbers.list_all))
        else:
            await user.tries("within", None, self._within(user, replica))

    async def _within(self, user: User, replica: Replica[Numbers]) -> None:
        async with replica:
            for _ in range(user.dice.randrange(5)):
                await user.pause()
                replica.local(Numbers.list_all)

    async def finish(self) -> None:
        user = self.world.visitor()
        replica = Replica(user.sessions, "r", Numbers)
        told = await user.tries("list", None, replica.call(Numbers.list_all))
        self._all = told.result or []

    def judge(self) -> Iterator[str]:
        done: list[tuple[float, int]] = []
        for told in self.world.of("add"):
            yield from wrongly_told(told, self._all.count(told.about))
            if told.done:
                done.append((told.ended_s, told.about))
                if self._all[told.result - 1 : told.result] != [told.about]:
                    yield f"it stands elsewhere in {self._all}: {told}"
        for told in self.world.of("list"):
            if told.done:
                if told.result != self._all[: len(told.result)]:
                    yield f"it never was so, {self._all}: {told}"
                before = {number for at_s, number in done if at_s < told.began_s}
                if not before <= set(told.result):
                    yield f"{before} were done before: {told}"


class Subtrees(Play):
    name = "cached subtree"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._number = 0

    async def act(self, user: User) -> None:
        if user.dice.random() < 0.5:
            self._number += 1
            key = f"t/{user.dice.choice('abc')}"
            put = Put(key, str(self._number).encode())
            await user.tries("put", key, user.far.commit([], [put]))
        else:
            await user.tries("follow", None, self._follow(user))

    async def _follow(self, user: User) -> None:
        told: dict[str, Entry] = {}
        async with CachedSubtree(user.sessions, "t") as tree, tree.changes() as changes:
            for _ in range(user.dice.randrange(6)):
                with suppress(TimeoutError):
                    change = await changes.next(user.timeout() or 1.0)
                    for entry in change.put:
                        if entry.version < told.get(entry.key, entry).version:
                            self.world.wrong(f"{entry} was told behind {told[entry.key]}")
                        told[entry.key] = entry
                    for entry in change.deleted:
                        told.pop(entry.key)
            if self.world.healed:
                await asyncio.sleep(SOON_S)
                there = [entry for key, entry in self.world.stage.entries.items() if key.startswith("t/")]
                if sorted(tree.view.entries.values(), key=str) != sorted(there, key=str):
                    self.world.wrong(f"{tree.view.entries} is at hand, and there is {there}")

    async def finish(self) -> None:
        users = [self.world.visitor(), *self.world.users]
        following = [asyncio.create_task(user.tries("follow", None, self._follow(user))) for user in users]
        await asyncio.sleep(5.0)
        with suppress(ClientError):
            await users[0].far.commit([], [Put("t/a", b"last")])
        await asyncio.gather(*following)

    def judge(self) -> Iterator[str]:
        for told in self.world.of("follow"):
            if told.began_s > self.world.healed_at_s + 1.0 and not told.done:
                yield f"all is well, and it cannot be followed: {told}"
