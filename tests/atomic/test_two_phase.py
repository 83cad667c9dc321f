"""Two-phase commit in random worlds: what it promises, and which mistakes are found (T1 to T9)."""
from __future__ import annotations

from collections.abc import Iterable

import pytest

from agreed.atomic.coordinator import Coordinator, Telling
from agreed.atomic.invariants import InvariantBroken
from agreed.atomic.messages import (
    Committed,
    Decided,
    Decision,
    Finished,
    Prepared,
    Record,
    Vote,
    Voted,
)
from agreed.atomic.participant import InDoubt, Participant
from agreed.atomic.voting import Poll
from tests.atomic.world import World

SEEDS = 40
SEEDS_FOR_A_MUTANT = 80


def test_all_or_nothing_in_a_storm() -> None:
    decided = {Decision.COMMIT: 0, Decision.ABORT: 0}
    for seed in range(SEEDS):
        world = World(seed).run()
        world.check()
        for seen in world.witness.seen.values():
            for decision in set(seen.decided.values()):
                decided[decision] += 1
    assert min(decided.values()) > SEEDS, "a storm in which everything ends the same way shows little"


def test_what_can_commit_does_where_nothing_fails() -> None:
    for seed in range(10):
        World(seed, faults=False).run().check()


# --- mutants ----------------------------------------------------------------------------------------------


class T1MissingVoteIsYes(Coordinator):
    def _close(self, poll: Poll) -> None:
        if self._now >= poll.deadline:
            for each in poll.missing():
                poll.count(each, Vote.YES)
        super()._close(poll)


class T2TellsBeforeTheRecord(Coordinator):
    def _commit(self, record: Committed) -> None:
        super()._commit(record)
        self._tell(record)


class T3VotesBeforeTheRecord(Participant):
    def _save_before_vote(self, record: Prepared) -> None:
        super()._save_before_vote(record)
        self._send(record.coordinator, Voted(record.transaction, Vote.YES))


class T4InDoubtRollsBack(Participant):
    def _ask(self, transaction: str, doubt: InDoubt) -> None:
        self._decided(self.node, transaction, Decision.ABORT)


class T5ForgetsAtTheFirstAcknowledgement(Coordinator):
    def _acknowledge(self, source: str, transaction: str) -> None:
        if transaction in self._telling:
            self._telling[transaction].unacknowledged.clear()
        super()._acknowledge(source, transaction)


class T6DecidesAgainAfterACrash(Coordinator):
    def _recover(self, records: Iterable[Record]) -> None:
        pass


class T7CountsAVoteTwice(Coordinator):
    def _receive(self, source: str, message: object) -> None:
        if isinstance(message, Voted) and message.vote != Vote.NO:
            poll = self._polls.get(message.transaction)
            if poll is not None and source in poll.votes:
                poll.count(poll.missing()[0], Vote.YES)
        super()._receive(source, message)


class T8DoesNotTellAgain(Coordinator):
    def _tell_again(self, transaction: str, telling: Telling) -> None:
        telling.retry_at = self._now + self.retry_ms


class T8DoesNotAsk(Participant):
    def _ask(self, transaction: str, doubt: InDoubt) -> None:
        doubt.retry_at = self._now + self.retry_ms


class T9TakesUnknownForAborted(Participant):
    def _inquired_of_nothing(self, source: str, transaction: str) -> None:
        self._send(source, Decided(transaction, Decision.ABORT))


class ForgetsWhatItDecidedAlone(Participant):
    def _recover(self, records: Iterable[Record]) -> None:
        super()._recover(each for each in records if not (isinstance(each, Finished) and each.alone))


MUTANTS = [
    (T1MissingVoteIsYes, "AC3"),
    (T2TellsBeforeTheRecord, "AC1"),
    (T3VotesBeforeTheRecord, "AC1"),
    (T4InDoubtRollsBack, "AC1"),
    (T5ForgetsAtTheFirstAcknowledgement, "AC1"),
    (T6DecidesAgainAfterACrash, "AC1"),
    (T7CountsAVoteTwice, "AC3"),
    (T8DoesNotTellAgain, "AC5"),
    (T8DoesNotAsk, "AC5"),
    (T9TakesUnknownForAborted, "AC1"),
    (ForgetsWhatItDecidedAlone, "AC5"),
]


def broken_by(mutant: type[Coordinator] | type[Participant], seed: int) -> str:
    """Which invariant; empty if none."""
    try:
        if issubclass(mutant, Coordinator):
            World(seed, coordinator=mutant).run().check()
        else:
            World(seed, participant=mutant).run().check()
    except InvariantBroken as broken:
        return str(broken)[:3]
    return ""


@pytest.mark.parametrize(("mutant", "invariant"), MUTANTS)
def test_mistakes_are_found(mutant: type[Coordinator] | type[Participant], invariant: str) -> None:
    assert any(broken_by(mutant, seed) == invariant for seed in range(SEEDS_FOR_A_MUTANT))
