"""The replayer: it accepts the proofs that are ones, and finds out those that are not."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from agreed.check import linearizable, replay
from agreed.check.history import Operation
from agreed.check.models import AnyModel, Counter, Queue, Register
from agreed.check.verdict import Outcome, Verdict, Witness
from tests.check.told import told

HOLDING = told("a 0-1 write 1 \n b 2-9 write 2 \n c 3-8 read -> 1 \n d 10- write 3 \n e 11-12 read -> 2")
STALE = told("a 0-1 write 1 \n b 2-3 write 2 \n c 4-5 read -> 1 \n d 0- write 4 \n e 0-1 @x read -> None")


def test_what_the_judge_says_is_accepted() -> None:
    for each in (HOLDING, STALE):
        assert replay.verdict(each, Register(), linearizable(each, Register())) == []


def order(*numbers: int, states: tuple[str, ...] = ()) -> Witness:
    return Witness(None, numbers, states)


WITNESSES = {
    "the right one": (order(0, 2, 1, 4), []),
    "with the one that nobody knows of": (order(0, 2, 1, 4, 3), []),
    "with its states": (order(0, 2, 1, 4, states=("1", "1", "2", "2")), []),
    "one is left out": (order(0, 2, 1), ["operation 4 was answered, and is left out"]),
    "the model refuses it": (
        order(0, 1, 2, 4),
        ["operation 2 cannot happen there"],
    ),
    "against the order of time": (
        order(0, 2, 3, 1, 4),
        ["operation 1 comes after one that was called when it had returned"],
    ),
    "one is there twice": (order(0, 2, 2, 1, 4), ["operation 2 is there twice"]),
    "one is of nowhere": (order(0, 99, 2, 1, 4), ["operation 99 is not of this object"]),
    "a state is another": (
        order(0, 2, 1, 4, states=("1", "7", "2", "2")),
        ["after operation 2 the state cannot be 7"],
    ),
}


@pytest.mark.parametrize("story", WITNESSES)
def test_witnesses(story: str) -> None:
    witness, problems = WITNESSES[story]
    assert replay.witness(HOLDING, Register(), witness) == problems


def test_states_that_are_named_are_followed_and_no_others() -> None:
    """After the lost dequeue either may be left; whoever says that it was 2 cannot then take 2."""
    lost = told("a 0-1 enqueue 1 \n a 2-3 enqueue 2 \n b 4- dequeue \n c 5-6 dequeue -> 2")
    fine = order(0, 1, 2, 3, states=("{1: 1}", "{1: 1, 2: 1}", "{2: 1}", "{}"))
    assert replay.witness(lost, Queue(), fine) == []
    wrong = replace(fine, states=("{1: 1}", "{1: 1, 2: 1}", "{1: 1}", "{}"))
    assert replay.witness(lost, Queue(), wrong) == ["operation 3 cannot happen there"]


def test_a_verdict_without_its_proof() -> None:
    assert replay.verdict(HOLDING, Register(), Verdict("x", Outcome.HOLDS)) == ["no witness for None"]
    bare = Verdict("x", Outcome.VIOLATED)
    assert replay.verdict(STALE, Register(), bare) == ["violated, and nothing found"]
    assert replay.verdict(STALE, Register(), Verdict("x", Outcome.UNKNOWN)) == []


def found() -> Any:
    return linearizable(STALE, Register()).findings[0]


PIECES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "one of another object": (
        lambda it: replace(it, operations=[*it.operations, 4]),
        "that are not of this object",
    ),
    "one that was never answered": (
        lambda it: replace(it, operations=[*it.operations, 3]),
        "were not answered",
    ),
    "without the one that cannot be placed": (lambda it: replace(it, culprit=0), "is not in the piece"),
    "one that explains it": (lambda it: replace(it, operations=[2], culprit=2), "the piece can be explained"),
    "the others are not enough": (
        lambda it: replace(it, operations=[0, 1], culprit=1, whatever_before=False),
        "the piece can be explained",
    ),
}


@pytest.mark.parametrize("story", PIECES)
def test_pieces(story: str) -> None:
    change, problem = PIECES[story]
    (said,) = replay.counterexample(STALE, Register(), change(found()))
    assert problem in said


def test_whatever_came_before_is_more_than_some_models_can_say() -> None:
    wrong = told("a 0-1 add 1 \n b 2-3 read -> 0")
    (finding,) = linearizable(wrong, Counter()).findings
    assert replay.counterexample(wrong, Counter(), finding) == []
    claimed = replace(finding, whatever_before=True)
    assert replay.counterexample(wrong, Counter(), claimed) == ["this model cannot say what came before"]


def test_what_depends_on_the_beginning_does_not_hold_whatever_came_before() -> None:
    """From the beginning nobody can read 7; after anything it may have been there."""
    nowhere = told("a 0-1 read -> 7 \n b 2-3 write 7")
    (finding,) = linearizable(nowhere, Register()).findings
    assert replay.counterexample(nowhere, Register(), finding) == []
    claimed = replace(finding, operations=[0], whatever_before=True)
    assert replay.counterexample(nowhere, Register(), claimed) == []

    class Open(Register):
        def states(self, operations: object) -> list[object]:
            return [None, 7]

    assert replay.counterexample(nowhere, Open(), claimed) == ["the piece can be explained"]


def test_an_attempt_explains_all_that_had_returned_before() -> None:
    (finding,) = linearizable(STALE, Register()).findings
    assert finding.attempts
    for each in finding.attempts:
        assert replay.attempt(STALE, Register(), each, 2) == []
    assert replay.attempt(STALE, Register(), order(1), 2) == ["operation 0 had returned, and is left out"]


def test_what_takes_too_many_steps_is_said_so() -> None:
    model: AnyModel = Register()
    (said,) = replay.counterexample(STALE, model, found(), most_steps=1)
    assert said == replay.TOO_MANY_STEPS


def test_an_operation_that_says_nothing_need_not_be_there() -> None:
    silent = told("a 0-1 write 1 \n b 2-3 write 2 !down \n c 4- read")
    assert replay.witness(silent, Register(), order(0)) == []
    assert all(isinstance(each, Operation) for each in silent)
