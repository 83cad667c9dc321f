"""Registers: what shows by itself, and what only shows by what may be taken for granted."""
from __future__ import annotations

from typing import Any

import pytest

from agreed.check.history import History
from agreed.check.transactions import Options, rw_register
from agreed.check.transactions.replay import problem
from agreed.check.verdict import Outcome, Verdict
from tests.check.transactions.story import in_a_row, together


def judged(told: History, *models: str, **granted: Any) -> Verdict:
    options = Options(models=models, **granted)
    verdict = rw_register(told, options)
    assert problem(told, "w", verdict, options) is None
    return verdict


def names(verdict: Verdict) -> set[str]:
    return {finding.name for finding in verdict.findings}


GALLERY = {
    "G1a": (together("fail wx1", "rx1"), {"G1a"}, {"read-committed"}),
    "G1b": (together("wx1 wx2", "rx1"), {"G1b"}, {"read-committed"}),
    "G1c": (together("wx1 ry1", "wy1 rx1"), {"G1c"}, {"read-committed"}),
    "G-single: sees one write of a transaction and misses the other": (
        together("wx1 wy1", "rx1 ry_"),
        {"G-single-item"},
        {"consistent-view", "repeatable-read"},
    ),
    "G-nonadjacent: a long fork": (
        together("wx1", "wy1", "rx1 ry_", "ry1 rx_"),
        {"G-nonadjacent-item"},
        {"snapshot-isolation", "repeatable-read"},
    ),
    "G2: write skew": (together("rx_ wy1", "ry_ wx1"), {"G2-item"}, {"repeatable-read"}),
    "lost update": (
        together("wx1", "rx1 wx2", "rx1 wx3"),
        {"lost-update"},
        {"update-atomic", "cursor-stability"},
    ),
    "internal: reads something else than it wrote": (
        together("wx1 rx2", "wx2"),
        {"internal"},
        {"read-atomic"},
    ),
    "internal: reads twice and differently": (
        together("rx_ rx1", "wx1"),
        {"internal", "G-single-item"},
        {"read-atomic", "consistent-view", "repeatable-read"},
    ),
    "future read": (together("rx1 wx1"), {"future-read"}, {"read-committed"}),
}


@pytest.mark.parametrize("case", GALLERY)
def test_the_gallery(case: str) -> None:
    told, anomalies, ruled_out = GALLERY[case]
    verdict = judged(told, "serializable")
    assert verdict.outcome is Outcome.VIOLATED
    assert names(verdict) == anomalies
    assert set(verdict.ruled_out) == ruled_out


NEIGHBOURS = {
    "G1b, but the last value": together("wx1 wx2", "rx2"),
    "G1c, but only one reads the other": together("wx1 ry_", "wy1 rx1"),
    "G-single, but misses both": together("wx1 wy1", "rx_ ry_"),
    "G2, but the second sees the first": together("rx_ wy1", "ry1 wx1"),
    "lost update, but the second read the first": together("wx1", "rx1 wx2", "rx2 wx3"),
    "internal, with its own write": together("wx1 rx1 wx2 rx2", "rx2"),
    "nobody knows, and somebody read it": together("info wx1", "rx1"),
}


@pytest.mark.parametrize("case", NEIGHBOURS)
def test_what_is_near_to_it_holds_and_has_an_order(case: str) -> None:
    verdict = judged(NEIGHBOURS[case], "serializable")
    assert verdict.outcome is Outcome.HOLDS
    assert len(verdict.witnesses) == 1


STALE = in_a_row("wx1", "wx2", "p1 rx1")
BACK = in_a_row("p1 wx1", "p1 wx2", "p1 rx1")
OVERWRITTEN = together("wy1", "ry1 wx1 wy2", "rx1 ry1")
CROSSED = in_a_row("p0 wx1 wy2", "p1 wx2 wy1", "p0 rx2", "p1 ry2")
SERVED = together("rev2 rx_ wy2", "rev1 wx3 wy4")
DENIED = together("rev2 wx1", "rev1 rx1 wx2")
FOLLOW = {"writes_follow_reads_keys": True}
GRANTED: list[tuple[str, History, dict[str, Any], set[str]]] = [
    ("a read, then a write: the write is later", OVERWRITTEN, FOLLOW, {"G-single-item"}),
    ("a process goes back", BACK, {"sequential_keys": True}, {"cyclic-versions"}),
    ("time goes back", STALE, {"linearizable_keys": True}, {"cyclic-versions"}),
    ("each overwrites the other, as its process says", CROSSED, {"sequential_keys": True}, {"G0"}),
    ("the server says which write was first", SERVED, {}, {"G-single-item"}),
    ("the server contradicts the reads", DENIED, FOLLOW, {"cyclic-versions"}),
]


@pytest.mark.parametrize(("case", "told", "granted", "anomalies"), GRANTED)
def test_what_is_granted_finds_more(
    case: str, told: History, granted: dict[str, Any], anomalies: set[str]
) -> None:
    assert names(judged(told, "serializable", **granted)) == anomalies, case
    assert not names(judged(told, "serializable", revisions=False)), case


def test_without_reasons_a_wrong_history_holds_and_has_no_order() -> None:
    """T2 reads y=1, which T1 has overwritten; but who says that 2 came after 1?"""
    verdict = judged(together("wy1", "ry1 wx1 wy2", "rx1 ry1"), "serializable")
    assert verdict.holds
    assert not verdict.witnesses
    assert verdict.reason == "nothing was found that it forbids"


def test_garbage_is_judged_where_all_writes_are_recorded() -> None:
    told = together("wx1", "rx2", "rx1")
    assert judged(told, "serializable").holds
    verdict = judged(told, "serializable", garbage_reads=True)
    assert names(verdict) == {"garbage-read"}
    assert verdict.ruled_out == ("read-uncommitted",)


def test_a_value_of_unknown_origin_still_has_its_place() -> None:
    """Nobody wrote the 2 read between 1 and 3; the reader of 1 still comes before the writer of 3."""
    told = in_a_row("p0 wx1", "p0 rx2", "p0 wx3 wy1", "p1 ry1 rx1")
    assert names(judged(told, "serializable", sequential_keys=True)) == {"G-single-item"}


def test_versions_that_hang_on_an_unknown_write_are_no_cyclic_versions() -> None:
    """If the write aborted, nobody went back: but then what was aborted was read."""
    told = in_a_row("info wx1", "p1 rx1", "p1 rx_")
    verdict = judged(told, "strict-serializable", linearizable_keys=True)
    assert "cyclic-versions" not in names(verdict)
    assert verdict.outcome is Outcome.VIOLATED


def test_nothing_may_not_be_written() -> None:
    verdict = rw_register(together("wx_", "rx_"))
    assert verdict.outcome is Outcome.UNKNOWN
    assert "nothing that was there in the beginning" in verdict.reason


def test_values_may_be_what_they_like_if_they_are_unique() -> None:
    assert rw_register(together("wx1", "wx1", "rx1")).outcome is Outcome.UNKNOWN
