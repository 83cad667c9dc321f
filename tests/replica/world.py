"""A cluster of whole nodes in one thread: real replicas, Raft and stores; network, disks, clocks and clients.

    world = World(seed)
    world.storm(4_000)      things go wrong as drawn from the seed: crashes, cuts, stalls, losses
    world.peace()           everything is mended; now the cluster must come to rest, and all is counted

Nothing in a node is replaced: what it says to its peers goes through the peer codec, what it saves becomes
durable later and in order, what is not durable is lost in a crash, and it comes back from what is left.  Its
clients (`players.py`) speak bytes, as kazoo does.  The judge (`judge.py`) sees everything, and says at each
step what must not be.

A run is its seed: a failure is repeated by `World(seed)`.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable
from math import ceil

import msgspec

from agreed.consensus.machine import (
    ChunkLoaded,
    ChunkSaved,
    LoadChunk,
    Save,
    SaveChunk,
    SnapshotMark,
    SnapshotRejected,
)
from agreed.consensus.members import Members, everybody
from agreed.consensus.raft.invariants import ClusterInvariants, check
from agreed.consensus.raft.raft import Raft
from agreed.replica import events
from agreed.replica.words import Surroundings
from agreed.wire.peer.codec import Decoder, encode
from agreed.wire.peer.messages import LeadershipTransfer
from tests.replica.judge import Judge
from tests.replica.nodes import (
    Node,
    SeededDice,
    TracedReplica,
    Weather,
    raft_config,
    settings,
    store_of,
)
from tests.replica.players import Player

CHUNK_BYTES = 300
WALL_EPOCH_MS = 1_700_000_000_000


class World:
    def __init__(
        self,
        seed: int,
        *,
        size: int = 3,
        players: int = 4,
        weather: Weather | None = None,
        replica: type[TracedReplica] = TracedReplica,
        raft: type[Raft] = Raft,
        raft_checked: bool = True,
    ) -> None:
        self.seed = seed
        self.dice = random.Random(f"world {seed}")
        self.weather = weather if weather is not None else Weather.draw(self.dice)
        self.now = 0
        self.judge = Judge(self)
        self.cluster = ClusterInvariants()
        self.cut: set[tuple[str, str]] = set()
        """(from, to): nothing gets through."""
        self.stormy = False
        self._raft, self._replica, self._raft_checked = raft, replica, raft_checked
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._decoder = Decoder()
        self._fifo: dict[tuple[str, str], int] = {}
        self._turns = 0
        self.config = raft_config(self.weather)
        self.settings = settings(self.weather)
        names = [f"n{number}" for number in range(1, size + 1)]
        self.nodes = {name: Node(name, number) for number, name in enumerate(names, start=1)}
        self.founders = Members(tuple(node.member() for node in self.nodes.values()))
        for node in self.nodes.values():
            self.start(node)
        self.players = [Player(self, f"p{number}") for number in range(1, players + 1)]
        for player in self.players:
            self.at(self.dice.randint(0, 50), player.begin)

    # --- time -----------------------------------------------------------------------------------------

    def at(self, delay: int, action: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.now + delay, next(self._order), action))

    def later(self, delay: int, node: Node, action: Callable[[], None]) -> None:
        """In this life of the node, or not at all."""
        boot = node.boots
        self.at(delay, lambda: action() if node.boots == boot and node.up else None)

    def local(self, node: Node) -> int:
        """What the node's monotonic clock shows."""
        return int(self.now * node.clock_rate) + node.clock_offset

    def _wakes_at(self, node: Node) -> int:
        assert node.replica.wake is not None
        instant = ceil((node.replica.wake - node.clock_offset) / node.clock_rate)
        while int(instant * node.clock_rate) + node.clock_offset < node.replica.wake:
            instant += 1
        return max(self.now, node.stalled_until, instant)

    def run(self, until: int) -> None:
        while True:
            alarm, sleeper = until, None
            for node in self.nodes.values():
                if node.up and node.replica.wake is not None:
                    wakes_at = self._wakes_at(node)
                    if wakes_at < alarm:
                        alarm, sleeper = wakes_at, node
            if self._queue and self._queue[0][0] <= alarm:
                if self._queue[0][0] >= until:
                    break
                self.now, _, action = heapq.heappop(self._queue)
                action()
            elif sleeper is not None:
                self.now = alarm
                self.turn(sleeper)
            else:
                break
        self.now = until

    def run_until(self, holds: Callable[[], bool], within_ms: int, what: str) -> None:
        deadline = self.now + within_ms
        while not holds():
            assert self.now < deadline, f"liveness: seed {self.seed}: still not: {what}\n{self.standing()}"
            self.run(self.now + 50)

    # --- lives ----------------------------------------------------------------------------------------

    def start(self, node: Node) -> None:
        disk = node.disk
        disk.life += 1
        node.boots += 1
        node.up, node.take_due, node.writing = True, False, None
        node.saving, node.disk_free_at, node.thread_free_at, node.stalled_until = [], 0, 0, 0
        node.clock_offset = self.dice.randint(0, 1_000_000)
        node.clock_rate = self.dice.choice([0.98, 1.0, 1.0, 1.02])
        node.links, node.backlog = {}, deque()
        mark, pieces = SnapshotMark(0, 0, self.founders), []
        if disk.mark is not None:
            mark, pieces = disk.snapshots[disk.mark.index]
        raft = self._raft(
            node.name, self.founders, disk.ballot, mark,
            [disk.log[index] for index in sorted(disk.log) if index >= mark.index],
            self.config, SeededDice(f"{self.seed} {node.name} {node.boots}"), self.local(node),
        )  # fmt: skip
        entropy = random.Random(f"entropy {self.seed} {node.name} {node.boots}")
        node.replica = self._replica(
            node.name, 1, disk.life, self.settings, raft, store_of(pieces), mark.index,
            entropy.randbytes, Surroundings, self.local(node), WALL_EPOCH_MS + self.now,
        )  # fmt: skip
        node.replica.judge = self.judge
        self.judge.disturbed()
        for other in self.nodes.values():
            if other is not node and other.up and hasattr(other, "replica"):
                self._greet(node, other)

    def _greet(self, one: Node, other: Node) -> None:
        """Both dial, at some time; nobody gets through a cut."""
        for near, far in ((one, other), (other, one)):
            self.later(self.dice.randint(0, 30), near, lambda near=near, far=far: self._opened(near, far))

    def _opened(self, near: Node, far: Node) -> None:
        if far.up and not {(near.name, far.name), (far.name, near.name)} & self.cut:
            self.turn(near, events.PeerOpened(far.name))

    def _closed(self, near: Node, far: Node) -> None:
        self.later(self.dice.randint(0, 5), near, lambda: self.turn(near, events.PeerClosed(far.name)))

    def crash(self, node: Node) -> None:
        """Memory goes; of the saves under way a part may have reached the disk."""
        if not node.up:
            return
        if not self.weather.disk_lies:
            for save in node.saving[: self.dice.randint(0, len(node.saving))]:
                node.disk.write(save)
        node.up = False
        node.boots += 1
        self.judge.disturbed()
        for link in list(node.links.values()):
            link.server_died()
        for other in self.nodes.values():
            if other is not node and other.up and self.dice.random() < 0.7:
                self._closed(other, node)

    # --- a turn of a node -----------------------------------------------------------------------------

    def turn(self, node: Node, *happened: object) -> None:
        if not node.up:
            return
        if self.now < node.stalled_until or node.backlog:
            if not node.backlog:
                self.later(max(0, node.stalled_until - self.now), node, lambda: self._wake_up(node))
            node.backlog.append(happened)
            return
        self._turn(node, *happened)

    def _wake_up(self, node: Node) -> None:
        """A stalled process goes on: everything that came meanwhile, in the order in which it came."""
        if self.now < node.stalled_until:
            self.later(node.stalled_until - self.now, node, lambda: self._wake_up(node))
            return
        while node.backlog and node.up:
            self._turn(node, *node.backlog.popleft())

    def _turn(self, node: Node, *happened: object) -> None:
        replica = node.replica
        replica.step(events.TimePassed(self.local(node), WALL_EPOCH_MS + self.now))
        for event in happened:
            replica.step(event)
        if not self.weather.lazy or not happened or self.dice.random() < 0.3:
            self.take(node)
        elif not node.take_due:
            node.take_due = True
            self.later(self.dice.randint(0, 2), node, lambda: self.take(node))

    def take(self, node: Node) -> None:
        node.take_due = False
        more = True
        while more:
            effects = node.replica.take()
            more = effects.more
            if self._raft_checked:
                self._check_raft(node)
            self.perform(node, effects)

    def _check_raft(self, node: Node) -> None:
        raft = node.replica.machine
        assert isinstance(raft, Raft)
        self._turns += 1
        if self._turns % 8 == 0:
            check(raft)
        if self._turns % 64 == 0:
            others = [n.replica.machine for n in self.nodes.values() if n.up]
            self.cluster.check(raft, [other for other in others if isinstance(other, Raft)])

    def perform(self, node: Node, effects: events.Effects) -> None:
        for save in effects.saves:
            self.save(node, save)
        for target, message in effects.send:
            self.post(node, target, message)
        for identifier, data in effects.write:
            if identifier in node.links:
                node.links[identifier].to_client(data)
        for identifier in effects.close:
            if identifier in node.links:
                node.links[identifier].closed_by_server()
        for identifier in (*effects.pause, *effects.resume):
            if identifier in node.links:
                node.links[identifier].hold(identifier in effects.pause)
        self._snapshot_effects(node, effects)
        if node.replica.problem is not None:
            raise AssertionError(f"{node.name} stopped serving: {node.replica.problem}")

    def _snapshot_effects(self, node: Node, effects: events.Effects) -> None:
        for piece in effects.snapshot:
            if isinstance(piece, events.StartSnapshot):
                assert node.writing is None
                node.writing = (piece.mark, [])
            else:
                self.in_thread(node, lambda piece=piece: self.write_piece(node, piece))
        for load in effects.load_chunks:
            self.in_thread(node, lambda load=load: self.load(node, load))
        for chunk in effects.save_chunks:
            self.in_thread(node, lambda chunk=chunk: self.save_chunk(node, chunk))

    def in_thread(self, node: Node, job: Callable[[], None]) -> None:
        """What has to do with snapshots is done one after the other."""
        node.thread_free_at = max(self.now, node.thread_free_at) + self.dice.randint(0, 4)
        self.later(node.thread_free_at - self.now, node, job)

    # --- the disk -------------------------------------------------------------------------------------

    def save(self, node: Node, save: Save) -> None:
        node.saving.append(save)
        node.disk_free_at = max(self.now, node.disk_free_at) + self.dice.randint(0, self.weather.disk_ms)
        delay = node.disk_free_at - self.now
        if self.weather.disk_lies:
            self.later(0, node, lambda: self.turn(node, events.Saved(save.serial)))
            delay += 40
        self.later(delay, node, lambda: self.saved(node, save))

    def saved(self, node: Node, save: Save) -> None:
        assert node.saving.pop(0) is save
        node.disk.write(save)
        if not self.weather.disk_lies:
            self.turn(node, events.Saved(save.serial))

    def write_piece(self, node: Node, piece: events.SnapshotPiece) -> None:
        assert node.writing is not None
        mark, pieces = node.writing
        pieces.append(piece.data)
        if not piece.last:
            self.turn(node, events.SnapshotPieceWritten())
            return
        node.writing = None
        node.disk.take_snapshot(mark, pieces)
        for index in [index for index in node.disk.log if index < mark.index]:
            del node.disk.log[index]
        digest = hashlib.sha256(b"".join(pieces)).digest()
        self.turn(node, events.SnapshotWritten(mark, digest))

    def load(self, node: Node, load: LoadChunk) -> None:
        snapshots = node.disk.snapshots
        index = load.index if load.index in snapshots else max(snapshots, default=None)
        if index is None:
            self.turn(node, ChunkLoaded(load.target, None, load.offset, b"", False))
            return
        mark, pieces = snapshots[index]
        data = msgspec.msgpack.encode(pieces)
        chunk = data[load.offset : load.offset + CHUNK_BYTES]
        done = load.offset + CHUNK_BYTES >= len(data)
        self.turn(node, ChunkLoaded(load.target, mark, load.offset, chunk, done))

    def save_chunk(self, node: Node, chunk: SaveChunk) -> None:
        disk = node.disk
        if chunk.offset == 0:
            disk.aside = b""
        assert len(disk.aside) == chunk.offset, "chunks are handed on in order"
        disk.aside += chunk.data
        if not chunk.done:
            self.turn(node, ChunkSaved(chunk.mark, len(disk.aside)))
        elif self.stormy and self.dice.random() < 0.1:
            self.turn(node, SnapshotRejected(chunk.mark))
        else:
            pieces = msgspec.msgpack.decode(disk.aside, type=list[bytes])
            disk.take_snapshot(chunk.mark, pieces)
            self.later(self.dice.randint(0, 9), node, lambda: self.restore(node, chunk.mark, pieces))

    def restore(self, node: Node, mark: SnapshotMark, pieces: list[bytes]) -> None:
        node.disk.log.clear()
        for piece in pieces:
            self.turn(node, events.RestorePiece(piece))
        self.judge.count("restored from the leader's snapshot")
        self.turn(node, events.RestoreEnded(mark))

    # --- the network ----------------------------------------------------------------------------------

    def post(self, node: Node, target: str, message: object) -> None:
        weather = self.weather
        frame, identity = encode(message), node.identity
        copies = 2 if self.dice.random() < weather.doubling else 1
        for _ in range(copies):
            if self.dice.random() < weather.loss:
                continue
            arrives_at = self.now + self.dice.randint(0, weather.slowest_ms)
            if not weather.reorder:
                arrives_at = max(arrives_at, self._fifo.get((node.name, target), 0))
                self._fifo[node.name, target] = arrives_at
            self.at(arrives_at - self.now, lambda: self.arrive(node, identity, target, frame))

    def arrive(self, source: Node, identity: int, name: str, frame: bytes) -> None:
        target = self.nodes.get(name)
        if target is None or not target.up or (source.name, name) in self.cut:
            return
        known = everybody(target.replica.members).get(source.name)
        if known is not None and known.identity != identity:
            return
        [message] = self._decoder.receive_data(frame)
        self.turn(target, events.PeerMessage(source.name, message))

    # --- mischief -------------------------------------------------------------------------------------

    def mischief(self) -> None:
        """One thing that may happen at any time."""
        weather, dice = self.weather, self.dice
        node = self.nodes[dice.choice(list(self.nodes))]
        what = dice.choices(
            ["nothing", "crash", "cut", "heal", "stall", "transfer", "break", "loss noticed"],
            [40, weather.crash, weather.cut, weather.cut, weather.stall, 1, 6, 1],
        )[0]
        if what == "crash" and node.up:
            self.crash(node)
            self.at(dice.choice([20, 200, 1_500]), lambda: self.revive(node))
        elif what == "cut" and len(self.nodes) > 1:
            self.cut_link(*dice.sample(sorted(self.nodes), 2))
        elif what == "heal":
            self.heal()
        elif what == "stall":
            node.stalled_until = max(node.stalled_until, self.now + dice.choice([30, 400, 2_500]))
            self.judge.disturbed()
        elif what == "transfer" and node.up and node.replica.leads:
            self.turn(node, events.OperatorAsked(next(self._order), LeadershipTransfer(None)))
        elif what == "break":
            dice.choice(self.players).break_link()
        elif what == "loss noticed":
            self.turn(node, events.PeerClosed(dice.choice(sorted(self.nodes))))

    def cut_link(self, one: str, other: str) -> None:
        """In one direction or, mostly, in both; and perhaps both ends notice."""
        self.cut.add((one, other))
        self.judge.disturbed()
        if self.dice.random() < 0.3:
            return
        self.cut.add((other, one))
        if self.dice.random() < 0.5:
            self._closed(self.nodes[one], self.nodes[other])
            self._closed(self.nodes[other], self.nodes[one])

    def heal(self) -> None:
        cut, self.cut = self.cut, set()
        for names in sorted({tuple(sorted(pair)) for pair in cut}):
            one, other = (self.nodes[name] for name in names)
            if one.up and other.up:
                self._greet(one, other)
        self.judge.disturbed()

    def revive(self, node: Node) -> None:
        if not node.up:
            self.start(node)

    def storm(self, duration_ms: int) -> None:
        self.stormy = True
        end = self.now + duration_ms
        while self.now < end:
            self.run(self.now + self.dice.randint(1, 60))
            self.mischief()
        self.stormy = False

    # --- peace ----------------------------------------------------------------------------------------

    def leader(self) -> Node | None:
        """The leader of the newest term."""
        leaders = [node for node in self.nodes.values() if node.up and node.replica.leads]
        return max(leaders, key=lambda node: node.replica.machine.term, default=None)

    def calm(self) -> None:
        """All faults end."""
        self.weather = Weather(snapshot_entries=self.weather.snapshot_entries)
        self.heal()
        for node in self.nodes.values():
            node.stalled_until = min(node.stalled_until, self.now)
            self._wake_up(node)
            self.revive(node)
        self.judge.disturbed()

    def peace(self) -> None:
        """Liveness, and the final account."""
        self.calm()
        for player in self.players:
            player.retire()
        self.run_until(lambda: all(player.at_rest for player in self.players), 30_000, "all are answered")
        self.run_until(self.converged, 30_000, "all nodes have applied the same")
        self.judge.final()

    def converged(self) -> bool:
        leader = self.leader()
        if leader is None or self.judge.unfinished_sessions(leader.replica.store):
            return False
        return all(node.replica.applied == leader.replica.machine.last_index for node in self.nodes.values())

    def standing(self) -> str:
        lines = [
            f"{n.name} up={n.up} {n.replica.machine.standing().role} leader={n.replica.machine.leader} term="
            f"{n.replica.machine.term} applied={n.replica.applied} last={n.replica.machine.last_index} "
            f"tickets={len(n.replica.requests)}"
            for n in self.nodes.values()
        ]
        return "\n".join(lines + [player.standing() for player in self.players])
