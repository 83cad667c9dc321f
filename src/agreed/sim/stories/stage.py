"""A stage for the machines of any protocol: a message takes 10 ms, a save 4 ms, and who loses patience first
is agreed beforehand.

    stage = Stage(protocols.RAFT, "n1 n2 n3")
    stage.run(until=lambda: stage["n1"].leads)       nothing is written down yet
    stage.curtain("n1 leads term 1")                 from here on it is
    stage.propose("n1", "a")
    stage.lose("AppendEntries", to="n3")
    stage.crash("n1")

What is written down is what `agreed.check.explain.space_time` draws: who said what to whom and when, and what
became of it; and after every change the log of each node, as it lies on its disk.  A message to who is down
is not written down, nor is what was said already; nor are heartbeats, unless the author wants to see them
(`quiet`).  Only machines are on stage: no clients, no store.  That keeps a story to the messages of the
paper.
"""
from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

import msgspec

from agreed.check.explain.space_time import Lane, Mark, MarkKind, Message
from agreed.consensus import protocols
from agreed.consensus.machine import (
    Ballot,
    Entry,
    EntryKind,
    Event,
    Machine,
    Proposed,
    Received,
    Save,
    Saved,
    TimePassed,
)
from agreed.consensus.members import Member, Members
from agreed.consensus.multipaxos.config import MultiPaxosConfig
from agreed.consensus.multipaxos.slots import from_disk
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.vr.config import VrConfig
from agreed.consensus.zab.config import ZabConfig
from agreed.sim.stories.words import is_routine, told

ONE_WAY_MS = 10
SAVE_MS = 4
PATIENCE_MS = (1_000, 2_000)
LATER_MS = 460
"""How much longer than the first the second in the order of patience waits before it acts, and so on."""

CONFIGS: dict[str, type[RaftConfig | MultiPaxosConfig | VrConfig | ZabConfig]] = {
    protocols.RAFT: RaftConfig,
    protocols.MULTIPAXOS: MultiPaxosConfig,
    protocols.VR: VrConfig,
    protocols.ZAB: ZabConfig,
}


class Slot(msgspec.Struct, frozen=True):
    """One entry of a log on a disk: in which leadership it was written, and what is in it ("": nothing)."""

    index: int
    term: int
    text: str
    agreed: bool


class Log(msgspec.Struct, frozen=True):
    """The log of a node as it lies on its disk at that moment."""

    lane: str
    at: int
    slots: tuple[Slot, ...]


class Story(msgspec.Struct, frozen=True):
    """What is drawn.  Times in ms."""

    title: str
    text: str
    lanes: list[Lane]
    messages: list[Message]
    marks: list[Mark]
    logs: list[Log]


class Dice:
    """Always the same: who waits longer is told."""

    def __init__(self, later_ms: int) -> None:
        self._later_ms = later_ms

    def between(self, low: int, high: int) -> int:
        return min(high, low + self._later_ms)


