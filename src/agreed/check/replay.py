"""Checks a verdict on linearizability without trusting whoever gave it.

What is used here: the history, `Model.parts`, `Model.effect` (only whether an operation says anything) and
`Model.step`; for counterexamples that begin in the middle, `Model.states`.  Nothing of the search.

* A witness is walked through: each operation once, none before one that had returned when it was called,
  none left out that was answered, and the model takes every step.
* A counterexample is searched, plainly: operations of the piece must happen, all others may or may not.

Each function returns what is wrong, in sentences; nothing if all is well.
"""
from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

from agreed.check.history import History, Operation
from agreed.check.models.model import AnyModel
from agreed.check.verdict import Finding, Outcome, Verdict, Witness

MOST_STEPS = 3_000_000

TOO_MANY_STEPS = "too many steps to tell"


def verdict(
    history: History, model: AnyModel, verdict: Verdict, most_steps: int = MOST_STEPS
) -> list[str]:
    """What is wrong with the proofs that a verdict on linearizability carries."""
    problems = [problem for each in verdict.witnesses for problem in witness(history, model, each)]
    if verdict.outcome is Outcome.HOLDS:
        unproved = set(model.parts(history.operations)) - {each.key for each in verdict.witnesses}
        problems += [f"no witness for {key!r}" for key in sorted(unproved, key=repr)]
    if verdict.outcome is Outcome.VIOLATED:
        problems += [] if verdict.findings else ["violated, and nothing found"]
        for each in verdict.findings:
            problems += counterexample(history, model, each, most_steps)
    return problems


def witness(history: History, model: AnyModel, witness: Witness) -> list[str]:
    """What is wrong with an order that is said to explain all operations of an object."""
    part = _part(history, model, witness.key)
    there = set(witness.order)
    left_out = [each.index for each in part if each.returned is not None and each.index not in there]
    return [f"operation {index} was answered, and is left out" for index in left_out] + list(
        _missteps(part, model, witness)
    )


def attempt(history: History, model: AnyModel, attempt: Witness, culprit: int) -> list[str]:
    """What is wrong with an order that is said to explain all that had returned before the culprit did."""
    part = _part(history, model, attempt.key)
    end = next(each.returned for each in part if each.index == culprit)
    assert end is not None
    there = set(attempt.order)
    left_out = [
        each.index
        for each in part
        if each.returned is not None and each.returned < end and each.index not in there
    ]
    return [f"operation {index} had returned, and is left out" for index in left_out] + list(
        _missteps(part, model, attempt)
    )


def _part(history: History, model: AnyModel, key: Hashable) -> list[Operation]:
    part = model.parts(history.operations).get(key, ())
    return [each for each in part if model.effect(each) is not None]


def _missteps(part: Sequence[Operation], model: AnyModel, order: Witness) -> Iterator[str]:
    by_index = {each.index: each for each in part}
    states: dict[Hashable, None] = {model.initial: None}
    latest_call: int | None = None
    seen: set[int] = set()
    for place, index in enumerate(order.order):
        operation = by_index.get(index)
        if operation is None or index in seen:
            yield f"operation {index} is " + ("there twice" if index in seen else "not of this object")
            return
        seen.add(index)
        latest_call = operation.called if latest_call is None else max(latest_call, operation.called)
        if operation.returned is not None and operation.returned < latest_call:
            yield f"operation {index} comes after one that was called when it had returned"
        states = {after: None for state in states for after in model.step(state, operation)}
        if not states:
            yield f"operation {index} cannot happen there"
            return
        if order.states:
            states = {state: None for state in states if model.show(state) == order.states[place]}
            if not states:
                yield f"after operation {index} the state cannot be {order.states[place]}"
                return


def counterexample(
    history: History, model: AnyModel, finding: Finding, most_steps: int = MOST_STEPS
) -> list[str]:
    """What is wrong with a piece that is said to be impossible."""
    part = _part(history, model, finding.key)
    piece = [each for each in part if each.index in set(finding.operations)]
    if len(piece) < len(finding.operations) or any(each.returned is None for each in piece):
        return ["the piece has operations that are not of this object, or were not answered"]
    if finding.culprit not in finding.operations:
        return ["the operation that cannot be placed is not in the piece"]
    end = max(each.returned for each in piece if each.returned is not None)
    began = min(each.called for each in piece)
    earlier = [each for each in part if each.called <= end]
    starts = [model.initial]
    others = [each for each in earlier if each not in piece]
    if finding.whatever_before:
        everything = model.states(earlier)
        if everything is None:
            return ["this model cannot say what came before"]
        starts = list(everything)
        others = [each for each in others if each.returned is None or each.returned >= began]
    too_many = False
    for freely in (True, False) if model.states(earlier) is not None else (False,):
        trial = _Trial(model, piece, others, freely, most_steps)
        if not any(trial.explains(state) for state in starts):
            return []
        too_many = trial.steps > most_steps
    return [TOO_MANY_STEPS if too_many else "the piece can be explained"]


class _Trial:
    """Every order of the piece, with any of the others in between; or, `freely`, with any of them any number
    of times, which is quickly searched where the states are few, and mostly enough."""

    def __init__(
        self,
        model: AnyModel,
        piece: Sequence[Operation],
        others: Sequence[Operation],
        freely: bool,
        most_steps: int,
    ) -> None:
        self.model = model
        self.operations = [*piece, *others]
        self.must = (1 << len(piece)) - 1
        self.freely = freely
        self.most_steps = most_steps
        self.steps = 0
        self.tried: set[tuple[Hashable, int]] = set()

    def explains(self, start: Hashable) -> bool:
        """Whether the piece can follow `start`.  (True as well when there were too many steps.)"""
        waiting = [(start, 0)]
        while waiting:
            state, done = waiting.pop()
            if (state, done) in self.tried:
                continue
            self.tried.add((state, done))
            if done & self.must == self.must:
                return True
            for number, operation in self._next(done):
                self.steps += 1
                mark = 0 if self.freely and not self.must >> number & 1 else 1 << number
                waiting += [(after, done | mark) for after in self.model.step(state, operation)]
            if self.steps > self.most_steps:
                return True
        return False

    def _next(self, done: int) -> Iterator[tuple[int, Operation]]:
        first_return = min(
            each.returned
            for number, each in enumerate(self.operations)
            if self.must >> number & 1 and not done >> number & 1 and each.returned is not None
        )
        for number, each in enumerate(self.operations):
            if not done >> number & 1 and each.called <= first_return:
                yield number, each
