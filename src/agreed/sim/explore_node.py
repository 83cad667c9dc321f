"""One node of an explored cluster: a real machine, its disk, what is on its way there, and its lives.

A node never changes: `play(node, action)` clones the machine, steps the clone as a driver would, and
returns what became of it as an `Outcome`: the node after it, what it sends, what it says is agreed, and
what was found broken.  What may happen next to a node, other than hearing a message, is `choices`.

Admissible outcomes of a crash: saves reach the disk in their order and each as a whole (the log on disk
sees to that), so any number of the oldest ones under way may have been done.

Time is each node's own: it stands still until a timer fires, and any timer may fire at any moment, so that
every relation of speeds between nodes is among what is explored.  Dice give the lowest number: with timers
that fire at any moment there is nothing left to choose.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from agreed.consensus.machine import (
    Ballot,
    ChunkLoaded,
    ChunkSaved,
    Effects,
    Entry,
    Event,
    LoadChunk,
    MembersChangeRequested,
    PeerLost,
    Proposed,
    ReadReady,
    ReadRequested,
    Received,
    Save,
    SaveChunk,
    Saved,
    SnapshotInstalled,
    SnapshotMark,
    SnapshotTaken,
    TimePassed,
    TransferRequested,
)
from agreed.consensus.members import Members, MembersChange
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.raft.invariants import check, check_step, view
from agreed.consensus.raft.raft import Raft
from agreed.errors import AgreedError
from agreed.sim.explore_graph import EPOCH, clone
from agreed.types import Index, NodeId

CONFIG = RaftConfig(
    heartbeat_ms=1,
    election_timeout_ms=(2, 2),
    leader_loss_delay_ms=(1, 1),
    commit_notice_ms=1,
    read_timeout_ms=2,
    tail_entries=0,
    tail_bytes=0,
)
"""The shortest timers that keep their order: the fewer instants, the fewer states."""


class LowestDice:
    """Always the lowest number; but numbers of a wide range must not come again in another life of a node."""

    def __init__(self, life: int) -> None:
        self.life = life

    def between(self, low: int, high: int) -> int:
        return low + self.life * 100 if high - low > 1 << 32 else low


# --- what may happen to a node ------------------------------------------------------------------------


class Deliver(msgspec.Struct, frozen=True):
    """A message arrives."""

    source: NodeId
    message: object


class Tick(msgspec.Struct, frozen=True):
    """The next timer fires."""


class DiskDone(msgspec.Struct, frozen=True):
    """The oldest save under way is durable, and the machine hears so."""


class Install(msgspec.Struct, frozen=True):
    """The received snapshot is durable, and the log behind it gone."""


class Crash(msgspec.Struct, frozen=True):
    """Memory goes; the first `saves_done` of the saves under way had reached the disk, and perhaps the
    snapshot that was being installed, but not the removal of the log that it replaces."""

    saves_done: int
    snapshot_done: bool = False


class Restart(msgspec.Struct, frozen=True):
    """From what is on the disk."""


class Propose(msgspec.Struct, frozen=True):
    payload: bytes


class Read(msgspec.Struct, frozen=True):
    ticket: int


class Compact(msgspec.Struct, frozen=True):
    """A snapshot of all that is agreed is durable; the log before it goes."""


class Change(msgspec.Struct, frozen=True):
    """Of members."""

    change: MembersChange


class Transfer(msgspec.Struct, frozen=True):
    """Of leadership."""

    target: NodeId


class Disconnect(msgspec.Struct, frozen=True):
    """The connection to a peer breaks."""

    peer: NodeId


Action = (
    Deliver | Tick | DiskDone | Install | Crash | Restart | Propose | Read | Compact | Change | Transfer
    | Disconnect
)  # fmt: skip


# --- a node -------------------------------------------------------------------------------------------


class Disk(msgspec.Struct, frozen=True):
    ballot: Ballot = Ballot(0, None)
    log: tuple[Entry, ...] = ()
    mark: SnapshotMark | None = None

    def with_save(self, save: Save) -> Disk:
        log = self.log
        if save.entries:
            first = save.entries[0].index
            log = (*(entry for entry in log if entry.index < first), *save.entries)
        return Disk(save.ballot, log, self.mark)

    def holds(self, entry: Entry) -> bool:
        if self.mark is not None and entry.index <= self.mark.index:
            return True
        return entry in self.log


class Node(msgspec.Struct, frozen=True, eq=False):
    """A name, its disk, and while it is up its machine and the saves on their way to the disk."""

    name: NodeId
    disk: Disk
    raft: Raft | None = None
    saving: tuple[Save, ...] = ()
    installing: SnapshotMark | None = None
    life: int = 0
    fired: int = 0
    """How often its timer has fired since it changed its term or its role."""


class Outcome(msgspec.Struct, frozen=True, eq=False):
    """Of one action on one node."""

    node: Node
    sends: tuple[tuple[NodeId, Any], ...] = ()
    agreed: tuple[Entry, ...] = ()
    reads: tuple[ReadReady, ...] = ()
    restored: Index | None = None
    """The node's store has become a snapshot up to here."""
    broken: str | None = None
    """What must not be, and was found."""


