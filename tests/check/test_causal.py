"""Causal consistency in its four strengths: what each allows, what each refuses, and the piece that shows
it."""
from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from agreed.check.causal import Kind, causal
from agreed.check.causal_replay import problem
from agreed.check.history import History, Operation, Status, history
from agreed.check.linearizable import linearizable
from agreed.check.models.register import Register
from agreed.check.sequential import sequential
from agreed.check.verdict import Outcome
from agreed.errors import MalformedInput
from tests.check.cross_check_causal import cross_check
from tests.check.litmus import GALLERY, Litmus, parsed
from tests.check.weak_definitions import possible_in_some_causal_order
from tests.check.weak_histories import Shape, registers

KINDS: tuple[Kind, ...] = ("CC", "CCv", "CM", "PRAM")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("litmus", GALLERY, ids=lambda litmus: litmus.name)
def test_each_model_allows_what_it_should(litmus: Litmus, kind: Kind) -> None:
    history = parsed(litmus.line)
    verdict = causal(history, kind)
    assert verdict.outcome is (Outcome.HOLDS if litmus.allows(kind) else Outcome.VIOLATED)
    assert problem(history, kind, verdict) is None


@pytest.mark.parametrize("litmus", [each for each in GALLERY if each.pattern], ids=lambda litmus: litmus.name)
def test_what_is_wrong_has_the_name_of_its_pattern(litmus: Litmus) -> None:
    refused_by = next(kind for kind in KINDS if not litmus.allows(kind))
    finding = causal(parsed(litmus.line), refused_by).findings[0]
    assert finding.name == litmus.pattern
    assert finding.steps


def test_every_boundary_between_models_has_an_example() -> None:
    """For each model, one history that it alone refuses of those next to it."""
    for weaker, stronger in (("CC", "CCv"), ("CC", "CM"), ("CCv", "CM"), ("CM", "CCv"), ("PRAM", "CC")):
        assert any(each.allows(weaker) and not each.allows(stronger) for each in GALLERY), (weaker, stronger)
    for stronger in ("CCv", "CM", "PRAM"):
        assert any(each.allows(stronger) and not each.allows("SC") for each in GALLERY), stronger


def test_a_finding_is_a_circle_where_it_is_one() -> None:
    """A stale message: client 1 saw y, which was written after x, and then x as it was before."""
    finding = causal(parsed("x=1 y=1 | y?1 x?-"), "CC").findings[0]
    sides = [(side.before, side.kind, side.after, side.key) for side in finding.cycle]
    assert sides == [(0, "process", 1, None), (1, "wr", 2, "y"), (2, "process", 3, None), (3, "rw", 0, "x")]


@pytest.mark.parametrize("litmus", GALLERY, ids=lambda litmus: litmus.name)
def test_circles_close(litmus: Litmus) -> None:
    for kind in KINDS:
        for finding in causal(parsed(litmus.line), kind).findings:
            around = pairwise([*finding.cycle, *finding.cycle[:1]])
            assert all(side.after == following.before for side, following in around)
            assert {side.before for side in finding.cycle} <= set(finding.operations)


def test_a_piece_is_as_small_as_it_can_be_in_a_long_history() -> None:
    """Five hundred good operations before and after, by the same clients; four are enough to see it."""
    good = [f"a={n} a?{n}" for n in range(1, 126)]
    line = f"{' '.join(good)} x=1 x?2 b=1 | {' '.join('a?' + str(n) for n in range(1, 126))} x=2 x?1 b?1"
    verdict = causal(parsed(line), "CCv")
    assert verdict.findings[0].name == "CyclicCF"
    assert len(verdict.findings[0].operations) == 4
    assert problem(parsed(line), "CCv", verdict) is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_that_was_written_twice_and_read_leaves_it_open(kind: Kind) -> None:
    verdict = causal(parsed("x=1 y=1 | x=1 | x?1"), kind)
    assert verdict.outcome is Outcome.UNKNOWN
    assert "written more than once" in verdict.reason


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_that_was_written_twice_and_not_read_does_no_harm(kind: Kind) -> None:
    assert causal(parsed("x=1 x=3 | x=1 x=2 | x?2"), kind).holds


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_surely_wrong_is_found_beside_what_is_not_known(kind: Kind) -> None:
    verdict = causal(parsed("x=1 y=5 | x=1 | x?1 | y?5 y?-"), kind)
    assert verdict.outcome is Outcome.VIOLATED


