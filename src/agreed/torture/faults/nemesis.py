"""Draws faults from a seed and plays them, alone and together, while clients work; and heals everything.

A run is a row of episodes: a moment of peace, then one to four faults that begin within some seconds of each
other and last for some seconds each.  Every episode has dice of its own, so that what one does never shifts
the next; but who leads, and who is free to be hurt, is decided by reality, and no two runs are the same.

Everything that was begun is ended, also where the run is cancelled.  After that `heal` waits until all nodes
serve again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable, Sequence

from agreed.check.history import Fault as Band
from agreed.torture.clusters import Cluster
from agreed.torture.faults import connections, machines, members, processes
from agreed.torture.faults.fault import Draw, Fault, Scene
from agreed.torture.faults.shim import Shims
from agreed.torture.recorder import Clock

FAULTS: dict[str, Draw] = {
    "kill": processes.draw_kill,
    "pause": processes.draw_pause,
    "partition": connections.draw_partition,
    "oneway": connections.draw_oneway,
    "delay": connections.draw_delay,
    "loss": connections.draw_loss,
    "clock": machines.draw_clock,
    "disk-full": machines.draw_disk_full,
    "disk-failing": machines.draw_disk_failing,
    "disk-slow": machines.draw_disk_slow,
    "membership": members.draw_membership,
    "transfer": members.draw_transfer,
    "rolling-restart": processes.draw_rolling_restart,
}

PEACE_S = (0.5, 4.0)
APART_S = 3.0
HEALED_WITHIN_S = 120.0
LOOK_AFTER_S = 0.5

Tell = Callable[[str], None]


class Nemesis:
    """`kinds`: names of FAULTS.  `peace_s`: how long nothing happens between episodes.  `bands` is what was
    done so far; `played` counts it by kind."""

    def __init__(
        self,
        cluster: Cluster,
        shims: Shims,
        kinds: Sequence[str],
        seed: int,
        clock: Clock,
        tell: Tell,
        peace_s: tuple[float, float] = PEACE_S,
    ) -> None:
        self.bands: list[Band] = []
        self.played: Counter[str] = Counter()
        self._scene = Scene(cluster, shims)
        self._kinds = list(kinds)
        self._seed = seed
        self._clock = clock
        self._tell = tell
        self._peace_s = peace_s
        self._begun: list[Fault] = []

    async def play(self, seconds: float) -> None:
        """Episode after episode; none begins after that many seconds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        watching = asyncio.ensure_future(self._notice_the_dead())
        try:
            episode = 0
            while self._kinds and loop.time() < until:
                await self._episode(random.Random(f"{self._seed}/faults/{episode}"), until)
                episode += 1
            await asyncio.sleep(max(0.0, until - loop.time()))
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _notice_the_dead(self) -> None:
        while True:
            await asyncio.sleep(LOOK_AFTER_S)
            self._scene.cluster.notice_the_dead()

    async def _episode(self, dice: random.Random, until: float) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(min(dice.uniform(*self._peace_s), max(0.0, until - loop.time())))
        if loop.time() >= until:
            return
        number = min(len(self._kinds), dice.choice((1, 1, 2, 2, 3, 4)))
        waits = [dice.uniform(0, APART_S) if turn else 0.0 for turn in range(number)]
        kinds = dice.sample(self._kinds, number)
        async with asyncio.TaskGroup() as together:
            for kind, wait_s in zip(kinds, waits, strict=True):
                together.create_task(self._play(kind, wait_s, random.Random(dice.random())))

    async def _play(self, kind: str, wait_s: float, dice: random.Random) -> None:
        await asyncio.sleep(wait_s)
        self._scene.leader = await self._scene.cluster.leader()
        fault = FAULTS[kind](self._scene, dice)
        if fault is None:
            return
        self._tell(f"{kind} {fault.detail}")
        self.played[kind] += 1
        began = self._clock.now()
        self._begun.append(fault)
        try:
            await fault.begin()
            await asyncio.sleep(fault.seconds)
        finally:
            await self._end(fault)
            self.bands.append(Band(kind, began, self._clock.now(), fault.detail))

    async def _end(self, fault: Fault) -> None:
        if fault in self._begun:
            self._begun.remove(fault)
            await fault.end()

    async def heal(self) -> None:
        """End what has not ended, start who does not run, and wait until all serve.  Raises `NotServing`."""
        for fault in list(self._begun):
            with contextlib.suppress(asyncio.CancelledError):
                await self._end(fault)
        cluster = self._scene.cluster
        cluster.notice_the_dead()
        await cluster.wait_until_serving(cluster.nodes, HEALED_WITHIN_S)
