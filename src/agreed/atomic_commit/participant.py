"""A participant of an atomic commit: of two-phase commit, and of the form that does not block alike.

It may roll back by itself until it has voted yes.  Before that vote it has made a record with which it can
commit even after a crash; and from then on it is *in doubt*, and does what it is told, by whoever knows.  It
never guesses: to abort because nobody answers is wrong if the others were told to commit, and to commit is
wrong if one of them voted no.  So it asks, again and again.

It asks whom `Prepare` named: with two-phase commit the coordinator, and the other participants (cooperative
termination; Bernstein, Hadzilacos and Goodman 1987, 7.4).  A participant that has not voted rolls back when
it is asked, and can say so; one that knows the decision says it; one that is in doubt itself is silent, and
so is one that knows nothing: it may have committed long ago and forgotten.
"""
from __future__ import annotations

from collections.abc import Iterable

import msgspec

from agreed.atomic_commit.machine import CommitMachine
from agreed.atomic_commit.messages import (
    Acknowledged,
    CommitAlone,
    Decided,
    DecidedAlone,
    Decision,
    Ended,
    Event,
    Finish,
    Finished,
    Inquiry,
    Prepare,
    Prepared,
    Record,
    TransactionId,
    Vote,
    Voted,
    Worked,
)
from agreed.consensus.machine import Received, Saved, TimePassed
from agreed.types import Instant, NodeId


class Work(msgspec.Struct):
    """Done, and nobody has asked for our vote."""

    vote: Vote
    until: Instant
    """Then we roll back."""


class InDoubt(msgspec.Struct):
    record: Prepared
    retry_at: Instant


class Unheard(msgspec.Struct):
    """We decided alone, and the coordinator may not know."""

    coordinator: NodeId
    retry_at: Instant


