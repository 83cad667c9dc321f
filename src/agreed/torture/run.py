"""One run of torture, from the first start to the verdicts.

    start        the cluster, behind its network
    work         every workload with clients of its own, while the nemesis plays
    heal         all faults are ended, all nodes serve
    last look    every workload reads what must be there now
    compare      all nodes hold the same, to the last stat
    judge        each workload's history, by each of its promises

`Report` says what was done, what was promised and held or not, and where the histories lie.
"""
from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agreed.check.history import History, Status
from agreed.check.verdict import Finding, Outcome, Verdict
from agreed.errors import AgreedError
from agreed.torture.client import Client
from agreed.torture.clusters import PLACES, Cluster
from agreed.torture.faults.nemesis import Nemesis, Tell
from agreed.torture.faults.shim import Shims, build
from agreed.torture.namespaces import Namespaces
from agreed.torture.network import Links, Network
from agreed.torture.processes import NotServing
from agreed.torture.recorder import Clock, Recorder
from agreed.torture.systems.system import System
from agreed.torture.workloads.judgement import Judgement
from agreed.torture.workloads.table import WORKLOADS
from agreed.torture.workloads.workload import ROOT, Worker, Workload, ensure

SET_UP_WITHIN_S = 30.0
LAST_LOOK_WITHIN_S = 60.0
SAME_WITHIN_S = 30.0
TRY_AGAIN_S = 0.2

NETWORKS = ("relays", "namespaces")
"""What stands between nodes: `network.py`, `namespaces.py`."""


@dataclass(frozen=True)
class Plan:
    """What is to be done.  `workloads` and `faults` by name; `seconds` is the time of work; `network` one of
    NETWORKS."""

    system: System
    nodes: int
    seconds: float
    workloads: Sequence[str]
    faults: Sequence[str]
    seed: int
    directory: Path
    network: str = "relays"


@dataclass
class Judged:
    """One workload: what was recorded of it, and what was found of each of its promises."""

    history: History
    judgements: Sequence[Judgement]

    def count(self, status: Status) -> int:
        return sum(1 for each in self.history if each.status is status)


@dataclass
class Report:
    """`problems`: what is wrong beside the verdicts (nodes that differ, ended by themselves, do not heal)."""

    workloads: dict[str, Judged] = field(default_factory=dict)
    played: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    healed_s: float = 0.0
    compared: int = 0
    judged_s: float = 0.0

    @property
    def verdicts(self) -> list[Verdict]:
        return [each.verdict for judged in self.workloads.values() for each in judged.judgements]

    @property
    def violated(self) -> bool:
        return bool(self.problems) or any(v.outcome is Outcome.VIOLATED for v in self.verdicts)

    @property
    def holds(self) -> bool:
        return not self.problems and all(verdict.holds for verdict in self.verdicts)


async def run(plan: Plan, tell: Tell = lambda sentence: None) -> Report:
    """Raises `NotServing` where the cluster does not even start."""
    return await _Run(plan, tell).run()


