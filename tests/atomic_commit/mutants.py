"""Wrong machines of atomic commit, under the numbers of the list that they are taken from (T1 to T10): of
two-phase commit, and of the form whose decisions stand in a replicated log."""
from __future__ import annotations

from collections.abc import Iterable

from agreed.atomic_commit.coordinator import Coordinator, Telling
from agreed.atomic_commit.messages import (
    Committed,
    Decided,
    Decision,
    Finished,
    Prepared,
    Record,
    Vote,
    Voted,
)
from agreed.atomic_commit.participant import InDoubt, Participant
from agreed.atomic_commit.replicated import DecisionLog, Proposal, ReplicatedCoordinator
from agreed.atomic_commit.voting import Poll

# --- two-phase commit -------------------------------------------------------------------------------------


class T1MissingVoteIsYes(Coordinator):
    """T1: a vote that has not come is no yes."""

    def _close(self, poll: Poll) -> None:
        if self._now >= poll.deadline:
            for each in poll.missing():
                poll.count(each, Vote.YES)
        super()._close(poll)


class T2TellsBeforeTheRecord(Coordinator):
    """T2: nobody hears of a commit before its record is durable; else who crashes then presumes abort."""

    def _commit(self, record: Committed) -> None:
        super()._commit(record)
        self._tell(record)


class T3VotesBeforeTheRecord(Participant):
    """T3: who votes yes can still commit after a crash."""

    def _save_before_vote(self, record: Prepared) -> None:
        super()._save_before_vote(record)
        self._send(record.coordinator, Voted(record.transaction, Vote.YES))


class T4InDoubtRollsBack(Participant):
    """T4: who has voted yes and hears nothing asks, and decides nothing."""

    def _ask(self, transaction: str, doubt: InDoubt) -> None:
        self._decided(self.node, transaction, Decision.ABORT)


class T5ForgetsAtTheFirstAcknowledgement(Coordinator):
    """T5: a commit is remembered until all have acknowledged it; who asks later would be told abort."""

    def _acknowledge(self, source: str, transaction: str) -> None:
        if transaction in self._telling:
            self._telling[transaction].unacknowledged.clear()
        super()._acknowledge(source, transaction)


class T6DecidesAgainAfterACrash(Coordinator):
    """T6: what is decided stays decided, over any crash."""

    def _recover(self, records: Iterable[Record]) -> None:
        pass


class T7CountsAVoteTwice(Coordinator):
    """T7: a vote that comes twice is one vote."""

    def _receive(self, source: str, message: object) -> None:
        if isinstance(message, Voted) and message.vote != Vote.NO:
            poll = self._polls.get(message.transaction)
            if poll is not None and source in poll.votes:
                poll.count(poll.missing()[0], Vote.YES)
        super()._receive(source, message)


class T8DoesNotTellAgain(Coordinator):
    """T8: a decision is told until it is acknowledged; else somebody holds its locks for ever."""

    def _tell_again(self, transaction: str, telling: Telling) -> None:
        telling.retry_at = self._now + self.retry_ms


class T8DoesNotAsk(Participant):
    """T8: who is in doubt asks until it is told."""

    def _ask(self, transaction: str, doubt: InDoubt) -> None:
        doubt.retry_at = self._now + self.retry_ms


class T9TakesUnknownForAborted(Participant):
    """T9: who knows nothing of a transaction says nothing of it."""

    def _inquired_of_nothing(self, source: str, transaction: str) -> None:
        self._send(source, Decided(transaction, Decision.ABORT))


class ForgetsWhatItDecidedAlone(Participant):
    """Who decides alone can still tell after a crash what it has decided."""

    def _recover(self, records: Iterable[Record]) -> None:
        super()._recover(each for each in records if not (isinstance(each, Finished) and each.alone))


# --- decisions in a replicated log ------------------------------------------------------------------------


class AnyLog(DecisionLog):
    """Takes the first proposal, with or without the votes."""

    def _decides(self, proposal: Proposal) -> bool:
        return proposal.transaction not in self._decided


class LastWinsLog(DecisionLog):
    def _decides(self, proposal: Proposal) -> bool:
        return proposal.valid


class CommitsWithOneUndecided(ReplicatedCoordinator):
    """A coordinator that counts wrongly; the log itself passes over such a commit."""

    def _close(self, poll: Poll) -> None:
        if len(poll.missing()) == 1 and Vote.NO not in poll.votes.values():
            votes = tuple(poll.votes.get(each) for each in poll.participants)
            self._propose(Proposal(poll.transaction, Decision.COMMIT, poll.participants, votes))
        super()._close(poll)


class T10CommitsWithOneUndecided(CommitsWithOneUndecided):
    """T10: all have voted before a commit is the decision."""

    def _make_log(self) -> DecisionLog:
        return AnyLog()


class TheLastProposalWins(ReplicatedCoordinator):
    """T6: of all proposals in the log the first that may be is the decision."""

    def _make_log(self) -> DecisionLog:
        return LastWinsLog()


class TellsWhatItProposes(ReplicatedCoordinator):
    """T2: what is proposed is told when it is agreed, and not before."""

    def _propose(self, proposal: Proposal) -> None:
        super()._propose(proposal)
        poll = self._polls.get(proposal.transaction)
        for each in poll.told() if poll is not None else ():
            self._send(each, Decided(proposal.transaction, proposal.decision))


class T8NobodyEndsWhatOthersBegan(ReplicatedCoordinator):
    """T8: any node ends what a dead coordinator began."""

    def _doubt(self, source: str, transaction: str) -> None:
        if transaction in self.log.decided:
            super()._doubt(source, transaction)


class PresumesAbort(ReplicatedCoordinator):
    """T9: who may be behind the log presumes nothing."""

    def _doubt(self, source: str, transaction: str) -> None:
        super()._doubt(source, transaction)
        if transaction not in self.log.decided:
            self._send(source, Decided(transaction, Decision.ABORT))
