"""A world: clients that are far from one stage, users of a recipe at each, and what they were told.

    world = play(Barriers, seed=7)
    world.findings                  what is wrong: nothing

A play says what a user does, once (`act`), how it comes to an end when all is well again (`finish`), and
judges.  What is wrong in any recipe is found here: an error of a kind that no caller expects, a cancellation
that nobody asked for, an attempt that does not end, what goes with a session and is left behind by those who
are gone.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Final, TypeAlias

import msgspec

from agreed.backends.contract import Entry, Place
from agreed.errors import AgreedError
from agreed.recipes.certain import SLOTS
from agreed.recipes.errors import Lost, NotHeld
from agreed.recipes.grant import Grant
from agreed.recipes.sessions import Sessions
from tests.recipes.world.far import Far, Recorded, Weather
from tests.recipes.world.virtual import MARKS, Spinning, Standstill, run

FAULTS_S: Final = 3.0
TTL_S: Final = 0.4
ENDS_WITHIN_S: Final = 60.0
"""Of virtual time, once all is healed: whatever can come to an end has done so."""


class Told(msgspec.Struct):
    """What somebody tried and what he heard of it.  `marks`: the names that were drawn for it."""

    who: int
    what: str
    about: Any
    began_s: float
    marks: list[str]
    ended_s: float = 0.0
    result: Any = None
    error: BaseException | None = None

    @property
    def done(self) -> bool:
        return self.error is None

    @property
    def surely_not_done(self) -> bool:
        return isinstance(self.error, AgreedError) and self.error.surely_not_done

    def __str__(self) -> str:
        what = self.result if self.error is None else repr(self.error)
        return f"{self.began_s:.4f}-{self.ended_s:.4f} user {self.who}: {self.what}({self.about!r}) -> {what}"


class User:
    """One task at one client."""

    def __init__(self, world: World, number: int, far: Far, sessions: Sessions) -> None:
        self.world = world
        self.number = number
        self.far = far
        self.sessions = sessions
        self.dice = world.dice
        self.mine: dict[str, Any] = {}
        """What a play keeps for him."""

    def timeout(self) -> float | None:
        if self.world.healed or self.dice.random() >= self.world.weather.out_of_time:
            return None
        return self.dice.expovariate(1 / self._patience_s)

    async def pause(self) -> None:
        await asyncio.sleep(self.dice.expovariate(1 / self._patience_s) / 4)

    async def tries(
        self, what: str, about: object, work: Coroutine[Any, Any, Any], *, waits: bool = False
    ) -> Told:
        """`waits`: it may wait for ever, for others that do not come; it is cancelled when all is well."""
        told = Told(self.number, what, about, self.world.now_s, [], error=asyncio.CancelledError())
        self.world.told.append(told)
        token = MARKS.set(told.marks)
        task = asyncio.get_running_loop().create_task(work)
        MARKS.reset(token)
        cancelled = await self._until_it_ends(told, task, waits)
        told.ended_s = self.world.now_s
        if task.cancelled():
            if not cancelled:
                self.world.wrong(f"cancelled by nobody: {told}")
        elif (error := task.exception()) is not None:
            told.error = error
            if not isinstance(error, AgreedError):
                self.world.wrong(f"no error that anybody expects: {told}")
        else:
            told.error, told.result = None, task.result()
        return told

    async def _until_it_ends(self, told: Told, task: asyncio.Task[Any], waits: bool) -> bool:
        """Whether it was cancelled."""
        world = self.world
        cancelled = False
        for _ in range(2):
            if not world.healed and self.dice.random() < world.weather.cancelled:
                await asyncio.wait([task], timeout=self.dice.expovariate(1 / self._patience_s))
                cancelled = task.cancel() or cancelled
        healing = asyncio.ensure_future(world.healing.wait())
        await asyncio.wait([task, healing], return_when=asyncio.FIRST_COMPLETED)
        healing.cancel()
        if waits and not task.done():
            await asyncio.wait([task], timeout=1.0)
            cancelled = task.cancel() or cancelled
        await asyncio.wait([task], timeout=ENDS_WITHIN_S)
        if not task.done():
            world.wrong(f"it does not end: {told}; it waits at {task.get_stack(limit=1)}")
            task.cancel()
            await asyncio.wait([task], timeout=ENDS_WITHIN_S)
            cancelled = True
        return cancelled

    @property
    def _patience_s(self) -> float:
        return 20 * self.world.weather.latency_s


Rule: TypeAlias = Callable[[tuple[Place, ...], int], bool]
"""Whether the one at this place in the line holds what it is a line for."""


class World:
    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.dice = random.Random(f"world {seed}")
        self.weather = Weather.drawn(self.dice)
        self.stage = Recorded()
        self.told: list[Told] = []
        self.findings: list[str] = []
        self.healing = asyncio.Event()
        self.healed_at_s = 0.0
        self.clients = [self._client() for _ in range(self.dice.randint(1, 3))]
        self.users = [
            User(self, number, *self.clients[number % len(self.clients)])
            for number in range(self.dice.randint(2, 5))
        ]

    def _client(self) -> tuple[Far, Sessions]:
        far = Far(self.stage, self.dice, self.weather)
        return far, Sessions(far, TTL_S)

    @property
    def healed(self) -> bool:
        return self.healing.is_set()

    @property
    def now_s(self) -> float:
        return asyncio.get_running_loop().time()

    def wrong(self, what: str) -> None:
        self.findings.append(what)

    def visitor(self) -> User:
        """Somebody new, to whom nothing has happened."""
        user = User(self, len(self.users), *self._client())
        user.far.healed = self.healed
        self.clients.append((user.far, user.sessions))
        self.users.append(user)
        return user

    def of(self, *what: str) -> list[Told]:
        return [told for told in self.told if told.what in what]

    def values(self, key: str) -> Iterator[tuple[int, bytes]]:
        """What ever stood there, and since which revision."""
        for version in self.stage.history.get(key, ()):
            if version.after is not None:
                yield version.revision, version.after.value

    def there_during(self, key: str, began_s: float, ended_s: float) -> set[bool]:
        """Whether something stood there: at the beginning, and what it became."""
        there = {False}
        for version in self.stage.history.get(key, ()):
            if version.at_s <= began_s:
                there = {version.after is not None}
            elif version.at_s <= ended_s:
                there.add(version.after is not None)
        return there

    def certain(self, grant: Grant, holds: Rule) -> bool:
        """What `check` says within a body, held against what is so at the stage in this moment."""
        try:
            grant.check()
        except Lost:
            return False
        except NotHeld:
            self.wrong(f"{self.now_s:.4f}: {grant} was given back by nobody")
            return False
        there = self.stage.entries.get(grant.key)
        if there is None or there.created != grant.token:
            self.wrong(f"{self.now_s:.4f}: {grant} is said to be held, and its key is not there")
            return True
        line = self.stage.line(grant.key.rpartition("/")[0])
        if not holds(line, [place.key for place in line].index(grant.key)):
            self.wrong(f"{self.now_s:.4f}: {grant} is said to be held, and others are before it in {line}")
        return True

    def left_behind(self) -> list[Entry]:
        """What goes with a session that lives on; others wait for it."""
        alive = {session.id for far, _ in self.clients for session in far.opened if not session.over}
        return [
            entry
            for entry in self.stage.entries.values()
            if entry.owner in alive and not entry.key.startswith(f"{SLOTS}/")
        ]

    # --- what befalls it --------------------------------------------------------------------------------

    async def cut(self, far: Far) -> None:
        while not self.healed:
            await asyncio.sleep(self.dice.expovariate(1 / self.weather.cut_every_s))
            if not self.healed:
                far.cut_off = True
                await asyncio.sleep(self.dice.expovariate(1 / self.weather.cut_s))
                far.cut_off = False
            if not self.healed and self.dice.random() < 0.2:
                for session in far.opened:
                    await session.close()  # as an operator may

    def heal(self) -> None:
        self.healing.set()
        self.healed_at_s = self.now_s
        for far, _ in self.clients:
            far.cut_off, far.healed = False, True

    async def come_to_rest(self) -> None:
        """What was begun is tidied away, and what is over has expired."""
        try:
            async with asyncio.timeout(ENDS_WITHIN_S):
                for _ in range(2):
                    for _, sessions in self.clients:
                        await sessions.tidied()
                        await sessions.certain.settled()
        except TimeoutError:
            self.wrong("there is no end of tidying")
        await asyncio.sleep(2 * TTL_S)


class Play:
    """What is played with one recipe, in one world."""

    name: ClassVar[str]
    ends_holding_nothing: ClassVar[bool] = True

    def __init__(self, world: World) -> None:
        self.world = world

    async def act(self, user: User) -> None:
        """Something that a user does; again and again."""
        raise NotImplementedError

    async def finish(self) -> None:
        """All is well again, and nobody acts any more."""

    def judge(self) -> Iterator[str]:
        """What is wrong."""
        raise NotImplementedError


def play(kind: type[Play], seed: int) -> World:
    world = World(seed)
    try:
        run(seed, _play(kind, world))
    except (Standstill, Spinning) as error:
        world.wrong(f"it comes to no end: {error!r}")
    return world


async def _play(kind: type[Play], world: World) -> None:
    played = kind(world)

    async def acts(user: User) -> None:
        while not world.healed:
            await user.pause()
            await played.act(user)

    async with _errors_of_tasks(world):
        cutting = [asyncio.create_task(world.cut(far)) for far, _ in world.clients]
        acting = [asyncio.create_task(acts(user)) for user in world.users]
        await asyncio.sleep(FAULTS_S)
        world.heal()
        for task in cutting:
            task.cancel()
        await asyncio.gather(*acting)
        await world.come_to_rest()
        await played.finish()
        await world.come_to_rest()
        if played.ends_holding_nothing:
            world.findings += [f"left behind: {entry}" for entry in world.left_behind()]
        world.findings += played.judge()


@asynccontextmanager
async def _errors_of_tasks(world: World) -> AsyncIterator[None]:
    """Whatever a task ends with that nobody waits for, and no caller could expect, is wrong."""
    loop = asyncio.get_running_loop()

    def made(
        loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **named: Any
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(work, loop=loop, **named)
        task.add_done_callback(ended)
        return task

    def ended(task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, AgreedError | TimeoutError | StopAsyncIteration):
            world.wrong(f"a task has ended with {error!r}")

    def failed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is not None and not isinstance(error, AgreedError):
            world.wrong(f"a callback has ended with {error!r}: {context['message']}")

    loop.set_task_factory(made)  # type: ignore[arg-type]
    loop.set_exception_handler(failed)
    try:
        yield
    finally:
        loop.set_task_factory(None)
