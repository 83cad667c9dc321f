"""The replayer must not be talked into anything: true verdicts with false proofs, and false verdicts."""
from __future__ import annotations

import pytest
from msgspec.structs import replace

from agreed.check.causal import Kind, causal
from agreed.check.causal_replay import Definition, explainable, problem
from agreed.check.history import History
from agreed.check.models import Register
from agreed.check.sequential import sequential
from agreed.check.verdict import Finding, Outcome, Verdict, Witness
from tests.check.litmus import GALLERY, TWO_SATISFIABILITY, Litmus, parsed

KINDS: tuple[Kind, ...] = ("CC", "CCv", "CM", "PRAM")
ALL: tuple[Definition, ...] = (*KINDS, "SC")
SMALL = [each for each in GALLERY if each.line != TWO_SATISFIABILITY]


@pytest.mark.parametrize("litmus", SMALL, ids=lambda litmus: litmus.name)
def test_the_definitions_say_what_the_theory_says(litmus: Litmus) -> None:
    for kind in ALL:
        assert explainable(parsed(litmus.line).operations, kind) is litmus.allows(kind), kind


def judged(history: History, kind: Definition) -> Verdict:
    return sequential(history, Register()) if kind == "SC" else causal(history, kind)


GOOD = parsed("x=1 y=1 | y?1 x?1 x=2 | x?2 y?1")


@pytest.mark.parametrize("kind", ALL)
def test_a_witness_is_replayed(kind: Definition) -> None:
    verdict = judged(GOOD, kind)
    assert problem(GOOD, kind, verdict) is None
    first, *others = verdict.witnesses
    order = list(first.order)
    for doctored in (order[:-1], order[1:], [*order, order[0]], [*order[::-1]], [*order, 77]):
        told = replace(verdict, witnesses=(replace(first, order=doctored), *others))
        assert problem(GOOD, kind, told) is not None, doctored
    assert problem(GOOD, kind, replace(verdict, witnesses=())) is not None
    assert problem(GOOD, kind, replace(verdict, witnesses=(first, first, *others))) is not None


def swapped(verdict: Verdict, one: int, other: int) -> Verdict:
    first, *others = verdict.witnesses
    names = {one: other, other: one}
    return replace(
        verdict, witnesses=(replace(first, order=[names.get(each, each) for each in first.order]), *others)
    )


def test_an_order_must_decide_every_read() -> None:
    """Two writes that nobody orders but the read: the other order does not explain it."""
    told = parsed("x=1 | x=2 | x?1 x?2")
    kinds: tuple[Definition, ...] = ("CCv", "SC")
    for kind in kinds:
        verdict = judged(told, kind)
        assert problem(told, kind, verdict) is None
        assert problem(told, kind, swapped(verdict, 0, 1)) is not None


@pytest.mark.parametrize("kind", ["CM", "PRAM"])
def test_a_view_must_show_the_session_what_it_saw(kind: Kind) -> None:
    told = parsed("x?1 x?2 | x=1 | x=2")
    verdict = causal(told, kind)
    assert problem(told, kind, verdict) is None
    first = verdict.witnesses[0]
    reads = [each.index for each in told if each.function == "read"]
    writes = [each.index for each in told if each.function == "write"]
    late = replace(first, order=[*reads, *writes])
    early = replace(first, order=[*writes, *reads])
    for doctored in (late, early, replace(first, order=reads), replace(first, key=7)):
        assert problem(told, kind, replace(verdict, witnesses=(doctored, *verdict.witnesses[1:]))) is not None


BAD = parsed("a=1 x=1 y=1 | y?1 x?- | a?1")


@pytest.mark.parametrize("kind", ALL)
def test_a_piece_is_tried(kind: Definition) -> None:
    verdict = judged(BAD, kind)
    assert problem(BAD, kind, verdict) is None
    finding = verdict.findings[0]
    for place in range(len(finding.operations)):
        less = (*finding.operations[:place], *finding.operations[place + 1 :])
        assert problem(BAD, kind, replace(verdict, findings=(replace(finding, operations=less),))) is not None
    for doctored in ((0, 77), (*finding.operations, finding.operations[0])):
        told = replace(verdict, findings=(replace(finding, operations=doctored),))
        assert problem(BAD, kind, told) is not None
    assert problem(BAD, kind, replace(verdict, findings=())) is not None


def test_a_false_verdict_is_not_believed() -> None:
    holds = Verdict("CC", Outcome.HOLDS, witnesses=(Witness(None, [each.index for each in BAD]),))
    assert problem(BAD, "CC", holds) is not None
    violated = Verdict("CC", Outcome.VIOLATED, findings=(Finding("x", [each.index for each in GOOD], ()),))
    assert problem(GOOD, "CC", violated) is not None


def test_what_is_unknown_needs_a_reason() -> None:
    assert problem(GOOD, "CC", Verdict("CC", Outcome.UNKNOWN)) is not None
    assert problem(GOOD, "CC", Verdict("CC", Outcome.UNKNOWN, "values")) is None
