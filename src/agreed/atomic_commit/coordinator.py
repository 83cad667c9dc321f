"""The coordinator of two-phase commit, with presumed abort.

(Gray 1978; presumed abort, the read-only vote and one phase: Mohan, Lindsay and Obermarck 1986.)

First it asks all participants to prepare.  If all of them vote yes it makes a record of it, and that record
is the commit; then it tells them, again and again until each has acknowledged, and then it may forget.  In
all other cases the transaction is aborted, and that needs neither record nor acknowledgement: of a
transaction that it does not know the coordinator says that it was aborted.  That is true as long as a
committed one is not forgotten before everybody has heard of it, and nobody is told "commit" before the
record is durable.

* Nobody wrote anything: no record and no second phase.
* One participant: it decides itself, in one phase.

What it cannot do: a participant that has voted yes can do nothing but wait while its coordinator is away,
and holds its locks.  Nor can the others help it if all of them voted yes.  That is not a defect of this
code but of the protocol (Skeen 1981); `replicated` has the cure.
"""
from __future__ import annotations

from collections.abc import Iterable

import msgspec

from agreed.atomic_commit.machine import CommitMachine
from agreed.atomic_commit.messages import (
    Acknowledged,
    Begun,
    CommitAlone,
    Committed,
    Decided,
    DecidedAlone,
    Decision,
    Ended,
    Event,
    Inquiry,
    Outcome,
    Prepare,
    Record,
    TransactionId,
    Vote,
    Voted,
)
from agreed.atomic_commit.voting import Poll
from agreed.consensus.machine import Received, Saved, TimePassed
from agreed.types import Instant, NodeId


class Telling(msgspec.Struct):
    """A committed transaction that somebody has not heard of."""

    unacknowledged: set[NodeId]
    retry_at: Instant


class Leaving(msgspec.Struct):
    """A transaction whose only participant decides."""

    participant: NodeId
    retry_at: Instant


