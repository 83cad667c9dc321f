"""What a random world is made of, whatever the protocol: nodes with a disk, a store and a clock each, and the
weather of a run."""
from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field

from agreed.consensus.machine import (
    Ballot,
    Entry,
    Event,
    Machine,
    Save,
    SnapshotMark,
)
from agreed.consensus.members import (
    Member,
    Members,
)

PIECE_BYTES = 24


class SeededDice:
    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def between(self, low: int, high: int) -> int:
        return self._random.randint(low, high)


@dataclass
class Store:
    """What the log is applied to: a chain of digests, so that two stores are equal only after equal
    entries."""

    index: int = 0
    digest: str = ""
    members: Members | None = None

    def apply(self, entry: Entry) -> None:
        assert entry.index == self.index + 1
        self.index = entry.index
        self.digest = hashlib.blake2b(
            self.digest.encode() + entry.payload + bytes([entry.kind]), digest_size=16
        ).hexdigest()

    def data(self) -> bytes:
        return f"{self.index}:{self.digest}:{'.' * 30}".encode()

    @classmethod
    def of(cls, data: bytes) -> Store:
        index, digest, _ = data.decode().split(":")
        return cls(int(index), digest)


@dataclass
class Disk:
    ballot: Ballot = field(default_factory=lambda: Ballot(0, None))
    log: dict[int, Entry] = field(default_factory=dict)
    mark: SnapshotMark | None = None
    snapshots: dict[int, tuple[SnapshotMark, bytes]] = field(default_factory=dict)
    aside: bytes = b""

    def write(self, save: Save) -> None:
        self.ballot = save.ballot
        if save.entries:
            first = save.entries[0].index
            for index in [index for index in self.log if index >= first]:
                del self.log[index]
            self.log.update((entry.index, entry) for entry in save.entries)

    def holds(self, entry: Entry) -> bool:
        if self.mark is not None and entry.index <= self.mark.index:
            return True
        return self.log.get(entry.index) == entry

    def take_snapshot(self, mark: SnapshotMark, data: bytes) -> None:
        self.snapshots[mark.index] = (mark, data)
        for old in sorted(self.snapshots)[:-2]:
            del self.snapshots[old]
        if self.mark is None or mark.index > self.mark.index:
            self.mark = mark


class Node:
    """One name: its disk, its present life, its clock."""

    def __init__(self, name: str, identity: int, members: Members) -> None:
        self.name, self.identity, self.members = name, identity, members
        self.disk = Disk()
        self.life = 0
        self.up = False
        self.machine: Machine
        self.store = Store()
        self.queue: list[tuple[int, Save]] = []
        self.disk_free_at = 0
        self.clock_offset = 0
        self.take_due = False
        self.paused_until = 0
        self.inbox: list[Event] = []
        self.installing: tuple[SnapshotMark, bytes] | None = None

    def member(self) -> Member:
        return Member(self.name, self.identity, f"{self.name}:1")


MISCHIEF = {
    "propose": 40,
    "read": 20,
    "crash": 5,
    "cut": 5,
    "heal": 5,
    "lose": 3,
    "transfer": 3,
    "change": 8,
    "wipe": 1,
    "pause": 1,
}
"""What may happen at any time, and how much of it; each run multiplies these by dice of its own."""


@dataclass
class Weather:
    """Drawn once a run: what can go wrong in it, and how often (swarm testing)."""

    loss: float = 0.0
    doubling: float = 0.0
    slowest_ms: int = 3
    disk_ms: int = 4
    lazy: bool = False
    punctual: bool = True
    changes: bool = False
    snapshot_every: int = 12
    weights: dict[str, int] = field(default_factory=lambda: dict(MISCHIEF))

    @classmethod
    def draw(cls, dice: random.Random) -> Weather:
        return cls(
            loss=dice.choice([0.0, 0.02, 0.2]),
            doubling=dice.choice([0.0, 0.1]),
            slowest_ms=dice.choice([2, 6, 40]),
            disk_ms=dice.choice([0, 3, 25]),
            lazy=dice.random() < 0.5,
            punctual=dice.random() < 0.7,
            changes=dice.random() < 0.5,
            snapshot_every=dice.choice([4, 12, 1000]),
            weights={what: weight * dice.choice([0, 1, 1, 4]) for what, weight in MISCHIEF.items()},
        )
