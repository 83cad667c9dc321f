"""The mutants that are Multi-Paxoses: those of `tests/consensus/multipaxos/mutants.py`, under their
numbers."""
from __future__ import annotations

from agreed.sim.parts import Parts
from tests.consensus.multipaxos import mutants as of_multipaxos
from tests.sim.mutants.mutant import Mutant

NETWORK, ECHOES, LOSSES = "multipaxos-network", "multipaxos-echoes", "multipaxos-losses"

MUTANTS = [
    Mutant(number, machine, Parts(multipaxos=machine), (ground,))
    for number, machine, ground in (
        ("P1", of_multipaxos.ForgetsItsPromise, NETWORK),
        ("P1b", of_multipaxos.PromisesBeforeItSaves, NETWORK),
        ("P2", of_multipaxos.AcknowledgesBeforeItSaves, NETWORK),
        ("P2b", of_multipaxos.CountsItsOwnVoiceEarly, NETWORK),
        ("P3", of_multipaxos.AcceptsBelowItsPromise, NETWORK),
        ("P4", of_multipaxos.AcceptRaisesNoPromise, NETWORK),
        ("P5", of_multipaxos.LowestBallotWins, NETWORK),
        ("P5b", of_multipaxos.FirstAnswerWins, NETWORK),
        ("P5c", of_multipaxos.MostFrequentWins, NETWORK),
        ("P6", of_multipaxos.IgnoresWhatWasAccepted, NETWORK),
        ("P6b", of_multipaxos.ForgetsItsOwnVoice, NETWORK),
        ("P7", of_multipaxos.ReusesItsBallot, NETWORK),
        ("P8", of_multipaxos.SharesBallots, NETWORK),
        ("P9", of_multipaxos.CountsOtherBallots, ECHOES),
        ("P10", of_multipaxos.HalfIsEnough, NETWORK),
        ("P11", of_multipaxos.LeavesHoles, LOSSES),
        ("P11b", of_multipaxos.ClosesHolesByMovingUp, LOSSES),
        ("P12", of_multipaxos.ReadsBeforePhase1IsDone, NETWORK),
        ("P13", of_multipaxos.TrustsAnyCommit, NETWORK),
    )
]
