"""Processes that die, stand still, or are restarted one after the other."""
from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence

from agreed.torture.faults.fault import Fault, Scene, named
from agreed.torture.node import Node
from agreed.torture.processes import NotServing

RESTART_WITHIN_S = 20.0


class Kill:
    """SIGKILL, as if the power of these nodes went; at the end they are started again, with their disks."""

    kind = "kill"

    def __init__(self, scene: Scene, nodes: Sequence[Node], seconds: float) -> None:
        self.detail = named(nodes)
        self.seconds = seconds
        self._cluster = scene.cluster
        self._nodes = nodes

    async def begin(self) -> None:
        for node in self._nodes:
            node.troubled = True
        for node in self._nodes:
            if node.process is not None:
                node.process.kill()

    async def end(self) -> None:
        for node in self._nodes:
            if not node.running:
                self._cluster.start(node)
            node.troubled = False


class Pause:
    """SIGSTOP: the process stands still, its connections stay open and say nothing; then it goes on."""

    kind = "pause"

    def __init__(self, nodes: Sequence[Node], seconds: float) -> None:
        self.detail = named(nodes)
        self.seconds = seconds
        self._nodes = nodes

    async def begin(self) -> None:
        for node in self._nodes:
            node.troubled = True
            if node.process is not None and node.process.running:
                node.process.pause()

    async def end(self) -> None:
        for node in self._nodes:
            if node.process is not None and node.process.running:
                node.process.resume()
            node.troubled = False


class RollingRestart:
    """Every node is ended in order and started again, one after the other, as an upgrade does it."""

    kind = "rolling-restart"
    seconds = 0.0

    def __init__(self, scene: Scene, nodes: Sequence[Node]) -> None:
        self.detail = named(nodes)
        self._scene = scene
        self._nodes = nodes

    async def begin(self) -> None:
        cluster = self._scene.cluster
        for node in self._nodes:
            if node.troubled or not node.running or node.process is None:
                continue
            node.troubled = True
            try:
                await asyncio.to_thread(node.process.end)
                with contextlib.suppress(NotServing):  # other faults may keep it from serving
                    await cluster.restart(node, RESTART_WITHIN_S)
            finally:
                node.troubled = False

    async def end(self) -> None:
        for node in self._nodes:
            if not node.running and not node.troubled:
                self._scene.cluster.start(node)


def draw_kill(scene: Scene, dice: random.Random) -> Fault | None:
    size = len(scene.cluster.nodes)
    most = size if dice.random() < 0.15 else scene.cluster.majority - 1
    nodes = scene.pick(dice, most)
    if most == size:
        nodes = scene.free_nodes()
    return Kill(scene, nodes, dice.uniform(0.1, 6.0)) if nodes else None


def draw_pause(scene: Scene, dice: random.Random) -> Fault | None:
    nodes = scene.pick(dice, scene.cluster.majority)
    return Pause(nodes, dice.uniform(0.3, 8.0)) if nodes else None


def draw_rolling_restart(scene: Scene, dice: random.Random) -> Fault | None:
    nodes = scene.free_nodes()
    dice.shuffle(nodes)
    return RollingRestart(scene, nodes) if nodes else None
