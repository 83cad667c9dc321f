"""What is obtained by standing in line: whoever says that he has it, has it at the stage in that moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

from agreed.backends.contract import Kind, Place
from agreed.recipes.election import Election, Term
from agreed.recipes.grant import Grant
from agreed.recipes.lock import Lock, ReadWriteLock
from agreed.recipes.multilock import MultiGrant, MultiLock
from agreed.recipes.obtaining import Obtainable
from agreed.recipes.semaphore import Semaphore
from tests.recipes.world.world import TTL_S, Play, Rule, User, World

TRIES: Final = 5
"""When all is well one gets it, but perhaps not before one knows that a session is over."""


def first(line: tuple[Place, ...], index: int) -> bool:
    return index == 0


def behind_no_writer(line: tuple[Place, ...], index: int) -> bool:
    return not any(place.kind is Kind.WRITER for place in line[:index])


class Lines(Play):
    """`names` of what users want, `wanted` of one of them, `holds` when it is somebody's turn."""

    names: tuple[str, ...] = ("a", "b")

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._newest: dict[str, int] = {}
        self._made: dict[tuple[int, str], Obtainable[Any]] = {}

    def wanted(self, user: User, name: str) -> Obtainable[Any]:
        raise NotImplementedError

    def holds(self, wanted: Obtainable[Any]) -> Rule:
        return first

    def tokens_grow(self, wanted: Obtainable[Any]) -> bool:
        return True

    async def act(self, user: User) -> None:
        name = user.dice.choice(self.names)
        wanted = self.one_of(user, name)
        ways = (self.within, self.by_hand, self.at_once)
        way: Callable[[User, Obtainable[Any]], Coroutine[Any, Any, None]] = user.dice.choice(ways)
        await user.tries(way.__name__, name, way(user, wanted))

    def one_of(self, user: User, name: str) -> Obtainable[Any]:
        """The same object again, as a program has it; now and then a new one."""
        if user.dice.random() < 0.3:
            return self.wanted(user, name)
        key = id(user.sessions), name
        if key not in self._made:
            self._made[key] = self.wanted(user, name)
        return self._made[key]

    async def within(self, user: User, wanted: Obtainable[Any]) -> None:
        async with wanted.hold(user.timeout()) as held:
            await self.use(user, wanted, held)

    async def by_hand(self, user: User, wanted: Obtainable[Any]) -> None:
        held = await wanted.acquire(user.timeout())
        try:
            await self.use(user, wanted, held)
        finally:
            await held.release()

    async def at_once(self, user: User, wanted: Obtainable[Any]) -> None:
        held = await wanted.try_acquire()
        if held is not None:
            try:
                await self.use(user, wanted, held)
            finally:
                await held.release()

    async def use(self, user: User, wanted: Obtainable[Any], held: Grant) -> None:
        newest = self._newest.get(wanted.name, 0)
        if self.tokens_grow(wanted) and held.token <= newest:
            self.world.wrong(f"{held} was granted behind token {newest}")
        self._newest[wanted.name] = max(newest, held.token)
        for _ in range(user.dice.randrange(4)):
            if not self.world.certain(held, self.holds(wanted)):
                return
            await user.pause()
        if user.dice.random() < 0.15:
            await asyncio.sleep(2 * TTL_S)  # for longer than its session lives, if that cannot be renewed
            self.world.certain(held, self.holds(wanted))

    async def finish(self) -> None:
        for name in self.names:
            for user in self.world.users:
                wanted = self.one_of(user, name)
                for _ in range(TRIES):
                    if (await user.tries("within", name, self.within(user, wanted))).done:
                        break
                else:
                    self.world.wrong(f"all is well, and user {user.number} does not get {name}")

    def judge(self) -> Iterator[str]:
        for name in self.names:
            for key in self.world.stage.entries:
                if key.startswith(f"{name}/"):
                    yield f"somebody is still in line: {key}"


class Locks(Lines):
    name = "lock"

    def wanted(self, user: User, name: str) -> Obtainable[Any]:
        return Lock(user.sessions, name)


