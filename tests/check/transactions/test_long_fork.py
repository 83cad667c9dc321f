"""Long forks: two reads of a group, each of which saw what the other did not."""
from __future__ import annotations

from itertools import combinations
from random import Random

import pytest

from agreed.check.history import History
from agreed.check.transactions import long_fork
from agreed.check.verdict import Outcome
from tests.check.transactions.story import together


def test_a_fork_is_told_with_both_reads() -> None:
    verdict = long_fork(together("wx1", "wy1", "rx1 ry_", "ry1 rx_"))
    assert verdict.outcome is Outcome.VIOLATED
    assert "snapshot-isolation" in verdict.ruled_out
    assert "parallel-snapshot-isolation" not in (*verdict.ruled_out, *verdict.also_ruled_out)
    (finding,) = verdict.findings
    assert finding.operations == (2, 3)
    assert finding.steps[0] == "Operation 2 saw x written, and y not yet."


def test_reads_that_agree_hold() -> None:
    assert long_fork(together("wx1", "wy1", "rx_ ry_", "rx1 ry_", "rx1 ry_", "rx1 ry1")).holds


def test_groups_are_apart() -> None:
    assert long_fork(together("rx1 ry_", "rz_ ru1", "rx1 ry1"), group_size=2).holds


UNCLEAR = [
    (together("rx_ ry_", "rx1 ry1"), "some of its keys"),
    (together("wx1", "wx2", "rx1 ry_"), "more than one value"),
    (together("wx1", "wx1", "rx1 ry_"), "written more than once"),
    (together("rx1 ry_", "rx1"), "reads 1 keys, not 2"),
    (together("fail wx1", "info wy1"), "some of its keys"),
]


@pytest.mark.parametrize(("told", "reason"), UNCLEAR)
def test_what_shows_nothing_is_not_known(told: History, reason: str) -> None:
    verdict = long_fork(told, group_size=2)
    assert verdict.outcome is Outcome.UNKNOWN
    assert reason in verdict.reason


def test_it_finds_a_fork_whenever_two_reads_make_one() -> None:
    for seed in range(300):
        random = Random(seed)
        seen = [frozenset(key for key in "xyz" if random.random() < 0.6) for _ in range(random.randint(1, 5))]
        told = together(*(" ".join(f"r{key}{1 if key in keys else '_'}" for key in "xyz") for keys in seen))
        forks = any(not one <= other and not other <= one for one, other in combinations(seen, 2))
        assert (long_fork(told).outcome is Outcome.VIOLATED) == forks
