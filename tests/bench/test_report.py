"""The tables as people read them."""
from __future__ import annotations

from pathlib import Path

import pytest
from bench.report import PAGE, conduct_table, cost_table, publish, table, throughput_table

from tests.bench.examples import a_measurement, a_result

BOTH = [
    a_measurement("ours", "set 50x1", a_result(3000.0)),
    a_measurement("zookeeper", "set 50x1", a_result(1000.0, errors=3)),
]


def test_only_what_stands_between_the_markers_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    other = "below\n<!-- generated: b -->\n<!-- end: b -->\n"
    page.write_text(f"above\n<!-- generated: a -->\nold\n<!-- end: a -->\n{other}")
    publish("a", "new", page)
    assert page.read_text() == f"above\n<!-- generated: a -->\n\nnew\n\n<!-- end: a -->\n{other}"
    publish("a", "newest", page)
    assert page.read_text() == f"above\n<!-- generated: a -->\n\nnewest\n\n<!-- end: a -->\n{other}"


def test_a_page_without_the_markers_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("prose\n")
    with pytest.raises(ValueError, match="lacks the markers of 'a'"):
        publish("a", "new", page)
    assert page.read_text() == "prose\n"


@pytest.mark.parametrize("name", ["atomic", "comparison", "million", "profile", "protocols"])
def test_the_page_has_a_place_for_each_run(name: str) -> None:
    text = PAGE.read_text()
    assert text.count(f"<!-- generated: {name} -->") == text.count(f"<!-- end: {name} -->") == 1


def test_a_table_lines_up() -> None:
    assert table(["a", "bcd"], [["long", "1"]]).splitlines() == [
        "| a    | bcd |",
        "|------|----:|",
        "| long |   1 |",
    ]


def test_the_ratio_is_ours_to_theirs() -> None:
    assert "3.00x" in throughput_table(BOTH)


def test_one_system_alone_has_no_ratio() -> None:
    assert "x |" not in throughput_table(BOTH[:1]).replace("50x1 |", "")
    assert cost_table(BOTH[:1])


def test_errors_are_shown() -> None:
    row = conduct_table(BOTH).splitlines()[-1].split("|")
    assert row[2].strip() == "3"
