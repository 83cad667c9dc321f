"""Sets that lose nothing, and registers that agree in the end."""
from __future__ import annotations

import json
import os
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from agreed.check import convergence
from agreed.check.convergence import Fate, converges, elements, set_full
from agreed.check.history import History, Operation, Status, history
from agreed.check.linearizable import linearizable
from agreed.check.models import Set
from agreed.check.verdict import Outcome
from agreed.errors import MalformedInput
from tests.check.cross_check_causal import cross_check
from tests.check.litmus import parsed
from tests.check.weak_histories import Shape, sets


def timed(*told: tuple[str, object, int, int | None]) -> History:
    """(function, element or elements, called, returned), each by a process of its own."""
    return history(
        Operation(
            index=index,
            process=index,
            function=function,
            argument=what if function == "add" else None,
            result=what if function == "read" else None,
            called=called,
            returned=returned,
            status=Status.INFO if returned is None else Status.OK,
        )
        for index, (function, what, called, returned) in enumerate(told)
    )


FATES = {
    "seen by all": (timed(("add", 1, 0, 1), ("read", [1], 2, 3), ("read", [1], 4, 5)), Fate.STABLE),
    "seen while it was added": (timed(("add", 1, 0, 9), ("read", [1], 2, 3)), Fate.STABLE),
    "seen late": (timed(("add", 1, 0, 1), ("read", [], 2, 3), ("read", [1], 4, 5)), Fate.STALE),
    "never seen": (timed(("add", 1, 0, 1), ("read", [], 2, 3)), Fate.LOST),
    "seen and gone": (timed(("add", 1, 0, 1), ("read", [1], 2, 3), ("read", [], 4, 5)), Fate.LOST),
    "gone, or seen by a read that may be later": (
        timed(("add", 1, 0, 1), ("read", [1], 2, 9), ("read", [], 4, 5)),
        Fate.STALE,
    ),
    "added when nobody reads": (timed(("add", 1, 4, 5), ("read", [], 2, 3)), Fate.UNSEEN),
    "added while somebody reads": (timed(("add", 1, 2, 5), ("read", [], 5, 6)), Fate.UNSEEN),
    "unanswered and unseen": (timed(("add", 1, 0, None), ("read", [], 2, 3)), Fate.UNSEEN),
    "unanswered and seen": (timed(("add", 1, 0, None), ("read", [1], 2, 3)), Fate.STABLE),
    "unanswered, seen and gone": (
        timed(("add", 1, 0, None), ("read", [1], 2, 3), ("read", [], 4, 5)),
        Fate.LOST,
    ),
}


@pytest.mark.parametrize("name", FATES)
def test_the_fate_of_an_element(name: str) -> None:
    told, fate = FATES[name]
    assert [element.fate for element in elements(told)] == [fate]
    outcomes = {Fate.STABLE: Outcome.HOLDS, Fate.STALE: Outcome.HOLDS, Fate.LOST: Outcome.VIOLATED}
    assert set_full(told).outcome is outcomes.get(fate, Outcome.UNKNOWN)
    if fate is Fate.STALE:
        assert [finding.name for finding in set_full(told, linearizable=True).findings] == ["stale"]


@pytest.mark.parametrize("name", [name for name, (_, fate) in FATES.items() if fate is Fate.LOST])
def test_a_lost_element_is_shown_by_its_piece_alone(name: str) -> None:
    told, _ = FATES[name]
    finding = set_full(told).findings[0]
    piece = history(each for each in told if each.index in finding.operations)
    assert set_full(piece).findings[0].name == "lost"


def test_recovered_elements_are_counted() -> None:
    told, _ = FATES["unanswered and seen"]
    assert elements(told)[0].recovered
    assert "1 recovered" in set_full(told).reason


def test_how_long_an_element_was_stale() -> None:
    told, _ = FATES["seen late"]
    assert elements(told)[0].stale_for == 1


UNEXPECTED = {
    "nobody added it": (timed(("add", 1, 0, 1), ("read", [1, 2], 2, 3)), "unexpected"),
    "it was added later": (timed(("read", [1], 0, 1), ("add", 1, 2, 3), ("read", [1], 4, 5)), "unexpected"),
    "it is there twice": (timed(("add", 1, 0, 1), ("read", [1, 1], 2, 3)), "duplicate"),
}


@pytest.mark.parametrize("name", UNEXPECTED)
def test_what_should_not_be_there(name: str) -> None:
    told, finding = UNEXPECTED[name]
    assert [each.name for each in set_full(told).findings] == [finding]


def test_an_element_whose_add_surely_failed_is_unexpected() -> None:
    told = timed(("add", 1, 0, 1), ("read", [1], 2, 3))
    failed = history([replace(told.operations[0], status=Status.FAIL), told.operations[1]])
    assert set_full(failed).findings[0].name == "unexpected"


def test_sets_of_different_keys_do_not_know_each_other() -> None:
    add, read = timed(("add", 1, 0, 1), ("read", [], 2, 3)).operations
    other = history([replace(add, key="x"), replace(read, key="y")])
    assert set_full(other).outcome is Outcome.UNKNOWN
    assert set_full(history([replace(add, key="x"), replace(read, key="x")])).findings[0].key == "x"


