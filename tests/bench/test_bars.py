"""The bars: a ratio that misses one is told as missed."""
from __future__ import annotations

import pytest
from bench.bars import judge

from tests.bench.examples import a_measurement, a_result


@pytest.mark.parametrize(("ours", "holds"), [(1499.0, False), (1500.0, True), (4000.0, True)])
def test_throughput_that_is_too_low_misses_its_bar(ours: float, holds: bool) -> None:
    found = [
        a_measurement("ours", "set 50x1", a_result(ours)),
        a_measurement("zookeeper", "set 50x1", a_result(1000.0)),
    ]
    assert [verdict.holds for verdict in judge(found)] == [holds]


@pytest.mark.parametrize(("ours", "holds"), [(90.0, True), (91.0, False)])
def test_a_ceiling_over_latency(ours: float, holds: bool) -> None:
    found = [
        a_measurement("ours", "set 1x1", a_result(p50_us=ours)),
        a_measurement("zookeeper", "set 1x1", a_result(p50_us=100.0)),
    ]
    assert [verdict.holds for verdict in judge(found)] == [holds]


def test_one_lucky_round_does_not_make_a_bar_hold() -> None:
    rounds = [(900.0, 0), (9000.0, 1), (1000.0, 2)]
    found = [a_measurement("ours", "set 50x1", a_result(throughput), n) for throughput, n in rounds]
    found.append(a_measurement("zookeeper", "set 50x1", a_result(1000.0)))
    (verdict,) = judge(found)
    assert (verdict.ratio, verdict.holds) == (1.0, False)


def test_fast_with_errors_is_not_fast() -> None:
    found = [
        a_measurement("ours", "get 10x50", a_result(9000.0, errors=1)),
        a_measurement("zookeeper", "get 10x50", a_result(1000.0)),
    ]
    (verdict,) = judge(found)
    assert not verdict.holds
    assert "errors" in verdict.reason


def test_no_verdict_without_both_systems() -> None:
    assert judge([a_measurement("ours", "set 50x1", a_result())]) == []
