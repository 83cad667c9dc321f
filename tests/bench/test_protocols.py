"""What is said of four protocols that were measured beside each other."""
from __future__ import annotations

import pytest
from bench.compare import Measurement
from bench.protocols import BAR, cost_table, latency_table, missed_bars, throughput_table

from agreed.consensus import protocols
from tests.bench.examples import a_measurement, a_result

FIGURES = {"raft": 1000.0, "multipaxos": 900.0, "vr": 1100.0, "zab": 700.0}


def measured(figures: dict[str, float], errors: int = 0) -> list[Measurement]:
    return [
        a_measurement(name, case, a_result(figure, errors=errors if name == "vr" else 0))
        for name, figure in figures.items()
        for case in ("set 50x1", "create 50x1", "get 1x1")
    ]


def test_each_protocol_has_its_column_and_its_ratio_to_raft() -> None:
    table = throughput_table(measured(FIGURES))
    assert all(name in table.splitlines()[0] for name in protocols.NAMES)
    assert "| set 50x1    | 1,000 | 900 (0.90x) | 1,100 (1.10x) | 700 (0.70x) |" in table
    assert len(latency_table(measured(FIGURES)).splitlines()) == 5
    assert "1500.0" in cost_table(measured(FIGURES))


def test_the_bar_holds_where_none_is_much_slower_than_raft() -> None:
    assert missed_bars(measured(FIGURES)) == []


@pytest.mark.parametrize("name", ["multipaxos", "vr", "zab"])
def test_who_is_slower_than_the_bar_is_named(name: str) -> None:
    slow = measured({**FIGURES, name: 1000.0 * BAR - 1})
    assert [sentence.partition(",")[0] for sentence in missed_bars(slow)] == [name, name]


def test_a_protocol_that_answers_with_errors_has_not_been_fast_at_what_was_asked() -> None:
    sentences = missed_bars(measured(FIGURES, errors=3))
    assert sentences
    assert all(sentence.startswith("vr, ") and "3 errors" in sentence for sentence in sentences)