class Actor:
    """A node with its disk; `machine` None while it is down."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.machine: Machine | None = None
        self.ballot = Ballot(0, None)
        self.log: dict[int, Entry] = {}
        self.agreed: dict[int, Entry] = {}
        self.shown: tuple[Slot, ...] = ()
        self.life = 0

    @property
    def leads(self) -> bool:
        return self.machine is not None and self.machine.leads

    def write(self, save: Save) -> None:
        self.ballot = save.ballot
        if save.entries:
            first = save.entries[0].index
            self.log = {index: entry for index, entry in self.log.items() if index < first}
            self.log |= {entry.index: entry for entry in save.entries}


class Stage:
    """`patience`: names in the order in which they lose it."""

    def __init__(self, protocol: str, patience: str = "n1 n2 n3") -> None:
        self.protocol = protocol
        self.now = 0
        order = patience.split()
        names = sorted(order)
        self.members = Members(tuple(Member(name, int(name[1:]), f"{name}:1") for name in names))
        self.actors = {name: Actor(name) for name in names}
        self._dice = {name: Dice(LATER_MS * order.index(name)) for name in names}
        self._config = CONFIGS[protocol](
            heartbeat_ms=400, election_timeout_ms=PATIENCE_MS, leader_loss_delay_ms=PATIENCE_MS,
            commit_notice_ms=390,
        )  # fmt: skip
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0
        self._lost: list[tuple[str, str, str]] = []
        self.quiet = True
        """Heartbeats travel and are not drawn."""
        self._said: set[tuple[str, str, str, bool]] = set()
        """What is said again is not written down again."""
        self._open = False
        self.began = 0
        self.messages: list[Message] = []
        self.marks: list[Mark] = []
        self.logs: list[Log] = []
        self._leading: dict[str, int] = {}
        for name in names:
            self.start(name)

    def __getitem__(self, name: str) -> Machine:
        machine = self.actors[name].machine
        assert machine is not None, f"{name} is down"
        return machine

    # --- what the author does -----------------------------------------------------------------------------

    def curtain(self) -> None:
        """From now on all is written down; the logs as they are stand at the top."""
        self._open, self.began = True, self.now
        for actor in self.actors.values():
            actor.shown = ()
            self._show(actor)
            if actor.machine is not None and actor.machine.leads:
                self._leading[actor.name] = self.now

    def start(self, name: str) -> None:
        actor = self.actors[name]
        actor.life += 1
        entries = [actor.log[index] for index in sorted(actor.log)]
        actor.machine = protocols.make(
            self._config, name, self.members, actor.ballot, None, entries, self._dice[name], self.now,
            int(name[1:]),
        )  # fmt: skip
        if self._open:
            self.marks.append(Mark(MarkKind.RESTART, self.now, "restarts", name))
        self._turn(actor)

    def crash(self, name: str) -> None:
        """What was not saved is gone."""
        actor = self.actors[name]
        actor.machine = None
        actor.life += 1
        self._no_longer_leads(name)
        if self._open:
            self.marks.append(Mark(MarkKind.CRASH, self.now, "crashes", name))

    def propose(self, name: str, payload: str) -> None:
        self.say(name, f"asked to write {payload}")
        self._turn(self.actors[name], Proposed(payload.encode()))

    def say(self, name: str, text: str) -> None:
        """A note beside the lane."""
        if self._open:
            self.marks.append(Mark(MarkKind.NOTE, self.now, text, name))

    def lose(self, kind: str = "*", source: str = "*", target: str = "*") -> None:
        """From now on messages of this kind on this way are lost."""
        self._lost.append((kind, source, target))

    def mend(self) -> None:
        """Nothing is lost any more."""
        self._lost.clear()

    def led_by(self) -> str:
        """Run until somebody leads: who that is."""
        self.run(until=lambda: any(actor.leads for actor in self.actors.values()))
        return next(name for name, actor in self.actors.items() if actor.leads)

    def run(self, time_ms: int = 20_000, until: Callable[[], bool] = lambda: False) -> None:
        """For so long, or until that is so.  AssertionError if it never is."""
        end = self.now + time_ms
        while not until():
            wakes = [
                (actor.machine.wake, name)
                for name, actor in self.actors.items()
                if actor.machine is not None and actor.machine.wake is not None
            ]
            wake, who = min(wakes, default=(end + 1, ""))
            due = self._queue[0][0] if self._queue else end + 1
            if min(wake, due) > end:
                assert time_ms < 20_000, "it never came to that"
                self.now = end
                return
            self.now = max(self.now, min(wake, due))
            if due <= wake:
                heappop(self._queue)[2]()
            else:
                self._turn(self.actors[who])

    def story(self, title: str, text: str) -> Story:
        """All that happened since the curtain rose."""
        for name in list(self._leading):
            self._no_longer_leads(name)
        lanes = [Lane(name) for name in self.actors]
        marks = sorted(self.marks, key=lambda mark: mark.at)
        return Story(title, text, lanes, self.messages, marks, self.logs)

    # --- what happens -------------------------------------------------------------------------------------

    def _later(self, delay_ms: int, act: Callable[[], None]) -> None:
        self._order += 1
        heappush(self._queue, (self.now + delay_ms, self._order, act))

    def _turn(self, actor: Actor, *events: Event) -> None:
        machine = actor.machine
        if machine is None:
            return
        for event in (TimePassed(self.now), *events):
            machine.step(event)
        effects = machine.take()
        if effects.save is not None:
            self._later(SAVE_MS, lambda save=effects.save, life=actor.life: self._saved(actor, save, life))  # type: ignore[misc]
        for entry in effects.commit:
            actor.agreed[entry.index] = entry
        for send in effects.send:
            self._send(actor, send.target, send.message)
        self._show(actor)
        if machine.leads and actor.name not in self._leading:
            self._leading[actor.name] = self.now
        elif not machine.leads:
            self._no_longer_leads(actor.name)

    def _saved(self, actor: Actor, save: Save, life: int) -> None:
        if actor.life == life:
            actor.write(save)
            self._turn(actor, Saved(save.serial))

    def _send(self, actor: Actor, target: str, message: object) -> None:
        kind = type(message).__name__
        lost = any(
            what in ("*", kind) and source in ("*", actor.name) and to in ("*", target)
            for what, source, to in self._lost
        )
        arrives = self.now + ONE_WAY_MS
        heard = self.actors[target].machine is not None
        if self._open and heard and not (self.quiet and is_routine(message)):
            label = told(message)
            if (actor.name, target, label, lost) not in self._said:
                self._said.add((actor.name, target, label, lost))
                received = None if lost else arrives
                self.messages.append(Message(actor.name, target, self.now, received, label, kind))
        if not lost:
            self._later(ONE_WAY_MS, lambda: self._turn(self.actors[target], Received(actor.name, message)))

    def _no_longer_leads(self, name: str) -> None:
        since = self._leading.pop(name, None)
        if since is not None and self._open:
            self.marks.append(Mark(MarkKind.SPAN, max(since, self.began), "leads", name, self.now))

    def _show(self, actor: Actor) -> None:
        """Its log, if it is another one now."""
        slots = tuple(self._slot(actor, entry) for _, entry in sorted(actor.log.items()))
        if self._open and slots != actor.shown:
            actor.shown = slots
            self.logs.append(Log(actor.name, self.now, slots))

    def _slot(self, actor: Actor, entry: Entry) -> Slot:
        term = entry.term
        if self.protocol == protocols.MULTIPAXOS:
            term, value = from_disk(entry)
            if value is None:
                return Slot(entry.index, 0, "?", False)
            entry = value
        text = entry.payload.decode() if entry.kind == EntryKind.PAYLOAD else ""
        return Slot(entry.index, term, text, actor.agreed.get(entry.index) == entry)
