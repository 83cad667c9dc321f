"""A register that clients read, write, and replace by its version.

Every value is written once, so a version stands for a value: "replace version 7" is a compare-and-set of the
value that was read with it, and a refusal says that the register holds another one.

    read          after `sync` (etcd: linearizable)      linearizable with the writes
    local-read    as any server answers at once          never older than what the session has seen
"""
from __future__ import annotations

import itertools
from collections.abc import Sequence

from agreed.check.history import History
from agreed.check.models.register import CasRegister
from agreed.torture import judging
from agreed.torture.client import Client, Stored
from agreed.torture.recorder import Answer
from agreed.torture.workloads.judgement import Judgement
from agreed.torture.workloads.workload import ROOT, Objects, Worker

FIRST = 0
"""With what a register is made."""

ABSENT = "absent"
"""Nothing that was ever written."""


class Register:
    name = "register"
    workers = 6
    pause_s = 0.05

    def __init__(self) -> None:
        self._objects = Objects(f"{ROOT}/{self.name}", 400, _make)
        self._values = itertools.count(1)
        self._known: dict[str, tuple[int, Stored]] = {}
        """By client: what it read or wrote last, for the next compare-and-set."""

    async def step(self, worker: Worker) -> None:
        number = await self._objects.present(worker)
        if number is None:
            return
        chance = worker.dice.random()
        known = self._known.get(worker.client.name)
        if chance < 0.3:
            await self._read(worker, number, fresh=True)
        elif chance < 0.5:
            await self._read(worker, number, fresh=False)
        elif chance < 0.75 or known is None or known[0] != number:
            value = next(self._values)
            await worker.do("write", value, number, self._write(worker.client, number, value, None))
        else:
            value, seen = next(self._values), known[1]
            asked = self._write(worker.client, number, value, seen.version)
            await worker.do("cas", [int(seen.value), value], number, asked)

    async def last_look(self, worker: Worker) -> None:
        for number in self._objects.made:
            await self._read(worker, number, fresh=True)

    async def _read(self, worker: Worker, number: int, *, fresh: bool) -> None:
        async def read() -> Answer:
            stored = await worker.client.read(self._objects.path(number), fresh=fresh)
            if stored is None:
                # A server that has not heard of a new register yet shows what was before all writes.
                return Answer(ABSENT if fresh else FIRST)
            self._known[worker.client.name] = (number, stored)
            return Answer(int(stored.value), stored.seen)

        await worker.do("read" if fresh else judging.LOCAL_READ, None, number, read())

    async def _write(self, client: Client, number: int, value: int, version: int | None) -> Answer:
        stored = await client.write(self._objects.path(number), str(value), version)
        self._known[client.name] = (number, stored)
        return Answer(None, stored.revision)

    def judge(self, recorded: History) -> Sequence[Judgement]:
        return [
            judging.linearizable(recorded, CasRegister(FIRST)),
            judging.sessions(recorded, initial=FIRST),
        ]


async def _make(client: Client, path: str) -> None:
    await client.create(path, str(FIRST))
