"""A few worlds of each recipe; and that they would find what there is to find.

`python -m tests.recipes.world` plays as many as one likes.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.recipes.world.mutants import MUTANTS, Mutant
from tests.recipes.world.plays import PLAYS
from tests.recipes.world.virtual import Spinning, Standstill, run
from tests.recipes.world.world import play

SEEDS = range(1, 5)
FOUND_WITHIN = range(1, 60)


@pytest.mark.parametrize("name", PLAYS)
def test_all_is_as_it_should_be(name: str) -> None:
    for seed in SEEDS:
        assert play(PLAYS[name], seed).findings == [], f"{name}, seed {seed}"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.play}: {mutant.mistake}")
def test_a_mistake_is_found(mutant: Mutant) -> None:
    with mutant.at_work():
        assert any(play(PLAYS[mutant.play], seed).findings for seed in FOUND_WITHIN)


def test_each_judge_has_something_to_refuse() -> None:
    assert {mutant.play for mutant in MUTANTS} == set(PLAYS)


def test_a_world_is_the_same_again() -> None:
    for name in ("barrier", "queue"):
        one, other = (play(PLAYS[name], 7) for _ in range(2))
        assert one.stage.log == other.stage.log
        assert list(map(str, one.told)) == list(map(str, other.told))


def test_nobody_waits_for_virtual_time_and_nobody_waits_for_ever() -> None:
    async def an_hour() -> float:
        await asyncio.sleep(3600.0)
        return asyncio.get_running_loop().time()

    async def for_ever() -> None:
        await asyncio.Event().wait()

    async def spins() -> None:
        while True:
            await asyncio.sleep(0)

    assert run(1, an_hour()) == 4600.0
    with pytest.raises(Standstill):
        run(1, for_ever())
    with pytest.raises(Spinning):
        run(1, spins())
