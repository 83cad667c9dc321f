"""One machine, spoken to directly, and the list of rules it is held to.

A rule is a function of the class of machine it is tried on: it passes on `Raft`, and fails on every mutant
named beside it.  `test_paper.py` tries them all.  """
from __future__ import annotations

from collections.abc import Callable

from agreed.consensus.machine import (
    Ballot,
    Effects,
    Entry,
    EntryKind,
    Event,
    Received,
    Saved,
    TimePassed,
)
from agreed.consensus.members import Members
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.raft.invariants import check, check_step, view
from agreed.consensus.raft.leader import Leader
from agreed.consensus.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    RequestVoteReply,
)
from agreed.consensus.raft.raft import Raft
from tests.consensus.raft.stage import OrderedDice, members_of

Factory = type[Raft]
Rule = Callable[[Factory], None]
RULES: list[tuple[Rule, tuple[Factory, ...]]] = []


def rule(*killing: Factory) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        RULES.append((function, killing))
        return function

    return register


class Lone:
    """One machine, spoken to directly; its disk answers when told to."""

    def __init__(
        self,
        factory: Factory,
        name: str = "n2",
        size: int = 3,
        *,
        term: int = 0,
        log: str = "",
        members: Members | None = None,
        **knobs: object,
    ) -> None:
        names = tuple(f"n{i}" for i in range(1, size + 1))
        self.factory, self.name, self.now = factory, name, 0
        self.members = members if members is not None else members_of(*names)
        self.config = RaftConfig(**knobs)  # type: ignore[arg-type]
        self.ballot, self.log = Ballot(term, None), entries(log)
        self.pending: list[int] = []
        self.saves: dict[int, Effects] = {}
        self.start()

    def start(self) -> None:
        dice = OrderedDice(int(self.name[1:]))
        self.raft = self.factory(
            self.name, self.members, self.ballot, None, self.log, self.config, dice, self.now
        )

    def do(self, *events: Event) -> Effects:
        before = view(self.raft)
        for event in events:
            self.raft.step(event)
        effects = self.raft.take()
        check(self.raft)
        check_step(before, self.raft)
        if effects.save is not None:
            self.pending.append(effects.save.serial)
            self.saves[effects.save.serial] = effects
        return effects

    def hear(self, source: str, message: object) -> Effects:
        return self.do(Received(source, message))

    def saved(self) -> Effects:
        """The disk is done with everything."""
        sends = Effects()
        while self.pending:
            serial = self.pending.pop(0)
            save = self.saves[serial].save
            assert save is not None
            self.ballot = save.ballot
            if save.entries:
                self.log = [e for e in self.log if e.index < save.entries[0].index] + save.entries
            effects = self.do(Saved(serial))
            sends.send += effects.send
            sends.commit += effects.commit
            sends.reads += effects.reads
            sends.answers += effects.answers
        return sends

    def restart(self) -> None:
        """Crash: what was not saved is gone."""
        self.pending.clear()
        self.start()

    def time(self, passed_ms: int) -> Effects:
        self.now += passed_ms
        return self.do(TimePassed(self.now))

    def elected(self) -> Lone:
        """It leads, and all others have said yes."""
        self.time(600)
        term = self.raft.term + 1
        others = [name for name in self.raft.quorum.names if name != self.name]
        for other in others:
            self.hear(other, RequestVoteReply(term, True, True))
        self.saved()
        for other in others:
            self.hear(other, RequestVoteReply(term, True))
        assert self.raft.leads
        return self

    def settled(self) -> Lone:
        """It leads and everybody has its whole log."""
        self.elected()
        self.saved()
        for other in self.leader.followers:
            self.matched(other.name)
        assert self.leader.settled
        return self

    @property
    def leader(self) -> Leader:
        assert isinstance(self.raft.role, Leader)
        return self.raft.role

    def matched(self, source: str, index: int | None = None, round_number: int | None = None) -> Effects:
        index = self.raft.log.last_index if index is None else index
        number = self.leader.reads.round if round_number is None else round_number
        return self.hear(source, AppendEntriesReply(self.raft.term, number, index))


def entries(text: str) -> list[Entry]:
    """`"1@1 2@1"` -> two entries, whose payloads tell them apart."""
    pairs = [tuple(map(int, word.split("@"))) for word in text.split()]
    return [Entry(index, term, EntryKind.PAYLOAD, f"{index}@{term}".encode()) for index, term in pairs]


def append(term: int, prev: str, text: str = "", commit: int = 0, round_number: int = 1) -> AppendEntries:
    (prev_entry,) = entries(prev)
    return AppendEntries(term, prev_entry.index, prev_entry.term, commit, round_number, entries(text))


def told(effects: Effects, kind: type) -> list[object]:
    return [send.message for send in effects.send if isinstance(send.message, kind)]


def log_of(lone: Lone) -> str:
    log = lone.raft.log
    return " ".join(f"{e.index}@{e.term}" for e in log.between(log.base_index + 1, log.last_index))
