"""Users that await: one task for each recipe, all on one client."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

from agreed.backends.contract import Put
from agreed.check.history import Status
from agreed.coordination.client import Client, connect
from agreed.errors import AgreedError
from agreed.recipes.errors import AcquireTimeout, Lost
from agreed.recipes.grant import Grant
from agreed.recipes.job import Job
from agreed.recipes.obtaining import Obtainable
from agreed.recipes.queue import Queue
from agreed.torture.users import work
from agreed.torture.users.diary import (
    Acknowledged,
    Diary,
    Failed,
    Finished,
    Kept,
    Looked,
    Putting,
    now,
    status_of,
)
from agreed.torture.users.resource import use_soon
from agreed.torture.users.work import Task

Obtain = Callable[[Client, str], Obtainable[Any]]

OBTAIN: dict[str, Obtain] = {
    "lock": lambda client, name: client.lock(name),
    "semaphore": lambda client, name: client.semaphore(name, work.PERMITS),
    "election": lambda client, name: client.election(name),
}


async def live(task: Task, diary: Diary) -> None:
    """Until it may leave."""
    client = await _connected(task, diary)
    try:
        async with asyncio.TaskGroup() as together:
            for recipe in task.recipes:
                together.create_task(user(client, task, diary, recipe))
        while not task.may_leave:
            await asyncio.sleep(0.05)
    finally:
        await client.close()


async def _connected(task: Task, diary: Diary) -> Client:
    while True:
        try:
            return await connect(task.url, ttl=task.ttl_s, identity=task.who)
        except AgreedError as error:
            diary.write(Failed("connect", repr(error)))
            await asyncio.sleep(0.2)


def user(client: Client, task: Task, diary: Diary, recipe: str) -> Coroutine[Any, Any, None]:
    """One user of one recipe, until it has finished."""
    if recipe == "queue":
        return _Worker(client, task, diary).live()
    return _Holder(client, task, diary, recipe).live()


class _User:
    recipe: str

    def __init__(self, client: Client, task: Task, diary: Diary, recipe: str) -> None:
        self.recipe = recipe
        self._client = client
        self._task = task
        self._diary = diary
        self._dice = task.dice(recipe)
        self._who = task.holder(recipe)

    async def live(self) -> None:
        last = False
        while not last:
            last = self._task.finishing
            try:
                if not await self._round(last):
                    last = False
            except AgreedError as error:
                self._diary.write(Failed(self.recipe, repr(error)))
                last = False
            await asyncio.sleep(self._dice.expovariate(1 / work.PAUSE_S))
        self._diary.write(Finished(self.recipe, now()))

    async def _round(self, last: bool) -> bool:
        """True: what was wanted was obtained."""
        raise NotImplementedError

    async def _body(self, number: int, name: str, grant: Grant) -> None:
        fenced = self.recipe != "semaphore"
        for _ in range(work.ACCESSES):
            if self._dice.random() >= work.CARELESS:
                self._diary.is_certain(number, grant)
            await use_soon(self._task.resource, name, grant.token, self._who, fenced=fenced)
            await asyncio.sleep(self._dice.expovariate(work.ACCESSES / work.HELD_S))
        self._diary.is_certain(number, grant)


class _Holder(_User):
    """Of a lock, a permit or a term."""

    async def _round(self, last: bool) -> bool:
        name = self._dice.choice(work.NAMES[self.recipe])
        wanted = OBTAIN[self.recipe](self._client, name)
        if self.recipe == "election":
            await self._look(name)
        asked = now()
        async with wanted.hold(work.LAST_PATIENCE_S if last else work.PATIENCE_S) as grant:
            number = self._diary.granted(self.recipe, name, grant, asked)
            try:
                await self._body(number, name, grant)
            finally:
                self._diary.ending(number)
        return True

    async def _look(self, name: str) -> None:
        asked = now()
        leader = await self._client.election(name).leader()
        self._diary.write(Looked(name, asked, now(), None if leader is None else leader.token))


class _Worker(_User):
    """Puts jobs and works on them."""

    def __init__(self, client: Client, task: Task, diary: Diary) -> None:
        super().__init__(client, task, diary, "queue")
        self._queue: Queue[str] = client.queue(work.QUEUE, str)
        self._jobs = itertools.count(1)

    async def _round(self, last: bool) -> bool:
        """The last one is over when there are no jobs any more; those of the dead come back in a while."""
        if not last and self._dice.random() < work.PUTS:
            await self._put()
        asked = now()
        try:
            job = await self._queue.take(timeout=work.LAST_LOOK_S if last else 2 * self._task.ttl_s)
        except AcquireTimeout:
            return last and not await self._queue.count()
        number = self._diary.granted(self.recipe, job.value, job, asked)
        async with job:
            try:
                await self._body(number, job.value, job)
                if not last and self._dice.random() < work.GIVEN_BACK:
                    self._diary.ending(number)
                    await job.release()
                else:
                    await self._acknowledge(number, job)
            except BaseException:
                self._diary.ending(number)
                raise
        return False

    async def _put(self) -> None:
        job = f"{work.JOBS}/{self._task.who}-{next(self._jobs)}"
        self._diary.write(Putting(job))
        try:
            await self._queue.put(job, priority=self._dice.choice((5, 5, 5, 1)))
        except BaseException as error:
            self._diary.write(Kept(job, status_of(error)))
            raise
        self._diary.write(Kept(job, Status.OK))

    async def _acknowledge(self, number: int, job: Job[str]) -> None:
        self._diary.ending(number, acknowledges=True)
        effect = Put(f"{work.DONE}/{job.value.rpartition('/')[2]}", b"%d" % job.token)
        try:
            await job.ack(also=[effect])
        except BaseException as error:
            surely_not = isinstance(error, Lost)
            self._diary.write(Acknowledged(number, Status.FAIL if surely_not else status_of(error)))
            raise
        self._diary.write(Acknowledged(number, Status.OK))
