"""The protocol: how several branches are committed together, step by step.

    1   ask every branch whether it can commit and has written anything
    2   commit those that have only read: that is their vote
    3   one branch left: commit it, and that is all
    4   write the record: open                                   before the first branch is prepared
    5   prepare all branches                                     the votes
    6   replace the record: committed if all said yes, else aborted
    7   read what stands, and do so on all branches
    8   delete the record, somewhen                              once all of them have

Why the record comes before the first prepare: recovery finds prepared branches.  Finding no record it has to
roll back (nobody would ever tell it more), so a branch must not be prepared without one while there is hope.

Why recovery may roll back what we are about to commit: it replaces the record first, at the same version as
we do.  One of the two comes first.  The other reads, and obeys.

Where the process dies, no step is undone and none is needed: before 6, recovery aborts when the limit of the
record is over; after 6 it does 7 and 8.

A branch that wrote nothing is committed before the others are prepared.  Its locks go a moment early, when
all statements of all branches are done, so no other transaction can come between; and a database that
detects conflicts at commit can still say no.  (What a transaction of PostgreSQL notifies is sent then, too:
NOTIFY in a branch that writes nothing may be heard although the others are rolled back.)
"""
from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from agreed.atomic_commit.messages import Vote
from agreed.client.values import Operation
from agreed.transactions.deadlines import deadlines
from agreed.transactions.decisions import Decisions, GuardFailed
from agreed.transactions.errors import Aborted, InDoubt, VotedNo
from agreed.transactions.inquiry import Look
from agreed.transactions.names import BranchName
from agreed.transactions.participants import Participant
from agreed.transactions.records import Branch, Outcome, Record, State
from agreed.transactions.work import Later, Together, Work

log = logging.getLogger("agreed.transactions")

FINISHING_S = 5.0
"""How long 7 may wait for the databases and 8 for the cluster: then they are left to recovery."""

GRACE_S = 1.0
"""How much later than its deadline a connection is cut: a database that still answers refuses in time
itself."""


class InDoubtFactory(Protocol):
    """Makes the error; `look` asks how it has ended, if not the log of decisions is to be asked."""

    def __call__(self, message: str, look: Look | None = None) -> InDoubt: ...


