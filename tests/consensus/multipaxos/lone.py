"""One machine, spoken to directly, and the list of rules it is held to.

A rule is a function of the class of machine it is tried on: it passes on `MultiPaxos`, and fails on every
mutant named beside it.  `test_paper.py` tries them all.

The members are n1, n2 and n3, so 64, 128, ... are ballots of n1, 65, 129, ... of n2, 66, 130, ... of n3.
`"3@65"` is the value of slot 3 that was first proposed under ballot 65; `"3@65/129"` the same, accepted under
129; `"3@-"` an empty slot.
"""
from __future__ import annotations

from collections.abc import Callable

from agreed.consensus.machine import Ballot, Effects, Entry, EntryKind
from agreed.consensus.members import Members
from agreed.consensus.multipaxos.config import MultiPaxosConfig
from agreed.consensus.multipaxos.invariants import View, check, check_message, check_step, view
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
from tests.consensus import lone
from tests.consensus.lone import LowDice, Rules, members_of

Factory = type[MultiPaxos]
Rule = Callable[[Factory], None]
RULES: Rules[Factory] = Rules()
rule = RULES.rule


class Lone(lone.Lone[MultiPaxos]):
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
        self.factory = factory
        self.config = MultiPaxosConfig(**knobs)  # type: ignore[arg-type]
        super().__init__(
            name, members or members_of(size), Ballot(ballot, None), [disk_form(word) for word in log.split()]
        )

    @property
    def paxos(self) -> MultiPaxos:
        return self.machine

    @property
    def disk(self) -> dict[int, Entry]:
        return {entry.index: entry for entry in self.log}

    def make(self) -> MultiPaxos:
        return self.factory(
            self.name, self.members, self.ballot, None, self.log, self.config, LowDice(), self.now
        )

    def view(self) -> View:
        return view(self.machine)

    def check(self, before: View, effects: Effects) -> None:
        check(self.machine)
        check_step(before, self.machine)
        for send in effects.send:
            check_message(self.machine, send.message, self.ballot, self.disk)

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
