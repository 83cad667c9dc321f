"""Registers and what is made of them: what was told done is in the history of the key once, and what was told
not to be done is nowhere in it."""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Final, TypeVar

import msgspec

from agreed.recipes.counter import Counter
from agreed.recipes.event import Event
from agreed.recipes.ids import IdGenerator
from agreed.recipes.latch import Latch
from agreed.recipes.rate_limiter import RateLimiter
from tests.recipes.world.world import Play, Told, User, World

Made = TypeVar("Made")


class OfEachClient(Play):
    """One object for all users of a client, as a program has it."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._made: dict[int, Any] = {}

    def mine(self, user: User, make: Callable[[], Made]) -> Made:
        return self._made.setdefault(id(user.sessions), make())  # type: ignore[no-any-return]


def wrongly_told(told: Told, times: int) -> Iterator[str]:
    """Of what is done once or not at all."""
    if times > 1:
        yield f"done {times} times: {told}"
    if told.done and not times:
        yield f"told done, and was not: {told}"
    if told.surely_not_done and times:
        yield f"told that it was surely not done, and it was: {told}"


class Counters(OfEachClient):
    """No two add the same, so that the history tells who has."""

    name = "counter"

    async def act(self, user: User) -> None:
        counter = self.mine(user, lambda: Counter(user.sessions, "n"))
        if user.dice.random() < 0.2:
            await user.tries("get", None, counter.get())
        else:
            number = user.dice.getrandbits(48)
            await user.tries("add", number, counter.add(number))

    def judge(self) -> Iterator[str]:
        states = [0, *(msgspec.json.decode(value)["state"] for _, value in self.world.values("n"))]
        added = Tally(after - before for before, after in pairwise(states))
        values = {after - before: after for before, after in pairwise(states)}
        for told in self.world.of("add"):
            yield from wrongly_told(told, added[told.about])
            if told.done and told.result != values.get(told.about):
                yield f"it was {values.get(told.about)} with it: {told}"
        for told in self.world.of("get"):
            if told.done and told.result not in states:
                yield f"it was never so: {told}"


class Latches(OfEachClient):
    name = "latch"
    COUNT: Final = 40

    async def act(self, user: User) -> None:
        latch = self.mine(user, lambda: Latch(user.sessions, "l", self.COUNT))
        if user.dice.random() < 0.2:
            await user.tries("wait", None, self._wait(user, latch), waits=True)
        else:
            await user.tries("down", None, latch.count_down())

    async def _wait(self, user: User, latch: Latch) -> None:
        await latch.wait(user.timeout())
        if self._left()[-1]:
            self.world.wrong(f"{self._left()[-1]} are left, and somebody goes on")

    def _left(self) -> list[int]:
        records = [msgspec.json.decode(value) for _, value in self.world.values("l")]
        return [self.COUNT, *(record["state"]["left"] for record in records)]

    async def finish(self) -> None:
        user = self.world.visitor()
        latch = Latch(user.sessions, "l", self.COUNT)
        waiting = asyncio.gather(
            *(each.tries("wait", None, self._wait(each, latch)) for each in self.world.users)
        )
        while (await user.tries("down", None, latch.count_down())).result != 0:
            pass
        if not all(told.done for told in await waiting):
            self.world.wrong("nothing is left, and not all have heard of it")

    def judge(self) -> Iterator[str]:
        left = self._left()
        if any(after > before for before, after in pairwise(left)):
            yield f"it counts up: {left}"
        told = self.world.of("down")
        done = sum(each.done for each in told)
        maybe = sum(not each.done and not each.surely_not_done for each in told)
        counted = sum(before - after for before, after in pairwise(left))
        if not min(done, self.COUNT) <= counted <= done + maybe:
            yield f"counted down {counted} times: {done} are told done, {maybe} may be"
        results = [each.result for each in told if each.done and each.result]
        if len(set(results)) < len(results):
            yield f"two had the same left: {results}"


class Ids(OfEachClient):
    name = "ids"

    async def act(self, user: User) -> None:
        ids = self.mine(user, lambda: IdGenerator(user.sessions, "i", block=3))
        if user.dice.random() < 0.2:
            await user.tries("take", user.dice.randint(1, 4), ids.take(4))
        else:
            await user.tries("next", id(ids), ids.next())

    def judge(self) -> Iterator[str]:
        given = [told.result for told in self.world.of("next") if told.done]
        given += [number for told in self.world.of("take") if told.done for number in told.result]
        twice = [number for number, times in Tally(given).items() if times > 1]
        if twice:
            yield f"given twice: {twice}"
        newest: dict[int, int] = {}
        for told in sorted(self.world.of("next"), key=lambda told: told.ended_s):
            if told.done:
                if told.result <= newest.get(told.about, 0):
                    yield f"smaller than {newest[told.about]}: {told}"
                newest[told.about] = told.result


class Events(OfEachClient):
    name = "event"

    async def act(self, user: User) -> None:
        event = Event(user.sessions, "e")
        what = user.dice.choice(["set", "clear", "is_set", "wait"])
        work = event.wait(user.timeout()) if what == "wait" else getattr(event, what)()
        await user.tries(what, None, work, waits=what == "wait")

    async def finish(self) -> None:
        users = [self.world.visitor() for _ in range(2)]
        waiting = [
            asyncio.create_task(user.tries("wait", None, Event(user.sessions, "e").wait())) for user in users
        ]
        await users[0].tries("set", None, Event(users[0].sessions, "e").set())
        if not all([(await told).done for told in waiting]):
            self.world.wrong("it is set, and not all have heard of it")

    def judge(self) -> Iterator[str]:
        changes = [(0.0, False)]
        for version in self.world.stage.history.get("e", ()):
            assert version.after is not None
            changes.append((version.at_s, msgspec.json.decode(version.after.value)["is_set"]))
        for told in self.world.told:
            if told.done:
                during = states_during(changes, told.began_s, told.ended_s)
                wanted = {"set": True, "clear": False, "wait": True, "is_set": told.result}[told.what]
                if wanted not in during:
                    yield f"it was {during} all the time: {told}"


def states_during(changes: list[tuple[float, Any]], began_s: float, ended_s: float) -> list[Any]:
    before = [state for at_s, state in changes if at_s <= began_s]
    return [before[-1], *(state for at_s, state in changes if began_s < at_s <= ended_s)]


class RateLimiters(OfEachClient):
    """All clocks are the same one here, so that the bucket is never emptier than empty."""

    name = "rate limiter"
    PERMITS: Final = 4
    PERIOD_S: Final = 0.4

    def _limiter(self, user: User) -> RateLimiter:
        clock = asyncio.get_running_loop().time
        rate = self.PERMITS, self.PERIOD_S
        return RateLimiter(user.sessions, "r", *rate, burst=2, wall_s=clock, monotonic_s=clock)

    async def act(self, user: User) -> None:
        limiter = self.mine(user, lambda: self._limiter(user))
        client = limiter._register._client
        if user.dice.random() < 0.3:
            await user.tries("at once", client, limiter.try_acquire())
        else:
            await user.tries("acquire", client, limiter.acquire(timeout=user.timeout()))

    def judge(self) -> Iterator[str]:
        given: Tally[str] = Tally()
        for version in self.world.stage.history.get("r", ()):
            assert version.after is not None
            record = msgspec.json.decode(version.after.value)
            given[record["last"][-1][0]] += 1
            empty_at_s = record["state"]["full_at"] - 2 * self.PERIOD_S / self.PERMITS
            if empty_at_s > version.at_s + 1e-5:
                yield f"at {version.at_s} it is emptier than empty, until {empty_at_s}"
        for client in {told.about for told in self.world.told}:
            told = [each for each in self.world.told if each.about == client]
            done = sum(each.done and each.result is not False for each in told)
            maybe = sum(not each.done and not each.surely_not_done for each in told)
            if not done <= given[client] <= done + maybe:
                yield f"{given[client]} were given to {client}: {done} are told so, {maybe} may be"
