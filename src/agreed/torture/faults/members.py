"""Members that are taken out and taken in again, and leadership that is handed over: with `agreed member`.

A node that was thrown out, or lost its disk, comes back with an empty directory, is added as a learner, and
is promoted once it has caught up.  Other faults go on meanwhile, so every command may fail or be left without
an answer; it is repeated until the node votes again, also after everything else is healed.
"""
from __future__ import annotations

import asyncio
import contextlib
import random
import sys

from agreed.torture.clusters import Cluster
from agreed.torture.faults.fault import Fault, Scene
from agreed.torture.node import Node

COMMAND_WITHIN_S = 8.0
TRY_AGAIN_S = 0.3
AGAIN_WITHIN_S = 25.0


async def command(cluster: Cluster, *words: str) -> tuple[int, str]:
    """`agreed WORDS --node ...` against all nodes; its exit code and what it said."""
    addresses = ",".join(f"{node.host}:{node.peer_port}" for node in cluster.nodes if node.running)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agreed", *words, "--node", addresses, "--timeout", str(COMMAND_WITHIN_S)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(3 * COMMAND_WITHIN_S):
            said, _ = await process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    return process.returncode or 0, said.decode("utf-8", "replace").strip()


class Transfer:
    """Leadership goes to another node, as before maintenance."""

    kind = "transfer"
    seconds = 0.0

    def __init__(self, scene: Scene, target: Node | None) -> None:
        self.detail = f"to {target.name if target else 'whoever knows most'}"
        self._cluster = scene.cluster
        self._words = ["transfer-leader", *([target.name] if target else [])]

    async def begin(self) -> None:
        with contextlib.suppress(TimeoutError):
            await command(self._cluster, *self._words)

    async def end(self) -> None:
        pass


class Membership:
    """One node loses its place (`remove`) or its disk (`replace`), and comes to vote again."""

    kind = "membership"
    seconds = 0.0

    def __init__(self, scene: Scene, node: Node, lost_disk: bool) -> None:
        self.detail = f"{node.name} {'loses its disk' if lost_disk else 'is removed'} and comes back"
        self._cluster = scene.cluster
        self._node = node
        self._todo = ["replace"] if lost_disk else ["remove", "add", "promote"]
        self._began = False

    async def begin(self) -> None:
        self._node.troubled = True
        self._began = True
        await self._go_on(AGAIN_WITHIN_S)

    async def end(self) -> None:
        if self._began:
            try:
                await self._go_on(3 * AGAIN_WITHIN_S)
            finally:
                self._node.troubled = False

    async def _go_on(self, within_s: float) -> None:
        """Step by step, as far as time allows."""
        deadline = asyncio.get_running_loop().time() + within_s
        while self._todo and asyncio.get_running_loop().time() < deadline:
            step = self._todo[0]
            if step in ("replace", "add") and not self._node.joining:
                self._come_back_empty()
            with contextlib.suppress(TimeoutError):
                code, said = await command(self._cluster, "member", step, self._node.name)
                if code == 0 or DONE_ALREADY[step] in said:
                    self._todo.pop(0)
                    continue
            await asyncio.sleep(TRY_AGAIN_S)
        if not self._todo:
            self._node.joining = False

    def _come_back_empty(self) -> None:
        if self._node.process is not None:
            self._node.process.kill()
        self._node.forget_data()
        self._node.joining = True
        self._cluster.start(self._node)


DONE_ALREADY = {
    "remove": "is not a member",
    "add": "is a member already",
    "replace": "is this very member already",
    "promote": "votes already",
}
"""What a refusal says where the answer to an earlier try was lost."""


def draw_transfer(scene: Scene, dice: random.Random) -> Fault | None:
    targets = scene.free_nodes()
    return Transfer(scene, dice.choice([None, *targets]))


def draw_membership(scene: Scene, dice: random.Random) -> Fault | None:
    """Only while nobody else is about to lose its place: each needs a majority of the others."""
    others = [node for node in scene.cluster.nodes if node.joining]
    free = scene.free_nodes()
    if others or not free:
        return None
    return Membership(scene, dice.choice(free), dice.random() < 0.5)
