"""The mutants of atomic commit: those of `tests/atomic_commit/mutants.py`, under their numbers.

No cluster stands around them: their worlds have coordinators, participants and disks of their own."""
from __future__ import annotations

from agreed.sim.parts import Parts
from tests.atomic_commit import mutants as of_atomic
from tests.sim.mutants.mutant import Mutant

MUTANTS = [
    Mutant(number, machine, Parts(), (ground,))
    for number, machine, ground in (
        ("T1", of_atomic.T1MissingVoteIsYes, "two-phase"),
        ("T2", of_atomic.T2TellsBeforeTheRecord, "two-phase"),
        ("T2b", of_atomic.TellsWhatItProposes, "replicated"),
        ("T3", of_atomic.T3VotesBeforeTheRecord, "two-phase"),
        ("T4", of_atomic.T4InDoubtRollsBack, "two-phase"),
        ("T5", of_atomic.T5ForgetsAtTheFirstAcknowledgement, "two-phase"),
        ("T6", of_atomic.T6DecidesAgainAfterACrash, "two-phase"),
        ("T6b", of_atomic.TheLastProposalWins, "replicated"),
        ("T7", of_atomic.T7CountsAVoteTwice, "two-phase"),
        ("T8", of_atomic.T8DoesNotTellAgain, "two-phase"),
        ("T8b", of_atomic.T8DoesNotAsk, "two-phase"),
        ("T8c", of_atomic.T8NobodyEndsWhatOthersBegan, "replicated"),
        ("T9", of_atomic.T9TakesUnknownForAborted, "two-phase"),
        ("T9b", of_atomic.PresumesAbort, "replicated"),
        ("T10", of_atomic.T10CommitsWithOneUndecided, "replicated"),
    )
]
