"""A simulated cluster with meters: what goes over its wires, what its disks sync, and when clients are told.

Everything else is as in other runs (`cluster.py`): the shipped machines, stores and disks, ZooKeeper clients,
and the judge who looks at every step.  Only the conditions are those of a ruler: a message takes so long, a
sync takes so long, every time, and all that reaches a node at one moment is one turn of it, as with an event
loop.  So a count is exact, the same on every machine, and can be said of a scenario and of nothing else.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec

from agreed.check.history import Status
from agreed.consensus.config import CommonConfig
from agreed.replica import events
from agreed.replica.settings import Settings
from agreed.sim.cluster import Cluster
from agreed.sim.disk import Disk, Inode
from agreed.sim.faults import Faults
from agreed.sim.history import Call, Processes, Recorder
from agreed.sim.node import Node
from agreed.sim.outcome import Broken
from agreed.sim.parts import Parts
from agreed.sim.plan import Ask, Conditions, Fault, Plan
from agreed.sim.trace import Trace
from agreed.sim.workload import KEYS
from agreed.sim.world import MS
from agreed.sim.zookeeper_clients import ZooKeeperClient

READY_WITHIN_MS = 10_000
SETTLE_MS = 300
"""Until clients that have just come are connected, and nothing is under way."""

FIRST_CLIENT = 100
WRITES_MOST = 10_000
"""Of one client: their numbers are nobody else's."""


def conditions(one_way_us: int, sync_us: int, spare_delay_ms: int = 0) -> Conditions:
    """The knobs are those that a node has unless it is told otherwise."""
    shipped, served = CommonConfig(), Settings()
    return Conditions(
        latency_us=(one_way_us, one_way_us),
        sync_us=(sync_us, sync_us),
        heartbeat_ms=shipped.heartbeat_ms,
        election_timeout_ms=shipped.election_timeout_ms,
        leader_loss_delay_ms=shipped.leader_loss_delay_ms,
        tail_entries=shipped.tail_entries,
        max_append_bytes=shipped.max_append_bytes,
        window_messages=shipped.window_messages,
        commit_notice_ms=shipped.commit_notice_ms,
        spare_delay_ms=spare_delay_ms,
        snapshot_entries=served.snapshot_entries,
        segment_bytes=4 * 1024 * 1024,
        chunk_bytes=100_000,
        proposals_under_way=served.proposals_under_way,
        large_proposal_bytes=served.large_proposal_bytes,
        session_ms=(4_000, 10_000),
    )


class MeteredDisk(Disk):
    synced = 0

    def sync(self, path: Path, inode: Inode | None) -> None:
        super().sync(path, inode)
        self.synced += 1


class MeteredNode(Node):
    """`sent`: what it has said to other nodes, by kind."""

    def __init__(self, cluster: Cluster, name: str, number: int, *, joining: bool = False) -> None:
        super().__init__(cluster, name, number, joining=joining)
        self.sent: Counter[str] = Counter()
        # What comes at one moment is one turn: effects are seen to when all of it has been heard.
        self._lazy, self._lazy_bits = 1_000, lambda bits: 0

    def _do(self, effects: events.Effects) -> None:
        self.sent.update(type(message).__name__ for _, message in effects.send)
        super()._do(effects)


class MeteredProcesses(Processes):
    """`written`: (asked, told) of each write that was acknowledged, in microseconds."""

    def __init__(self, recorder: Recorder, client: str, written: list[tuple[int, int]]) -> None:
        super().__init__(recorder, client)
        self._written = written

    def end(
        self,
        call: Call,
        status: Status,
        now: int,
        result: object = None,
        revision: int | None = None,
        error: str | None = None,
    ) -> None:
        if status is Status.OK:
            self._written.append((call.called, now))
        super().end(call, status, now, result, revision, error)


class MeteredClient(ZooKeeperClient):
    """`first`: with whom it connects at first; later it goes where it finds somebody, unless it is told to
    stay."""

    first: Node | None = None

    def _connect(self, _: object = None, __: object = None) -> None:
        stay, self._only = self._only, self._only or self.first
        super()._connect()
        self._only = stay
        if self.link is not None:
            self.first = None


