"""One machine, spoken to directly, and the list of rules it is held to.

A rule is a function of the class of machine it is tried on: it passes on `Raft`, and fails on every mutant
named beside it.  `test_paper.py` tries them all.  """
from __future__ import annotations

from collections.abc import Callable

from agreed.consensus.machine import (
    Ballot,
    Effects,
)
from agreed.consensus.members import Members
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.raft.invariants import View, check, check_step, view
from agreed.consensus.raft.leader import Leader
from agreed.consensus.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    RequestVoteReply,
)
from agreed.consensus.raft.raft import Raft
from tests.consensus import lone
from tests.consensus.lone import Rules, entries, members_of
from tests.consensus.stage import OrderedDice

Factory = type[Raft]
Rule = Callable[[Factory], None]
RULES: Rules[Factory] = Rules()
rule = RULES.rule


class Lone(lone.Lone[Raft]):
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
        self.factory = factory
        self.config = RaftConfig(**knobs)  # type: ignore[arg-type]
        super().__init__(name, members or members_of(size), Ballot(term, None), entries(log))

    @property
    def raft(self) -> Raft:
        return self.machine

    def make(self) -> Raft:
        dice = OrderedDice(int(self.name[1:]))
        return self.factory(
            self.name, self.members, self.ballot, None, self.log, self.config, dice, self.now
        )

    def view(self) -> View:
        return view(self.machine)

    def check(self, before: View, effects: Effects) -> None:
        check(self.machine)
        check_step(before, self.machine)

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


def append(term: int, prev: str, text: str = "", commit: int = 0, round_number: int = 1) -> AppendEntries:
    (prev_entry,) = entries(prev)
    return AppendEntries(term, prev_entry.index, prev_entry.term, commit, round_number, entries(text))


def log_of(lone: Lone) -> str:
    log = lone.raft.log
    return " ".join(f"{e.index}@{e.term}" for e in log.between(log.base_index + 1, log.last_index))
