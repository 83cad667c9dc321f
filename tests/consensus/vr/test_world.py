"""Seeds of a random world: first a storm, in which nothing may be broken, then peace, in which all must
heal; with disks, and with crashes that lose them."""
from __future__ import annotations

import pytest

from agreed.consensus.vr.viewstamped import Viewstamped
from tests.consensus.vr import mutants
from tests.consensus.vr.world import DisklessWorld, World


def play(seed: int, factory: type[Viewstamped] = Viewstamped) -> World:
    world = World(seed, size=(3, 3, 3, 5, 2, 1)[seed % 6], factory=factory)
    world.storm(1200)
    world.converge()
    return world


def play_without_disk(seed: int, factory: type[Viewstamped] = Viewstamped) -> World:
    world = DisklessWorld(seed, size=(3, 3, 5)[seed % 3], factory=factory)
    world.storm(1200)
    world.converge()
    return world


@pytest.mark.parametrize("play_one", [play, play_without_disk])
def test_nothing_agreed_is_ever_unsaid_and_peace_heals_everything(play_one: object) -> None:
    counts: dict[str, int] = {}
    assert callable(play_one)
    for seed in range(24):
        for what, times in play_one(seed).counts.items():
            counts[what] = counts.get(what, 0) + times
    assert counts["agreed"] > 100, "a storm in which nothing is agreed on proves nothing"
    for what in ("read", "crash", "snapshot", "installed"):
        assert counts.get(what, 0) > 0, f"these storms have no {what}"


def test_a_run_is_its_seed() -> None:
    def transcript(seed: int) -> list[object]:
        world = play(seed)
        return [world.counts, world.digests, world.now, sorted(world.cluster.began.items())]

    assert transcript(8) == transcript(8)
    assert transcript(8) != transcript(14)


@pytest.mark.parametrize(("mutant", "first"), mutants.RANDOM, ids=[m.__name__ for m, _ in mutants.RANDOM])
def test_a_storm_finds_who_breaks_a_rule(mutant: type[Viewstamped], first: int) -> None:
    with pytest.raises(AssertionError):
        for seed in range(first, first + 60):
            play(seed, mutant)


@pytest.mark.parametrize(
    ("mutant", "first"), mutants.WITHOUT_DISK, ids=[m.__name__ for m, _ in mutants.WITHOUT_DISK]
)
def test_a_storm_without_disks_finds_who_breaks_a_rule(mutant: type[Viewstamped], first: int) -> None:
    with pytest.raises(AssertionError):
        for seed in range(first, first + 60):
            play_without_disk(seed, mutant)