class _Run:
    def __init__(self, plan: Plan, tell: Tell) -> None:
        self._plan = plan
        self._tell = tell
        self._clock = Clock()
        self._network = _network(plan, self._dice("network"))
        self._shims: Shims = build(plan.directory, plan.system.uses_libc, plan.faults)
        self._cluster = Cluster(
            plan.system, plan.nodes, plan.directory, self._network, self._shims.environment
        )
        self._workloads: dict[str, Workload] = {name: WORKLOADS[name]() for name in plan.workloads}
        self._recorders = {name: Recorder(self._clock) for name in plan.workloads}
        self._nemesis = Nemesis(
            self._cluster, self._shims, self._playable(), plan.seed, self._clock, self._tell_at
        )
        self._report = Report(played=self._nemesis.played)
        self._clients: list[Client] = []
        self._working = asyncio.Event()

    def _dice(self, *about: object) -> random.Random:
        """A stream of its own for each purpose: what one draws never shifts another."""
        return random.Random("/".join(map(str, (self._plan.seed, *about))))

    def _playable(self) -> list[str]:
        missing = {**self._shims.missing, **self._network.missing}
        for kind, why in missing.items():
            if kind in self._plan.faults:
                self._tell(f"{kind} is left out: {why}")
        return [kind for kind in self._plan.faults if kind not in missing]

    def _tell_at(self, sentence: str) -> None:
        self._tell(f"{self._clock.now() / 1e9:7.1f} s  {sentence}")

    def _client(self, *about: object) -> Client:
        place = PLACES[len(self._clients) % len(PLACES)]
        name = "-".join(map(str, about))
        client = self._plan.system.client(name, self._cluster.addresses(place), self._dice("client", *about))
        self._clients.append(client)
        return client

    async def run(self) -> Report:
        async with self._cluster:
            try:
                await self._set_up()
                await self._work()
                if await self._heal():
                    await self._last_looks()
                    await self._compare()
            finally:
                await asyncio.gather(*(client.close() for client in self._clients))
        self._judge()
        return self._report

    async def _set_up(self) -> None:
        client = self._client("set-up")
        paths = [ROOT, *(f"{ROOT}/{name}" for name in self._workloads)]
        async with asyncio.timeout(SET_UP_WITHIN_S):
            for path in paths:
                await _until_done(lambda path=path: ensure(client, path))  # type: ignore[misc]

    async def _work(self) -> None:
        self._working.set()
        workers = [
            asyncio.ensure_future(self._labour(name, number))
            for name, workload in self._workloads.items()
            for number in range(workload.workers)
        ]
        try:
            await self._nemesis.play(self._plan.seconds)
        finally:
            self._working.clear()
            await asyncio.gather(*workers)

    async def _labour(self, name: str, number: int) -> None:
        workload = self._workloads[name]
        worker = self._worker(name, number)
        while self._working.is_set():
            with contextlib.suppress(AgreedError):
                await workload.step(worker)
            await asyncio.sleep(worker.dice.expovariate(1 / workload.pause_s))

    def _worker(self, name: str, number: int | str) -> Worker:
        return Worker(self._client(name, number), self._recorders[name], self._dice("worker", name, number))

    async def _heal(self) -> bool:
        began = time.monotonic()
        self._tell_at("everything is healed")
        try:
            await self._nemesis.heal()
        except NotServing as problem:
            self._report.problems.append(f"after everything was healed: {problem}")
            return False
        self._report.healed_s = time.monotonic() - began
        return True

    async def _last_looks(self) -> None:
        for name, workload in self._workloads.items():
            worker = self._worker(name, "last")
            try:
                async with asyncio.timeout(LAST_LOOK_WITHIN_S):
                    await _until_done(lambda w=workload, who=worker: w.last_look(who))  # type: ignore[misc]
            except TimeoutError:
                self._report.problems.append(
                    f"{name}: after everything was healed its last look was not answered"
                )

    async def _compare(self) -> None:
        """Sessions may still be ending: what differs once is looked at again."""
        deadline = time.monotonic() + SAME_WITHIN_S
        while True:
            try:
                found = [await self._plan.system.digest(node) for node in self._cluster.nodes]
                differences = _differences([node.name for node in self._cluster.nodes], found)
            except AgreedError as problem:
                differences = [f"nodes cannot be compared: {problem}"]
                found = [{}]
            self._report.compared = len(found[0])
            if not differences or time.monotonic() > deadline:
                self._report.problems += differences
                return
            await asyncio.sleep(TRY_AGAIN_S)

    def _judge(self) -> None:
        began = time.monotonic()
        for name, workload in self._workloads.items():
            recorded = self._recorders[name].history(self._nemesis.bands)
            self._report.workloads[name] = Judged(recorded, workload.judge(recorded))
        self._report.problems += self._cluster.ended_by_themselves
        self._report.judged_s = time.monotonic() - began


def _network(plan: Plan, dice: random.Random) -> Links:
    if plan.network == "namespaces":
        return Namespaces([f"n{number}" for number in range(1, plan.nodes + 1)], PLACES, dice)
    return Network(dice)


async def _until_done(attempt: Callable[[], object]) -> None:
    while True:
        try:
            await attempt()  # type: ignore[misc]
            return
        except AgreedError:
            await asyncio.sleep(TRY_AGAIN_S)


def _differences(names: Sequence[str], found: Sequence[Mapping[str, object]]) -> list[str]:
    """A sentence for each node that does not hold what the first one holds."""
    sentences = []
    for name, other in zip(names[1:], found[1:], strict=True):
        different = sorted(
            path for path in found[0].keys() | other.keys() if found[0].get(path) != other.get(path)
        )
        if different:
            path = different[0]
            sentences.append(
                f"{names[0]} and {name} differ in {len(different)} places, first at {path}:"
                f" {found[0].get(path)} and {other.get(path)}"
            )
    return sentences


def first_finding(verdict: Verdict) -> Finding | None:
    return verdict.findings[0] if verdict.findings else None
