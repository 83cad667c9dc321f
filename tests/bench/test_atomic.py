"""The overhead of transactions over two databases: how it is added up and shown."""
from __future__ import annotations

import pytest
from bench.atomic import CLIENTS, WAYS, Measured, Overhead, as_text, percentile
from bench.machine import Machine

MACHINE = Machine("processor", 2, 4096, "6.1", "ext4", 100.0)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([5.0], 0.5, 5.0), ([1.0, 2.0, 3.0], 0.5, 2.0), ([1.0, 2.0], 0.99, 2.0), ([1.0, 2.0], 1.0, 2.0)],
)
def test_a_percentile_is_a_value_that_was_measured(
    values: list[float], share: float, expected: float
) -> None:
    assert percentile(values, share) == expected


def test_every_way_stands_beside_two_local_commits_in_the_median_of_the_rounds() -> None:
    measured = [
        Measured(way, clients, 1000 / (number * weight), 1000.0 * number * weight, 2000.0 * number * weight)
        for way, number in zip(WAYS, (1, 2, 4), strict=True)
        for clients in CLIENTS
        for weight in (1, 3, 2)
    ]
    text = as_text(Overhead("today", MACHINE, {"PostgreSQL": "15"}, 3, 1.0, measured))
    ours = next(line for line in text.splitlines() if line.startswith("| agreed, 8"))
    cells = [cell.strip() for cell in ours.strip("|").split("|")]
    assert cells[1:] == ["125", "0.25x", "8.00", "16.00", "4.00x"]
    assert "3 rounds of 1 s" in text
