"""Whole clusters of the other protocols: clean by some seeds, and noticed where a machine is wrong."""
from __future__ import annotations

import pytest

from agreed.consensus.machine import Machine
from agreed.sim.draw import draw
from agreed.sim.parts import Parts
from agreed.sim.plan import PROFILES, FaultKind
from agreed.sim.run import run
from tests.consensus.multipaxos import mutants as of_multipaxos
from tests.consensus.vr import mutants as of_vr
from tests.consensus.zab import mutants as of_zab

OTHERS = [profile for profile in PROFILES if "-" in profile]


@pytest.mark.parametrize("profile", OTHERS)
def test_whole_clusters_keep_their_promises(profile: str) -> None:
    consensus = profile.partition("-")[0]
    asked = 0
    for seed in range(4):
        outcome = run(seed, profile)
        assert outcome.failure is None, outcome.message
        assert outcome.plan.consensus == consensus
        assert outcome.marks["leader elected"] > 0
        asked += len(outcome.history.operations)
    assert asked > 10


def test_nobody_is_asked_to_change_members_that_cannot_be_changed() -> None:
    kinds = {fault.kind for profile in OTHERS for seed in range(40) for fault in draw(seed, profile).faults}
    assert kinds.isdisjoint({FaultKind.ADD, FaultKind.REMOVE, FaultKind.WIPE, FaultKind.ROT})
    assert {FaultKind.KILL, FaultKind.CUT, FaultKind.FAILING_SYNC, FaultKind.TRANSFER} <= kinds


WRONG: list[tuple[type[Machine], str, int, str]] = [
    (of_multipaxos.HalfIsEnough, "multipaxos-network", 0, "uniform agreement"),
    (of_multipaxos.CountsItsOwnVoiceEarly, "multipaxos-network", 0, "our own voice counts once durable"),
    (of_multipaxos.IgnoresWhatWasAccepted, "multipaxos-swarm", 1, "a later ballot proposes what is chosen"),
    (of_multipaxos.SharesBallots, "multipaxos-swarm", 2, "one proposer per ballot"),
    (of_vr.ChoosesAnyOfTheNewestView, "vr-swarm", 3, "uniform agreement"),
    (of_vr.AsksOneTooFew, "vr-swarm", 0, "a copy of what is agreed is never given up"),
    (of_vr.LosesWhatDoesNotFit, "vr-swarm", 1, "a copy of what is agreed is never given up"),
    (of_vr.CountsWhoHasNotJoined, "vr-swarm", 0, "no rest after the storm"),
    (of_zab.ComparesOnlyCounters, "zab-network", 8, "a primary's history has all that was committed"),
]


NAMES = [mutant.__name__ for mutant, _, _, _ in WRONG]


@pytest.mark.parametrize(("mutant", "profile", "seed", "failure"), WRONG, ids=NAMES)
def test_a_wrong_machine_is_noticed(mutant: type[Machine], profile: str, seed: int, failure: str) -> None:
    consensus = profile.partition("-")[0]
    parts = Parts(**{consensus: mutant})  # type: ignore[arg-type]
    assert run(seed, profile, parts=parts).failure == failure
