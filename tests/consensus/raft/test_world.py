"""Seeds of a random world: first a storm, in which nothing may be broken, then peace, in which all must
heal."""
from __future__ import annotations

import pytest

from tests.consensus.raft.world import World

SEEDS = 200


def play(seed: int, **how: object) -> World:
    world = World(seed, size=(3, 3, 3, 5, 2, 1)[seed % 6], **how)  # type: ignore[arg-type]
    world.storm(1200)
    world.converge()
    return world


@pytest.mark.parametrize("chunk", range(8))
def test_whatever_happens_nothing_agreed_is_unsaid_and_peace_heals_all(chunk: int) -> None:
    for seed in range(chunk, SEEDS, 8):
        play(seed)
