"""One machine, spoken to directly, and the list of rules it is held to.

A rule is a function of the class of machine it is tried on: it passes on `MultiPaxos`, and fails on every
mutant named beside it.  `test_paper.py` tries them all.

The members are n1, n2 and n3, so 64, 128, ... are ballots of n1, 65, 129, ... of n2, 66, 130, ... of n3.
`"3@65"` is the value of slot 3 that was first proposed under ballot 65; `"3@65/129"` the same, accepted under
129; `"3@-"` an empty slot.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from agreed.consensus.machine import Ballot, Effects, Entry, EntryKind, Event, Received, Saved, TimePassed
from agreed.consensus.members import Member, Members
from agreed.consensus.multipaxos.config import MultiPaxosConfig
from agreed.consensus.multipaxos.invariants import check, check_message, check_step, view
from agreed.consensus.multipaxos.leader import Leader
from agreed.consensus.multipaxos.messages import (
    Accept,
    Acceptance,
    Accepted,
    CanvassReply,
    Prepare,
    Promise,
)
from agreed.consensus.multipaxos.multipaxos import MultiPaxos
from agreed.consensus.multipaxos.slots import from_disk, on_disk

Factory = type[MultiPaxos]
Rule = Callable[[Factory], None]
RULES: list[tuple[Rule, tuple[Factory, ...]]] = []
Message = TypeVar("Message")


def rule(*killing: Factory) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        RULES.append((function, killing))
        return function

    return register


class LowDice:
    def between(self, low: int, high: int) -> int:
        return low


def members_of(*names: str) -> Members:
    return Members(tuple(Member(name, int(name[1:]), f"{name}:1") for name in names))


class Lone:
    """One machine, spoken to directly; its disk answers when told to."""

    def __init__(
        self,
        factory: Factory,
        name: str = "n2",
        size: int = 3,
        *,
        ballot: int = 0,
        log: str = "",
        members: Members | None = None,
        **knobs: object,
    ) -> None:
        self.factory, self.name, self.now = factory, name, 0
        self.members = members or members_of(*(f"n{i}" for i in range(1, size + 1)))
        self.config = MultiPaxosConfig(**knobs)  # type: ignore[arg-type]
        self.ballot = Ballot(ballot, None)
        self.disk = {entry.index: entry for entry in map(disk_form, log.split())}
        self.pending: list[Effects] = []
        self.start()

    def start(self) -> None:
        log = [self.disk[index] for index in sorted(self.disk)]
        self.paxos = self.factory(
            self.name, self.members, self.ballot, None, log, self.config, LowDice(), self.now
        )

    def do(self, *events: Event) -> Effects:
        before = view(self.paxos)
        for event in events:
            self.paxos.step(event)
        effects = self.paxos.take()
        check(self.paxos)
        check_step(before, self.paxos)
        for send in effects.send:
            check_message(self.paxos, send.message, self.ballot, self.disk)
        if effects.save is not None:
            self.pending.append(effects)
        return effects

    def hear(self, source: str, message: object) -> Effects:
        return self.do(Received(source, message))

    def saved(self) -> Effects:
        """The disk is done with everything."""
        after = Effects()
        while self.pending:
            save = self.pending.pop(0).save
            assert save is not None
            self.ballot = save.ballot
            if save.entries:
                first = save.entries[0].index
                self.disk = {i: entry for i, entry in self.disk.items() if i < first}
                self.disk.update((entry.index, entry) for entry in save.entries)
            effects = self.do(Saved(save.serial))
            after.send += effects.send
            after.commit += effects.commit
            after.reads += effects.reads
            after.save_chunks += effects.save_chunks
        return after

    def restart(self) -> None:
        """Crash: what was not saved is gone."""
        self.pending.clear()
        self.start()

    def time(self, passed_ms: int) -> Effects:
        self.now += passed_ms
        return self.do(TimePassed(self.now))

    def preparing(self) -> Effects:
        """The others have nothing against it: it begins phase 1, and its ballot is durable."""
        self.time(600)
        for other in self.others:
            self.hear(other, CanvassReply(self.paxos.term, 0, True))
        return self.saved()

    @property
    def others(self) -> list[str]:
        return [name for name in self.paxos.quorum.names if name != self.name]

    def promised(self, source: str, log: str = "", *, chosen: int = 0, first: int | None = None) -> Effects:
        """A whole answer to its Prepare, with what is accepted there."""
        if first is None:
            first = self.paxos.chosen + 1
        told = acceptances(log)
        last = max([first - 1, *(acceptance.value.index for acceptance in told)])
        return self.hear(source, Promise(self.paxos.term, first, last, last, chosen, told))

    def elected(self) -> Lone:
        """It leads, and a quorum has accepted nothing before."""
        self.preparing()
        self.promised(self.others[0])
        assert self.paxos.leads
        return self

    def settled(self) -> Lone:
        """It leads, and all it proposed is chosen."""
        self.elected()
        self.saved()
        for other in self.others:
            self.accepted(other)
        assert self.leader.settled
        return self

    @property
    def leader(self) -> Leader:
        assert isinstance(self.paxos.role, Leader)
        return self.paxos.role

    def accepted(self, source: str, upto: int | None = None, round_number: int | None = None) -> Effects:
        upto = self.paxos.slots.last_index if upto is None else upto
        number = self.leader.reads.round if round_number is None else round_number
        return self.hear(source, Accepted(self.paxos.term, number, upto, upto))


# --- words ------------------------------------------------------------------------------------------------


def value(text: str) -> Entry:
    index, term = text.split("/")[0].split("@")
    return Entry(int(index), int(term), EntryKind.PAYLOAD, text.split("/")[0].encode())


def values(text: str) -> list[Entry]:
    return [value(word) for word in text.split()]


def acceptances(text: str) -> list[Acceptance]:
    return [Acceptance(ballot_of(word), value(word)) for word in text.split() if "-" not in word]


def ballot_of(word: str) -> int:
    return int(word.split("/")[1]) if "/" in word else value(word).term


def disk_form(word: str) -> Entry:
    if word.endswith("@-"):
        return on_disk(int(word[:-2]), 0, None)
    return on_disk(value(word).index, ballot_of(word), value(word))


def accept(ballot: int, text: str, *, first: int = 0, commit: int = 0, round_number: int = 1) -> Accept:
    entries = values(text)
    return Accept(ballot, first or entries[0].index, commit, round_number, entries)


def told(effects: Effects, kind: type[Message]) -> list[Message]:
    return [send.message for send in effects.send if isinstance(send.message, kind)]


def told_to(effects: Effects, target: str, kind: type[Message]) -> list[Message]:
    return [s.message for s in effects.send if s.target == target and isinstance(s.message, kind)]


def tell(index: int, ballot: int, held: Entry | None) -> str:
    if held is None:
        return f"{index}@-"
    return f"{index}@{held.term}" if held.term == ballot else f"{index}@{held.term}/{ballot}"


def log_of(lone: Lone) -> str:
    slots = lone.paxos.slots
    return " ".join(
        tell(i, slots.ballot(i), slots.value(i)) for i in range(slots.base_index + 1, slots.last_index + 1)
    )


def disk_of(lone: Lone) -> str:
    return " ".join(tell(i, *from_disk(lone.disk[i])) for i in sorted(lone.disk))


def prepare(ballot: int, first: int = 1) -> Prepare:
    return Prepare(ballot, first)
