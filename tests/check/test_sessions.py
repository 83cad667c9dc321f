"""The four session guarantees: by the revisions that servers tell, and by who read what from whom."""
from __future__ import annotations

import pytest
from msgspec.structs import replace

from agreed.check import sessions as sessions_module
from agreed.check.history import History, Operation, Status, history
from agreed.check.session_values import GUARANTEES, Guarantee
from agreed.check.sessions import session_guarantees
from agreed.check.verdict import Outcome
from tests.check.cross_check_causal import cross_check
from tests.check.litmus import GALLERY, Litmus, parsed
from tests.check.weak_definitions import guarantees_kept


def numbered(*told: tuple[int, str, int | None]) -> History:
    """(process, what, revision), one after the other, of one object whose values nobody tells."""
    functions = {"read": "exists", "write": "set"}
    return history(
        Operation(
            index, process, functions[what], 0, None, 2 * index, 2 * index + 1, Status.OK, revision=revision
        )
        for index, (process, what, revision) in enumerate(told)
    )


BY_REVISION: dict[str, tuple[History, str]] = {
    "reads go on": (numbered((0, "read", 3), (0, "read", 3), (0, "read", 4)), ""),
    "reads go back": (numbered((0, "read", 4), (0, "read", 3)), "monotonic-reads"),
    "reads go back after a while": (
        numbered((0, "read", 4), (0, "read", 5), (0, "read", 4)),
        "monotonic-reads",
    ),
    "others may be behind": (numbered((0, "read", 4), (1, "read", 3)), ""),
    "its own write is there": (numbered((0, "write", 4), (0, "read", 4)), ""),
    "its own write is not there": (numbered((0, "write", 4), (0, "read", 3)), "read-your-writes"),
    "writes in order": (numbered((0, "write", 4), (0, "write", 5)), ""),
    "writes out of order": (numbered((0, "write", 4), (0, "write", 3)), "monotonic-writes"),
    "two writes at one place": (numbered((0, "write", 4), (0, "write", 4)), "monotonic-writes"),
    "a write after what was read": (numbered((0, "read", 4), (0, "write", 5)), ""),
    "a write before what was read": (numbered((0, "read", 4), (0, "write", 3)), "writes-follow-reads"),
    "a write at what was read": (numbered((0, "read", 4), (0, "write", 4)), "writes-follow-reads"),
    "revisions that are missing say nothing": (
        numbered((0, "read", 4), (0, "read", None), (0, "read", 5)),
        "",
    ),
    "... but do not hide the others": (
        numbered((0, "read", 4), (0, "read", None), (0, "read", 3)),
        "monotonic-reads",
    ),
}


@pytest.mark.parametrize("name", BY_REVISION)
def test_by_revision(name: str) -> None:
    told, broken = BY_REVISION[name]
    verdict = session_guarantees(told)
    if not broken:
        assert verdict.outcome is not Outcome.VIOLATED
        return
    assert [finding.name for finding in verdict.findings] == [broken]
    piece = history(each for each in told if each.index in verdict.findings[0].operations)
    assert len(piece) == 2
    assert [finding.name for finding in session_guarantees(piece).findings] == [broken]
    others = [each for each in GUARANTEES if each != broken]
    assert session_guarantees(told, others).outcome is not Outcome.VIOLATED


def test_without_a_revision_on_every_answer_and_with_values_written_twice_it_is_not_known() -> None:
    lines = parsed("x=1 | x=1 | x?1")
    assert session_guarantees(lines).outcome is Outcome.UNKNOWN
    known = history(replace(each, revision=each.called) for each in lines)
    assert session_guarantees(known).holds


def test_every_broken_guarantee_is_found_once() -> None:
    told = numbered(
        *((0, "read", revision) for revision in (9, 8, 7)),
        *((0, "write", revision) for revision in (6, 5)),
        *((1, what, revision) for what, revision in (("write", 9), ("read", 8))),
    )
    assert sorted(each.name for each in session_guarantees(told).findings) == sorted(GUARANTEES)