def test_many_losses_are_counted_and_some_are_shown() -> None:
    adds = [("add", n, n, n) for n in range(300)]
    verdict = set_full(timed(*adds, ("read", [], 400, 401)))
    assert "300 lost" in verdict.reason
    assert len(verdict.findings) == convergence.MOST_FINDINGS


def test_elements_that_can_be_removed_are_not_judged() -> None:
    removed = timed(("add", 1, 0, 1), ("remove", 1, 2, 3), ("read", [], 4, 5))
    verdict = set_full(removed)
    assert verdict.outcome is Outcome.UNKNOWN
    assert "remove" in verdict.reason


def test_a_read_of_a_set_finds_a_list() -> None:
    with pytest.raises(MalformedInput):
        set_full(timed(("read", 7, 0, 1)))


def test_what_is_linearizable_has_lost_nothing() -> None:
    """And of the sets that are not, many are refused here, at much less expense.  (A set that is linearizable
    may be told with an element twice.)"""
    refused = accepted = 0
    for number in range(300):
        told = sets(Random(number), Shape(sessions=3, operations=7))
        holds = linearizable(told, Set()).holds
        found = {finding.name for finding in set_full(told, linearizable=True).findings} - {"duplicate"}
        assert not (holds and found)
        accepted += holds
        refused += bool(found)
    assert min(accepted, refused) > 50


def test_random_sets_are_judged_as_by_brute_force() -> None:
    outcomes = cross_check("set-full", 400, seed=15)
    assert min(outcomes.values()) > 25


HISTORIES = os.environ.get("JUDGED_HISTORIES")


@pytest.mark.skipif(not HISTORIES, reason="JUDGED_HISTORIES names no folder with histories to judge")
def test_the_shared_set_history_is_refused() -> None:
    """It adds pairs, and reads numbers."""
    path = Path(HISTORIES or "") / "elle-cli" / "jepsen" / "set_full.json"
    events = json.loads(path.read_text(encoding="utf-8"))
    called: dict[int, tuple[int, list[int]]] = {}
    operations: list[Operation] = []
    for at, event in enumerate(events):
        if event["type"] == "invoke":
            called[event["process"]] = (at, event["value"])
            continue
        since, asked = called.pop(event["process"])
        adds = event["f"] == "add"
        operations.append(
            Operation(
                index=len(operations),
                process=event["process"],
                function=event["f"],
                argument=asked if adds else None,
                result=None if adds else event["value"],
                called=since,
                returned=at,
                status=Status(event["type"]),
            )
        )
    verdict = set_full(history(operations))
    assert verdict.outcome is Outcome.VIOLATED
    assert "293 lost" in verdict.reason


CONVERGING = {
    "all read the last write": ("x=1 x=2 | y?- y?- x?2 | y?- y?- x?2", Outcome.HOLDS),
    "one is behind for ever": ("x=1 x=2 | y?- y?- x?2 | y?- y?- x?1", Outcome.VIOLATED),
    "one was behind before": ("x=1 x=2 | x?- x?1 x?2 | y?- y?- x?2", Outcome.HOLDS),
    "one changes its mind": ("x=1 | y?- x?1 x?- | y?- y?- x?1", Outcome.VIOLATED),
    "only one looks": ("x=1 x=2 | y?- y?- x?2", Outcome.UNKNOWN),
    "a write may still come": ("x=1 x=2! | y?- y?- x?2 | y?- y?- x?1", Outcome.UNKNOWN),
}


@pytest.mark.parametrize("name", CONVERGING)
def test_registers_agree_in_the_end_or_not(name: str) -> None:
    line, outcome = CONVERGING[name]
    verdict = converges(history(each for each in parsed(line) if each.key == "x"))
    assert verdict.outcome is outcome
    if outcome is Outcome.VIOLATED:
        finding = verdict.findings[0]
        assert finding.name == "diverged"
        piece = history(each for each in parsed(line) if each.index in finding.operations)
        assert converges(piece).outcome is Outcome.VIOLATED


def test_different_questions_have_different_answers() -> None:
    told = [
        Operation(0, 0, "get", "a", "1", 0, 1, Status.OK),
        Operation(1, 1, "get", "b", "2", 2, 3, Status.OK),
        Operation(2, 2, "exists", "a", True, 2, 3, Status.OK),
    ]
    assert converges(history(told)).outcome is Outcome.UNKNOWN


def mistaken_fate(fate: Fate) -> Fate:
    return Fate.STALE if fate is Fate.LOST else fate


@pytest.mark.parametrize("mistake", ["lost is stale", "known too late", "known too early", "all is expected"])
def test_a_mistake_is_found_out(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken judges of sets, against brute force."""
    element = convergence.Element
    match mistake:
        case "lost is stale":
            fate = element.fate.fget  # type: ignore[attr-defined]
            monkeypatch.setattr(element, "fate", property(lambda self: mistaken_fate(fate(self))))
        case "known too late":
            monkeypatch.setattr(element, "is_known", lambda self, by: _known(self, by, by.returned + 1))
        case "known too early":
            monkeypatch.setattr(element, "is_known", lambda self, by: _known(self, by, by.called - 1))
        case "all is expected":
            monkeypatch.setattr(convergence, "_unexpected", lambda told, found: iter(()))
    with pytest.raises(AssertionError):
        cross_check("set-full", 400, seed=15)


def _known(element: convergence.Element, by: Operation, since: int) -> None:
    if element.known is None or since < element.known:
        element.known, element.known_by = since, by
