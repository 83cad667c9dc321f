"""A set to which unique elements are added: each is a node of its own, and its creation is the addition.

What was acknowledged must be in every later read, and in the last one of all; what was refused or never asked
for must never be seen.
"""
from __future__ import annotations

import itertools
from collections.abc import Sequence

from agreed.check.convergence import set_full
from agreed.check.history import History
from agreed.check.models.sets import Set
from agreed.torture import judging
from agreed.torture.recorder import Answer
from agreed.torture.workloads.judgement import Judgement
from agreed.torture.workloads.workload import ROOT, Objects, Worker, ensure


class Sets:
    name = "set"
    workers = 5
    pause_s = 0.08

    def __init__(self) -> None:
        self._objects = Objects(f"{ROOT}/{self.name}", 250, ensure)
        self._elements = itertools.count()

    async def step(self, worker: Worker) -> None:
        number = await self._objects.present(worker)
        if number is None:
            return
        chance = worker.dice.random()
        if chance < 0.7:
            element = next(self._elements)
            await worker.do("add", element, number, self._add(worker, number, element))
        else:
            await self._read(worker, number, fresh=chance < 0.9)

    async def last_look(self, worker: Worker) -> None:
        for number in self._objects.made:
            await self._read(worker, number, fresh=True)

    async def _add(self, worker: Worker, number: int, element: int) -> Answer:
        created = await worker.client.create(f"{self._objects.path(number)}/{element}", "")
        return Answer(None, created.revision)

    async def _read(self, worker: Worker, number: int, *, fresh: bool) -> None:
        async def read() -> Answer:
            listing = await worker.client.children(self._objects.path(number), fresh=fresh)
            return Answer(sorted(int(name) for name in listing.names), listing.revision)

        await worker.do("read" if fresh else judging.LOCAL_READ, None, number, read())

    def judge(self, recorded: History) -> Sequence[Judgement]:
        answers = judging.without(recorded, judging.LOCAL_READ)
        return [
            judging.linearizable(answers, Set()),
            Judgement("set-full", answers, set_full(answers, linearizable=True)),
            judging.sessions(recorded),
        ]
