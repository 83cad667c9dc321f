"""Multi-Paxoses that are wrong in one place each: the invariants, the contract and the world must notice
every one.

Each mutant is a subclass with one rule broken; its docstring is the rule, and what breaks where it is
missing. `RANDOM` lists those that random storms kill, with a seed near which they do; all but a few are
killed by a directed rule as well (`rules_*.py`).
"""
from __future__ import annotations

from typing import Any

import msgspec

from agreed.consensus.machine import Ballot, Entry, EntryKind, SnapshotMark
from agreed.consensus.members import Members
from agreed.consensus.multipaxos.ballots import RANKS, Ballots
from agreed.consensus.multipaxos.candidate import Preparing
from agreed.consensus.multipaxos.follower import Follower
from agreed.consensus.multipaxos.leader import Leader
from agreed.consensus.multipaxos.messages import (
    Accept,
    Acceptance,
    Accepted,
    Canvass,
    CanvassReply,
    Nack,
    Promise,
)
from agreed.consensus.multipaxos.multipaxos import MultiPaxos
from agreed.consensus.multipaxos.reads import Reads
from agreed.consensus.multipaxos.state import PaxosState
from agreed.types import Index, NodeId, Term
from tests.consensus.weak_quorum import WeakQuorum

# --- phase 1: promises ------------------------------------------------------------------------------------


class ForgetsItsPromise(MultiPaxos):
    """P1: a promise is durable before it is spoken; else a restarted acceptor accepts what it forswore."""

    def finish_save(self) -> None:
        super().finish_save()
        if self.effects.save is not None and not self.effects.save.entries:
            self.effects.save.ballot = Ballot(0, None)


class PromisesBeforeItSaves(MultiPaxos):
    """P1: what vouches for a save leaves after the save."""

    def promise(self, target: NodeId, message: object, serial: int) -> None:
        self.send(target, message)


class AcceptsBelowItsPromise(MultiPaxos):
    """P3: nothing is accepted below what is promised; else what phase 1 was told is no longer all there
    is."""

    def _on_accept(self, source: NodeId, message: Accept) -> None:
        if message.ballot >= self.term or self.leads or self.incoming.busy:
            super()._on_accept(source, message)
        else:
            _accept_as_it_is(self, source, message)


class AcceptRaisesNoPromise(MultiPaxos):
    """P4: to accept under a ballot is to promise it."""

    def _on_accept(self, source: NodeId, message: Accept) -> None:
        if message.ballot <= self.term or self.incoming.busy:
            super()._on_accept(source, message)
        else:
            _accept_as_it_is(self, source, message)


def _accept_as_it_is(paxos: MultiPaxos, source: NodeId, message: Accept) -> None:
    news = [entry for entry in message.entries if entry.index > paxos.chosen]
    if news and news[0].index <= paxos.slots.last_index + 1:
        changed = paxos.slots.accept(message.ballot, news)
        if changed is not None:
            paxos.touch(changed)
        upto = news[-1].index
        paxos.promise(source, Accepted(message.ballot, message.round, upto, upto), paxos.serial)


class ReusesItsBallot(MultiPaxos):
    """P7: a ballot is on disk before it is used, so that no later life uses it again for other values."""

    durable_ballot: Term | None = None

    def become_candidate(self, above: Term) -> None:
        self.durable_ballot = self.term
        super().become_candidate(above)

    def become_follower(self, ballot: Term, leader: NodeId | None) -> None:
        self.durable_ballot = None
        super().become_follower(ballot, leader)

    def finish_save(self) -> None:
        super().finish_save()
        if self.effects.save is not None and self.durable_ballot is not None:
            self.effects.save.ballot = Ballot(self.durable_ballot, None)


class Anybody(str):
    """The owner of a ballot that everybody uses."""

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


