"""The replayer refuses what is not so: each finding of the gallery, told otherwise."""
from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from agreed.check.history import History
from agreed.check.transactions import Options, list_append
from agreed.check.transactions.replay import problem
from agreed.check.verdict import Finding, Outcome, Verdict, Witness
from tests.check.transactions.story import in_a_row, together
from tests.check.transactions.test_list_append import GALLERY

SERIALIZABLE = Options(models=("serializable",))
DIRECT = ("G1a", "G1b", "future-read", "lost-update", "dirty-update", "garbage-read", "incompatible-order")


def with_findings(verdict: Verdict, *findings: Finding) -> Verdict:
    return msgspec.structs.replace(verdict, findings=findings)


@pytest.mark.parametrize("case", GALLERY)
def test_a_finding_under_another_name_is_refused(case: str) -> None:
    told = GALLERY[case][0]
    verdict = list_append(told, SERIALIZABLE)
    for finding in verdict.findings:
        for name in (
            "G0",
            "G1c",
            "G-single-item",
            "G-nonadjacent-item",
            "G2-item",
            "G2-item-realtime",
            "no-such",
        ):
            if name != finding.name:
                renamed = msgspec.structs.replace(finding, name=name)
                assert problem(told, "append", with_findings(verdict, renamed), SERIALIZABLE) is not None


@pytest.mark.parametrize("name", DIRECT)
def test_what_shows_without_a_circle_must_show(name: str) -> None:
    """Said of two operations that did nothing wrong."""
    told = together("ax1", "rx[1]", "ax2 rx[1 2]")
    for operations in ((0, 1), (1, 0), (1, 2)):
        said = Verdict("", Outcome.VIOLATED, findings=(Finding(name, operations, (), key="x"),))
        assert problem(told, "append", said, SERIALIZABLE) is not None


CIRCLE = in_a_row("ax1 ay1", "rx[1] ry[]")


def changed(change: Callable[[Finding], Finding]) -> str | None:
    verdict = list_append(CIRCLE, SERIALIZABLE)
    return problem(CIRCLE, "append", with_findings(verdict, change(verdict.findings[0])), SERIALIZABLE)


def test_each_side_of_a_circle_must_be_one() -> None:
    replace = msgspec.structs.replace
    assert changed(lambda finding: finding) is None
    for kind in ("ww", "process", "realtime", "magic"):
        sides = [lambda f, at=at, kind=kind: replace(f, cycle=[
            replace(side, kind=kind) if position == at else side for position, side in enumerate(f.cycle)
        ]) for at in (0, 1)]  # fmt: skip
        assert all(changed(side) is not None for side in sides[:1])
    assert "does not come before" in (
        changed(lambda f: replace(f, cycle=[replace(f.cycle[0], key="x"), f.cycle[1]])) or ""
    )
    assert "does not close" in (changed(lambda f: replace(f, cycle=f.cycle[:1])) or "")
    assert "not all named" in (changed(lambda f: replace(f, operations=(1,))) or "")


def test_a_violation_needs_a_finding() -> None:
    assert problem(CIRCLE, "append", Verdict("", Outcome.VIOLATED), SERIALIZABLE) is not None


ORDERS: list[tuple[History, tuple[int, ...], str]] = [
    (together("ax1", "rx[]"), (0, 1), "not all transactions read"),
    (together("ax1", "rx[1]"), (0,), "missing"),
    (together("ax1", "rx[1]"), (0, 1, 1), "twice"),
    (together("ax1", "fail ax2"), (0, 1), "aborted"),
    (in_a_row("ax1", "ay1"), (1, 0), "real time"),
    (in_a_row("p1 ax1", "p1 ay1"), (1, 0), "real time"),
]


@pytest.mark.parametrize(("told", "order", "complaint"), ORDERS)
def test_an_order_must_explain_the_history(told: History, order: tuple[int, ...], complaint: str) -> None:
    said = Verdict("", Outcome.HOLDS, witnesses=(Witness(None, order),))
    assert complaint in (problem(told, "append", said) or "")


def test_sessions_count_where_they_are_asked_for() -> None:
    told = together("0..9 p1 ax1", "9..20 p1 ay1")
    said = Verdict("", Outcome.HOLDS, witnesses=(Witness(None, (1, 0)),))
    assert problem(told, "append", said, SERIALIZABLE) is None
    assert "process" in (
        problem(told, "append", said, Options(models=("strong-session-serializable",))) or ""
    )
