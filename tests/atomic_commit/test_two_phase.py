"""Two-phase commit in random worlds: what it promises, and which mistakes are found (T1 to T9)."""
from __future__ import annotations

import pytest

from agreed.atomic_commit.coordinator import Coordinator
from agreed.atomic_commit.invariants import InvariantBroken
from agreed.atomic_commit.messages import Decision
from agreed.atomic_commit.participant import Participant
from tests.atomic_commit.mutants import (
    ForgetsWhatItDecidedAlone,
    T1MissingVoteIsYes,
    T2TellsBeforeTheRecord,
    T3VotesBeforeTheRecord,
    T4InDoubtRollsBack,
    T5ForgetsAtTheFirstAcknowledgement,
    T6DecidesAgainAfterACrash,
    T7CountsAVoteTwice,
    T8DoesNotAsk,
    T8DoesNotTellAgain,
    T9TakesUnknownForAborted,
)
from tests.atomic_commit.world import World

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