class Player:
    """Knows what every life of a node begins with, and how to lead one on."""

    def __init__(
        self, members: Members, config: RaftConfig, machine: type[Raft], *, prompt_disks: bool
    ) -> None:
        self._members = members
        self._config = config
        self._machine = machine
        self._prompt_disks = prompt_disks

    def born(self, name: NodeId) -> Node:
        """The first life."""
        return self._start(Node(name, Disk()))

    def _start(self, node: Node) -> Node:
        disk, life = node.disk, node.life + 1
        entries = disk.log
        if disk.mark is not None:
            at = disk.mark.index
            entries = tuple(entry for entry in entries if entry.index >= at)
        known = {member.name for member in self._members.voters + self._members.learners}
        members = self._members if node.name in known else Members(())
        raft = self._machine(
            node.name, members, disk.ballot, disk.mark, entries, self._config, LowestDice(life), EPOCH
        )
        check(raft)
        return Node(node.name, disk, raft, life=life)

    def play(self, node: Node, action: Action) -> Outcome:
        """What becomes of this node.  Whatever a machine raises is a fault of the machine."""
        try:
            if isinstance(action, Crash):
                return Outcome(_crashed(node, action))
            if isinstance(action, Restart):
                return Outcome(self._start(node))
            return _Turn(node, prompt_disk=self._prompt_disks).play(action)
        except (AssertionError, AgreedError, LookupError, TypeError, AttributeError, ValueError) as problem:
            return Outcome(node, broken=str(problem) or type(problem).__name__)


def _crashed(node: Node, crash: Crash) -> Node:
    disk = node.disk
    for save in node.saving[: crash.saves_done]:
        disk = disk.with_save(save)
    if crash.snapshot_done:
        disk = Disk(disk.ballot, disk.log, node.installing)
    return Node(node.name, disk, life=node.life)


class _Turn:
    """One action on one machine, and all that its effects ask of the disk at once."""

    def __init__(self, node: Node, *, prompt_disk: bool) -> None:
        assert node.raft is not None
        self._prompt_disk = prompt_disk
        self._before = node
        self._was = (node.raft.term, type(node.raft.role))
        self._raft: Raft = clone(node.raft)
        self._disk = node.disk
        self._saving = node.saving
        self._installing = node.installing
        self._restored: Index | None = None
        self._applied = node.raft.commit
        self._sends: list[tuple[NodeId, Any]] = []
        self._agreed: list[Entry] = []
        self._reads: list[ReadReady] = []

    def play(self, action: Action) -> Outcome:
        self._step(self._event(action))
        raft, node = self._raft, self._before
        fired = node.fired if (raft.term, type(raft.role)) == self._was else 0
        after = Node(
            node.name, self._disk, raft, self._saving, self._installing, node.life,
            fired + isinstance(action, Tick),
        )  # fmt: skip
        return Outcome(after, tuple(self._sends), tuple(self._agreed), tuple(self._reads), self._restored)

    def _event(self, action: Action) -> Event:
        match action:
            case Deliver(source, message):
                return Received(source, message)
            case Tick():
                assert self._raft.wake is not None
                return TimePassed(max(self._raft.now, self._raft.wake))
            case DiskDone():
                return self._disk_done()
            case Install():
                mark, self._installing = self._installing, None
                assert mark is not None
                self._disk = Disk(self._disk.ballot, (), mark)
                self._restored = self._applied = mark.index
                return SnapshotInstalled(mark)
            case Compact():
                mark = self._raft.snapshot_mark(self._raft.commit)
                kept = tuple(entry for entry in self._disk.log if entry.index > mark.index)
                self._disk = Disk(self._disk.ballot, kept, mark)
                return SnapshotTaken(mark)
            case Propose(payload):
                return Proposed(payload)
            case Read(ticket):
                return ReadRequested(ticket)
            case Change(change):
                return MembersChangeRequested(1, change)
            case Transfer(target):
                return TransferRequested(target)
            case Disconnect(peer):
                return PeerLost(peer)
            case _:
                raise TypeError(action)

    def _disk_done(self) -> Saved:
        save, self._saving = self._saving[0], self._saving[1:]
        self._disk = self._disk.with_save(save)
        return Saved(save.serial)

    def _step(self, event: Event) -> None:
        """Step, take, and do what the effects say; what a disk answers at once is the same turn."""
        raft = self._raft
        before = view(raft)
        raft.step(event)
        check(raft)
        check_step(before, raft)
        before = view(raft)
        effects = raft.take()
        check(raft)
        check_step(before, raft)
        self._perform(effects)

    def _perform(self, effects: Effects) -> None:
        save = effects.save
        if save is not None:
            assert self._installing is None or not save.entries, "entries saved while a snapshot is installed"
            self._saving = (*self._saving, save)
        for entry in effects.commit:
            self._applied += 1
            assert entry.index == self._applied, f"integrity: commits {entry.index}, expected {self._applied}"
        self._agreed += effects.commit
        self._sends += [(send.target, send.message) for send in effects.send]
        self._reads += effects.reads
        for piece in effects.save_chunks:
            self._save_chunk(piece)
        for load in effects.load_chunks:
            self._step(self._loaded(load))
        while self._prompt_disk and self._saving:
            self._step(self._disk_done())

    def _loaded(self, load: LoadChunk) -> ChunkLoaded:
        mark = self._disk.mark
        return ChunkLoaded(load.target, mark, load.offset, b"s"[load.offset :], True)

    def _save_chunk(self, piece: SaveChunk) -> None:
        if piece.done:
            assert not self._saving, "the last piece is handed over once no save is under way"
            self._installing = piece.mark
        else:
            self._step(ChunkSaved(piece.mark, piece.offset + len(piece.data)))


def choices(node: Node) -> Iterator[Action]:
    """What may happen to this node without a client and without a message."""
    if node.raft is None:
        yield Restart()
        return
    if node.raft.wake is not None:
        yield Tick()
    if node.saving:
        yield DiskDone()
    if node.installing is not None:
        yield Install()
        yield Crash(0, True)
    for saves_done in range(len(node.saving) + 1):
        yield Crash(saves_done)
