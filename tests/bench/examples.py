"""Measurements that nobody made, for tests of what is done with measurements."""

from __future__ import annotations

from bench.compare import Measurement, NodeCost
from bench.generator import LoadResult, Slice


def a_result(
    throughput: float = 1000.0, p50_us: float = 100.0, errors: int = 0, slices: list[Slice] | None = None
) -> LoadResult:
    return LoadResult(
        wall_s=1.0,
        sent=1000,
        answered=1000,
        throughput=throughput,
        p50_us=p50_us,
        p99_us=200.0,
        p999_us=300.0,
        max_us=400.0,
        longest_silence_ms=1.0,
        errors=errors,
        first_error=0,
        lost=0,
        unanswered=0,
        unsent=0,
        cpu_s=0.1,
        cpu_share=0.1,
        busy_share=0.1,
        cpu_us_per_operation=1.0,
        slices=slices or [],
    )


def a_measurement(system: str, case: str, result: LoadResult, round_number: int = 0) -> Measurement:
    nodes = [NodeCost(True, 1.0, 1024), NodeCost(False, 0.5, 2048)]
    return Measurement(system, case, round_number, result, nodes, 1500.0, 0.0, 0)
