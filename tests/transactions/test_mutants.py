"""Each rule of the protocol broken by hand: the same worlds in which all is well with the rules find every
one.

What is broken is the shipped code, with one method replaced.
"""
from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest

from agreed.atomic_commit.invariants import InvariantBroken
from agreed.atomic_commit.messages import Vote
from agreed.client.errors import BadVersion, NoNode
from agreed.client.values import Operation
from agreed.transactions.coordinator import Coordinator
from agreed.transactions.databases import Prepared
from agreed.transactions.decisions import RECORDS, Decisions
from agreed.transactions.errors import Forgotten
from agreed.transactions.participants import Participant
from agreed.transactions.pep249 import Pep249Branch
from agreed.transactions.progress import Progress
from agreed.transactions.records import Filed, Record, encode
from agreed.transactions.recovery import Recovery
from agreed.transactions.rounds import Round
from agreed.transactions.work import Together, Work, run
from tests.transactions.test_coordinator import interleavings, pairs
from tests.transactions.worlds import World


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "agreed.transactions")


# --- coordinators -----------------------------------------------------------------------------------------


class PreparesBeforeTheRecord(Coordinator):
    """Recovery finds branches without a record, and rolls them back; then they are "committed"."""

    def _commit_together(self, writers: list[Participant], deadline: float) -> Work[None]:
        yield Together([each.prepare() for each in writers])
        yield from self._begin_record(writers, deadline)
        yield from self._finish(writers, (yield from self._decide_to_commit(writers, deadline)))


class ForgetsTooEarly(Coordinator):
    """The record is gone before every branch is committed: presumed abort then rolls back the rest."""

    def _finish(self, writers: list[Participant], standing: Record) -> Work[None]:
        yield from self._decisions.forget(self.transaction, 0)
        yield from super()._finish(writers, standing)


class ForgetsTheUnfinished(Coordinator):
    """The same where one of them could not be reached."""

    def _finish(self, writers: list[Participant], standing: Record) -> Work[None]:
        yield from super()._finish(writers, standing)
        yield from self._decisions.forget(self.transaction, 0)


class CommitsWhatWasAborted(Coordinator):
    """It does not read what stands."""

    def _decide_to_commit(self, writers: list[Participant], deadline: float) -> Work[Record]:
        yield from super()._decide_to_commit(writers, deadline)
        assert self._record is not None
        return self._record.committed({each.name: Vote.YES for each in writers}, self._who)


class TakesSilenceForYes(Coordinator):
    """A vote whose answer was lost counts."""

    def _decide_to_abort(
        self, writers: list[Participant], failed: Sequence[tuple[Participant, Exception]], deadline: float
    ) -> Work[Record]:
        return (yield from self._decide_to_commit(writers, deadline))


class HidesItsOperations(Coordinator):
    """Somebody else may decide to commit, without what was to happen in the cluster."""

    def _begin_record(self, writers: list[Participant], deadline: float) -> Work[None]:
        hidden, self.operations = self.operations, []
        yield from super()._begin_record(writers, deadline)
        self.operations = hidden


# --- logs of decisions ------------------------------------------------------------------------------------


class DecidesWithoutComparing(Decisions):
    """The last decision stands, not the first."""

    def decide(
        self, transaction: str, decided: Record, deadline: float, operations: Sequence[Operation] = ()
    ) -> Work[Record]:
        yield lambda: self.session.set(f"{RECORDS}/{transaction}", encode(decided))
        return decided

    def forget(self, transaction: str, deadline: float) -> Work[None]:
        try:
            yield lambda: self.session.delete(f"{RECORDS}/{transaction}")
        except NoNode:
            pass


class TakesGoneForAborted(Decisions):
    """What was committed, finished and forgotten before it asked is told to be aborted."""

    def decide(
        self, transaction: str, decided: Record, deadline: float, operations: Sequence[Operation] = ()
    ) -> Work[Record]:
        try:
            return (yield from super().decide(transaction, decided, deadline, operations))
        except Forgotten:
            return decided.aborted("", "gone")


# --- recoveries -------------------------------------------------------------------------------------------


class PresumingCommit(Round):
    """No record: committed?"""

    def _committed(self, transaction: str) -> bool:
        return transaction not in self._records or super()._committed(transaction)


class FinishingTheOpen(Round):
    """It does not wait until an open transaction is decided."""

    def _may_finish(self, transaction: str) -> bool:
        return True


class WaitingForTheDead(Round):
    """An open record stays open."""

    def _aborted_if_old(self, transaction: str, filed: Filed) -> Filed:
        return filed


class ForgettingTheUnseen(Round):
    """A branch that it has not seen prepared is taken for finished: it was prepared a moment later."""

    def _finish_branches(self, transaction: str, record: Record) -> bool:
        return True


class ReadingTheRecordsFirst(Round):
    """A branch that is prepared in between seems to have no record."""

    def _observe(self) -> list[tuple[str, Prepared]]:
        self._now_ms = run(self._decisions.now_ms(self._deadline))
        self._records = run(self._decisions.all(self._deadline))
        return self._look()


# --- each is found ----------------------------------------------------------------------------------------


def found(**mutant: Any) -> bool:
    """Whether any of the worlds sees it."""
    rounds = mutant.pop("rounds", Round)

    class Mutated(Recovery):
        round_class = rounds

    try:
        for beside in interleavings():
            World(recoveries=Mutated, keep_s=0, **mutant).play_beside_recovery(beside)
        for faults in pairs():
            World(*faults, recoveries=Mutated, **mutant).play()
    except (InvariantBroken, BadVersion):  # recovery comes upon a record that was replaced twice
        return True
    return False


COORDINATORS = [
    PreparesBeforeTheRecord,
    ForgetsTooEarly,
    ForgetsTheUnfinished,
    CommitsWhatWasAborted,
    TakesSilenceForYes,
]


@pytest.mark.parametrize("mutant", COORDINATORS)
def test_a_coordinator_that_breaks_a_rule_is_found(mutant: type[Coordinator]) -> None:
    assert found(coordinators=mutant)


def test_a_coordinator_that_hides_what_it_will_do_is_found() -> None:
    assert found(coordinators=HidesItsOperations, operation=True)


@pytest.mark.parametrize("mutant", [DecidesWithoutComparing, TakesGoneForAborted])
def test_a_log_of_decisions_that_breaks_a_rule_is_found(mutant: type[Decisions]) -> None:
    assert found(decisions=mutant)


ROUNDS = [
    PresumingCommit,
    FinishingTheOpen,
    WaitingForTheDead,
    ForgettingTheUnseen,
    ReadingTheRecordsFirst,
]


@pytest.mark.parametrize("mutant", ROUNDS)
def test_a_recovery_that_breaks_a_rule_is_found(mutant: type[Round]) -> None:
    assert found(rounds=mutant)


def test_a_participant_that_believes_its_driver_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(self: Pep249Branch) -> Work[None]:
        yield lambda: self.connection.tpc_prepare()
        self._progress = Progress.PREPARED

    monkeypatch.setattr(Pep249Branch, "prepare", prepare)
    world = World()
    world.servers[1].forgets = True
    with pytest.raises(InvariantBroken, match="AC3"):
        world.play()
