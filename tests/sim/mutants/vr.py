"""The mutants that are replicas of Viewstamped Replication: those of `tests/consensus/vr/mutants.py`, under
their numbers."""
from __future__ import annotations

from agreed.sim.parts import Parts
from tests.consensus.vr import mutants as of_vr
from tests.sim.mutants.mutant import Mutant

NETWORK = "vr-network"

MUTANTS = [
    Mutant(number, machine, Parts(vr=machine), (ground,))
    for number, machine, ground in (
        ("V1", of_vr.ChoosesTheLongest, NETWORK),
        ("V2", of_vr.ChoosesAnyOfTheNewestView, NETWORK),
        ("V3", of_vr.AsksOneTooFew, NETWORK),
        ("V4", of_vr.AcknowledgesOverAGap, NETWORK),
        ("V5", of_vr.TakesPreparesOfOldViews, NETWORK),
        ("V6", of_vr.RecoversWithoutThePrimary, "diskless"),
        ("V7", of_vr.VotesWhileItRecovers, "diskless"),
        ("V8", of_vr.AlwaysTheSameNonce, "haunted"),
        ("V9", of_vr.CutsBackToItsCommitNumber, NETWORK),
        ("V10", of_vr.RenumbersWhatItTakesOver, NETWORK),
        ("V10b", of_vr.LosesWhatDoesNotFit, NETWORK),
        ("V11", of_vr.ForgetsItsView, NETWORK),
    )
]