class Coordinator(CommitMachine):
    """`records` are those of its earlier lives, in order.

    A participant gets `vote_ms` to vote; what was not answered is said again every `retry_ms`."""

    def __init__(
        self,
        node: NodeId,
        records: Iterable[Record] = (),
        now: Instant = 0,
        vote_ms: int = 1000,
        retry_ms: int = 100,
    ) -> None:
        super().__init__(node, now)
        self.vote_ms, self.retry_ms = vote_ms, retry_ms
        self._polls: dict[TransactionId, Poll] = {}
        self._saving: dict[int, Committed] = {}
        """Commits whose record is on its way to the disk, by serial."""
        self._telling: dict[TransactionId, Telling] = {}
        self._leaving: dict[TransactionId, Leaving] = {}
        self._recover(records)
        self._set_wake()

    @property
    def unfinished(self) -> list[TransactionId]:
        """Of which it will still say something by itself."""
        saving = [record.transaction for record in self._saving.values()]
        return [*self._polls, *saving, *self._telling, *self._leaving]

    def step(self, event: Event) -> None:
        if isinstance(event, Begun):
            self._begin(event.transaction, tuple(dict.fromkeys(event.participants)))
        elif isinstance(event, TimePassed):
            self._pass_time(event.now)
        elif isinstance(event, Saved):
            self._saved(event.serial)
        elif isinstance(event, Received):
            self._receive(event.source, event.message)
        self._set_wake()

    def _recover(self, records: Iterable[Record]) -> None:
        """Committed is what has a record; all else was aborted by our crash, if it was not before."""
        for record in records:
            if isinstance(record, Committed):
                self._telling[record.transaction] = Telling(set(record.participants), self._now)
            elif isinstance(record, Ended):
                self._telling.pop(record.transaction, None)

    # --- the first phase ------------------------------------------------------------------------------

    def _begin(self, transaction: TransactionId, participants: tuple[NodeId, ...]) -> None:
        if transaction in self.unfinished:
            return
        if not participants:
            self._effects.outcomes.append(Outcome(transaction, Decision.COMMIT))
        elif len(participants) == 1:
            self._leaving[transaction] = Leaving(participants[0], self._now + self.retry_ms)
            self._send(participants[0], CommitAlone(transaction))
        else:
            deadline, retry_at = self._now + self.vote_ms, self._now + self.retry_ms
            self._polls[transaction] = Poll(transaction, participants, deadline, retry_at)
            self._ask(self._polls[transaction])

    def _ask(self, poll: Poll) -> None:
        poll.retry_at = self._now + self.retry_ms
        for each in poll.missing():
            self._send(each, Prepare(poll.transaction, (self.node, *poll.participants)))

    def _close(self, poll: Poll) -> None:
        """Decide, if it is time."""
        decision = poll.decision(self._now)
        if decision is None:
            return
        del self._polls[poll.transaction]
        told = poll.told()
        if decision == Decision.COMMIT and told:
            self._commit(Committed(poll.transaction, told))
            return
        if decision == Decision.ABORT:
            for each in told:
                self._send(each, Decided(poll.transaction, decision))
        self._effects.outcomes.append(Outcome(poll.transaction, decision))

    # --- the second phase -----------------------------------------------------------------------------

    def _commit(self, record: Committed) -> None:
        self._saving[self._save(record)] = record

    def _saved(self, serial: int) -> None:
        record = self._saving.pop(serial, None)
        if record is not None:
            self._tell(record)

    def _tell(self, record: Committed) -> None:
        retry_at = self._now + self.retry_ms
        self._telling[record.transaction] = Telling(set(record.participants), retry_at)
        for each in record.participants:
            self._send(each, Decided(record.transaction, Decision.COMMIT))
        self._effects.outcomes.append(Outcome(record.transaction, Decision.COMMIT))

    def _acknowledge(self, source: NodeId, transaction: TransactionId) -> None:
        telling = self._telling.get(transaction)
        if telling is None:
            return
        telling.unacknowledged.discard(source)
        if not telling.unacknowledged:
            del self._telling[transaction]
            self._save(Ended(transaction))  # if that is lost we tell them once more, and no harm is done

    def _answer(self, source: NodeId, transaction: TransactionId) -> None:
        """Somebody is in doubt.  What we do not know was aborted: what we knew once, and have forgotten, has
        been acknowledged by everybody, so nobody is in doubt about it and this question is an old one."""
        if transaction in self._telling:
            self._send(source, Decided(transaction, Decision.COMMIT))
        elif transaction not in self.unfinished:
            self._send(source, Decided(transaction, Decision.ABORT))

    # --- events ---------------------------------------------------------------------------------------

    def _receive(self, source: NodeId, message: object) -> None:
        if isinstance(message, Voted):
            poll = self._polls.get(message.transaction)
            if poll is not None:
                poll.count(source, message.vote)
                self._close(poll)
            elif message.vote == Vote.YES:
                self._answer(source, message.transaction)  # too late, or from before our crash
        elif isinstance(message, Acknowledged):
            self._acknowledge(source, message.transaction)
        elif isinstance(message, Inquiry):
            self._answer(source, message.transaction)
        elif isinstance(message, DecidedAlone):
            self._send(source, Acknowledged(message.transaction))
            if self._leaving.pop(message.transaction, None) is not None:
                self._effects.outcomes.append(Outcome(message.transaction, message.decision))

    def _pass_time(self, now: Instant) -> None:
        self._now = now
        for poll in list(self._polls.values()):
            self._close(poll)
        for poll in self._polls.values():
            if poll.retry_at <= now:
                self._ask(poll)
        for transaction, telling in self._telling.items():
            if telling.retry_at <= now:
                self._tell_again(transaction, telling)
        for transaction, leaving in self._leaving.items():
            if leaving.retry_at <= now:
                leaving.retry_at = now + self.retry_ms
                self._send(leaving.participant, CommitAlone(transaction))

    def _tell_again(self, transaction: TransactionId, telling: Telling) -> None:
        telling.retry_at = self._now + self.retry_ms
        for each in sorted(telling.unacknowledged):
            self._send(each, Decided(transaction, Decision.COMMIT))

    def _set_wake(self) -> None:
        instants = [min(poll.retry_at, poll.deadline) for poll in self._polls.values()]
        instants += [telling.retry_at for telling in self._telling.values()]
        instants += [leaving.retry_at for leaving in self._leaving.values()]
        self.wake = min(instants, default=None)