@pytest.mark.parametrize("kind", KINDS)
def test_other_kinds_of_operations_leave_it_open(kind: Kind) -> None:
    """A compare-and-set may have written what the read found, or not."""
    read, write = parsed("x?1 | x=2").operations
    cas = Operation(7, 7, "cas", (2, 1), True, 0, 1, Status.OK, key="x")
    assert causal(history([read, write]), kind).outcome is Outcome.VIOLATED
    verdict = causal(history([read, write, cas]), kind)
    assert verdict.outcome is Outcome.UNKNOWN
    assert "cas" in verdict.reason
    elsewhere = causal(history([read, write, replace(cas, key="y")]), kind)
    assert elsewhere.outcome is Outcome.VIOLATED, "that of another key says nothing of this one"


def test_registers_may_begin_with_another_value() -> None:
    line = parsed("x?7 x=1 x?1 | x?7")
    assert causal(line, "CM").outcome is Outcome.VIOLATED
    assert causal(line, "CM", initial=7).holds


def test_an_answer_that_nobody_looked_at_says_nothing() -> None:
    assert causal(parsed("x=1 x?-"), "CC", initial=0).holds


def test_values_must_be_comparable() -> None:
    strange = Operation(0, 0, "write", bytearray(b"a"), None, 0, 1, Status.OK, key="x")
    with pytest.raises(MalformedInput):
        causal(history([strange]), "CC")


@pytest.mark.parametrize("kind", KINDS)
def test_the_empty_history_is_in_order(kind: Kind) -> None:
    assert causal(History(()), kind).holds


@pytest.mark.parametrize("kind", ["CC", "CCv", "CM", "PRAM"])
def test_random_histories_are_judged_as_by_brute_force(kind: str) -> None:
    outcomes = cross_check(kind, 250, seed=11)
    assert min(outcomes[Outcome.HOLDS], outcomes[Outcome.VIOLATED]) > 25


@pytest.mark.parametrize("kind", ["CC", "CM", "CCv"])
def test_the_least_causal_order_serves_if_any_does(kind: Kind) -> None:
    """What the definition leaves open, a theorem settles: here all partial orders are tried."""
    for number in range(120):
        each = registers(Random(number), Shape(operations=4, sessions=3, keys=2, lost=0.0, failed=0.0))
        assert possible_in_some_causal_order(each, kind) is causal(each, kind).holds


HISTORIES = os.environ.get("JUDGED_HISTORIES")


@pytest.mark.skipif(not HISTORIES, reason="JUDGED_HISTORIES names no folder with histories to judge")
def test_shared_litmus_histories_get_their_verdicts() -> None:
    lines = (Path(HISTORIES or "") / "causal" / "litmus.jsonl").read_text(encoding="utf-8").splitlines()
    judged = 0
    for line in lines:
        told = json.loads(line)
        each = _shared(told)
        for kind in KINDS:
            verdict = causal(each, kind)
            assert verdict.holds is told["verdict"][kind], (told["name"], kind)
            assert problem(each, kind, verdict) is None, (told["name"], kind)
        verdict = sequential(each, Register())
        assert verdict.holds is told["verdict"]["SC"], told["name"]
        assert problem(each, "SC", verdict) is None, told["name"]
        if "LIN" in told["verdict"]:
            assert linearizable(each, Register()).holds is told["verdict"]["LIN"], told["name"]
        judged += 1
    assert judged == 295


def _shared(told: dict[str, object]) -> History:
    sessions, times = told["sessions"], told["times"]
    assert isinstance(sessions, list)
    operations: list[Operation] = []
    for process, session in enumerate(sessions):
        for place, (what, key, value) in enumerate(session):
            span = times[f"{process}.{place}"] if isinstance(times, dict) else (2 * place, 2 * place + 1)
            writes = what == "w"
            operations.append(
                Operation(
                    index=len(operations),
                    process=process,
                    function="write" if writes else "read",
                    argument=value if writes else None,
                    result=None if writes else value,
                    called=span[0],
                    returned=span[1],
                    status=Status.OK,
                    key=key,
                )
            )
    return history(operations)
