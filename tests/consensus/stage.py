"""A stage for a few machines of one protocol: nothing moves unless it is told to, and everything they do is
written down.

The stories in `scripts/` of each protocol are played on it.  A director says what becomes of messages, saves
and pieces of snapshots, which wait until then.  The dice always fall in the order of the names, so the first
node is the first to lose patience.  What a protocol's own stage adds is how its machines are made, what must
hold of them after each turn, and its words for what they say and save.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Generic

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
from tests.consensus.lone import AnyMachine

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

    def write(self, save: Save) -> None:
        self.ballot = save.ballot
        if save.entries:
            first = save.entries[0].index
            self.log = {index: entry for index, entry in self.log.items() if index < first}
            self.log.update((entry.index, entry) for entry in save.entries)


class Stage(ABC, Generic[AnyMachine]):
    agrees = "agrees"
    """What a machine is said to do with what is agreed."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.clocks: dict[str, int] = {}
        self.machines: dict[str, AnyMachine] = {}
        self.disks: dict[str, StageDisk] = {}
        self.members: dict[str, Members] = {}
        self.post: list[tuple[str, Send]] = []
        self.saves: list[tuple[str, Save]] = []
        self.pieces: list[tuple[str, LoadChunk | SaveChunk]] = []
        self.lines: list[str] = []
        for name in names:
            self.add(name, members_of(*names))

    # --- what a protocol's stage says ---

    @abstractmethod
    def make(
        self, name: str, disk: StageDisk, entries: list[Entry], dice: OrderedDice, now: int
    ) -> AnyMachine:
        """The machine of a new life, from its disk and these entries of its log."""

    @abstractmethod
    def view(self, machine: AnyMachine) -> Any:
        """What `check_turn` wants to remember of a machine from before a turn."""

    @abstractmethod
    def check(self, machine: AnyMachine) -> None:
        """After each event, and when it was asked for its effects."""

    @abstractmethod
    def check_turn(self, before: Any, machine: AnyMachine, effects: Effects) -> None:
        """After it took a turn."""

    @abstractmethod
    def role(self, machine: AnyMachine) -> str: ...

    @abstractmethod
    def tell_role(self, machine: AnyMachine) -> str:
        """When it has just taken this role."""

    @abstractmethod
    def tell_save(self, save: Save) -> str: ...

    @abstractmethod
    def tell_message(self, message: object) -> str: ...

    @abstractmethod
    def tell_status(self, machine: AnyMachine) -> str: ...

    # --- lives ---

    def add(self, name: str, members: Members) -> None:
        self.disks[name], self.members[name] = StageDisk(), members
        self.start(name)

    def start(self, name: str) -> None:
        disk = self.disks[name]
        self.clocks.setdefault(name, 0)
        entries = [disk.log[index] for index in sorted(disk.log)]
        self.machines[name] = self.make(name, disk, entries, OrderedDice(int(name[1:])), self.clocks[name])

    def crash(self, name: str) -> None:
        """Memory is gone, and so are the saves that wait."""
        del self.machines[name]
        self.saves = [save for save in self.saves if save[0] != name]
        self.pieces = [piece for piece in self.pieces if piece[0] != name]

    # --- one turn ---

    def turn(self, name: str, *events: Event) -> None:
        machine = self.machines[name]
        was, before = self.role(machine), self.view(machine)
        for event in events:
            machine.step(event)
            self.check(machine)
        effects = machine.take()
        self.check(machine)
        self.check_turn(before, machine, effects)
        if self.role(machine) != was:
            self.lines.append(f"{name}: {was} ⇨ {self.tell_role(machine)}")
        self._perform(name, effects)

    def _perform(self, name: str, effects: Effects) -> None:
        if effects.save is not None:
            self.saves.append((name, effects.save))
            self.lines.append(f"{name} saves #{effects.save.serial} {self.tell_save(effects.save)}")
        for send in effects.send:
            self.send(name, send)
        for entry in effects.commit:
            self.lines.append(f"{name} {self.agrees} {word(entry)} {content(entry)}")
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

    def send(self, name: str, send: Send) -> None:
        self.post.append((name, send))
        self.lines.append(f"{name} → {send.target} {self.tell_message(send.message)}")

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
        picked: list[tuple[str, Send]] = []
        left: list[tuple[str, Send]] = []
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
            self.disks[name].write(save)
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
            if not (self.saves or self.pieces or self._waiting(routes)):
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

    def status(self) -> None:
        for name, machine in self.machines.items():
            self.lines.append(f"{name} {self.tell_status(machine)}")


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
