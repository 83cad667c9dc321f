"""The mutants that are ZABs: those of `tests/consensus/zab/mutants.py`, under their numbers."""
from __future__ import annotations

from agreed.sim.parts import Parts
from tests.consensus.zab import mutants as of_zab
from tests.sim.mutants.mutant import Mutant

NETWORK, MINORITIES = "zab-network", "zab-minorities"

MUTANTS = [
    Mutant(number, machine, Parts(zab=machine), (ground,))
    for number, machine, ground in (
        ("Z1", of_zab.SettlesBeforeItHasTheHistory, NETWORK),
        ("Z2", of_zab.AcknowledgesBeforeItIsSynchronized, NETWORK),
        ("Z3", of_zab.ComparesOnlyCounters, NETWORK),
        ("Z4", of_zab.CountsOnFromItsOwnEpoch, NETWORK),
        ("Z5", of_zab.SkipsWhatIsProposedMeanwhile, NETWORK),
        ("Z6", of_zab.TellsOldCommits, NETWORK),
        ("Z7", of_zab.KeepsItsMemory, MINORITIES),
        ("Z8", of_zab.KeepsWhatConflicts, NETWORK),
        ("Z9", of_zab.DeliversOutOfOrder, NETWORK),
        ("Z10", of_zab.ForgetsAcceptedEpoch, NETWORK),
        ("Z11", of_zab.ReadsItsOwnCommit, NETWORK),
    )
]
