"""A world in one thread, for any protocol: a clock, a network, a disk for each node; every run is its seed.

Nodes are driven as a real driver would, and worse: turns are cut at random, saves take their time one after
the other, messages are lost, doubled and reordered, connections break, nodes crash and lose what was not
saved (or keep a part of it), stand still, and are sent snapshots that do not verify.  After every step the
contract is checked, and whatever a protocol's own world adds (`check_step`, `check_agreed`).

A run has two phases: a storm, in which only safety is asked for, and then peace, in which the cluster must
converge.

A protocol's world says which machines they are, and what else must be true of them.
"""
from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from typing import Generic, TypeVar

from agreed.consensus.config import CommonConfig
from agreed.consensus.contract import Contract
from agreed.consensus.machine import (
    ChunkLoaded,
    ChunkSaved,
    Effects,
    Entry,
    Event,
    LoadChunk,
    Machine,
    PeerLost,
    Proposed,
    ReadRequested,
    Received,
    Save,
    SaveChunk,
    Saved,
    Send,
    SnapshotInstalled,
    SnapshotRejected,
    SnapshotTaken,
    TimePassed,
    TransferRequested,
)
from agreed.consensus.members import Member, Members
from tests.consensus.nodes import PIECE_BYTES, Node, SeededDice, Store, Weather

SomeNode = TypeVar("SomeNode", bound=Node)


