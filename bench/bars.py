"""What is promised against ZooKeeper, and whether it held.

A bar compares the medians of all rounds.  It holds only if the runs were clean: a system that lost
connections or answered with errors has not been fast at what was asked.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

import msgspec

from bench.compare import Measurement
from bench.generator import LoadResult


class Bar(msgspec.Struct, frozen=True):
    """Ours divided by ZooKeeper's must be at least (`at_least`) or at most (not `at_least`) `bound`."""

    case: str
    figure: str
    bound: float
    at_least: bool


class Verdict(msgspec.Struct, frozen=True):
    bar: Bar
    ours: float
    zookeeper: float
    ratio: float
    holds: bool
    reason: str


BARS = (
    Bar("set 50x1", "throughput", 1.5, True),
    Bar("set 10x50", "throughput", 2.5, True),
    Bar("create 50x1", "throughput", 1.5, True),
    Bar("create 10x50", "throughput", 2.5, True),
    Bar("set 51x1 spread", "throughput", 1.2, True),
    Bar("set 12x50 spread", "throughput", 1.2, True),
    Bar("get 50x1", "throughput", 1.5, True),
    Bar("get 10x50", "throughput", 3.0, True),
    Bar("set 1x1", "p50_us", 0.9, False),
    Bar("create 1x1", "p50_us", 0.9, False),
    Bar("get 1x1", "p50_us", 0.9, False),
)


def median(
    found: Sequence[Measurement], system: str, case: str, of: Callable[[LoadResult], float]
) -> float | None:
    values = [of(each.load) for each in found if each.system == system and each.case == case]
    return statistics.median(values) if values else None


def judge(found: Sequence[Measurement]) -> list[Verdict]:
    """Only of cases that both systems went through."""
    verdicts = []
    for bar in BARS:
        ours = median(found, "ours", bar.case, lambda load, bar=bar: getattr(load, bar.figure))  # type: ignore[misc]
        theirs = median(found, "zookeeper", bar.case, lambda load, bar=bar: getattr(load, bar.figure))  # type: ignore[misc]
        if ours is None or theirs is None or not theirs:
            continue
        ratio = ours / theirs
        reached = ratio >= bar.bound if bar.at_least else ratio <= bar.bound
        dirty = [
            each for each in found if each.case == bar.case and each.system == "ours" and not each.load.clean
        ]
        reason = "" if reached else f"{ratio:.2f}x"
        if dirty:
            reason = f"{len(dirty)} runs of ours with errors or lost connections"
        verdicts.append(Verdict(bar, ours, theirs, ratio, reached and not dirty, reason))
    return verdicts
