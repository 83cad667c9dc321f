"""A world in one thread: a clock, a network, a disk for each node, and every run is its seed.

Nodes are driven as a real driver would, and worse: turns are cut at random, saves take their time one after
the other, messages are lost, doubled and reordered, connections break, nodes crash and lose what was not
saved (or keep a part of it), disks are wiped and replaced under a new identity.  After every step the
invariants, the contract and the disks are checked: whatever is said to be committed must lie on the disks
of a quorum.

A run has two phases: a storm, in which only safety is asked for, and then peace, in which the cluster must
converge.
"""
from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable

from agreed.consensus.contract import Contract
from agreed.consensus.machine import (
    ChunkLoaded,
    ChunkSaved,
    Effects,
    Entry,
    EntryKind,
    Event,
    LoadChunk,
    MembersChangeRequested,
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
from agreed.consensus.members import (
    AddLearner,
    Member,
    Members,
    MembersChange,
    Promote,
    Remove,
    Replace,
    SetVoters,
    decode_members,
    everybody,
)
from agreed.consensus.quorum import Quorum
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.raft.invariants import ClusterInvariants, InvariantBroken, check, check_step, view
from agreed.consensus.raft.raft import Raft
from tests.consensus.raft.nodes import CONFIG, PIECE_BYTES, Disk, Node, SeededDice, Store, Weather

Factory = Callable[..., Raft]


class World:
    def __init__(
        self,
        seed: int,
        size: int = 3,
        factory: Factory = Raft,
        weather: Weather | None = None,
        config: RaftConfig = CONFIG,
    ) -> None:
        self.seed, self.factory, self.config = seed, factory, config
        self.dice = random.Random(f"world {seed}")
        self.weather = weather if weather is not None else Weather.draw(self.dice)
        self.now = 0
        self.queue: list[tuple[int, int, Callable[[], None]]] = []
        self.order = itertools.count()
        self.contract = Contract()
        self.cluster = ClusterInvariants()
        self.digests: dict[int, str] = {}
        self.members_at: dict[int, Members] = {}
        self.cut: set[frozenset[str]] = set()
        self.tickets = itertools.count(1)
        self.identities = itertools.count(1)
        self.payloads = itertools.count(1)
        self.counts: dict[str, int] = {}
        self.stormy = True
        self.ghosts: dict[tuple[str, int], Disk] = {}
        """Lost disks: what was agreed before the loss was agreed with them."""
        names = [f"n{i}" for i in range(1, size + 1)]
        members = tuple(Member(name, next(self.identities), f"{name}:1") for name in names)
        self.nodes = {m.name: Node(m.name, m.identity, Members(members)) for m in members}
        self.initial = Members(members)
        for node in self.nodes.values():
            self.start(node)

    def count(self, what: str, by: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + by

    # --- time ---

    def at(self, delay: int, action: Callable[[], None]) -> None:
        heapq.heappush(self.queue, (self.now + delay, next(self.order), action))

    def later(self, delay: int, node: Node, action: Callable[[], None]) -> None:
        """In this life of the node, or not at all."""
        life = node.life
        self.at(delay, lambda: action() if node.life == life and node.up else None)

    def run(self, until: int) -> None:
        while True:
            alarm, sleeper = until, None
            for node in self.nodes.values():
                if node.up and node.raft.wake is not None:
                    wake = max(self.now, node.paused_until, node.raft.wake - node.clock_offset)
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

    def start(self, node: Node) -> None:
        node.life += 1
        node.up, node.take_due, node.installing = True, False, None
        node.queue, node.disk_free_at, node.inbox, node.paused_until = [], self.now, [], 0
        node.clock_offset = self.dice.randint(0, 10_000)
        disk = node.disk
        node.store = Store.of(disk.snapshots[disk.mark.index][1]) if disk.mark is not None else Store()
        entries = [disk.log[index] for index in sorted(disk.log)]
        if disk.mark is not None:
            entries = [entry for entry in entries if entry.index >= disk.mark.index]
        node.raft = self.factory(
            node.name, node.members, disk.ballot, disk.mark, entries, self.config,
            SeededDice(f"{self.seed} {node.name} {node.life}"), self.now + node.clock_offset,
        )  # fmt: skip
        self.contract.started(node.name, node.store.index)
        check(node.raft)

    def crash(self, node: Node) -> None:
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

    def notice_loss(self, node: Node, lost: Node) -> None:
        self.later(self.dice.randint(0, 5), node, lambda: self.turn(node, PeerLost(lost.name)))

    def wipe(self, node: Node) -> None:
        """A new disk under the old name: another member, who knows nothing."""
        self.ghosts[node.name, node.identity] = node.disk
        node.up = False
        node.life += 1
        node.disk = Disk()
        node.identity = next(self.identities)
        node.members = Members(())

    # --- a turn of a node ---

    def turn(self, node: Node, event: Event) -> None:
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

    def wake_up(self, node: Node) -> None:
        while node.inbox and node.up:
            self.have_turn(node, node.inbox[0])
            node.inbox.pop(0)

    def have_turn(self, node: Node, event: Event) -> None:
        if self.weather.punctual and not isinstance(event, TimePassed):
            self.step(node, TimePassed(self.now + node.clock_offset))
        self.step(node, event)
        if not self.weather.lazy or self.dice.random() < 0.3:
            self.take(node)
        elif not node.take_due:
            node.take_due = True
            self.later(self.dice.randint(0, 2), node, lambda: self.take(node))

    def step(self, node: Node, event: Event) -> None:
        raft = node.raft
        before = view(raft)
        raft.step(event)
        check(raft)
        check_step(before, raft)
        self.cluster.check(raft, [other.raft for other in self.nodes.values() if other.up])

    def take(self, node: Node) -> None:
        node.take_due = False
        before = view(node.raft)
        effects = node.raft.take()
        check(node.raft)
        check_step(before, node.raft)
        self.contract.check(node.name, effects)
        self.perform(node, effects)

    def perform(self, node: Node, effects: Effects) -> None:
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

    def save(self, node: Node, save: Save) -> None:
        assert node.installing is None or not save.entries, "entries saved while a snapshot is installed"
        node.queue.append((save.serial, save))
        node.disk_free_at = max(self.now, node.disk_free_at) + self.dice.randint(0, self.weather.disk_ms)
        self.later(node.disk_free_at - self.now, node, lambda: self.saved(node, save))

    def saved(self, node: Node, save: Save) -> None:
        assert node.queue[0][1] is save
        node.queue.pop(0)
        node.disk.write(save)
        self.turn(node, Saved(save.serial))

    def snapshot(self, node: Node) -> None:
        mark, data = node.raft.snapshot_mark(node.store.index), node.store.data()

        def durable() -> None:
            node.disk.take_snapshot(mark, data)
            for index in [index for index in node.disk.log if index < mark.index]:
                del node.disk.log[index]
            self.count("snapshot")
            self.turn(node, SnapshotTaken(mark))

        self.later(self.dice.randint(0, 10), node, durable)

    def load(self, node: Node, load: LoadChunk) -> None:
        snapshots = node.disk.snapshots
        index = load.index if load.index in snapshots else max(snapshots, default=None)
        if index is None:
            self.turn(node, ChunkLoaded(load.target, None, load.offset, b"", False))
            return
        mark, data = snapshots[index]
        piece = data[load.offset : load.offset + PIECE_BYTES]
        done = load.offset + PIECE_BYTES >= len(data)
        self.turn(node, ChunkLoaded(load.target, mark, load.offset, piece, done))

    def save_chunk(self, node: Node, piece: SaveChunk) -> None:
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

    def installed(self, node: Node) -> None:
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

    def commit(self, node: Node, entries: list[Entry]) -> None:
        self.cluster.agreed(node.raft, entries)
        for entry in entries:
            new = entry.index not in self.digests
            node.store.apply(entry)
            digest = self.digests.setdefault(entry.index, node.store.digest)
            assert digest == node.store.digest, "state-machine safety"
            if entry.kind == EntryKind.MEMBERS:
                self.members_at[entry.index] = decode_members(entry.payload)
            if new:
                self.count("agreed")
                self.check_durable(node, entry)
        if entries and entries[-1].index % self.weather.snapshot_every == 0:
            self.snapshot(node)

    def disk_of(self, member: Member) -> Disk:
        node = self.nodes[member.name]
        return node.disk if node.identity == member.identity else self.ghosts[member.name, member.identity]

    def check_durable(self, node: Node, entry: Entry) -> None:
        """Who says "committed" first must be right: a quorum of the members in force has it on disk."""
        members = node.raft.members
        holding = {m.name for m in everybody(members).values() if self.disk_of(m).holds(entry)}
        quorum = Quorum(members)
        if not quorum.has(holding):
            raise InvariantBroken(f"committed is durable: {entry} is only on {sorted(holding)}")

    # --- the network ---

    def post(self, node: Node, send: Send) -> None:
        identity, weather = node.identity, self.weather
        copies = 2 if self.dice.random() < weather.doubling else 1
        for _ in range(copies):
            if self.dice.random() >= weather.loss:
                delay = self.dice.randint(0, weather.slowest_ms)
                self.at(delay, lambda: self.arrive(node, identity, send))

    def arrive(self, source: Node, identity: int, send: Send) -> None:
        target = self.nodes.get(send.target)
        if target is None or not target.up or frozenset((source.name, target.name)) in self.cut:
            return
        if source.identity != identity or not source.up:
            return  # its connections went with it
        if self.admits(target, source) and self.admits(source, target):
            self.turn(target, Received(source.name, send.message))

    def admits(self, node: Node, other: Node) -> bool:
        """Drivers check identities when they connect: another one than our members say is only admitted if it
        knows newer members than we do, and is one of them."""
        known = everybody(node.raft.members).get(other.name)
        if known is None or known.identity == other.identity:
            return True
        listed = everybody(other.raft.members).get(other.name) == other.member()
        return listed and other.raft.log.members_index > node.raft.log.members_index

    # --- mischief ---

    def mischief(self) -> None:
        """One thing that may happen at any time."""
        dice = self.dice
        node = self.nodes[dice.choice(list(self.nodes))]
        weights = self.weather.weights
        what = dice.choices(list(weights), [weight + 0.01 for weight in weights.values()])[0]
        if what in ("change", "wipe") and not self.weather.changes:
            return
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
        elif what == "change":
            self.change(node)
        elif what == "wipe" and self.can_lose(node):
            self.wipe(node)
            self.start(node)
            self.count("wipe")

    def revive(self, node: Node) -> None:
        if not node.up:
            self.start(node)

    def propose(self, node: Node, waiting: tuple[str, ...] = ()) -> bytes:
        payload = b"x%d" % next(self.payloads) + b"." * self.dice.choice([0, 5, 200])
        self.contract.proposed(payload)
        self.turn(node, Proposed(payload, waiting))
        return payload

    def read(self, node: Node) -> None:
        if node.up and self.now >= node.paused_until:
            ticket = next(self.tickets)
            self.contract.read_requested(node.name, ticket)
            self.turn(node, ReadRequested(ticket))

    def can_lose(self, node: Node) -> bool:
        """A cluster survives a lost disk only as long as a majority keeps theirs; and one at a time."""
        leader = self.leader()
        if leader is None or leader is node or leader.raft.members.outgoing:
            return False
        members = leader.raft.members
        voters = members.voters
        if leader.raft.log.members_index > leader.raft.commit:
            return False
        for other in self.nodes.values():
            if other.up and other.raft.members not in (members, other.members):
                return False
        good = [
            member
            for member in voters
            if member.name != node.name and self.nodes[member.name].identity == member.identity
        ]
        # Every voter that stays must have all that is agreed, or the wiped disk was needed.
        everything = all(
            all(self.nodes[m.name].disk.holds(e) for e in self.contract.agreed.values()) for m in good
        )
        return len(good) >= 2 and len(good) == len(voters) - 1 and everything

    def change(self, node: Node) -> None:
        if not node.up:
            return
        members, dice = node.raft.members, self.dice
        if any(self.nodes[member.name].identity != member.identity for member in everybody(members).values()):
            # Whoever would change anything else now would take a majority from those who are left.
            self.operator()
            return
        fresh = f"n{dice.randint(1, 5)}"
        if fresh not in self.nodes:
            newcomer = Node(fresh, next(self.identities), Members(()))
            self.nodes[fresh] = newcomer
            self.start(newcomer)
        someone = self.nodes[fresh]
        voters = [member for member in members.voters if dice.random() < 0.8]
        if fresh not in {member.name for member in members.voters} and dice.random() < 0.5:
            voters.append(someone.member())
        change: MembersChange = dice.choice(
            [
                AddLearner(someone.member()),
                Promote(fresh),
                Promote(fresh),
                Remove(fresh),
                Replace(someone.member()),
                SetVoters(tuple(voters)),
            ]
        )
        self.turn(node, MembersChangeRequested(next(self.tickets), change))

    def storm(self, duration_ms: int, every_ms: int = 8) -> None:
        end = self.now + duration_ms
        while self.now < end:
            self.run(self.now + self.dice.randint(0, 2 * every_ms))
            self.mischief()

    # --- peace ---

    def leader(self) -> Node | None:
        """The leader of the newest term."""
        leaders = [node for node in self.nodes.values() if node.up and node.raft.leads]
        return max(leaders, key=lambda node: node.raft.term, default=None)

    def calm(self) -> None:
        """All faults end; a wiped voter is replaced by the operator as soon as somebody leads."""
        self.stormy = False
        self.weather = Weather(snapshot_every=self.weather.snapshot_every)
        self.cut.clear()
        for node in self.nodes.values():
            node.paused_until = 0
            self.wake_up(node)
            self.revive(node)

    def operator(self) -> None:
        """Who finds that a voter's disk was replaced says so."""
        leader = self.leader()
        if leader is None:
            return
        for member in everybody(leader.raft.members).values():
            node = self.nodes[member.name]
            if node.identity != member.identity:
                change = MembersChangeRequested(next(self.tickets), Replace(node.member()))
                self.turn(leader, change)

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
            (n.name, n.raft.role.name, n.raft.term, n.raft.commit, n.raft.log.last_index, n.raft.leader)
            for n in self.nodes.values()
        ]
        raise AssertionError(f"liveness: seed {self.seed} did not converge: {state}")

    def converged(self, leader: Node) -> bool:
        members = leader.raft.members
        if members.outgoing or leader.raft.commit != leader.raft.log.last_index:
            return False
        for member in everybody(members).values():
            node = self.nodes[member.name]
            if node.identity != member.identity or node.store.digest != leader.store.digest:
                return False
        return all(self.contract.unanswered(node.name) == 0 for node in self.nodes.values())
