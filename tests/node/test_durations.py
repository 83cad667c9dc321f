"""Durations in buckets: each counts in the first whose bound it does not exceed."""

from __future__ import annotations

import pytest

from agreed.node.durations import BOUNDS_S, Durations


@pytest.mark.parametrize(
    ("duration_s", "bucket"), [(0.0, 0), (0.001, 0), (0.0011, 1), (0.002, 1), (8.192, 13), (900.0, 14)]
)
def test_where_a_duration_counts(duration_s: float, bucket: int) -> None:
    durations = Durations()
    durations.add(duration_s)
    spread = durations.spread()
    assert spread.counts[bucket] == sum(spread.counts) == 1
    assert len(spread.counts) == len(spread.bounds_s) + 1 == len(BOUNDS_S) + 1
    assert spread.total_s == duration_s
