"""What a queue promises, while answers are lost, requests come late, sessions end and bodies fail.

Each job is acknowledged together with a key that names it and the token under which it was done: there is one
such key for each job at the end, whatever happened.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import cast

import pytest

from agreed.backends.contract import Backend, Change, Guard, Put
from agreed.client.errors import ClientError
from agreed.recipes import queue as queue_module
from agreed.recipes.codec import codec_of
from agreed.recipes.errors import AcquireTimeout, JobLost
from agreed.recipes.queue import Queue
from agreed.recipes.sessions import Sessions
from tests.recipes.conftest import Clients
from tests.recipes.lossy import Loss, Lossy

JOBS = 24
LOST_OF_A_HUNDRED = 12


class Unreliable(Lossy):
    """One of several commits is lost, one way or another; what is late comes some time."""

    def __init__(self, backend: Backend, dice: random.Random) -> None:
        super().__init__(backend)
        self._dice = dice

    async def commit(self, guards: Sequence[Guard], changes: Sequence[Change]) -> int | None:
        if self._dice.randrange(100) < LOST_OF_A_HUNDRED:
            self.lose(self._dice.choice((Loss.DONE, Loss.NOT_DONE, Loss.LATE)))
        elif self._dice.randrange(4) == 0:
            await self.arrive()
        return await super().commit(guards, changes)


class Trial:
    def __init__(self, seed: int, watcher: Sessions) -> None:
        self.dice = random.Random(seed)
        self.watcher = watcher
        self.handed_out: dict[int, list[int]] = {}

    def unreliable(self, sessions: Sessions) -> Sessions:
        return Sessions(cast("Backend", Unreliable(sessions.backend, self.dice)), sessions.ttl_s)

    async def produce(self, sessions: Sessions, numbers: Sequence[int]) -> None:
        queue = Queue(sessions, "q", codec_of(int))
        for number in numbers:
            await queue.put(number, priority=number % 2, delay=0.01 if number % 5 == 0 else 0.0)

    async def consume(self, sessions: Sessions) -> None:
        queue = Queue(sessions, "q", codec_of(int))
        while len(await self.done()) < JOBS:
            try:
                await self.work_on_one(queue, sessions)
            except (AcquireTimeout, ClientError, JobLost, ValueError):
                continue

    async def work_on_one(self, queue: Queue[int], sessions: Sessions) -> None:
        async with await queue.take(0.5) as job:
            self.handed_out.setdefault(job.value, []).append(job.token)
            fate = self.dice.randrange(10)
            if fate == 0:
                raise ValueError("it does not work today")
            if fate == 1:
                await job.session.close()
            if fate == 2:
                await job.postpone(0.01)
                return
            await job.ack(also=[Put(f"done/{job.value}/{job.token}", b"")])

    async def done(self) -> list[str]:
        return await self.watcher.backend.names("done")


@pytest.mark.parametrize("seed", range(2))
def test_no_job_is_lost_and_none_is_done_twice(
    clients: Clients, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "PUTS_OF_BUCKET", 4)

    async def story() -> None:
        async with clients() as watcher, clients() as one, clients() as two, clients() as three:
            trial = Trial(seed, watcher)
            async with asyncio.TaskGroup() as group:
                group.create_task(trial.produce(trial.unreliable(one), range(0, JOBS, 2)))
                group.create_task(trial.produce(trial.unreliable(three), range(1, JOBS, 2)))
                for sessions in (two, three):
                    group.create_task(trial.consume(trial.unreliable(sessions)))
            for number in range(JOBS):
                [token] = await watcher.backend.names(f"done/{number}")
                assert int(token) == max(trial.handed_out[number]), "done by the last who had it"
            tokens = [token for each in trial.handed_out.values() for token in each]
            assert len(set(tokens)) == len(tokens)
            assert all(each == sorted(each) for each in trial.handed_out.values())
            queue = Queue(watcher, "q", codec_of(int))
            assert await queue.try_take() is None
            assert await queue.count() == 0

    clients.play(story)
