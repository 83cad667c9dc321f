"""A stage for a few machines: nothing moves unless it is told to, and everything they do is written down.

Used by the golden scripts (`test_scripts.py`) and by the tests of the paper's rules (`test_paper.py`).  The
dice always fall in the order of the names, so the first node is the first to lose patience.  """
from __future__ import annotations

from dataclasses import dataclass, field

from agreed.consensus.machine import (
    Ballot,
    ChunkLoaded,
    ChunkSaved,
    Effects,
    Entry,
    EntryKind,
    Event,
    LoadChunk,
    Received,
    Save,
    SaveChunk,
    Saved,
    Send,
    SnapshotInstalled,
    SnapshotMark,
    SnapshotTaken,
    TimePassed,
)
from agreed.consensus.members import Member, Members, decode_members
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.raft.invariants import ClusterInvariants, check, check_step, view
from agreed.consensus.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    InstallSnapshot,
    InstallSnapshotReply,
    ReadIndex,
    ReadIndexReply,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)
from agreed.consensus.raft.raft import Raft

PIECE_BYTES = 8


class OrderedDice:
    """The node with the lower number always draws the lower number."""

    def __init__(self, ordinal: int) -> None:
        self._ordinal = ordinal

    def between(self, low: int, high: int) -> int:
        return min(high, low + (self._ordinal - 1) * 10)


def member(name: str, identity: int | None = None) -> Member:
    return Member(name, int(name[1:]) if identity is None else identity, f"{name}:1")


def members_of(*names: str) -> Members:
    return Members(tuple(member(name) for name in names))


@dataclass
class StageDisk:
    ballot: Ballot = field(default_factory=lambda: Ballot(0, None))
    log: dict[int, Entry] = field(default_factory=dict)
    mark: SnapshotMark | None = None
    data: bytes = b""
    aside: bytes = b""


class Stage:
    def __init__(self, names: tuple[str, ...], config: RaftConfig, factory: type[Raft] = Raft) -> None:
        self.config, self.factory = config, factory
        self.clocks: dict[str, int] = {}
        self.machines: dict[str, Raft] = {}
        self.disks: dict[str, StageDisk] = {}
        self.members: dict[str, Members] = {}
        self.post: list[tuple[str, Send]] = []
        self.saves: list[tuple[str, Save]] = []
        self.pieces: list[tuple[str, LoadChunk | SaveChunk]] = []
        self.effects: dict[str, Effects] = {}
        self.lines: list[str] = []
        self.cluster = ClusterInvariants()
        for name in names:
            self.add(name, members_of(*names))

    def add(self, name: str, members: Members) -> None:
        self.disks[name], self.members[name] = StageDisk(), members
        self.start(name)

    def start(self, name: str) -> None:
        disk = self.disks[name]
        self.clocks.setdefault(name, 0)
        self.machines[name] = self.factory(
            name, self.members[name], disk.ballot, disk.mark, [disk.log[i] for i in sorted(disk.log)],
            self.config, OrderedDice(int(name[1:])), self.clocks[name],
        )  # fmt: skip

    def crash(self, name: str) -> None:
        """Memory is gone, and so are the saves that wait."""
        del self.machines[name]
        self.saves = [save for save in self.saves if save[0] != name]
        self.pieces = [piece for piece in self.pieces if piece[0] != name]

    # --- one turn ---

    def turn(self, name: str, *events: Event) -> Effects:
        machine = self.machines[name]
        was, before = machine.role.name, view(machine)
        for event in events:
            machine.step(event)
            check(machine)
        effects = machine.take()
        check(machine)
        check_step(before, machine)
        self.cluster.check(machine, self.machines.values())
        self.cluster.agreed(machine, effects.commit)
        if machine.role.name != was:
            self.lines.append(f"{name}: {was} ⇨ {machine.role.name} term={machine.term}")
        self._perform(name, effects)
        self.effects[name] = effects
        return effects

    def _perform(self, name: str, effects: Effects) -> None:
        if effects.save is not None:
            self.saves.append((name, effects.save))
            save = effects.save
            what = " ".join(map(word, save.entries)) or f"term={save.ballot.term} vote={save.ballot.vote}"
            self.lines.append(f"{name} saves #{save.serial} {what}")
        for send in effects.send:
            self.post.append((name, send))
            self.lines.append(f"{name} → {send.target} {tell(send.message)}")
        for entry in effects.commit:
            self.lines.append(f"{name} agrees {word(entry)} {content(entry)}")
        for ready in effects.reads:
            index = "fails" if ready.index is None else f"at {ready.index}"
            self.lines.append(f"{name} read {ready.ticket} {index}")
        for answer in effects.answers:
            self.lines.append(f"{name} change {answer.ticket}: {answer.refusal or 'done'}")
        for load in effects.load_chunks:
            self.pieces.append((name, load))
            self.lines.append(f"{name} loads piece at {load.offset} for {load.target}")
        for piece in effects.save_chunks:
            self.pieces.append((name, piece))
            last = " (last)" if piece.done else ""
            self.lines.append(f"{name} writes piece {piece.mark.index}/{piece.offset}{last}")

    # --- what a director may say ---

    def time(self, passed_ms: int, *names: str) -> None:
        """On the clocks of these nodes, or of all that are up; nobody compares clocks."""
        for name in names or tuple(self.machines):
            self.clocks[name] += passed_ms
            self.turn(name, TimePassed(self.clocks[name]))

    def live(self, passed_ms: int, *names: str) -> None:
        """Time passes in small steps for these nodes, and they hear each other; nobody writes it down."""
        kept = self.lines.copy()
        routes = tuple(f"{a}>{b}" for a in names for b in names if a != b) or ("nobody",)
        for _ in range(0, passed_ms, 10):
            self.time(10, *names)
            self.stabilize(*routes)
            self.lose()
        self.lines[:] = kept

    def deliver(self, *routes: str) -> None:
        """All messages that are on their way now; of routes like `n1>n2`, or `n1` for all from and to it."""
        for source, send in self._picked(routes):
            if send.target in self.machines:
                self.turn(send.target, Received(source, send.message))

    def lose(self, *routes: str) -> None:
        self._picked(routes)

    def _picked(self, routes: tuple[str, ...]) -> list[tuple[str, Send]]:
        picked, left = [], []
        for source, send in self.post:
            route = f"{source}>{send.target}"
            wanted = not routes or any(r in (route, source, send.target) for r in routes)
            (picked if wanted else left).append((source, send))
        self.post = left
        return picked

    def sync(self, *names: str) -> None:
        saves = [save for save in self.saves if not names or save[0] in names]
        self.saves = [save for save in self.saves if names and save[0] not in names]
        for name, save in saves:
            disk = self.disks[name]
            disk.ballot = save.ballot
            if save.entries:
                disk.log = {i: e for i, e in disk.log.items() if i < save.entries[0].index}
                disk.log.update((entry.index, entry) for entry in save.entries)
            self.turn(name, Saved(save.serial))

    def snapshot(self, name: str) -> None:
        """Of all that is committed, at once; its bytes tell how far it goes."""
        machine = self.machines[name]
        disk = self.disks[name]
        disk.mark = machine.snapshot_mark(machine.commit)
        disk.data = f"everything up to {machine.commit:06}".encode()
        self.turn(name, SnapshotTaken(disk.mark))

    def move_pieces(self, *names: str) -> None:
        pieces = [piece for piece in self.pieces if not names or piece[0] in names]
        self.pieces = [piece for piece in self.pieces if names and piece[0] not in names]
        for name, piece in pieces:
            if isinstance(piece, LoadChunk):
                disk = self.disks[name]
                data = disk.data[piece.offset : piece.offset + PIECE_BYTES]
                done = piece.offset + PIECE_BYTES >= len(disk.data)
                self.turn(name, ChunkLoaded(piece.target, disk.mark, piece.offset, data, done))
            else:
                self._write_piece(name, piece)

    def _write_piece(self, name: str, piece: SaveChunk) -> None:
        disk = self.disks[name]
        disk.aside = disk.aside[: piece.offset] + piece.data
        if piece.done:
            disk.mark, disk.data, disk.log = piece.mark, disk.aside, {}
            self.turn(name, SnapshotInstalled(piece.mark))
        else:
            self.turn(name, ChunkSaved(piece.mark, len(disk.aside)))

    def stabilize(self, *routes: str) -> None:
        """Until nothing moves; with routes, only messages on these."""
        for _ in range(200):
            if not (self.saves or self.pieces or any(True for _ in self._waiting(routes))):
                return
            self.sync()
            self.move_pieces()
            self.deliver(*routes)
        raise AssertionError("it never settles")

    def _waiting(self, routes: tuple[str, ...]) -> list[tuple[str, Send]]:
        kept = self.post
        picked = self._picked(routes)
        self.post = kept
        return picked