class Reading(msgspec.Struct, frozen=True):
    """What the meters say: since the beginning, or (`since`) between two of these."""

    at_us: int
    messages: dict[str, int]
    syncs: int
    elections: int

    def since(self, before: Reading) -> Reading:
        messages = {kind: self.messages[kind] - before.messages.get(kind, 0) for kind in self.messages}
        return Reading(
            self.at_us - before.at_us,
            {kind: times for kind, times in messages.items() if times},
            self.syncs - before.syncs,
            self.elections - before.elections,
        )

    @property
    def sent(self) -> int:
        return sum(self.messages.values())


class MeasuredCluster(Cluster):
    """Up, led, and ready for clients.  Raises `Broken` where it does not get there, or breaks a promise."""

    def __init__(self, consensus: str, nodes: int, seed: int, how: Conditions) -> None:
        plan = Plan(seed, "measured", nodes, 1, 0, how, consensus=consensus)
        super().__init__(plan, Parts(node=MeteredNode, disk=MeteredDisk), Trace())
        self._comers = 0
        self.written: list[tuple[int, int]] = []
        """(asked, told) of each write that was acknowledged, in microseconds, as they were told."""
        self.begin()
        self.wait(lambda: self.ready and self.leader() is not None, READY_WITHIN_MS, "ready")
        self.run_for(SETTLE_MS)

    def wait(self, condition: Callable[[], bool], within_ms: int, what: str) -> None:
        """Run until this is so.  Raises `Broken` where that takes longer."""
        until = self.now_ms + within_ms
        while not condition():
            if self.now_ms > until:
                raise Broken("measured in vain", f"not {what} within {within_ms} ms: {self.standing()}")
            self.run_for(1)

    @property
    def now_ms(self) -> int:
        return self.world.now // MS

    def run_for(self, time_ms: int) -> None:
        self.run(self.now_ms + time_ms)

    def led_by(self) -> MeteredNode:
        """Raises `Broken` where nobody leads."""
        leader = self.leader()
        if leader is None:
            raise Broken("nobody leads", self.standing())
        assert isinstance(leader, MeteredNode)
        return leader

    def followers(self) -> list[Node]:
        leader = self.led_by()
        return [node for node in self.nodes.values() if node is not leader]

    def write(
        self, clients: int, writes: int, at_ms: int, only: Node | None = None, pause_ms: int = 0
    ) -> None:
        """That many clients come, and from `at_ms` on each writes so often, one write after the other and
        one in `pause_ms` at most.  All of them connect to `only`, or by turns to all nodes."""
        names = list(self.nodes)
        for _ in range(clients):
            self._comers += 1
            number = FIRST_CLIENT + self._comers
            name, key = f"c{number}", KEYS[number % len(KEYS)]
            first = number * WRITES_MOST
            asks = [
                Ask(first + each, at_ms + each * pause_ms, name, "write", key) for each in range(writes)
            ]
            client = MeteredClient(self, name, number, asks, only)
            client.processes = MeteredProcesses(self.recorder, name, self.written)
            client.first = self.nodes[names[self._comers % len(names)]]
            self.clients.append(client)
            client.begin()

    def at_rest(self) -> bool:
        return all(client.at_rest for client in self.clients)

    def read(self) -> Reading:
        messages: Counter[str] = Counter()
        syncs = 0
        for node in self.nodes.values():
            assert isinstance(node, MeteredNode)
            assert isinstance(node.disk, MeteredDisk)
            messages.update(node.sent)
            syncs += node.disk.synced
        return Reading(self.world.now, dict(messages), syncs, self.world.marks.get("leader elected", 0))

    def strike(self, *faults: Fault) -> None:
        """These are done now and undone in their time."""
        due = [msgspec.structs.replace(fault, at_ms=self.now_ms) for fault in faults]
        self.plan = msgspec.structs.replace(self.plan, faults=tuple(due))
        Faults(self).schedule()