BY_VALUE = [
    ("x=1 x?-", "read-your-writes"),
    ("x=1 x=2 x?1", "read-your-writes"),
    ("x=1 | x?1 x?-", "monotonic-reads"),
    ("x=1 x=2 | x?2 x?1", "monotonic-reads"),
    ("x=1 y=1 | y?1 x?-", "monotonic-writes"),
    ("x=1 x=2 y=1 | y?1 x?1", "monotonic-writes"),
    ("x=1 | x?1 y=1 | y?1 x?-", "writes-follow-reads"),
    ("x?1 x=1", "CyclicCO"),
    ("x?1", "ThinAirRead"),
]


@pytest.mark.parametrize(("line", "broken"), BY_VALUE)
def test_by_value(line: str, broken: str) -> None:
    told = parsed(line)
    verdict = session_guarantees(told)
    assert [finding.name for finding in verdict.findings] == [broken]
    piece = [each for each in told if each.index in verdict.findings[0].operations]
    assert not guarantees_kept(piece, GUARANTEES)


@pytest.mark.parametrize(
    ("line", "enough"),
    [
        ("x=1 x?-", ["read-your-writes"]),
        ("x=1 | x?1 x?-", ["monotonic-reads"]),
        ("x=1 y=1 | y?1 x?-", ["monotonic-reads", "monotonic-writes"]),
        ("x=1 | x?1 y=1 | y?1 x?-", ["monotonic-reads", "writes-follow-reads"]),
    ],
)
def test_a_break_needs_the_guarantees_that_it_breaks(line: str, enough: list[Guarantee]) -> None:
    assert session_guarantees(parsed(line), enough).outcome is Outcome.VIOLATED
    for left_out in enough:
        assert session_guarantees(parsed(line), [each for each in GUARANTEES if each != left_out]).holds


@pytest.mark.parametrize("litmus", GALLERY, ids=lambda litmus: litmus.name)
def test_all_four_together_are_causal_consistency(litmus: Litmus) -> None:
    assert session_guarantees(parsed(litmus.line)).holds is litmus.allows("CC")


def test_revisions_tell_which_of_two_values_is_older() -> None:
    """Nothing else orders the two writes: without revisions the reader may have seen them in this order."""
    told = parsed("x=1 | x=2 | x?2 x?1")
    assert session_guarantees(told).holds
    newer = [replace(each, revision={1: 1, 2: 2}.get(int(str(each.argument or 0)))) for each in told]
    verdict = session_guarantees(history(newer))
    assert [finding.name for finding in verdict.findings] == ["monotonic-reads"]


def test_what_surely_failed_and_what_was_not_answered_break_nothing() -> None:
    told = numbered((0, "read", 5), (0, "read", 3))
    failed = history([told.operations[0], replace(told.operations[1], status=Status.FAIL)])
    assert session_guarantees(failed).outcome is not Outcome.VIOLATED


def test_what_was_refused_has_no_place_of_its_own() -> None:
    """Two creations of one node: the second is told that it is there, at the same revision."""
    told = numbered((0, "write", 4), (0, "write", 4))
    first, second = told.operations
    assert session_guarantees(told).outcome is Outcome.VIOLATED
    for refused in (replace(second, error="NodeExists"), replace(second, result=False)):
        assert session_guarantees(history([first, refused])).holds
        behind = history([first, replace(refused, revision=3)])
        assert [each.name for each in session_guarantees(behind).findings] == ["read-your-writes"]


def test_too_many_writes_are_not_judged_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions_module, "MOST_WRITES", 1)
    verdict = session_guarantees(parsed("x=1 x=2 | x?2"))
    assert verdict.outcome is Outcome.UNKNOWN
    assert "memory" in verdict.reason


@pytest.mark.parametrize("kind", ["sessions", "revisions"])
def test_random_histories_are_judged_as_by_brute_force(kind: str) -> None:
    outcomes = cross_check(kind, 300, seed=14)
    assert min(outcomes[Outcome.HOLDS], outcomes[Outcome.VIOLATED]) > 25
