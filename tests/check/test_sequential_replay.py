"""The replayer of sequential orders must not be talked into anything."""
from __future__ import annotations

from msgspec.structs import replace

from agreed.check.history import Operation, Status, history
from agreed.check.models import CasRegister, FifoQueue, Register
from agreed.check.sequential import sequential
from agreed.check.sequential_replay import has_an_order, problem
from agreed.check.verdict import Outcome, Verdict
from tests.check.litmus import GALLERY, TWO_SATISFIABILITY, parsed

GOOD = parsed("x=1 y=1 | y?1 x?1 x=2 | x?2 y?1")
BAD = parsed("a=1 x=1 y=1 | y?1 x?- | a?1")


def test_trying_every_order_says_what_the_theory_says() -> None:
    for litmus in GALLERY:
        if litmus.line != TWO_SATISFIABILITY:
            assert has_an_order(parsed(litmus.line), Register()) is litmus.allows("SC"), litmus.name


def test_a_witness_is_replayed() -> None:
    verdict = sequential(GOOD, Register())
    assert problem(GOOD, Register(), verdict) is None
    order = list(verdict.witnesses[0].order)
    for doctored in (order[:-1], order[1:], [*order, order[0]], order[::-1], [*order, 77]):
        told = replace(verdict, witnesses=(replace(verdict.witnesses[0], order=doctored),))
        assert problem(GOOD, Register(), told) is not None
    assert problem(GOOD, Register(), replace(verdict, witnesses=())) is not None


def test_an_order_in_which_a_client_goes_back_is_refused() -> None:
    told = parsed("x=1 x=2")
    verdict = sequential(told, Register())
    backwards = replace(verdict, witnesses=(replace(verdict.witnesses[0], order=[1, 0]),))
    assert problem(told, Register(), backwards) is not None


def test_evidence_cannot_be_left_out() -> None:
    refused = Operation(0, 0, "cas", (5, 6), None, 0, 1, Status.FAIL)
    verdict = sequential(history([refused]), CasRegister())
    assert problem(history([refused]), CasRegister(), verdict) is None
    empty = replace(verdict, witnesses=(replace(verdict.witnesses[0], order=[]),))
    assert problem(history([refused]), CasRegister(), empty) is not None


def test_a_piece_is_tried_with_every_freedom_for_the_rest() -> None:
    """A dequeue alone is possible if somebody may have enqueued; not if the enqueue surely failed."""
    enqueue = Operation(0, 0, "enqueue", 1, None, 0, 1, Status.OK)
    dequeues = [Operation(n, n, "dequeue", None, 1, 2, 3, Status.OK) for n in (1, 2)]
    told = history([enqueue, *dequeues])
    verdict = sequential(told, FifoQueue())
    assert problem(told, FifoQueue(), verdict) is None
    less = replace(verdict, findings=(replace(verdict.findings[0], operations=(1,)),))
    assert problem(told, FifoQueue(), less) is not None
    failed = history([replace(enqueue, status=Status.FAIL), dequeues[0]])
    assert problem(failed, FifoQueue(), sequential(failed, FifoQueue())) is None


def test_false_verdicts_are_not_believed() -> None:
    order = sequential(GOOD, Register()).witnesses
    assert problem(BAD, Register(), Verdict("SC", Outcome.HOLDS, witnesses=order)) is not None
    findings = sequential(BAD, Register()).findings
    assert problem(GOOD, Register(), Verdict("SC", Outcome.VIOLATED, findings=findings)) is not None
    assert problem(GOOD, Register(), Verdict("SC", Outcome.VIOLATED)) is not None
    assert problem(GOOD, Register(), Verdict("SC", Outcome.UNKNOWN)) is not None
    assert problem(GOOD, Register(), Verdict("SC", Outcome.UNKNOWN, "time")) is None
