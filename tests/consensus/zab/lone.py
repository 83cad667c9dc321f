"""One machine, spoken to directly, and the list of rules it is held to.

A rule is a function of the class of machine it is tried on: it passes on `Zab`, and fails on every mutant
named beside it.  `test_paper.py` tries them all.
"""
from __future__ import annotations

from collections.abc import Callable

from agreed.consensus.machine import (
    Ballot,
    Effects,
    PeerLost,
    SnapshotMark,
)
from agreed.consensus.zab.config import ZabConfig
from agreed.consensus.zab.following import Following
from agreed.consensus.zab.invariants import View, check, check_step, view
from agreed.consensus.zab.leading import Leading
from agreed.consensus.zab.looking import Looking
from agreed.consensus.zab.messages import (
    AckEpoch,
    AckNewLeader,
    Diff,
    FollowerInfo,
    LeaderInfo,
    NewLeader,
    Notification,
    Phase,
    Proposal,
    Vote,
)
from agreed.consensus.zab.synchronization import history_of
from agreed.consensus.zab.zab import Zab
from tests.consensus import lone
from tests.consensus.lone import LowDice, Rules, entries, members_of

Factory = type[Zab]
Rule = Callable[[Factory], None]
RULES: Rules[Factory] = Rules()
rule = RULES.rule


class Lone(lone.Lone[Zab]):
    def __init__(
        self,
        factory: Factory,
        *,
        name: str = "n2",
        size: int = 3,
        epoch: int = 0,
        settled: int | None = None,
        vote: str | None = None,
        log: str = "",
        **knobs: object,
    ) -> None:
        self.factory = factory
        self.config = ZabConfig(**knobs)  # type: ignore[arg-type]
        self.mark: SnapshotMark | None = None
        members = members_of(size)
        self.others = [member.name for member in members.voters if member.name != name]
        ballot = Ballot(epoch, vote, epoch if settled is None else settled)
        super().__init__(name, members, ballot, entries(log))

    @property
    def zab(self) -> Zab:
        return self.machine

    def make(self) -> Zab:
        return self.factory(
            self.name, self.members, self.ballot, self.mark, self.log, self.config, LowDice(), self.now
        )

    def start(self) -> None:
        super().start()
        self.time(0)

    def view(self) -> View:
        return view(self.machine)

    def check(self, before: View, effects: Effects) -> None:
        check(self.machine)
        check_step(before, self.machine)

    # --- the way to a role ---

    def elected(self) -> Lone:
        """All vote for it."""
        for other in self.others:
            vote = Notification(self.zab.term, self.zab.round, Phase.LOOKING, self.zab.own_vote())
            self.hear(other, vote)
        assert isinstance(self.zab.role, Leading)
        return self

    def in_epoch(self) -> Lone:
        """All follow it, and its epoch is durable."""
        self.elected()
        for other in self.others:
            self.hear(other, FollowerInfo(self.ballot.term, self.ballot.vote))
        self.saved()
        return self

    def accepted_by(self, source: str, log: str | None = None, settled: int | None = None) -> Effects:
        """Its epoch is acknowledged by one whose history is this; without one, the same as ours was."""
        history = history_of(self.zab.log, self.zab.commit) if log is None else ends(log)
        was = self.zab.settled if settled is None else settled
        return self.hear(source, AckEpoch(self.zab.term, was, history))

    def established(self) -> Lone:
        """The first other one has all of its history."""
        self.in_epoch()
        self.accepted_by(self.others[0])
        self.saved()
        self.hear(self.others[0], AckNewLeader(self.zab.term, self.zab.last_index))
        assert self.zab.leads
        return self

    @property
    def leading(self) -> Leading:
        assert isinstance(self.zab.role, Leading)
        return self.zab.role

    @property
    def following(self) -> Following:
        assert isinstance(self.zab.role, Following)
        return self.zab.role

    def follows(self, source: str, epoch: int) -> Effects:
        """It finds a leader, whose epoch this is."""
        vote = Vote(epoch, epoch, 1, False, source)
        self.hear(source, Notification(epoch, 1, Phase.ESTABLISHED, vote))
        return self.hear(source, LeaderInfo(epoch))

    def loses_its_leader(self) -> None:
        self.do(PeerLost(self.following.source))
        self.time(self.config.leader_loss_delay_ms[0])
        assert isinstance(self.zab.role, Looking)

    def synchronized(self, source: str, epoch: int, diff: Diff) -> Lone:
        """It follows, has this besides, and has said so."""
        self.follows(source, epoch)
        self.saved()
        index = diff.prev_index + len(diff.entries)
        self.hear(source, diff, NewLeader(epoch, index))
        self.saved()
        assert self.zab.settled == epoch
        return self


def ends(text: str) -> list[tuple[int, int]]:
    """`"3@1 5@2"` -> the ends of epochs as ACKEPOCH tells them, the newest first."""
    pairs = [tuple(map(int, word.split("@"))) for word in text.split()]
    return [(epoch, index) for index, epoch in reversed(pairs)]


def diff(epoch: int, prev: str, text: str, *, truncate: bool = False) -> Diff:
    (index, term) = map(int, prev.split("@"))
    return Diff(epoch, index, term, truncate, entries(text))


def proposal(epoch: int, prev: int, text: str, commit: int = 0) -> Proposal:
    return Proposal(epoch, prev, commit, entries(text))


def log_of(lone: Lone) -> str:
    log = lone.zab.log
    return " ".join(f"{e.index}@{e.term}" for e in log.between(log.base_index + 1, log.last_index))
