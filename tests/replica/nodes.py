"""What a world is made of: weather, disks that may lie, and nodes whose replica shows the judge its work."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agreed.consensus.machine import Ballot, Entry, Save, SnapshotMark
from agreed.consensus.members import Member
from agreed.consensus.raft.config import RaftConfig
from agreed.replica.replica import Replica
from agreed.replica.settings import Settings
from agreed.store.machine import Restorer, Store

if TYPE_CHECKING:
    from tests.replica.judge import Judge
    from tests.replica.players import Link


class SeededDice:
    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def between(self, low: int, high: int) -> int:
        return self._random.randint(low, high)


@dataclass
class Disk:
    """What survives.  `life` counts the starts, as the identity file of a data directory does."""

    ballot: Ballot = field(default_factory=lambda: Ballot(0, None))
    log: dict[int, Entry] = field(default_factory=dict)
    mark: SnapshotMark | None = None
    snapshots: dict[int, tuple[SnapshotMark, list[bytes]]] = field(default_factory=dict)
    aside: bytes = b""
    life: int = 0

    def write(self, save: Save) -> None:
        self.ballot = save.ballot
        if save.entries:
            first = save.entries[0].index
            for index in [index for index in self.log if index >= first]:
                del self.log[index]
            self.log.update((entry.index, entry) for entry in save.entries)

    def take_snapshot(self, mark: SnapshotMark, pieces: list[bytes]) -> None:
        self.snapshots[mark.index] = (mark, pieces)
        for old in sorted(self.snapshots)[:-2]:
            del self.snapshots[old]
        if self.mark is None or mark.index > self.mark.index:
            self.mark = mark


@dataclass
class Weather:
    """Drawn once a run: what can go wrong in it, and how often (swarm testing)."""

    loss: float = 0.0
    doubling: float = 0.0
    reorder: bool = False
    slowest_ms: int = 3
    disk_ms: int = 4
    lazy: bool = False
    crash: int = 0
    cut: int = 0
    stall: int = 0
    snapshot_entries: int = 40
    linearizable: bool = False
    lease_reads: bool = True
    disk_lies: bool = False
    """Says `Saved` before it is true."""

    @classmethod
    def draw(cls, dice: random.Random) -> Weather:
        rough = dice.random() < 0.3
        return cls(
            loss=dice.choice([0.02, 0.15]) if rough else 0.0,
            doubling=dice.choice([0.0, 0.1]) if rough else 0.0,
            reorder=rough,
            slowest_ms=dice.choice([2, 6, 30]),
            disk_ms=dice.choice([0, 3, 15]),
            lazy=dice.random() < 0.4,
            crash=dice.choice([0, 2, 6]),
            cut=dice.choice([0, 3, 8]),
            stall=dice.choice([0, 0, 4]),
            snapshot_entries=dice.choice([15, 40, 10_000]),
            linearizable=dice.random() < 0.4,
            lease_reads=dice.random() < 0.6,
        )


class TracedReplica(Replica):
    """A replica that shows the judge what it applies; nothing of what it does is changed."""

    judge: Judge

    def _apply(self, entry: Entry) -> None:
        before = self.store.revision
        super()._apply(entry)
        self.judge.applied(self, entry, before)

    def _lease_changed(self, command: Any, origin: str, result: Any) -> None:
        self.judge.lease_command(self, command, result)
        super()._lease_changed(command, origin, result)

    def expire(self, lease: int) -> None:
        self.judge.expiry_decided(self, lease)
        super().expire(lease)


class Node:
    """One name: its disk, its present life, its clock, its connections."""

    def __init__(self, name: str, identity: int) -> None:
        self.name, self.identity = name, identity
        self.disk = Disk()
        self.boots = 0
        self.up = False
        self.replica: TracedReplica
        self.saving: list[Save] = []
        self.disk_free_at = 0
        self.thread_free_at = 0
        self.clock_offset = 0
        self.clock_rate = 1.0
        self.take_due = False
        self.stalled_until = 0
        self.backlog: deque[tuple[object, ...]] = deque()
        self.links: dict[int, Link] = {}
        self.next_client = 1
        self.writing: tuple[SnapshotMark, list[bytes]] | None = None

    def member(self) -> Member:
        return Member(self.name, self.identity, f"{self.name}:1", f"{self.name}:2")


def raft_config(weather: Weather) -> RaftConfig:
    return RaftConfig(
        heartbeat_ms=60,
        election_timeout_ms=(250, 500),
        leader_loss_delay_ms=(10, 60),
        max_append_bytes=4_000,
        window_messages=8,
        tail_entries=5,
        spare_delay_ms=3,
        read_timeout_ms=200,
        lease_reads=weather.lease_reads,
        clock_rate_bound=0.05,
    )


def settings(weather: Weather) -> Settings:
    return Settings(
        sweep_every_ms=1_000,
        session_timeout_ms=(1_500, 4_000),
        linearizable_reads=weather.linearizable,
        snapshot_entries=weather.snapshot_entries,
        leaderless_grace_ms=1_500,
        four_letter_words=frozenset({"srvr", "mntr", "ruok"}),
    )


def store_of(pieces: list[bytes]) -> Store:
    if not pieces:
        return Store()
    restorer = Restorer()
    for piece in pieces:
        restorer.feed(piece)
    return restorer.finish()