class SharedBallots(Ballots):
    def owner(self, ballot: Term) -> NodeId | None:
        return Anybody("anybody")

    def after(self, ballot: Term) -> Term:
        return (ballot // RANKS + 1) * RANKS


class SharesBallots(MultiPaxos):
    """P8: a ballot is one proposer's; two that use it propose two values under it."""

    def __init__(self, me: NodeId, members: Members, *rest: Any) -> None:
        super().__init__(me, members, *rest)
        self.ballots = SharedBallots(me, members)


class AlwaysSaysThereIsNeed(MultiPaxos):
    """Who hears a leader discourages others; else each return of a node that was cut off deposes it."""

    def _on_canvass(self, source: NodeId, message: Canvass) -> None:
        self.promise(source, CanvassReply(message.ballot, self.term, True), self.ballot_serial)


class StaysInItsBallot(MultiPaxos):
    """Who hears of a newer promise knows that its own ballot is over (termination)."""

    def _on_nack(self, source: NodeId, message: Nack) -> None:
        return


# --- phase 1: values --------------------------------------------------------------------------------------


class LowestBallotWins(MultiPaxos):
    """P5: only the value of the highest ballot can have been chosen."""

    class Choosing(Preparing):
        def consider(self, acceptance: Acceptance) -> None:
            known = self.highest.get(acceptance.value.index)
            if known is None or acceptance.ballot < known.ballot:
                self.highest[acceptance.value.index] = acceptance

    preparing_role = Choosing


class FirstAnswerWins(MultiPaxos):
    """P5: who answers first is not who accepted last."""

    class Choosing(Preparing):
        def consider(self, acceptance: Acceptance) -> None:
            self.highest.setdefault(acceptance.value.index, acceptance)

    preparing_role = Choosing


class MostFrequentWins(MultiPaxos):
    """P5: nor is it what most have accepted, each under some ballot."""

    class Choosing(Preparing):
        def __init__(self, paxos: PaxosState) -> None:
            self.seen: dict[tuple[Index, Term], int] = {}
            super().__init__(paxos)

        def consider(self, acceptance: Acceptance) -> None:
            value = acceptance.value
            self.seen[value.index, value.term] = self.seen.get((value.index, value.term), 0) + 1
            known = self.highest.get(value.index)
            if known is None or self.seen[value.index, value.term] > self.seen[value.index, known.value.term]:
                self.highest[value.index] = acceptance

    preparing_role = Choosing


class IgnoresWhatWasAccepted(MultiPaxos):
    """P6: what may have been chosen is proposed again, and nothing else."""

    class Choosing(Preparing):
        def consider(self, acceptance: Acceptance) -> None:
            return

    preparing_role = Choosing


class ForgetsItsOwnVoice(MultiPaxos):
    """P6: a proposer is one of the acceptors of its quorum."""

    class Choosing(Preparing):
        def _promise_ourselves(self) -> None:
            paxos = self.paxos
            if paxos.me not in self.complete and paxos.ballot_serial <= paxos.saved_serial:
                self._told_all(paxos.me, paxos.slots.last_index, paxos.chosen)

    preparing_role = Choosing


class CountsHalfAnAnswer(MultiPaxos):
    """A promise counts once all its pieces are there."""

    class Choosing(Preparing):
        def on_promise(self, source: NodeId, message: Promise) -> None:
            super().on_promise(source, msgspec.structs.replace(message, last=message.upto))

    preparing_role = Choosing


class ClosesHolesByMovingUp(MultiPaxos):
    """P11: a hole is filled; who skips it gives later values other places than others do."""

    class Choosing(Preparing):
        def values(self) -> list[Entry]:
            kept = [self.highest[i].value for i in range(self.first, self.last + 1) if i in self.highest]
            return [
                msgspec.structs.replace(value, index=self.first + offset) for offset, value in enumerate(kept)
            ]

    preparing_role = Choosing


class LeavesHoles(MultiPaxos):
    """P11: a hole that nobody fills keeps all that is behind it from ever being told."""

    class Lazy(Leader):
        def start(self, values: list[Entry], chosen: Index) -> None:
            paxos = self.paxos
            filled = [v for v in values if v.term != paxos.term]
            super().start(values, chosen)
            if len(filled) < len(values):
                hole = next(v.index for v in values if v.term == paxos.term)
                offset = hole - paxos.slots.base_index - 1
                paxos.slots._values[offset], paxos.slots._ballots[offset] = None, 0

    leader_role = Lazy


# --- phase 2 ----------------------------------------------------------------------------------------------


class AcknowledgesBeforeItSaves(MultiPaxos):
    """P2: what is accepted is durable before anybody hears of it; else a choice can be forgotten."""

    class Hasty(Follower):
        def _acknowledge(self, source: NodeId, message: Accept, hole: bool) -> None:
            paxos = self.paxos
            paxos.send(source, Accepted(paxos.term, message.round, paxos.held, paxos.held, hole))

    follower_role = Hasty


class CountsItsOwnVoiceEarly(MultiPaxos):
    """P2: a leader's own acceptance counts once it is durable, like any other."""

    class Hasty(Leader):
        def on_flush(self) -> None:
            if self.own.matched(self.paxos.held) and self.own.match > self.paxos.chosen:
                self._advance()
            super().on_flush()

    leader_role = Hasty


class CountsOtherBallots(MultiPaxos):
    """P9: only acceptances of this ballot choose under it."""

    def _on_accepted(self, source: NodeId, message: Accepted) -> None:
        self.role.on_accepted(source, message)


class HalfIsEnough(WeakQuorum, MultiPaxos):
    """P10: half of the voters are no quorum: the other half is one as well."""


class CountsOverHoles(MultiPaxos):
    """An acceptor with a hole has not accepted all up to behind it."""

    def advance_held(self) -> None:
        slots = self.slots
        filled = [i for i in range(self.held + 1, slots.last_index + 1) if slots.ballot(i) == self.term]
        self.held = max([self.held, *filled])


class TrustsAnyCommit(MultiPaxos):
    """P13: that a slot is chosen does not tell with which value: what an older leader proposed may be
    another."""

    class Trusting(Follower):
        def learn(self, message: Accept) -> None:
            paxos = self.paxos
            while paxos.held < message.commit and paxos.slots.value(paxos.held + 1) is not None:
                paxos.held += 1
            super().learn(message)

    follower_role = Trusting


class TakesAcceptedForChosen(MultiPaxos):
    """After a restart nothing is known to be chosen but what a snapshot holds."""

    def __init__(self, *rest: Any) -> None:
        super().__init__(*rest)
        while self.slots.value(self.chosen + 1) is not None:
            self.chosen += 1
        self.held = max(self.held, self.chosen)
        self.durable = self.held
        self._deliver()


class CommitsWhatIsOnlyInMemory(MultiPaxos):
    """What is committed is durable here, or a snapshot may name an entry that our disk does not have, and
    cost us what we accepted behind it."""

    def _deliver(self) -> None:
        self.durable = max(self.durable, self.chosen)
        super()._deliver()


# --- reads and snapshots ----------------------------------------------------------------------------------


class ReadsBeforePhase1IsDone(MultiPaxos):
    """P12: until all that phase 1 has told is chosen, a leader does not know what was chosen before it."""

    class Rash(Leader):
        settled = True

    leader_role = Rash


class ReadsWithoutAsking(MultiPaxos):
    """A leader that others have deposed does not know it: a read asks a quorum after it was asked for."""

    class Believing(Reads):
        def begin_round(self, *, ready: bool) -> bool:
            begun = super().begin_round(ready=ready)
            if begun:
                self._asked_round = 0
            return begun

    class Rash(Leader):
        def __init__(self, paxos: PaxosState) -> None:
            super().__init__(paxos)
            self.reads = ReadsWithoutAsking.Believing(paxos)

    leader_role = Rash


class LetsASnapshotVoidTheLog(MultiPaxos):
    """What is accepted behind a snapshot outlives its arrival; else a choice can be forgotten."""

    def touch_for(self, mark: SnapshotMark) -> None:
        self.touch()


class ForgetsWhatIsBehindASnapshot(MultiPaxos):
    """The same, in memory."""

    def restore(self, mark: SnapshotMark) -> None:
        self.slots.__init__(mark)  # type: ignore[misc]
        self.chosen = self.commit = self.held = self.durable = mark.index


class KeepsNoBallots(MultiPaxos):
    """A restarted acceptor tells under which ballot it accepted, not under which the value was first
    proposed."""

    def finish_save(self) -> None:
        dirty = self._dirty
        super().finish_save()
        save = self.effects.save
        if save is None or dirty is None:
            return
        for position, entry in enumerate(save.entries):
            value = self.slots.value(entry.index)
            if entry.kind is EntryKind.NOTHING and value is not None:
                save.entries[position] = value


RANDOM: list[tuple[type[MultiPaxos], int]] = [
    (ForgetsItsPromise, 0),
    (PromisesBeforeItSaves, 0),
    (AcceptRaisesNoPromise, 0),
    (ReusesItsBallot, 0),
    (AcknowledgesBeforeItSaves, 0),
    (CountsItsOwnVoiceEarly, 0),
    (HalfIsEnough, 0),
    (KeepsNoBallots, 0),
]

DUELS: list[tuple[type[MultiPaxos], int]] = [
    (AcceptsBelowItsPromise, 5),
    (SharesBallots, 1),
    (LowestBallotWins, 0),
    (FirstAnswerWins, 0),
    (MostFrequentWins, 0),
    (IgnoresWhatWasAccepted, 0),
    (ForgetsItsOwnVoice, 10),
    (CountsHalfAnAnswer, 10),
    (CountsOverHoles, 0),
    (TrustsAnyCommit, 0),
    (TakesAcceptedForChosen, 0),
    (CommitsWhatIsOnlyInMemory, 1),
    (ReadsBeforePhase1IsDone, 0),
    (ReadsWithoutAsking, 3),
    (LetsASnapshotVoidTheLog, 0),
    (ForgetsWhatIsBehindASnapshot, 0),
]
"""The same for duels (`world.DuelWorld`)."""
