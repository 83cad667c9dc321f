"""A workload: what its clients do over and over, and which promises the history of it has to keep.

Objects (a register, a queue, a lock) are used for a while and then left for a fresh one (`Objects`): what was
never answered stays possible for ever, and a search through all that may have happened must end.
"""
from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from agreed.check.history import History
from agreed.torture import client as outcomes
from agreed.torture.client import Client, Refused
from agreed.torture.recorder import Actor, Answer, Recorder
from agreed.torture.workloads.judgement import Judgement

ROOT = "/torture"


class Worker:
    """One client at work.  `dice` are its own, drawn from the seed of the run."""

    def __init__(self, client: Client, recorder: Recorder, dice: random.Random) -> None:
        self.client = client
        self.recorder = recorder
        self.dice = dice
        self.actor = Actor()

    @property
    def process(self) -> str:
        return self.actor.process(self.client.session)

    async def do(self, function: str, argument: object, key: object, asked: Awaitable[Answer]) -> Answer:
        """One operation of the history."""
        return await self.recorder.record(
            self.actor, self.client.session, function, argument, str(key), asked
        )


class Objects:
    """The present object of a workload: its number, and a new one after `uses`, made by `make(client, path)`
    at the first use.

    Only an object whose making was acknowledged is used; another try has another number."""

    def __init__(
        self, root: str, uses: int, make: Callable[[Client, str], Awaitable[object]]
    ) -> None:
        self.root = root
        self.made: list[int] = []
        self._uses = uses
        self._make = make
        self._next = 0
        self._left = 0
        self._making = False

    def path(self, number: int) -> str:
        return f"{self.root}/{number}"

    async def present(self, worker: Worker) -> int | None:
        """The number to use now, counted as one use; None while somebody is making one."""
        if self._left:
            self._left -= 1
            return self.made[-1]
        if self._making:
            return None
        self._making = True
        number, self._next = self._next, self._next + 1
        try:
            await self._make(worker.client, self.path(number))
        finally:
            self._making = False
        self.made.append(number)
        self._left = self._uses
        return number


class Workload(Protocol):
    """`workers`: how many clients it wants; `pause_s`: how long each rests, on average, between two steps."""

    name: str
    workers: int
    pause_s: float

    async def step(self, worker: Worker) -> None:
        """One piece of work; may raise what operations raise."""
        ...

    async def last_look(self, worker: Worker) -> None:
        """After everything is healed: read, freshly, what must be there.  Repeated until it succeeds."""
        ...

    def judge(self, recorded: History) -> Sequence[Judgement]:
        """One judgement for each promise."""
        ...


async def ensure(client: Client, path: str) -> None:
    """Make an empty node if it is not there yet."""
    try:
        await client.create(path, "")
    except Refused as refused:
        if refused.reason != outcomes.EXISTS:
            raise
