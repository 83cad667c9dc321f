"""Seeds of a random world: first a storm, in which nothing may be broken, then peace, in which all must
heal."""
from __future__ import annotations

import pytest

from agreed.consensus.contract import ContractBroken
from agreed.consensus.multipaxos.invariants import InvariantBroken
from agreed.consensus.multipaxos.multipaxos import MultiPaxos
from agreed.errors import CorruptData
from tests.consensus.multipaxos import mutants
from tests.consensus.multipaxos.nodes import Node
from tests.consensus.multipaxos.world import DuelWorld, World
from tests.consensus.world import LyingDisks

SEEDS = 60
CHUNKS = 3
DUELS = 4
SEEDS_TO_KILL = 25


def play(seed: int, factory: type[MultiPaxos] = MultiPaxos) -> World:
    world = World(seed, size=(3, 3, 3, 5, 2, 1)[seed % 6], factory=factory)
    world.storm(1200)
    world.converge()
    return world


def duel(seed: int, factory: type[MultiPaxos] = MultiPaxos) -> DuelWorld:
    world = DuelWorld(seed, size=(3, 5)[seed % 2], factory=factory)
    world.storm(1200, every_ms=4)
    world.converge()
    return world


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_nothing_chosen_is_ever_unsaid_and_peace_heals_everything(chunk: int) -> None:
    counts: dict[str, int] = {}
    for seed in range(chunk, SEEDS, CHUNKS):
        for what, times in play(seed).counts.items():
            counts[what] = counts.get(what, 0) + times
    assert counts["agreed"] > 150, "a storm in which nothing is agreed on proves nothing"
    for what in ("read", "crash", "snapshot"):
        assert counts.get(what, 0) > 0, f"these storms have no {what}"


def test_duels_have_many_leaders_and_snapshots_that_arrive_before_accepted_slots() -> None:
    leaders = kept = 0
    for seed in range(DUELS):
        world = duel(seed)
        leaders += len(world.cluster.leaders)
        kept += world.counts.get("installed before accepted slots", 0)
    assert leaders > 3 * DUELS
    assert kept > 0, "these are what a log that goes as a whole would lose"


def test_a_run_is_its_seed() -> None:
    def transcript(seed: int) -> list[object]:
        world = play(seed)
        return [world.counts, world.digests, world.now, sorted(world.cluster.leaders.items())]

    assert transcript(8) == transcript(8)
    assert transcript(8) != transcript(14)


@pytest.mark.parametrize(("mutant", "first"), mutants.RANDOM, ids=[m.__name__ for m, _ in mutants.RANDOM])
def test_a_storm_finds_who_breaks_a_rule(mutant: type[MultiPaxos], first: int) -> None:
    with pytest.raises((AssertionError, CorruptData)):
        for seed in range(first, first + SEEDS_TO_KILL):
            play(seed, mutant)


@pytest.mark.parametrize(("mutant", "first"), mutants.DUELS, ids=[m.__name__ for m, _ in mutants.DUELS])
def test_a_duel_finds_who_breaks_a_rule(mutant: type[MultiPaxos], first: int) -> None:
    with pytest.raises((AssertionError, CorruptData)):
        for seed in range(first, first + SEEDS_TO_KILL):
            duel(seed, mutant)


class LyingDiskWorld(LyingDisks[Node], World):
    pass


def test_a_disk_that_lies_is_found_out() -> None:
    with pytest.raises((InvariantBroken, ContractBroken, CorruptData)):
        for seed in range(50):
            LyingDiskWorld(seed, size=3).storm(1200)
