"""Seeds of a random world: first a storm, in which nothing may be broken, then peace, in which all must
heal."""
from __future__ import annotations

import pytest

from agreed.consensus.zab.zab import Zab
from agreed.errors import CorruptData
from tests.consensus.world import LyingDisks
from tests.consensus.zab import mutants
from tests.consensus.zab.nodes import Node
from tests.consensus.zab.world import World, rough_weather

SEEDS = 48


def play(seed: int, factory: type[Zab] = Zab) -> World:
    world = World(seed, size=(3, 3, 3, 5, 2, 1)[seed % 6], factory=factory)
    world.storm(1200)
    world.converge()
    return world


def test_nothing_agreed_is_ever_unsaid_and_peace_heals_everything() -> None:
    counts: dict[str, int] = {}
    epochs = 0
    for seed in range(SEEDS):
        world = play(seed)
        epochs += len(world.cluster.established)
        for what, times in world.counts.items():
            counts[what] = counts.get(what, 0) + times
    assert counts["agreed"] > 150, "a storm in which nothing is agreed on proves nothing"
    assert epochs > 40, "nor does one in which nobody is replaced"
    for what in ("read", "crash", "snapshot", "installed"):
        assert counts.get(what, 0) > 0, f"these storms have no {what}"


def test_a_run_is_its_seed() -> None:
    def transcript(seed: int) -> list[object]:
        world = play(seed)
        return [world.counts, world.digests, world.now, sorted(world.cluster.established.items())]

    assert transcript(8) == transcript(8)
    assert transcript(8) != transcript(14)


@pytest.mark.parametrize(("mutant", "first"), mutants.RANDOM, ids=[m.__name__ for m, _ in mutants.RANDOM])
def test_a_storm_finds_who_breaks_a_rule(mutant: type[Zab], first: int) -> None:
    with pytest.raises(AssertionError):
        for seed in range(first, first + 30):
            play(seed, mutant)


def play_rough(seed: int, factory: type[Zab] = Zab) -> World:
    world = World(seed, size=(3, 5, 5)[seed % 3], factory=factory, weather=rough_weather(seed))
    world.storm(1500)
    world.converge()
    return world


def test_short_epochs_in_rough_weather() -> None:
    assert sum(len(play_rough(seed).cluster.established) for seed in range(6)) > 10


@pytest.mark.parametrize(("mutant", "seed"), mutants.ROUGH, ids=[m.__name__ for m, _ in mutants.ROUGH])
def test_rough_weather_finds_who_breaks_a_rule(mutant: type[Zab], seed: int) -> None:
    with pytest.raises(AssertionError):
        for later in range(seed, seed + 8):
            play_rough(later, mutant)


class LyingDiskWorld(LyingDisks[Node], World):
    pass


def test_a_disk_that_lies_is_found_out() -> None:
    with pytest.raises((AssertionError, CorruptData)):
        for seed in range(30):
            LyingDiskWorld(seed, size=3).storm(1200)