class World(Generic[SomeNode]):
    factory: Callable[..., Machine]
    config: CommonConfig
    node_type: type[SomeNode]

    def __init__(self, seed: int, size: int = 3, weather: Weather | None = None) -> None:
        self.seed = seed
        self.dice = random.Random(f"world {seed}")
        self.weather = weather if weather is not None else Weather.draw(self.dice)
        self.now = 0
        self.queue: list[tuple[int, int, Callable[[], None]]] = []
        self.order = itertools.count()
        self.contract = Contract()
        self.digests: dict[int, str] = {}
        self.cut: set[frozenset[str]] = set()
        self.tickets = itertools.count(1)
        self.identities = itertools.count(1)
        self.payloads = itertools.count(1)
        self.counts: dict[str, int] = {}
        self.stormy = True
        names = [f"n{i}" for i in range(1, size + 1)]
        members = tuple(Member(name, next(self.identities), f"{name}:1") for name in names)
        self.initial = Members(members)
        self.nodes: dict[str, SomeNode] = {
            member.name: self.node(member.name, member.identity, self.initial) for member in members
        }
        for node in self.nodes.values():
            self.start(node)

    # --- what a protocol's world says, besides its `factory`, `config` and `node_type` -------------------

    def node(self, name: str, identity: int, members: Members) -> SomeNode:
        """A node of this name, with an empty disk."""
        return self.node_type(name, identity, members)

    def make(self, node: SomeNode, entries: list[Entry], dice: SeededDice, now: int) -> Machine:
        """The machine of a new life, from `node.disk` and these entries of its log."""
        disk = node.disk
        return self.factory(
            node.name, node.members, disk.ballot, disk.mark, entries, self.config, dice, now
        )

    def view(self, node: SomeNode) -> object:
        """What `check_step` wants to remember of a machine from before a step."""
        return None

    def check_started(self, node: SomeNode) -> None:
        """A machine has just been made."""

    def check_step(self, node: SomeNode, before: object) -> None:
        """A machine has taken a step, or was asked for its effects."""

    def check_agreed(self, node: SomeNode, entries: list[Entry]) -> None:
        """A machine says that these are agreed."""

    def count(self, what: str, by: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + by

    # --- time ---

    def at(self, delay: int, action: Callable[[], None]) -> None:
        heapq.heappush(self.queue, (self.now + delay, next(self.order), action))

    def later(self, delay: int, node: SomeNode, action: Callable[[], None]) -> None:
        """In this life of the node, or not at all."""
        life = node.life
        self.at(delay, lambda: action() if node.life == life and node.up else None)

    def run(self, until: int) -> None:
        while True:
            alarm, sleeper = until, None
            for node in self.nodes.values():
                if node.up and node.machine.wake is not None:
                    wake = max(self.now, node.paused_until, node.machine.wake - node.clock_offset)
                    if wake < alarm:
                        alarm, sleeper = wake, node
            if self.queue and self.queue[0][0] <= alarm:
                if self.queue[0][0] >= until:
                    break
                self.now, _, action = heapq.heappop(self.queue)
                action()
            elif sleeper is not None:
                self.now = alarm
                self.turn(sleeper, TimePassed(self.now + sleeper.clock_offset))
            else:
                break
        self.now = until

    # --- lives ---

    def start(self, node: SomeNode) -> None:
        node.life += 1
        node.up, node.take_due, node.installing = True, False, None
        node.queue, node.disk_free_at, node.inbox, node.paused_until = [], self.now, [], 0
        node.clock_offset = self.dice.randint(0, 10_000)
        disk = node.disk
        node.store = Store.of(disk.snapshots[disk.mark.index][1]) if disk.mark is not None else Store()
        entries = [disk.log[index] for index in sorted(disk.log)]
        if disk.mark is not None:
            entries = [entry for entry in entries if entry.index >= disk.mark.index]
        dice = SeededDice(f"{self.seed} {node.name} {node.life}")
        node.machine = self.make(node, entries, dice, self.now + node.clock_offset)
        self.contract.started(node.name, node.store.index)
        self.check_started(node)

    def crash(self, node: SomeNode) -> None:
        """Memory goes; of the saves under way a part may have reached the disk."""
        if not node.up:
            return
        for _, save in node.queue[: self.dice.randint(0, len(node.queue))]:
            node.disk.write(save)
        node.up = False
        node.life += 1
        self.count("crash")
        for other in self.nodes.values():
            if other is not node and self.dice.random() < 0.7:
                self.notice_loss(other, node)

    def notice_loss(self, node: SomeNode, lost: SomeNode) -> None:
        self.later(self.dice.randint(0, 5), node, lambda: self.turn(node, PeerLost(lost.name)))

    # --- a turn of a node ---

    def turn(self, node: SomeNode, event: Event) -> None:
        if not node.up:
            return
        if self.now < node.paused_until:
            if not node.inbox:
                self.later(node.paused_until - self.now, node, lambda: self.wake_up(node))
            node.inbox.append(event)
            return
        if node.inbox:
            node.inbox.append(event)  # behind what has waited: a driver says `Saved` in order
            return
        self.have_turn(node, event)

    def wake_up(self, node: SomeNode) -> None:
        while node.inbox and node.up:
            self.have_turn(node, node.inbox[0])
            node.inbox.pop(0)

    def have_turn(self, node: SomeNode, event: Event) -> None:
        if self.weather.punctual and not isinstance(event, TimePassed):
            self.step(node, TimePassed(self.now + node.clock_offset))
        self.step(node, event)
        if not self.weather.lazy or self.dice.random() < 0.3:
            self.take(node)
        elif not node.take_due:
            node.take_due = True
            self.later(self.dice.randint(0, 2), node, lambda: self.take(node))

    def step(self, node: SomeNode, event: Event) -> None:
        before = self.view(node)
        node.machine.step(event)
        self.check_step(node, before)

    def take(self, node: SomeNode) -> None:
        node.take_due = False
        before = self.view(node)
        effects = node.machine.take()
        self.check_step(node, before)
        self.contract.check(node.name, effects)
        self.perform(node, effects)

    def perform(self, node: SomeNode, effects: Effects) -> None:
        if effects.save is not None:
            self.save(node, effects.save)
        self.commit(node, effects.commit)
        for send in effects.send:
            self.post(node, send)
        for ready in effects.reads:
            self.count("read" if ready.index is not None else "read failed")
        for answer in effects.answers:
            self.count("change" if answer.refusal is None else "change refused")
        for load in effects.load_chunks:
            self.later(self.dice.randint(0, 3), node, lambda load=load: self.load(node, load))
        for piece in effects.save_chunks:
            self.later(self.dice.randint(0, 3), node, lambda piece=piece: self.save_chunk(node, piece))

    # --- the disk ---

    def save(self, node: SomeNode, save: Save) -> None:
        assert node.installing is None or not save.entries, "entries saved while a snapshot is installed"
        node.queue.append((save.serial, save))
        node.disk_free_at = max(self.now, node.disk_free_at) + self.dice.randint(0, self.weather.disk_ms)
        self.later(node.disk_free_at - self.now, node, lambda: self.saved(node, save))

    def saved(self, node: SomeNode, save: Save) -> None:
        assert node.queue[0][1] is save
        node.queue.pop(0)
        node.disk.write(save)
        self.turn(node, Saved(save.serial))

    def snapshot(self, node: SomeNode) -> None:
        mark, data = node.machine.snapshot_mark(node.store.index), node.store.data()

        def durable() -> None:
            node.disk.take_snapshot(mark, data)
            for index in [index for index in node.disk.log if index < mark.index]:
                del node.disk.log[index]
            self.count("snapshot")
            self.turn(node, SnapshotTaken(mark))

        self.later(self.dice.randint(0, 10), node, durable)

    def load(self, node: SomeNode, load: LoadChunk) -> None:
        snapshots = node.disk.snapshots
        index = load.index if load.index in snapshots else max(snapshots, default=None)
        if index is None:
            self.turn(node, ChunkLoaded(load.target, None, load.offset, b"", False))
            return
        mark, data = snapshots[index]
        piece = data[load.offset : load.offset + PIECE_BYTES]
        done = load.offset + PIECE_BYTES >= len(data)
        self.turn(node, ChunkLoaded(load.target, mark, load.offset, piece, done))

    def save_chunk(self, node: SomeNode, piece: SaveChunk) -> None:
        disk = node.disk
        if piece.offset == 0:
            disk.aside = b""
        assert len(disk.aside) == piece.offset, "pieces are handed on in order"
        disk.aside += piece.data
        if not piece.done:
            self.turn(node, ChunkSaved(piece.mark, len(disk.aside)))
        elif self.stormy and self.dice.random() < 0.1:
            self.turn(node, SnapshotRejected(piece.mark))
        else:
            node.installing = (piece.mark, disk.aside)
            self.later(self.dice.randint(0, 20), node, lambda: self.installed(node))

    def installed(self, node: SomeNode) -> None:
        assert node.installing is not None
        mark, data = node.installing
        node.installing = None
        assert node.store.index <= mark.index, "the store never goes back"
        node.disk.take_snapshot(mark, data)
        node.disk.log.clear()
        node.store = Store.of(data)
        assert self.digests[mark.index] == node.store.digest, "the snapshot is what was agreed"
        self.contract.restored(node.name, mark.index)
        self.count("installed")
        self.turn(node, SnapshotInstalled(mark))

    # --- what is agreed ---

    def commit(self, node: SomeNode, entries: list[Entry]) -> None:
        self.check_agreed(node, entries)
        for entry in entries:
            new = entry.index not in self.digests
            node.store.apply(entry)
            digest = self.digests.setdefault(entry.index, node.store.digest)
            assert digest == node.store.digest, "state-machine safety"
            if new:
                self.count("agreed")
                self.check_durable(node, entry)
        if entries and entries[-1].index % self.weather.snapshot_every == 0:
            self.snapshot(node)

    def check_durable(self, node: SomeNode, entry: Entry) -> None:
        """Who says "committed" first must be right: a majority has it on disk."""
        holding = [name for name, other in self.nodes.items() if self.holds(other, entry)]
        assert 2 * len(holding) > len(self.nodes), f"committed is durable: {entry} is only on {holding}"

    def holds(self, node: SomeNode, entry: Entry) -> bool:
        return node.disk.holds(entry)

    # --- the network ---

    def post(self, node: SomeNode, send: Send) -> None:
        identity, weather = node.identity, self.weather
        copies = 2 if self.dice.random() < weather.doubling else 1
        for _ in range(copies):
            if self.dice.random() >= weather.loss:
                delay = self.dice.randint(0, weather.slowest_ms)
                self.at(delay, lambda: self.arrive(node, identity, send))

    def arrive(self, source: SomeNode, identity: int, send: Send) -> None:
        target = self.nodes.get(send.target)
        if target is None or not target.up or frozenset((source.name, target.name)) in self.cut:
            return
        if source.identity != identity or not source.up:
            return  # its connections went with it
        if self.admits(target, source) and self.admits(source, target):
            self.turn(target, Received(source.name, send.message))

    def admits(self, node: SomeNode, other: SomeNode) -> bool:
        """Whether a node listens to another one at all."""
        return True

    # --- mischief ---

    def mischief(self) -> None:
        """One thing that may happen at any time."""
        dice = self.dice
        node = self.nodes[dice.choice(list(self.nodes))]
        weights = self.weather.weights
        what = dice.choices(list(weights), [weight + 0.01 for weight in weights.values()])[0]
        if what == "propose":
            self.propose(node)
        elif what == "read":
            self.read(node)
        elif what == "crash" and node.up:
            self.crash(node)
            self.at(dice.randint(5, 150), lambda: self.revive(node))
        elif what == "cut" and len(self.nodes) > 1:
            self.cut.add(frozenset(dice.sample(sorted(self.nodes), 2)))
        elif what == "heal":
            self.cut.clear()
        elif what == "lose":
            self.turn(node, PeerLost(dice.choice(sorted(self.nodes))))
        elif what == "pause":
            node.paused_until = max(node.paused_until, self.now + dice.choice([10, 150, 400]))
        elif what == "transfer":
            self.turn(node, TransferRequested(dice.choice([None, *self.nodes])))
        elif what in ("change", "wipe") and self.weather.changes:
            self.change(node, what)

    def change(self, node: SomeNode, what: str) -> None:
        """Mischief with the members, for protocols that can change them."""

    def revive(self, node: SomeNode) -> None:
        if not node.up:
            self.start(node)

    def propose(self, node: SomeNode, waiting: tuple[str, ...] = ()) -> bytes:
        payload = b"x%d" % next(self.payloads) + b"." * self.dice.choice([0, 5, 200])
        self.contract.proposed(payload)
        self.turn(node, Proposed(payload, waiting))
        return payload

    def read(self, node: SomeNode) -> None:
        if node.up and self.now >= node.paused_until:
            ticket = next(self.tickets)
            self.contract.read_requested(node.name, ticket)
            self.turn(node, ReadRequested(ticket))

    def storm(self, duration_ms: int, every_ms: int = 8) -> None:
        end = self.now + duration_ms
        while self.now < end:
            self.run(self.now + self.dice.randint(0, 2 * every_ms))
            self.mischief()

    # --- peace ---

    def leader(self) -> SomeNode | None:
        """The leader of the newest term."""
        leaders = [node for node in self.nodes.values() if node.up and node.machine.leads]
        return max(leaders, key=lambda node: node.machine.term, default=None)

    def calm(self) -> None:
        """All faults end."""
        self.stormy = False
        self.weather = Weather(snapshot_every=self.weather.snapshot_every)
        self.cut.clear()
        for node in self.nodes.values():
            node.paused_until = 0
            self.wake_up(node)
            self.revive(node)

    def operator(self) -> None:
        """Somebody looks after the cluster in peace."""

    def converge(self, within_ms: int = 6000) -> None:
        """Liveness: all members have all that was agreed, and something new as well."""
        self.calm()
        deadline = self.now + within_ms
        wanted: bytes | None = None
        while self.now < deadline:
            self.run(self.now + 50)
            self.operator()
            leader = self.leader()
            if leader is None:
                continue
            if wanted is None or not any(entry.payload == wanted for entry in self.contract.agreed.values()):
                wanted = self.propose(leader)
                continue
            if self.converged(leader):
                return
        state = [
            (name, n.machine.leader, n.machine.term, n.machine.commit, n.machine.last_index)
            for name, n in self.nodes.items()
        ]
        raise AssertionError(f"liveness: seed {self.seed} did not converge: {state}")

    def converged(self, leader: SomeNode) -> bool:
        if leader.machine.commit != leader.machine.last_index:
            return False
        if any(node.store.digest != leader.store.digest for node in self.nodes.values()):
            return False
        return all(self.contract.unanswered(node.name) == 0 for node in self.nodes.values())


class LyingDisks(World[SomeNode]):
    """Mixed into a protocol's world: its disks say that something is saved as soon as they hear of it."""

    def save(self, node: SomeNode, save: Save) -> None:
        super().save(node, save)
        node.queue.append((0, save))
        self.later(0, node, lambda: self.turn(node, Saved(save.serial)))

    def saved(self, node: SomeNode, save: Save) -> None:
        node.disk.write(save)
