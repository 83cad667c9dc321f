"""A queue of sequential nodes: the lowest number is the head, and whoever deletes it has taken it.

To take one: list the queue freshly, and delete the lowest; if somebody was quicker, the next one.  The list
may be old by the time of the deletion, but what it names below the taken one is gone, and nothing can come
into being below it: numbers only grow.  So the deletion takes the head of that moment.
"""
from __future__ import annotations

import itertools
from collections.abc import Sequence

from agreed.check.history import History, Operation, Process, history
from agreed.check.models.queues import FifoQueue
from agreed.torture import client as outcomes
from agreed.torture import judging
from agreed.torture.client import NotAsked, Refused, Unanswered
from agreed.torture.recorder import Answer
from agreed.torture.workloads.judgement import Judgement
from agreed.torture.workloads.unanswered import by_key, decided, pinned
from agreed.torture.workloads.workload import ROOT, Objects, Worker, ensure

TRIES = 5


class Queue:
    name = "queue"
    workers = 5
    pause_s = 0.08

    def __init__(self) -> None:
        self._objects = Objects(f"{ROOT}/{self.name}", 150, ensure)
        self._values = itertools.count()
        self._emptied = False
        self._reached_for: dict[Process, int] = {}
        """By process: what it wanted to take last.  If it is never answered, that is what it may have
        taken."""

    async def step(self, worker: Worker) -> None:
        number = await self._objects.present(worker)
        if number is None:
            return
        if worker.dice.random() < 0.5:
            value = next(self._values)
            await worker.do("enqueue", value, number, self._enqueue(worker, number, value))
        else:
            await worker.do("dequeue", None, number, self._dequeue(worker, number))

    async def last_look(self, worker: Worker) -> None:
        """Everything that is left, in order."""
        self._emptied = False
        for number in self._objects.made:
            left = True
            while left:
                answer = await worker.do("dequeue", None, number, self._dequeue(worker, number))
                left = answer.result is not None
        self._emptied = True

    async def _enqueue(self, worker: Worker, number: int, value: int) -> Answer:
        made = await worker.client.create(f"{self._objects.path(number)}/{value}-", "", sequential=True)
        return Answer(None, made.revision)

    async def _dequeue(self, worker: Worker, number: int) -> Answer:
        path = self._objects.path(number)
        for _ in range(TRIES):
            try:
                names, _, revision = await worker.client.children(path, fresh=True)
            except Unanswered as problem:
                raise NotAsked(f"nothing was taken: {problem}") from problem
            if not names:
                return Answer(None, revision)
            for name in sorted(names, key=_place):
                value = int(name.partition("-")[0])
                self._reached_for[worker.process] = value
                try:
                    revision = await worker.client.remove(f"{path}/{name}")
                except Refused as refused:
                    if refused.reason != outcomes.ABSENT:
                        raise
                    continue
                return Answer(value, revision)
        raise NotAsked("others were quicker, again and again")

    def judge(self, recorded: History) -> Sequence[Judgement]:
        if self._emptied:
            recorded = decided(recorded, self._reached_for)
        quick = _explained(pinned(recorded), recorded)
        return [judging.linearizable(quick, FifoQueue())._replace(history=recorded)]


def _explained(quick: History, recorded: History) -> History:
    """Each queue as it is in `quick` where that can be explained, and as it was recorded where not."""
    as_recorded = by_key(recorded)
    kept: list[Operation] = []
    for key, operations in by_key(quick).items():
        verdict = judging.linearizable(history(operations), FifoQueue()).verdict
        kept += operations if verdict.holds else as_recorded[key]
    return history(kept, recorded.faults)


def _place(name: str) -> int:
    return int(name.rpartition("-")[2])