# --- words ------------------------------------------------------------------------------------------------


def word(entry: Entry) -> str:
    return f"{entry.index}@{entry.term}"


def content(entry: Entry) -> str:
    if entry.kind == EntryKind.MEMBERS:
        return tell_members(decode_members(entry.payload))
    return "(nothing)" if entry.kind == EntryKind.NOTHING else entry.payload.decode()


def tell_members(members: Members) -> str:
    text = f"voters={','.join(m.name for m in members.voters)}"
    if members.learners:
        text += f" learners={','.join(m.name for m in members.learners)}"
    if members.outgoing:
        text += f" outgoing={','.join(m.name for m in members.outgoing)}"
    return text


def tell(message: object) -> str:
    match message:
        case RequestVote(term, index, last_term, pre, transfer):
            flag = " for a transfer" if transfer else ""
            return f"{'PreVote' if pre else 'RequestVote'} term={term} last={index}@{last_term}{flag}"
        case RequestVoteReply(term, granted, pre):
            return f"{'PreVote' if pre else 'RequestVote'}Reply term={term} {'yes' if granted else 'no'}"
        case AppendEntries(term, index, prev_term, commit, _, entries):
            listed = " ".join(map(word, entries))
            return f"AppendEntries term={term} prev={index}@{prev_term} [{listed}] commit={commit}"
        case AppendEntriesReply(term, _, matched, rejected, conflict_term, conflict_index):
            if rejected:
                return f"AppendEntriesReply term={term} no {rejected} try {conflict_index}@{conflict_term}"
            return f"AppendEntriesReply term={term} match={matched}"
        case InstallSnapshot(term, mark, offset, _, done):
            last = " (last)" if done else ""
            return f"InstallSnapshot term={term} {mark.index}@{mark.term} offset={offset}{last}"
        case InstallSnapshotReply(term, index, next_offset):
            return f"InstallSnapshotReply term={term} {index} next={next_offset}"
        case TimeoutNow(term):
            return f"TimeoutNow term={term}"
        case ReadIndex():
            return "ReadIndex"
        case ReadIndexReply(_, read_index):
            return f"ReadIndexReply {read_index}"
    raise AssertionError(f"no word for {message}")
