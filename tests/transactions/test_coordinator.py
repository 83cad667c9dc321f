"""The protocol at every point where something can go wrong: all databases commit, or none, and nothing stays.

Exhaustively: for each call that a coordinator makes, each thing that can happen there, and each two of them.
"""
from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from random import Random

import pytest

from tests.transactions.worlds import FAULTS, Beside, Fault, World


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "agreed.transactions")


@lru_cache
def calls() -> int:
    """Of a transaction with which nothing goes wrong."""
    world = World()
    assert world.play() == "committed"
    return world.calls


def singles() -> list[Fault]:
    """Each thing at each place; some places are only reached because something has gone wrong before."""
    return [(place, what) for place in range(1, calls() + 6) for what in FAULTS]


def pairs() -> Iterator[tuple[Fault, ...]]:
    """One thing, and two at two places.  After death nothing comes."""
    for one in singles():
        yield (one,)
        if not one[1].startswith("dies"):
            yield from ((one, other) for other in singles() if other[0] > one[0])


def interleavings() -> Iterator[Beside]:
    """Every part of a transaction between every two calls of a round of recovery."""
    last = calls() + 2
    for before in range(last):
        for place in range(1, 12):
            for during in range(1, last - before):
                for late, dies in product((False, True), repeat=2):
                    yield Beside(before, place, during, late, dies)


def test_when_nothing_goes_wrong_both_commit_and_the_log_of_decisions_is_empty() -> None:
    world = World()
    assert world.play() == "committed"
    assert all(world.transaction in each.committed for each in world.servers)


@pytest.mark.parametrize("place", [0, 1])
def test_who_cannot_prepare_takes_the_other_along(place: int) -> None:
    world = World()
    world.servers[place].refuses = True
    assert world.play() == "aborted"
    assert not any(each.committed for each in world.servers)


def test_who_says_that_it_has_prepared_and_has_not_does_not_count() -> None:
    """As PostgreSQL does with a transaction that has failed, for a driver that does not look."""
    world = World()
    world.servers[1].forgets = True
    assert world.play() == "aborted"


def test_whatever_two_things_happen_wherever_all_commit_or_none() -> None:
    ends: Counter[str] = Counter()
    for faults in pairs():
        told = World(*faults).play()
        # Nobody stays in doubt, unless the whole story was over before he asked.
        assert told != "in doubt, forgotten" or "late recovery" in [what for _, what in faults], faults
        ends[told] += 1
    assert set(ends) == {"committed", "aborted", "died", "interrupted", "in doubt, forgotten"}


@pytest.mark.parametrize("seed", range(0, 500, 100))
def test_the_same_where_anything_happens_at_once(seed: int) -> None:
    for one in range(seed, seed + 100):
        dice = Random(one)
        faults = [(dice.randint(1, 30), dice.choice(FAULTS)) for _ in range(dice.randint(3, 6))]
        world = World(*faults, operation=dice.random() < 0.5, keep_s=dice.choice([0.0, 1000.0]))
        world.servers[1].refuses = dice.random() < 0.1
        world.servers[0].forgets = dice.random() < 0.1
        world.play()


def test_the_same_where_one_of_them_cannot_prepare() -> None:
    for fault in singles():
        world = World(fault)
        world.servers[1].refuses = True
        assert world.play() in ("aborted", "died", "interrupted", "in doubt, forgotten"), fault


def test_the_same_where_one_of_them_prepares_nothing() -> None:
    for fault in singles():
        world = World(fault)
        world.servers[1].forgets = True
        assert world.play() in ("aborted", "died", "interrupted", "in doubt, forgotten"), fault


def test_the_same_where_the_cluster_takes_part() -> None:
    """What it is to do happens in the instant of the decision; nobody else decides to commit without it."""
    for fault in singles():
        World(fault, operation=True).play()
    for each in interleavings():
        World(keep_s=0, operation=True).play_beside_recovery(each)


def test_whatever_recovery_sees_of_a_transaction_that_goes_on_meanwhile() -> None:
    for each in interleavings():
        told = World(keep_s=0).play_beside_recovery(each)
        assert told == "committed" or each.late or each.dies, each