class Participant(CommitMachine):
    """`records` are those of its earlier lives, in order.

    Work about which nobody asks for `work_ms` is rolled back.  Who has voted yes waits `patience_ms` to be
    told, and then asks every `retry_ms`: not at once, because a peer that is asked and has not voted rolls
    back, and so an impatient participant would abort what is only slow.  The ends of the newest `remembered`
    transactions are kept for peers that ask and for messages that come twice; safety does not depend on
    it."""

    def __init__(
        self,
        node: NodeId,
        records: Iterable[Record] = (),
        now: Instant = 0,
        work_ms: int = 5000,
        patience_ms: int = 1000,
        retry_ms: int = 100,
        remembered: int = 1000,
    ) -> None:
        super().__init__(node, now)
        self.work_ms, self.patience_ms, self.retry_ms = work_ms, patience_ms, retry_ms
        self.remembered = remembered
        self._work: dict[TransactionId, Work] = {}
        self._in_doubt: dict[TransactionId, InDoubt] = {}
        self._unheard: dict[TransactionId, Unheard] = {}
        self._saving: dict[int, tuple[NodeId, Prepared | Finished]] = {}
        """What waits for its record, and who is to hear of it then."""
        self._ends: dict[TransactionId, Decision | Vote] = {}
        self._recover(records)
        self._set_wake()

    @property
    def in_doubt(self) -> list[TransactionId]:
        """Which have voted yes, and do not know: their locks are held."""
        return list(self._in_doubt)

    @property
    def unfinished(self) -> list[TransactionId]:
        saving = [record.transaction for _, record in self._saving.values()]
        return [*self._work, *self._in_doubt, *self._unheard, *saving]

    def step(self, event: Event) -> None:
        if isinstance(event, Worked):
            self._worked(event)
        elif isinstance(event, TimePassed):
            self._pass_time(event.now)
        elif isinstance(event, Saved):
            self._saved(event.serial)
        elif isinstance(event, Received):
            self._receive(event.source, event.message)
        self._set_wake()

    def _recover(self, records: Iterable[Record]) -> None:
        """What is prepared and not finished is in doubt; work without a record went with our memory, and a
        Prepare that asks for it is answered with no."""
        for record in records:
            if isinstance(record, Prepared):
                self._in_doubt[record.transaction] = InDoubt(record, self._now)
            elif isinstance(record, Finished):
                self._in_doubt.pop(record.transaction, None)
                self._remember(record.transaction, record.decision)
                if record.alone is not None:
                    self._unheard[record.transaction] = Unheard(record.alone, self._now)
            elif isinstance(record, Ended):
                self._unheard.pop(record.transaction, None)
        for transaction in self._unheard:
            self._finish(transaction, Decision.COMMIT)  # we may not have come to it

    # --- before the vote ------------------------------------------------------------------------------

    def _worked(self, worked: Worked) -> None:
        if worked.transaction in self._ends:
            self._finish(worked.transaction, Decision.ABORT)  # we were asked before, and have voted no
        elif worked.vote == Vote.NO:
            self._roll_back(worked.transaction)
        elif worked.transaction not in self.unfinished:
            self._work[worked.transaction] = Work(worked.vote, self._now + self.work_ms)

    def _roll_back(self, transaction: TransactionId) -> None:
        """By ourselves, or because it is aborted already: either way we never vote yes."""
        self._work.pop(transaction, None)
        self._finish(transaction, Decision.ABORT)
        self._remember(transaction, Vote.NO)

    def _prepare(self, coordinator: NodeId, prepare: Prepare) -> None:
        transaction = prepare.transaction
        if transaction in self._in_doubt:
            self._send(coordinator, Voted(transaction, Vote.YES))
            return
        work = self._work.pop(transaction, None)
        if work is not None and work.vote == Vote.YES:
            self._save_before_vote(Prepared(transaction, coordinator, prepare.ask))
        elif work is not None:
            self._finish(transaction, None)
            self._remember(transaction, Vote.READ_ONLY)
            self._send(coordinator, Voted(transaction, Vote.READ_ONLY))
        elif transaction not in self.unfinished:
            self._vote_without_work(coordinator, transaction)

    def _vote_without_work(self, coordinator: NodeId, transaction: TransactionId) -> None:
        end = self._ends.get(transaction)
        if end == Vote.READ_ONLY:
            self._send(coordinator, Voted(transaction, Vote.READ_ONLY))
        elif end != Decision.COMMIT:  # that would be a question from before the commit
            self._send(coordinator, Voted(transaction, Vote.NO))
            # and we do not remember it: the question may be old, of a transaction that we committed and
            # forgot, and to tell a peer in doubt that we voted no would make it roll back

    def _save_before_vote(self, record: Prepared) -> None:
        self._saving[self._save(record)] = (record.coordinator, record)

    # --- after the vote -------------------------------------------------------------------------------

    def _saved(self, serial: int) -> None:
        target, record = self._saving.pop(serial, (self.node, None))
        if isinstance(record, Prepared):
            self._in_doubt[record.transaction] = InDoubt(record, self._now + self.patience_ms)
            self._send(target, Voted(record.transaction, Vote.YES))
        elif isinstance(record, Finished):
            self._remember(record.transaction, record.decision)
            if record.alone is None:
                self._send(target, Acknowledged(record.transaction))
            else:
                self._finish(record.transaction, record.decision)
                self._unheard[record.transaction] = Unheard(target, self._now)
                self._say_alone(record.transaction)

    def _decided(self, source: NodeId, transaction: TransactionId, decision: Decision) -> None:
        doubt = self._in_doubt.pop(transaction, None)
        if doubt is not None and decision == Decision.COMMIT:
            self._finish(transaction, decision)
            record = Finished(transaction, decision)
            self._saving[self._save(record)] = (doubt.record.coordinator, record)
        elif doubt is not None:
            self._finish(transaction, decision)
            self._save(Finished(transaction, decision))  # if that is lost we ask again, and hear the same
            self._remember(transaction, decision)
        elif decision == Decision.ABORT and transaction in self._work:
            self._roll_back(transaction)
        elif decision == Decision.COMMIT and transaction not in self.unfinished:
            self._send(source, Acknowledged(transaction))  # done, and our word was lost

    def _inquired(self, source: NodeId, transaction: TransactionId) -> None:
        """A peer is in doubt."""
        if transaction in self._work:
            self._roll_back(transaction)
        end = self._ends.get(transaction)
        if end in (Vote.NO, Decision.ABORT):
            self._send(source, Decided(transaction, Decision.ABORT))
        elif end == Decision.COMMIT:
            self._send(source, Decided(transaction, Decision.COMMIT))
        elif transaction not in self.unfinished:
            self._inquired_of_nothing(source, transaction)

    def _inquired_of_nothing(self, source: NodeId, transaction: TransactionId) -> None:
        """We do not know it, or no longer: not even that we have not voted yes."""

    # --- the only participant -------------------------------------------------------------------------

    def _commit_alone(self, coordinator: NodeId, transaction: TransactionId) -> None:
        work = self._work.pop(transaction, None)
        if work is not None and work.vote == Vote.YES:
            record = Finished(transaction, Decision.COMMIT, alone=coordinator)
            self._saving[self._save(record)] = (coordinator, record)
            return
        if work is not None:
            self._finish(transaction, None)
            self._remember(transaction, Vote.READ_ONLY)
        if transaction in self.unfinished:
            return  # the answer is on its way, or waits for the record
        committed = self._ends.get(transaction) in (Decision.COMMIT, Vote.READ_ONLY)
        if not committed:
            self._remember(transaction, Vote.NO)
        decision = Decision.COMMIT if committed else Decision.ABORT
        self._send(coordinator, DecidedAlone(transaction, decision))

    def _say_alone(self, transaction: TransactionId) -> None:
        unheard = self._unheard[transaction]
        unheard.retry_at = self._now + self.retry_ms
        self._send(unheard.coordinator, DecidedAlone(transaction, Decision.COMMIT))

    # --- events ---------------------------------------------------------------------------------------

    def _receive(self, source: NodeId, message: object) -> None:
        if isinstance(message, Prepare):
            self._prepare(source, message)
        elif isinstance(message, Decided):
            self._decided(source, message.transaction, message.decision)
        elif isinstance(message, Inquiry):
            self._inquired(source, message.transaction)
        elif isinstance(message, CommitAlone):
            self._commit_alone(source, message.transaction)
        elif isinstance(message, Acknowledged) and self._unheard.pop(message.transaction, None) is not None:
            self._save(Ended(message.transaction))

    def _pass_time(self, now: Instant) -> None:
        self._now = now
        for transaction, work in list(self._work.items()):
            if work.until <= now:
                self._roll_back(transaction)
        for transaction, doubt in list(self._in_doubt.items()):
            if doubt.retry_at <= now:
                self._ask(transaction, doubt)
        for transaction, unheard in self._unheard.items():
            if unheard.retry_at <= now:
                self._say_alone(transaction)

    def _ask(self, transaction: TransactionId, doubt: InDoubt) -> None:
        doubt.retry_at = self._now + self.retry_ms
        for each in doubt.record.ask:
            if each != self.node:
                self._send(each, Inquiry(transaction))

    def _set_wake(self) -> None:
        instants = [work.until for work in self._work.values()]
        instants += [doubt.retry_at for doubt in self._in_doubt.values()]
        instants += [unheard.retry_at for unheard in self._unheard.values()]
        self.wake = min(instants, default=None)

    def _remember(self, transaction: TransactionId, end: Decision | Vote) -> None:
        self._ends[transaction] = end
        if len(self._ends) > self.remembered:
            del self._ends[next(iter(self._ends))]

    def _finish(self, transaction: TransactionId, decision: Decision | None) -> None:
        self._effects.finish.append(Finish(transaction, decision))
