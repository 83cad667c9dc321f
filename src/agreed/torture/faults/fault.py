"""What a fault is: something that begins, lasts, and ends; and the scene on which it is played."""
from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from agreed.torture.clusters import PLACES, Cluster
from agreed.torture.faults.shim import Shims
from agreed.torture.node import Node


class Fault(Protocol):
    """`begin` and `end` are called once each; `end` undoes what `begin` did, as far as that was reached, and
    returns when that is done.  `seconds`: how long it is to last (0: it is over when `begin` returns)."""

    kind: str
    detail: str
    seconds: float

    async def begin(self) -> None: ...

    async def end(self) -> None: ...


@dataclass
class Scene:
    """`leader`: who led a moment ago; faults like leaders."""

    cluster: Cluster
    shims: Shims
    leader: Node | None = None

    @property
    def names(self) -> list[str]:
        return [node.name for node in self.cluster.nodes]

    @property
    def places(self) -> Sequence[str]:
        """Where clients are."""
        return PLACES

    def free_nodes(self) -> list[Node]:
        """Those that run and in whose process no other fault has its hands."""
        return [node for node in self.cluster.nodes if node.running and not node.troubled]

    def pick(self, dice: random.Random, most: int) -> list[Node]:
        """Some free nodes, at most that many: often one, often the leader."""
        free = self.free_nodes()
        if not free:
            return []
        if self.leader in free and dice.random() < 0.4:
            free.remove(self.leader)
            rest = dice.sample(free, min(len(free), dice.choice((0, 0, 0, most - 1))))
            return [self.leader, *rest]
        return dice.sample(free, min(len(free), dice.choice((1, 1, 1, 2, most))))


Draw = Callable[[Scene, random.Random], Fault | None]
"""A fault that can be played on this scene now, or None where there is none."""


def named(nodes: Sequence[Node]) -> str:
    return ", ".join(node.name for node in nodes)
