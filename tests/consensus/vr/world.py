"""The random world of Viewstamped Replication, and one in which a crash loses the disk."""
from __future__ import annotations

from collections.abc import Callable

import msgspec

from agreed.consensus.machine import Entry, Event, Machine, Save
from agreed.consensus.vr.config import VrConfig
from agreed.consensus.vr.invariants import ClusterInvariants, InvariantBroken, View, check, check_step, view
from agreed.consensus.vr.recovering import Recovering
from agreed.consensus.vr.viewstamped import Viewstamped
from tests.consensus import nodes, world
from tests.consensus.nodes import Disk, SeededDice, Weather

CONFIG = VrConfig(
    heartbeat_ms=20,
    election_timeout_ms=(100, 200),
    leader_loss_delay_ms=(4, 30),
    max_append_bytes=120,
    window_messages=4,
    window_bytes=300,
    tail_entries=3,
    tail_bytes=300,
    spare_delay_ms=3,
    read_timeout_ms=100,
)

Factory = Callable[..., Viewstamped]


class Node(nodes.Node):
    ghost: dict[int, Entry]
    """What it knew when it lost its memory, until it has recovered."""

    @property
    def vr(self) -> Viewstamped:
        assert isinstance(self.machine, Viewstamped)
        return self.machine


class World(world.World[Node]):
    node_type = Node

    def __init__(
        self,
        seed: int,
        size: int = 3,
        factory: Factory = Viewstamped,
        weather: Weather | None = None,
        config: VrConfig = CONFIG,
    ) -> None:
        self.factory, self.config = factory, config
        self.cluster = ClusterInvariants()
        super().__init__(seed, size, weather)

    def view(self, node: Node) -> View:
        return view(node.vr)

    def check_started(self, node: Node) -> None:
        check(node.vr)

    def check_step(self, node: Node, before: object) -> None:
        assert isinstance(before, View)
        check(node.vr)
        check_step(before, node.vr)
        self.cluster.check(node.vr, [other.vr for other in self.nodes.values() if other.up])

    def check_agreed(self, node: Node, entries: list[Entry]) -> None:
        self.cluster.agreed(node.vr, entries)

    def check_durable(self, node: Node, entry: Entry) -> None:
        try:
            super().check_durable(node, entry)
        except AssertionError as error:
            raise InvariantBroken(str(error)) from error


class DisklessWorld(World):
    """Nothing of a node survives its crash; at most f are down or recovering at one time."""

    def __init__(
        self, seed: int, size: int = 3, factory: Factory = Viewstamped, weather: Weather | None = None
    ) -> None:
        self.begun = False
        config = msgspec.structs.replace(CONFIG, recovery_without_disk=True)
        super().__init__(seed, size, factory, weather, config)
        self.begun = True

    def make(self, node: Node, entries: list[Entry], dice: SeededDice, now: int) -> Machine:
        config = msgspec.structs.replace(self.config, founding=not self.begun)
        return self.factory(
            node.name, node.members, node.disk.ballot, None, entries, config, dice, now
        )

    def failed(self) -> list[Node]:
        return [n for n in self.nodes.values() if not n.up or isinstance(n.vr.role, Recovering)]

    def crash(self, node: Node) -> None:
        failed = self.failed()
        if node not in failed and 2 * (len(failed) + 1) >= len(self.nodes):
            return  # out of the model: more than f at one time
        was_up = node.up
        super().crash(node)
        if was_up:
            if not isinstance(node.vr.role, Recovering):
                log = node.vr.log
                node.ghost = {e.index: e for e in log.between(log.base_index + 1, log.last_index)}
            node.disk = Disk()

    def step(self, node: Node, event: Event) -> None:
        recovering = isinstance(node.vr.role, Recovering)
        super().step(node, event)
        if recovering and node.vr.role.normal:
            self.check_recovered(node)

    def check_recovered(self, node: Node) -> None:
        """Whoever acknowledged something that was agreed has it again before it takes part in anything."""
        log = node.vr.log
        for index, entry in node.ghost.items():
            agreed = self.contract.agreed.get(index) == entry
            if agreed and index > log.base_index and not self.holds(node, entry):
                raise InvariantBroken(f"who is back has what it acknowledged: {node.name} lacks {entry}")

    def save(self, node: Node, save: Save) -> None:
        raise InvariantBroken("without a disk nothing is saved")

    def holds(self, node: Node, entry: Entry) -> bool:
        """In its memory; or it held it when it crashed, and those from whom it recovers hold it as well."""
        if not node.up or isinstance(node.vr.role, Recovering):
            return node.ghost.get(entry.index) == entry
        log = node.vr.log
        if entry.index <= log.base_index:
            return True
        return entry.index <= log.last_index and log.entry(entry.index) == entry

    def converged(self, leader: Node) -> bool:
        return not self.failed() and super().converged(leader)
