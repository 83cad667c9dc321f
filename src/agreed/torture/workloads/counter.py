"""A counter that a server keeps: the number at the end of a sequential node is how many were made before it.

Every increment gets a number of its own, in the order of the increments; how many there were is told with the
list of the nodes.
"""
from __future__ import annotations

from collections.abc import Sequence

from agreed.check.history import History
from agreed.check.models.counter import Counter as CounterModel
from agreed.torture import judging
from agreed.torture.recorder import Answer
from agreed.torture.workloads.judgement import Judgement
from agreed.torture.workloads.workload import ROOT, Objects, Worker, ensure


class Counter:
    name = "counter"
    workers = 4
    pause_s = 0.08

    def __init__(self) -> None:
        self._objects = Objects(f"{ROOT}/{self.name}", 250, ensure)

    async def step(self, worker: Worker) -> None:
        number = await self._objects.present(worker)
        if number is None:
            return
        chance = worker.dice.random()
        if chance < 0.7:
            await worker.do("add-and-get", 1, number, self._increment(worker, number))
        else:
            await self._read(worker, number)

    async def last_look(self, worker: Worker) -> None:
        for number in self._objects.made:
            await self._read(worker, number)

    async def _increment(self, worker: Worker, number: int) -> Answer:
        made = await worker.client.create(f"{self._objects.path(number)}/-", "", sequential=True)
        # Numbers count from 0, so this one with itself is one more.
        return Answer(int(made.path.rpartition("-")[2]) + 1, made.revision)

    async def _read(self, worker: Worker, number: int) -> None:
        async def read() -> Answer:
            listing = await worker.client.children(self._objects.path(number), fresh=True)
            return Answer(listing.created, listing.revision)

        await worker.do("read", None, number, read())

    def judge(self, recorded: History) -> Sequence[Judgement]:
        return [judging.linearizable(recorded, CounterModel())]