class Coordinator:
    """One transaction.  `who` is written into the record, for people."""

    def __init__(
        self,
        transaction: str,
        participants: Sequence[Participant],
        decisions: Decisions,
        who: str,
        timeout_s: float,
        in_doubt: InDoubtFactory,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.transaction = transaction
        self.operations: list[Operation] = []
        self.outcome: Outcome | None = None
        self.unfinished: tuple[str, ...] = ()
        self._participants = tuple(participants)
        self._decisions = decisions
        self._who = who
        self._timeout_s = timeout_s
        self._in_doubt = in_doubt
        self._clock = clock
        self._record: Record | None = None
        self._guard_failed: GuardFailed | None = None

    # --- before and instead of the commit -------------------------------------------------------------

    def begin(self) -> Work[None]:
        """Raises what `check` and `begin` of a branch raise; then none of them has begun."""
        for each in self._participants:
            yield from each.check()
        begun: list[Participant] = []
        try:
            for each in self._participants:
                begun.append(each)
                yield from each.begin(BranchName(self._decisions.cluster, self.transaction, each.name))
        except GeneratorExit:
            raise
        except BaseException:
            yield from self._give_up(begun)
            raise

    def abandon(self) -> Work[None]:
        """The body has failed: roll back.  A branch that cannot be reached is rolled back by its database."""
        self.outcome = Outcome.ABORTED
        yield from self._give_up(self._participants)

    def _give_up(self, participants: Iterable[Participant]) -> Work[None]:
        """Of branches that nobody has decided about and that are not prepared, as far as we know."""
        deadline = self._clock() + FINISHING_S
        yield self._in_time(tuple(participants), deadline, lambda each: each.rollback())

    # --- in time --------------------------------------------------------------------------------------

    def _in_time(
        self, participants: Sequence[Participant], deadline: float, ask: Callable[[Participant], Work[Any]]
    ) -> Together:
        """All of them at once; who has not answered by the deadline is cut off, and has failed."""
        return Together([self._watched(each, deadline, ask(each)) for each in participants])

    def _watched(self, participant: Participant, deadline: float, work: Work[Any]) -> Work[Any]:
        number = deadlines().at(deadline + GRACE_S, participant.hang_up)
        try:
            return (yield from work)
        finally:
            deadlines().release(number)

    # --- the commit -----------------------------------------------------------------------------------

    def commit(self) -> Work[None]:
        """It is committed when this returns.  Raises Aborted and InDoubt, and what interrupts it."""
        deadline = self._clock() + self._timeout_s
        try:
            writers = yield from self._committed_readers(deadline)
        except GeneratorExit:
            raise
        except BaseException:
            yield from self.abandon()
            raise
        if self.operations or len(writers) > 1:
            yield from self._commit_together(writers, deadline)
        elif writers:
            yield from self._commit_alone(writers[0], deadline)
        self.outcome = Outcome.COMMITTED

    def _committed_readers(self, deadline: float) -> Work[list[Participant]]:
        """1 and 2: who has written."""
        asked = self._participants
        answers = yield self._in_time(asked, deadline, lambda each: each.ready(self._timeout_s))
        self._check_votes(asked, answers)
        readers = [each for each, wrote in zip(asked, answers, strict=True) if not wrote]
        voted = yield self._in_time(readers, deadline, lambda each: each.commit_alone())
        self._check_votes(readers, voted)
        return [each for each in asked if each not in readers]

    def _check_votes(self, asked: Sequence[Participant], answers: Sequence[object]) -> None:
        """Before anything is prepared, a branch that cannot be reached has voted no."""
        for each, answer in zip(asked, answers, strict=True):
            if isinstance(answer, Exception):
                raise Aborted(f"{each.name}: {answer}", self.transaction) from answer

    def _commit_alone(self, writer: Participant, deadline: float) -> Work[None]:
        """3: the branch decides for itself, and its database has the only record."""
        try:
            yield from self._watched(writer, deadline, writer.commit_alone())
        except VotedNo as no:
            self.outcome = Outcome.ABORTED
            raise Aborted(f"{writer.name}: {no}", self.transaction) from no
        except Exception as error:
            message = f"{writer.name}: the connection was lost while it was committing ({error})"
            raise self._in_doubt(message, writer.outcome_alone) from error

    def _commit_together(self, writers: list[Participant], deadline: float) -> Work[None]:
        """4 to 8."""
        try:
            yield from self._begin_record(writers, deadline)
            votes = yield self._in_time(writers, deadline, lambda each: each.prepare())
        except (Aborted, GeneratorExit):
            raise
        except BaseException:
            # Interrupted: which of them are prepared is not known.  Nothing is decided, so it can be aborted.
            yield from self._interrupted(writers, deadline)
            raise
        failed = [(each, vote) for each, vote in zip(writers, votes, strict=True) if vote is not None]
        if failed:
            standing = yield from self._decide_to_abort(writers, failed, deadline)
        else:
            standing = yield from self._decide_to_commit(writers, deadline)
        yield from self._finish(writers, standing)
        if standing.state is not State.COMMITTED:
            cause = failed[0][1] if failed else self._guard_failed
            raise Aborted(self._reason(failed, standing), self.transaction, self.unfinished) from cause

    def _reason(self, failed: Sequence[tuple[Participant, Exception]], standing: Record) -> str:
        if failed:
            return f"{failed[0][0].name}: {failed[0][1]}"
        return str(self._guard_failed or f"{standing.reason} (by {standing.by or 'somebody'})")

    def _begin_record(self, writers: list[Participant], deadline: float) -> Work[None]:
        branches = tuple(Branch(each.name, each.database) for each in writers)
        operations = len(self.operations)
        self._record = Record(State.OPEN, self._who, self._timeout_s, branches, operations=operations)
        try:
            yield from self._decisions.begin(self.transaction, self._record, deadline)
        except Exception as error:
            # It may be there all the same: recovery aborts it once its limit is over.  Nothing is prepared.
            yield from self.abandon()
            message = f"the cluster did not take the record of this transaction ({error})"
            raise Aborted(message, self.transaction) from error

    def _decide_to_commit(self, writers: list[Participant], deadline: float) -> Work[Record]:
        assert self._record is not None
        decided = self._record.committed({each.name: Vote.YES for each in writers}, self._who)
        try:
            return (
                yield from self._decisions.decide(self.transaction, decided, deadline, self.operations)
            )
        except GuardFailed as refused:
            self._guard_failed = refused
            aborted = self._record.aborted(self._who, str(refused))
            return (yield from self._decided_or_doubt(aborted, deadline))
        except Exception as error:
            raise self._in_doubt(f"the cluster did not answer ({error})") from error

    def _decided_or_doubt(self, decided: Record, deadline: float) -> Work[Record]:
        try:
            return (yield from self._decisions.decide(self.transaction, decided, deadline))
        except Exception as error:
            raise self._in_doubt(f"the cluster did not answer ({error})") from error

    def _decide_to_abort(
        self, writers: list[Participant], failed: Sequence[tuple[Participant, Exception]], deadline: float
    ) -> Work[Record]:
        """Even now it has to be decided: a vote whose answer was lost was perhaps a yes, and somebody who saw
        all branches prepared may have decided to commit."""
        assert self._record is not None
        reason = "; ".join(f"{each.name}: {vote}" for each, vote in failed)
        aborted = self._record.aborted(self._who, reason)
        if all(not isinstance(vote, VotedNo) for _, vote in failed):
            return (yield from self._decided_or_doubt(aborted, deadline))
        try:
            return (yield from self._decisions.decide(self.transaction, aborted, deadline))
        except Exception as error:
            # A branch has rolled back, so nobody can have committed.  The others are left to recovery.
            self.outcome = Outcome.ABORTED
            self.unfinished = tuple(each.name for each in writers)
            log.warning("%s is aborted, and the cluster could not be told: %s", self.transaction, error)
            raise Aborted(reason, self.transaction, self.unfinished) from error

    def _finish(self, writers: list[Participant], standing: Record) -> Work[None]:
        """7 and 8."""
        committed = standing.state is State.COMMITTED
        self.outcome = standing.outcome
        deadline = self._clock() + FINISHING_S
        answers = yield self._in_time(
            writers, deadline, lambda each: each.commit() if committed else each.rollback()
        )
        failures = {each.name: answer for each, answer in zip(writers, answers, strict=True) if answer}
        self.unfinished = tuple(failures)
        if not failures:
            yield Later(self._decisions.forget(self.transaction, deadline))
        for name, failure in failures.items():
            word = standing.state.value
            log.warning("%s is %s, and recovery must tell %s: %s", self.transaction, word, name, failure)

    def _interrupted(self, writers: list[Participant], deadline: float) -> Work[None]:
        assert self._record is not None
        aborted = self._record.aborted(self._who, "the coordinator was interrupted")
        try:
            standing = yield from self._decisions.decide(self.transaction, aborted, deadline)
            yield from self._finish(writers, standing)
        except Exception as error:
            log.warning("%s was interrupted and is left to recovery: %s", self.transaction, error)
