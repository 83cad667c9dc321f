"""The random world of Multi-Paxos: its invariants after every step, for every message, and on every disk."""
from __future__ import annotations

import random
from collections.abc import Callable

from agreed.consensus.machine import Entry, Machine, PeerLost, Send, SnapshotInstalled
from agreed.consensus.multipaxos.config import MultiPaxosConfig
from agreed.consensus.multipaxos.invariants import (
    ClusterInvariants,
    View,
    check,
    check_message,
    check_step,
    view,
)
from agreed.consensus.multipaxos.multipaxos import MultiPaxos
from tests.consensus import world
from tests.consensus.multipaxos.nodes import CONFIG, Node
from tests.consensus.nodes import SeededDice, Store, Weather

Factory = Callable[..., MultiPaxos]


class World(world.World[Node]):
    node_type = Node

    def __init__(
        self,
        seed: int,
        size: int = 3,
        factory: Factory = MultiPaxos,
        weather: Weather | None = None,
        config: MultiPaxosConfig = CONFIG,
    ) -> None:
        self.factory, self.config = factory, config
        self.cluster = ClusterInvariants()
        super().__init__(seed, size, weather)

    def start(self, node: Node) -> None:
        if node.disk.mark is not None:
            node.disk.start_after(node.disk.mark)
        super().start(node)

    def make(self, node: Node, entries: list[Entry], dice: SeededDice, now: int) -> Machine:
        disk = node.disk
        return self.factory(
            node.name, node.members, disk.ballot, disk.mark, entries, self.config, dice, now, node.identity
        )

    def installed(self, node: Node) -> None:
        assert node.installing is not None
        mark, data = node.installing
        node.installing = None
        assert node.store.index <= mark.index, "the store never goes back"
        node.disk.take_snapshot(mark, data)
        node.disk.start_after(mark)
        if node.disk.log:
            self.count("installed before accepted slots")
        node.store = Store.of(data)
        assert self.digests[mark.index] == node.store.digest, "the snapshot is what was agreed"
        self.contract.restored(node.name, mark.index)
        self.count("installed")
        self.turn(node, SnapshotInstalled(mark))

    # --- what must be true ---

    def view(self, node: Node) -> object:
        return view(node.paxos)

    def check_started(self, node: Node) -> None:
        check(node.paxos)

    def check_step(self, node: Node, before: object) -> None:
        check(node.paxos)
        assert isinstance(before, View)
        check_step(before, node.paxos)
        self.cluster.check(node.paxos)

    def check_agreed(self, node: Node, entries: list[Entry]) -> None:
        self.cluster.agreed(node.paxos, entries)

    def post(self, node: Node, send: Send) -> None:
        check_message(node.paxos, send.message, node.disk.ballot, node.disk.log)
        super().post(node, send)


class DuelWorld(World):
    """Leaders that others no longer hear go on proposing, and are soon replaced by somebody who has heard a
    part of it: many slots are accepted here and there, with this value and that, and few are chosen."""

    def __init__(self, seed: int, size: int = 3, factory: Factory = MultiPaxos) -> None:
        dice = random.Random(f"duel {seed}")
        weather = Weather(
            loss=dice.choice([0.0, 0.05, 0.2]),
            doubling=0.1,
            slowest_ms=dice.choice([2, 6]),
            disk_ms=dice.choice([0, 3]),
            lazy=dice.random() < 0.5,
            snapshot_every=6,
        )
        super().__init__(seed, size, factory, weather)

    def mischief(self) -> None:
        dice = self.dice
        for node in self.nodes.values():
            if node.up and node.machine.leads and dice.random() < 0.25:
                self.propose(node)
        what = dice.random()
        node = self.nodes[dice.choice(sorted(self.nodes))]
        if what < 0.08:
            self.depose()
        elif what < 0.14:
            self.cut.clear()
        elif what < 0.16:
            self.crash(node)
            self.at(dice.randint(5, 50), lambda: self.revive(node))
        elif what < 0.3:
            self.read(node)

    def depose(self) -> None:
        """The leader stays behind with a few others, who may or may not notice; the rest look for a new
        one."""
        leader, names = self.leader(), sorted(self.nodes)
        if leader is None:
            return
        others = [name for name in names if name != leader.name]
        rest = self.dice.sample(others, self.dice.randint(1, len(others)))
        self.cut = {frozenset((a, b)) for a in rest for b in names if b not in rest}
        for name in rest:
            self.turn(self.nodes[name], PeerLost(leader.name))
