"""Lists to which transactions append, over several keys at once, in the manner of Elle's list-append.

A transaction reads the lists it is about at one moment, and writes all of them if nobody has changed any of
them meanwhile (`multi` with the versions that were read; etcd: a transaction with comparisons).  One that
only reads is one request.  Every element is appended once, so the lists themselves say in which order it
happened.
"""
from __future__ import annotations

import itertools
from collections.abc import Sequence

from agreed.check.history import History
from agreed.check.transactions import Options, list_append
from agreed.torture import judging
from agreed.torture.client import Client, NotAsked, Stored, Unanswered
from agreed.torture.recorder import Answer
from agreed.torture.workloads.judgement import Judgement
from agreed.torture.workloads.workload import ROOT, Objects, Worker

KEYS = 4
"""How many lists are in use together."""

Micro = tuple[str, str, object]


class Lists:
    name = "list-append"
    workers = 5
    pause_s = 0.08

    def __init__(self) -> None:
        self._objects = Objects(f"{ROOT}/{self.name}", 300, _make)
        self._elements = itertools.count()

    async def step(self, worker: Worker) -> None:
        number = await self._objects.present(worker)
        if number is not None:
            wanted = [self._micro(worker, number) for _ in range(worker.dice.randint(1, 4))]
            await worker.do("txn", wanted, None, self._transact(worker, wanted))

    def _micro(self, worker: Worker, number: int) -> Micro:
        key = f"{number}/{worker.dice.randrange(KEYS)}"
        if worker.dice.random() < 0.5:
            return ("r", key, None)
        return ("append", key, next(self._elements))

    async def last_look(self, worker: Worker) -> None:
        for number in self._objects.made:
            wanted: list[Micro] = [("r", f"{number}/{key}", None) for key in range(KEYS)]
            await worker.do("txn", wanted, None, self._transact(worker, wanted))

    async def _transact(self, worker: Worker, wanted: Sequence[Micro]) -> Answer:
        keys = sorted({key for _, key, _ in wanted})
        paths = {key: f"{self._objects.root}/{key}" for key in keys}
        try:
            found = await worker.client.read_many([paths[key] for key in keys], fresh=True)
        except Unanswered as problem:
            raise NotAsked(f"nothing was written: {problem}") from problem
        read = {key: _present(key, stored) for key, stored in zip(keys, found, strict=True)}
        lists = {key: _elements(stored.value) for key, stored in read.items()}
        done: list[Micro] = []
        for function, key, value in wanted:
            if function == "r":
                done.append(("r", key, list(lists[key])))
            else:
                assert isinstance(value, int)
                lists[key].append(value)
                done.append((function, key, value))
        changed = {key for function, key, _ in wanted if function == "append"}
        if not changed:
            return Answer(done)
        revision = await worker.client.transact(
            {paths[key]: read[key].version for key in keys},
            {paths[key]: " ".join(map(str, lists[key])) for key in changed},
        )
        return Answer(done, revision)

    def judge(self, recorded: History) -> Sequence[Judgement]:
        verdict = list_append(recorded, Options(budget=judging.budget()))
        return [Judgement("strict-serializable", recorded, verdict)]


async def _make(client: Client, path: str) -> None:
    await client.create(path, "")
    for key in range(KEYS):
        await client.create(f"{path}/{key}", "")


def _present(key: str, stored: Stored | None) -> Stored:
    """What is not there is written down as an element that nobody appended: a judge must see it."""
    return stored or Stored("-1", 0, 0)


def _elements(value: str) -> list[int]:
    return [int(element) for element in value.split()]
