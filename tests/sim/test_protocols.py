"""Whole clusters of the other protocols: clean by some seeds, and noticed where a machine is wrong."""
from __future__ import annotations

import pytest

from agreed.consensus.machine import Machine
from agreed.sim.draw import draw
from agreed.sim.parts import Parts
from agreed.sim.plan import PROFILES, FaultKind
from agreed.sim.run import SHIPPED, run
from tests.consensus.multipaxos import mutants as of_multipaxos
from tests.consensus.vr import mutants as of_vr
from tests.sim.mutants import ALL
from tests.sim.mutants.grounds import GROUNDS, play, shipped

OTHERS = [profile for profile in PROFILES if profile.startswith(("multipaxos-", "vr-", "zab-"))]

NEAR = 6
"""Seeds that are tried, from the one that is known on."""


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


KILLED: list[tuple[str, str, int]] = [
    ("P1", "multipaxos-network", 20000),
    ("P1b", "multipaxos-network", 10000),
    ("P2", "multipaxos-network", 10000),
    ("P2b", "multipaxos-network", 10000),
    ("P3", "multipaxos-network", 20013),
    ("P4", "multipaxos-network", 10000),
    ("P5", "multipaxos-network", 10010),
    ("P5b", "multipaxos-network", 10010),
    ("P5c", "multipaxos-network", 10010),
    ("P6", "multipaxos-network", 2),
    ("P6b", "multipaxos-network", 10004),
    ("P7", "multipaxos-network", 10000),
    ("P8", "multipaxos-network", 20003),
    ("P9", "multipaxos-echoes", 0),
    ("P10", "multipaxos-network", 20000),
    ("P11", "multipaxos-losses", 20002),
    ("P11b", "multipaxos-losses", 20002),
    ("P12", "multipaxos-network", 10002),
    ("P13", "multipaxos-network", 20003),
    ("V1", "vr-network", 33),
    ("V2", "vr-network", 1),
    ("V3", "vr-network", 10001),
    ("V4", "vr-network", 20001),
    ("V5", "vr-network", 20005),
    ("V6", "diskless", 10001),
    ("V7", "diskless", 20019),
    ("V8", "haunted", 1),
    ("V9", "vr-network", 10002),
    ("V10", "vr-network", 1),
    ("V10b", "vr-network", 20005),
    ("V11", "vr-network", 20000),
    ("Z1", "zab-network", 20035),
    ("Z2", "zab-network", 0),
    ("Z3", "zab-network", 20040),
    ("Z4", "zab-network", 23),
    ("Z5", "zab-network", 5),
    ("Z6", "zab-network", 0),
    ("Z7", "zab-minorities", 0),
    ("Z8", "zab-network", 20009),
    ("Z9", "zab-network", 0),
    ("Z10", "zab-network", 0),
    ("Z11", "zab-network", 20001),
    ("T1", "two-phase", 20000),
    ("T2", "two-phase", 20035),
    ("T2b", "replicated", 10000),
    ("T3", "two-phase", 0),
    ("T4", "two-phase", 10000),
    ("T5", "two-phase", 20009),
    ("T6", "two-phase", 20032),
    ("T6b", "replicated", 10001),
    ("T7", "two-phase", 0),
    ("T8", "two-phase", 0),
    ("T8b", "two-phase", 0),
    ("T8c", "replicated", 20001),
    ("T9", "two-phase", 20002),
    ("T9b", "replicated", 20000),
    ("T10", "replicated", 0),
]


@pytest.mark.parametrize(("number", "ground", "seed"), KILLED, ids=[number for number, _, _ in KILLED])
def test_who_is_wrong_is_noticed(number: str, ground: str, seed: int) -> None:
    """By this seed, or one of the next where a run has become another one since it was chosen; and in the
    very run in which it is noticed, who is right is not."""
    mutant = ALL[number]
    near = range(seed, seed + NEAR)
    noticed = [each for each in near if play(ground, each, mutant.parts, mutant.part) is not None][:1]
    assert noticed
    assert play(ground, noticed[0], SHIPPED, shipped(mutant.part)) is None


def test_everybody_has_a_seed() -> None:
    assert [number for number, _, _ in KILLED] == [number for number in ALL if number[0] in "PVZT"]


BEYOND: list[tuple[type[Machine], str, int]] = [
    (of_multipaxos.CountsHalfAnAnswer, "multipaxos-network", 2),
    (of_multipaxos.CountsOverHoles, "multipaxos-network", 1),
    (of_multipaxos.TakesAcceptedForChosen, "multipaxos-network", 1),
    (of_multipaxos.CommitsWhatIsOnlyInMemory, "multipaxos-network", 1),
    (of_multipaxos.ReadsWithoutAsking, "multipaxos-network", 3),
    (of_multipaxos.KeepsNoBallots, "multipaxos-network", 1),
    (of_vr.CountsWhoHasNotJoined, "vr-swarm", 0),
]
"""Mistakes that the list does not have."""


@pytest.mark.parametrize(("wrong", "profile", "seed"), BEYOND, ids=[each[0].__name__ for each in BEYOND])
def test_a_mistake_beyond_the_list_is_noticed(wrong: type[Machine], profile: str, seed: int) -> None:
    parts = Parts(**{profile.partition("-")[0]: wrong})  # type: ignore[arg-type]
    assert any(play(profile, each, parts, wrong) is not None for each in range(seed, seed + NEAR))


@pytest.mark.parametrize("ground", [ground for ground in GROUNDS if ground not in PROFILES])
def test_who_is_right_is_not_accused(ground: str) -> None:
    for part in {shipped(mutant.part) for mutant in ALL.values() if ground in mutant.profiles}:
        for seed in range(1):
            assert play(ground, seed, SHIPPED, part) is None
