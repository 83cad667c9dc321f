"""Queues: a job that was put is done once, by one who had it; none is lost and none comes twice."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from agreed.backends.contract import Put
from agreed.errors import AgreedError
from agreed.recipes.codec import codec_of
from agreed.recipes.errors import AcquireTimeout
from agreed.recipes.job import Job
from agreed.recipes.queue import Queue
from agreed.recipes.queue_layout import decode
from tests.recipes.world.plays.groups import anywhere
from tests.recipes.world.plays.numbers import OfEachClient, wrongly_told
from tests.recipes.world.world import User, World


class Queues(OfEachClient):
    """`done/VALUE` is put by the commit which acknowledges the job."""

    name = "queue"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.most = world.dice.choice([None, 1, 3])
        self._number = 0
        self._acknowledging: Tally[str] = Tally()
        """By value; by others it may not go."""

    def queue(self, user: User) -> Queue[str]:
        return self.mine(user, lambda: Queue(user.sessions, "q", codec_of(str), most=self.most))

    async def act(self, user: User) -> None:
        queue = self.queue(user)
        if user.dice.random() < 0.5:
            self._number += 1
            value = f"job{self._number}"
            delay = user.dice.random() if user.dice.random() < 0.2 else 0.0
            put = queue.put(value, priority=user.dice.randrange(3), delay=delay, timeout=user.timeout())
            await user.tries("put", value, put, waits=True)
            return
        ways = (self.within, self.acknowledged, self.given_back, self.postponed, self.at_once)
        way: Callable[[User, Queue[str]], Coroutine[Any, Any, Any]] = user.dice.choice(ways)
        await user.tries(way.__name__, None, way(user, queue), waits=True)

    async def work(self, user: User, job: Job[str]) -> None:
        for _ in range(user.dice.randrange(3)):
            if self.world.certain(job, anywhere) and job._claim.job.key not in self.world.stage.entries:
                self.world.wrong(f"{job} is held, and {job.value} is gone")
            await user.pause()

    async def within(self, user: User, queue: Queue[str]) -> None:
        job = await queue.take(user.timeout())
        async with job:
            await self.work(user, job)
            self._acknowledging[job.value] += 1

    async def acknowledged(self, user: User, queue: Queue[str]) -> None:
        job = await queue.take(user.timeout())
        try:
            await self.work(user, job)
            also = Put(f"done/{job.value}", str(job.token).encode())
            self._acknowledging[job.value] += 1
            told = await user.tries("ack", (job.value, job.token), job.ack([also]))
            if isinstance(told.error, AgreedError):
                raise told.error
        finally:
            await job.release()

    async def given_back(self, user: User, queue: Queue[str]) -> None:
        job = await queue.take(user.timeout())
        try:
            await self.work(user, job)
        finally:
            await job.release()

    async def postponed(self, user: User, queue: Queue[str]) -> None:
        job = await queue.take(user.timeout())
        try:
            await job.postpone(user.dice.random())
        finally:
            await job.release()

    async def at_once(self, user: User, queue: Queue[str]) -> None:
        job = await queue.try_take()
        if job is not None:
            async with job:
                await self.work(user, job)
                self._acknowledging[job.value] += 1

    async def finish(self) -> None:
        """Emptied by somebody new."""
        user = self.world.visitor()
        told = await user.tries("empty", None, self._empty(user))
        if not told.done:
            self.world.wrong(f"all is well, and it is not emptied: {told}")

    async def _empty(self, user: User) -> None:
        queue = self.queue(user)
        for _ in range(1000):
            try:
                job = await queue.take(5.0)
            except AcquireTimeout:
                if await queue.count():
                    self.world.wrong(f"{await queue.count()} are left, and nobody gets them")
                return
            self._acknowledging[job.value] += 1
            await job.ack([Put(f"done/{job.value}", str(job.token).encode())])

    def judge(self) -> Iterator[str]:
        came, went = self._what_came_and_went()
        for value in came | went:
            if came[value] > 1 or went[value] > min(1, self._acknowledging[value]):
                acknowledging = self._acknowledging[value]
                yield f"{value} came {came[value]} times, went {went[value]} times, of {acknowledging} tries"
            if came[value] > went[value]:
                yield f"{value} is left"
        for told in self.world.of("put"):
            yield from wrongly_told(told, came[told.about])
        for told in self.world.of("ack"):
            value, token = told.about
            stands = [each for _, each in self.world.values(f"done/{value}")]
            yield from wrongly_told(told, stands.count(str(token).encode()))
            if len(stands) > 1:
                yield f"done {len(stands)} times: {told}"
        for key, entry in self.world.stage.entries.items():
            if key.startswith("q/") and key != "q/state":
                yield f"left in the queue: {entry}"
        state = self.world.stage.entries.get("q/state")
        if state is not None and decode("q/state", state.value).jobs:
            yield f"it is empty, and counts {state.value!r}"

    def _what_came_and_went(self) -> tuple[Tally[str], Tally[str]]:
        """How often each job was put, and taken away, in one revision: what is moved is neither."""
        came: Tally[str] = Tally()
        went: Tally[str] = Tally()
        changes: dict[int, Tally[str]] = {}
        for version in self.world.stage.log:
            if version.key.startswith(("q/jobs/", "q/later/")):
                tally = changes.setdefault(version.revision, Tally())
                for entry, sign in ((version.after, 1), (version.before, -1)):
                    if entry is not None:
                        tally[codec_of(str).decode(entry.value)] += sign
        for tally in changes.values():
            came.update({value: number for value, number in tally.items() if number > 0})
            went.update({value: -number for value, number in tally.items() if number < 0})
        return came, went
