"""Machines whose clocks jump and whose disks are full, slow, or fail."""
from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence

from agreed.torture.faults.fault import Fault, Scene, named
from agreed.torture.faults.processes import RESTART_WITHIN_S
from agreed.torture.faults.shim import TRUE_TIME, DiskTrouble
from agreed.torture.node import Node
from agreed.torture.processes import NotServing

ENDS_WITHIN_S = 20.0

STROBE_S = 1.2
"""libfaketime looks once a second what time it is to tell."""


class ClockJump:
    """The time of day of these nodes jumps, once or back and forth; at the end it is right again.

    `reboot`: they are switched off and on with it, as machines are whose clock has no battery; what a node
    takes from the clock once, at its start, it then has wrong for as long as it runs."""

    kind = "clock"

    def __init__(
        self,
        scene: Scene,
        nodes: Sequence[Node],
        offset_s: int,
        strobe: bool,
        reboot: bool,
        seconds: float,
    ) -> None:
        how = f"{', back and forth' if strobe else ''}{', with a reboot' if reboot else ''}"
        self.detail = f"{named(nodes)} {offset_s:+d} s{how}"
        self._reboot = reboot
        self.seconds = seconds
        self._scene = scene
        self._nodes = nodes
        self._offset = f"{offset_s:+d}\n"
        self._strobe = strobe
        self._strobing: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        self._set(self._offset)
        if self._reboot:
            await asyncio.gather(*(self._restart(node) for node in self._nodes if not node.troubled))
        if self._strobe:
            self._strobing = asyncio.ensure_future(self._back_and_forth())

    async def _restart(self, node: Node) -> None:
        """The clock stays wrong until it has started, however long that takes."""
        if node.process is None or not node.running:
            return
        node.troubled = True
        try:
            node.process.kill()
            with contextlib.suppress(NotServing):  # other faults may keep it from serving
                await self._scene.cluster.restart(node, RESTART_WITHIN_S)
        finally:
            node.troubled = False

    async def _back_and_forth(self) -> None:
        while True:
            for offset in (TRUE_TIME, self._offset):
                await asyncio.sleep(STROBE_S)
                self._set(offset)

    async def end(self) -> None:
        if self._strobing is not None:
            self._strobing.cancel()
            await asyncio.gather(self._strobing, return_exceptions=True)
        self._set(TRUE_TIME)

    def _set(self, offset: str) -> None:
        for node in self._nodes:
            self._scene.shims.set_clock(node, offset)


class BadDisk:
    """The disk of one node does what it should not; at the end it is good again, and the node is started
    where it has ended over it."""

    def __init__(self, kind: str, scene: Scene, node: Node, trouble: DiskTrouble, seconds: float) -> None:
        what = [word for word in ("full", "failing", "unsynced") if getattr(trouble, word)]
        what += [f"slow by {trouble.delay_ms} ms"] if trouble.delay_ms else []
        self.kind = kind
        self.detail = f"{node.name}: {', '.join(what)}"
        self.seconds = seconds
        self._scene = scene
        self._node = node
        self._trouble = trouble

    async def begin(self) -> None:
        self._node.troubled = True
        self._scene.shims.set_disk(self._node, self._trouble)

    async def end(self) -> None:
        self._scene.shims.set_disk(self._node, DiskTrouble())
        # It may have met the bad disk a moment ago, and not be done yet with ending over it.
        self._node.excused_until = time.monotonic() + ENDS_WITHIN_S
        if not self._node.running:
            self._scene.cluster.start(self._node)
        self._node.troubled = False


def draw_clock(scene: Scene, dice: random.Random) -> Fault | None:
    nodes = dice.sample(scene.cluster.nodes, dice.choice((1, 1, 2, len(scene.cluster.nodes))))
    offset_s = dice.choice((-1, 1)) * dice.choice((1, 5, 60, 3600, 86_400))
    strobe, seconds = dice.random() < 0.3, dice.uniform(1.0, 8.0)
    return ClockJump(scene, nodes, offset_s, strobe, dice.random() < 0.4, seconds)


def draw_disk_full(scene: Scene, dice: random.Random) -> Fault | None:
    return _bad_disk(scene, dice, "disk-full", DiskTrouble(full=True))


def draw_disk_failing(scene: Scene, dice: random.Random) -> Fault | None:
    trouble = dice.choice((DiskTrouble(failing=True), DiskTrouble(unsynced=True)))
    return _bad_disk(scene, dice, "disk-failing", trouble)


def draw_disk_slow(scene: Scene, dice: random.Random) -> Fault | None:
    return _bad_disk(scene, dice, "disk-slow", DiskTrouble(delay_ms=dice.choice((5, 50, 500, 2000))))


def _bad_disk(scene: Scene, dice: random.Random, kind: str, trouble: DiskTrouble) -> Fault | None:
    nodes = scene.pick(dice, 1)
    return BadDisk(kind, scene, nodes[0], trouble, dice.uniform(0.5, 5.0)) if nodes else None