class ReentrantLocks(Lines):
    name = "reentrant lock"

    def wanted(self, user: User, name: str) -> Obtainable[Any]:
        return Lock(user.sessions, name, reentrant=True)

    def tokens_grow(self, wanted: Obtainable[Any]) -> bool:
        return False

    async def use(self, user: User, wanted: Obtainable[Any], held: Grant) -> None:
        await super().use(user, wanted, held)
        async with wanted.hold(user.timeout()) as again:
            await super().use(user, wanted, again)
        await super().use(user, wanted, held)


class ReadWriteLocks(Lines):
    name = "read-write lock"

    def wanted(self, user: User, name: str) -> Obtainable[Any]:
        lock = ReadWriteLock(user.sessions, name)
        return lock.read() if user.dice.random() < 0.6 else lock.write()

    def holds(self, wanted: Obtainable[Any]) -> Rule:
        return first if wanted._rule.kind is Kind.WRITER else behind_no_writer

    def tokens_grow(self, wanted: Obtainable[Any]) -> bool:
        return False  # of readers the later one may hear of it first


class Semaphores(Lines):
    name = "semaphore"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._permits = world.dice.randint(1, 3)

    def wanted(self, user: User, name: str) -> Obtainable[Any]:
        return Semaphore(user.sessions, name, self._permits)

    def holds(self, wanted: Obtainable[Any]) -> Rule:
        return lambda line, index: index < self._permits

    def tokens_grow(self, wanted: Obtainable[Any]) -> bool:
        return False


class Elections(Lines):
    """What is proclaimed stands there, and followers hear of newer terms only."""

    name = "election"
    names = ("e",)

    def wanted(self, user: User, name: str) -> Obtainable[Any]:
        return Election(user.sessions, name, value=b"0")

    async def use(self, user: User, wanted: Obtainable[Any], held: Grant) -> None:
        await super().use(user, wanted, held)
        assert isinstance(held, Term)
        if user.dice.random() < 0.5:
            value = f"{held.token} {user.world.now_s}".encode()
            await held.proclaim(value)
            if value not in [each for _, each in self.world.values(held.key)]:
                self.world.wrong(f"{value!r} was proclaimed and is nowhere")

    async def act(self, user: User) -> None:
        if user.dice.random() < 0.2:
            await user.tries("follow", "e", self._follow(user), waits=True)
        elif user.dice.random() < 0.3:
            await user.tries("run", "e", self._run(user))
        else:
            await super().act(user)

    async def _run(self, user: User) -> None:
        async def work(term: Term) -> None:
            await self.use(user, election, term)

        election = Election(user.sessions, "e")
        await election.run(work)

    async def _follow(self, user: User) -> None:
        newest = 0
        async with Election(user.sessions, "e").follow() as leaders:
            for _ in range(5):
                leader = await leaders.next()
                if leader is not None:
                    if leader.token < newest:
                        self.world.wrong(f"{leader} was told behind token {newest}")
                    newest = leader.token


class MultiLocks(Play):
    """All of them or none; with locks of one name between them."""

    name = "multilock"

    async def act(self, user: User) -> None:
        names = user.dice.sample(["a", "b", "c"], user.dice.randint(1, 3))
        await user.tries("several", names, self._hold(user, names))

    async def _hold(self, user: User, names: list[str]) -> None:
        wanted = MultiLock(user.sessions, names)
        if user.dice.random() < 0.2:
            held = await wanted.try_acquire()
            if held is not None:
                try:
                    await self._use(user, held)
                finally:
                    await held.release()
            return
        async with wanted.hold(user.timeout()) as held:
            await self._use(user, held)

    async def _use(self, user: User, held: MultiGrant) -> None:
        for _ in range(user.dice.randrange(4)):
            for grant in held._grants:
                if not self.world.certain(grant, first):
                    return
            await user.pause()

    async def finish(self) -> None:
        names = ["a", "b", "c"]
        for user in self.world.users:
            for _ in range(TRIES):
                if (await user.tries("several", names, self._hold(user, names))).done:
                    break
            else:
                self.world.wrong(f"all is well, and user {user.number} does not get all of them")

    def judge(self) -> Iterator[str]:
        for key in self.world.stage.entries:
            if key[:2] in ("a/", "b/", "c/"):
                yield f"somebody is still in line: {key}"
