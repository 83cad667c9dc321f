"""The random world of ZAB: its own invariants after every step, and what "committed" means on its disks."""
from __future__ import annotations

import random
from collections.abc import Callable

from agreed.consensus.machine import Entry
from agreed.consensus.zab.config import ZabConfig
from agreed.consensus.zab.invariants import ClusterInvariants, View, check, check_step, view
from agreed.consensus.zab.zab import Zab
from tests.consensus import world
from tests.consensus.nodes import MISCHIEF, Weather
from tests.consensus.zab.nodes import CONFIG, Node

Factory = Callable[..., Zab]


def rough_weather(seed: int) -> Weather:
    """In which leaders come and go: for what only shows in the second or third epoch."""
    dice = random.Random(f"rough {seed}")
    weights = {
        **MISCHIEF,
        "crash": dice.choice([5, 20]),
        "cut": dice.choice([5, 20]),
        "heal": 10,
        "transfer": dice.choice([0, 10]),
        "lose": dice.choice([0, 10]),
    }
    return Weather(
        loss=dice.choice([0.0, 0.05, 0.2]),
        doubling=0.1,
        slowest_ms=dice.choice([3, 10, 40]),
        disk_ms=dice.choice([3, 25, 60]),
        lazy=dice.random() < 0.5,
        punctual=dice.random() < 0.7,
        snapshot_every=dice.choice([4, 1000]),
        weights=weights,
    )


class World(world.World[Node]):
    node_type = Node

    def __init__(
        self,
        seed: int,
        size: int = 3,
        factory: Factory = Zab,
        weather: Weather | None = None,
        config: ZabConfig = CONFIG,
    ) -> None:
        self.factory, self.config = factory, config
        self.cluster = ClusterInvariants()
        super().__init__(seed, size, weather)

    def view(self, node: Node) -> object:
        return view(node.zab)

    def check_started(self, node: Node) -> None:
        check(node.zab)

    def check_step(self, node: Node, before: object) -> None:
        assert isinstance(before, View)
        check(node.zab)
        check_step(before, node.zab)
        self.cluster.check(node.zab, [other.zab for other in self.nodes.values() if other.up])

    def check_agreed(self, node: Node, entries: list[Entry]) -> None:
        self.cluster.agreed(node.zab, entries)

    def holds(self, node: Node, entry: Entry) -> bool:
        """An entry on a disk counts where currentEpoch says that it is a part of the epoch's history."""
        return node.disk.holds(entry) and node.disk.ballot.settled >= entry.term
