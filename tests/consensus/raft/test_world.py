"""Seeds of a random world: first a storm, in which nothing may be broken, then peace, in which all must
heal."""
from __future__ import annotations

import msgspec
import pytest

from agreed.consensus.contract import ContractBroken
from agreed.consensus.raft.invariants import InvariantBroken
from agreed.consensus.raft.raft import Raft
from agreed.errors import CorruptData
from tests.consensus.nodes import Disk
from tests.consensus.raft import mutants
from tests.consensus.raft.nodes import CONFIG, Node
from tests.consensus.raft.world import World
from tests.consensus.world import LyingDisks

SEEDS = 160
CHUNKS = 4


def play(seed: int, factory: type[Raft] = Raft) -> World:
    world = World(seed, size=(3, 3, 3, 5, 2, 1)[seed % 6], factory=factory)
    world.storm(1200)
    world.converge()
    return world


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_nothing_agreed_is_ever_unsaid_and_peace_heals_everything(chunk: int) -> None:
    counts: dict[str, int] = {}
    for seed in range(chunk, SEEDS, CHUNKS):
        for what, times in play(seed).counts.items():
            counts[what] = counts.get(what, 0) + times
    assert counts["agreed"] > 200, "a storm in which nothing is agreed on proves nothing"
    for what in ("read", "crash", "snapshot", "installed", "change"):
        assert counts.get(what, 0) > 0, f"these storms have no {what}"


def test_a_run_is_its_seed() -> None:
    def transcript(seed: int) -> list[object]:
        world = play(seed)
        return [world.counts, world.digests, world.now, sorted(world.cluster.leaders.items())]

    assert transcript(8) == transcript(8)
    assert transcript(8) != transcript(14)


@pytest.mark.parametrize(("mutant", "first"), mutants.RANDOM, ids=[m.__name__ for m, _ in mutants.RANDOM])
def test_a_storm_finds_who_breaks_a_rule(mutant: type[Raft], first: int) -> None:
    with pytest.raises(AssertionError):
        for seed in range(first, first + 100):
            play(seed, mutant)


class LyingDiskWorld(LyingDisks[Node], World):
    pass


def test_a_disk_that_lies_is_found_out() -> None:
    with pytest.raises((InvariantBroken, ContractBroken, CorruptData)):
        for seed in range(50):
            world = LyingDiskWorld(seed, size=3)
            world.storm(1200)


class ForgetfulWorld(World):
    """Disks are wiped, and come back under the identity they had."""

    def wipe(self, node: Node) -> None:
        identity, members = node.identity, node.members
        super().wipe(node)
        node.identity, node.members, node.disk = identity, members, Disk()

    def can_lose(self, node: Node) -> bool:
        return True


def test_a_wiped_disk_under_its_old_identity_loses_what_was_agreed() -> None:
    """Not a fault of Raft, but the reason for identities: the world must notice what they prevent."""
    with pytest.raises(AssertionError):
        for seed in range(100):
            world = ForgetfulWorld(seed, size=3)
            world.weather.changes = True
            world.weather.weights["wipe"] = 20
            world.storm(1200)


def test_leases_are_linearizable_as_long_as_clocks_keep_their_bound() -> None:
    """All clocks of this world run at one rate, and drivers tell the time before they ask."""
    config = msgspec.structs.replace(CONFIG, lease_reads=True)
    answered = 0
    for seed in range(20):
        world = World(seed, size=3, config=config)
        world.weather.punctual = True
        world.weather.weights["read"] = 60
        world.storm(1000)
        world.converge()
        answered += world.counts.get("read", 0)
    assert answered > 300
