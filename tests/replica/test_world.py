"""Whole clusters through storms, each from its seed: what clients are told is true, and nothing is forgotten.

`AGREED_SEEDS=2000 pytest tests/replica/test_world.py` plays more of them.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

from tests.replica import mutants
from tests.replica.nodes import Weather
from tests.replica.world import World

SEEDS = int(os.environ.get("AGREED_SEEDS", "200"))
CHUNKS = 8
SIZES = (3, 3, 3, 1, 3, 3, 3, 5)


def play(seed: int) -> World:
    world = World(seed, size=SIZES[seed % len(SIZES)])
    world.storm(4_000)
    world.peace()
    return world


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.timeout(60 + SEEDS)
def test_what_clients_are_told_is_true_through_every_storm(chunk: int) -> None:
    counts: Counter[str] = Counter()
    for seed in range(chunk, SEEDS, CHUNKS):
        try:
            counts.update(play(seed).judge.counts)
        except Exception as problem:
            raise AssertionError(f"seed {seed}: {problem}") from problem
    assert counts["created"] > 100, "a storm in which nothing is done proves nothing"
    assert counts["read"] > 100
    assert counts["watch"] > 20


def test_the_storms_have_what_they_are_about() -> None:
    counts: Counter[str] = Counter()
    for seed in range(200, 216):
        counts.update(play(seed).judge.counts)
    for what in ("expired", "deleted", "changed", "session refused", "restored from the leader's snapshot"):
        assert counts[what] > 0, f"these storms have no {what}"


def test_a_run_is_its_seed() -> None:
    def transcript(seed: int) -> list[object]:
        world = play(seed)
        return [world.now, world.judge.counts, world.judge.truth.by_revision, world.judge.truth.digests]

    assert transcript(4) == transcript(4)
    assert transcript(4) != transcript(5)


@pytest.mark.parametrize(("mutant", "seed"), mutants.ALL, ids=[mutant.__name__ for mutant, _ in mutants.ALL])
def test_a_storm_finds_who_breaks_a_rule(mutant: mutants.Mutant, seed: int) -> None:
    with pytest.raises(mutants.NOTICED):
        for each in range(seed, seed + 60):
            mutants.play(mutant, each)


@pytest.mark.parametrize("mutant", sorted(mutants.WEATHERS, key=lambda mutant: mutant.__name__))
def test_it_is_the_broken_rule_that_is_found_and_not_the_weather(mutant: mutants.Mutant) -> None:
    weather = mutants.WEATHERS[mutant]
    for seed in range(3):
        kind = Weather(**{**vars(weather), "disk_lies": False})
        world = World(seed, weather=kind)
        world.storm(4_000)
        world.peace()
