"""Checks what `sequential` says, without trusting it: only the model and the history are asked.

An order that is to explain a history is replayed.  A piece that is to have no order is tried in all of them
at once, state by state: all others that may have happened are given the freedom to have happened or not.
That is a search without any shortcut, so it is for small histories.
"""
from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence

from agreed.check.history import History, Operation, Process, Status
from agreed.check.models.model import AnyModel
from agreed.check.sequential_search import unanswered
from agreed.check.verdict import Finding, Outcome, Verdict, Witness


def problem(history: History, model: AnyModel, verdict: Verdict) -> str | None:
    """What does not stand of a verdict of `sequential`; None if all does."""
    match verdict.outcome:
        case Outcome.UNKNOWN:
            return None if verdict.reason else "it is unknown, and not said why"
        case Outcome.HOLDS:
            if len(verdict.witnesses) != 1:
                return "there should be one order"
            return _of_witness(history, model, verdict.witnesses[0])
        case Outcome.VIOLATED:
            if not verdict.findings:
                return "it is violated, and not said by what"
            told_wrong = (_of_finding(history, model, finding) for finding in verdict.findings)
            return next((wrong for wrong in told_wrong if wrong), None)


def _object(model: AnyModel, operations: Sequence[Operation]) -> dict[int, Hashable]:
    """By index: which of several independent objects an operation is about."""
    parts = model.parts(operations)
    if sum(map(len, parts.values())) != len(operations):
        return dict.fromkeys((each.index for each in operations), None)
    return {each.index: key for key, part in parts.items() for each in part}


def _of_witness(history: History, model: AnyModel, witness: Witness) -> str | None:
    told = {each.index: each for each in history if model.effect(each) is not None}
    order = [told[index] for index in witness.order if index in told]
    if len(order) != len(set(witness.order)) or len(order) != len(witness.order):
        return "the order has an operation twice, or one that says nothing"
    needed = {each.index for each in told.values() if each.status is not Status.INFO}
    if needed - set(witness.order):
        return f"the order lacks operation {min(needed - set(witness.order))}"
    last: dict[Process, int] = {}
    for operation in order:
        if last.get(operation.process, operation.called) > operation.called:
            return f"operation {operation.index} stands after a later one of its client"
        last[operation.process] = operation.called
    objects = _object(model, history.operations)
    states: dict[Hashable, set[Hashable]] = {}
    for operation in order:
        about = objects[operation.index]
        before = states.get(about, {model.initial})
        states[about] = {after for state in before for after in model.step(state, operation)}
        if not states[about]:
            return f"operation {operation.index} is not possible there"
    return None


def _of_finding(history: History, model: AnyModel, finding: Finding) -> str | None:
    said = set(finding.operations)
    if len(said) != len(finding.operations) or said - {each.index for each in history}:
        return "the piece names an operation twice, or one that is not there"
    return "the piece has an order" if has_an_order(history, model, said) else None


def has_an_order(history: History, model: AnyModel, said: Collection[int] | None = None) -> bool:
    """Whether those answers (of all operations, if None) have an order, whatever became of the others."""
    sessions: dict[Process, list[tuple[Operation, bool]]] = {}
    for operation in history:
        ignored = said is not None and operation.index not in said
        if ignored and operation.status is Status.FAIL:
            continue
        free = ignored or operation.status is Status.INFO
        each = unanswered(operation) if free else operation
        if model.effect(each) is not None:
            sessions.setdefault(operation.process, []).append((each, free))
    objects = _object(model, history.operations)
    lines = list(sessions.values())
    names = sorted(set(map(repr, objects.values())))
    number = {index: names.index(repr(key)) for index, key in objects.items()}
    here = {((0,) * len(lines), (model.initial,) * len(names))}
    been = set(here)
    while here:
        there: set[tuple[tuple[int, ...], tuple[Hashable, ...]]] = set()
        for positions, states in here:
            if all(done == len(line) for done, line in zip(positions, lines, strict=True)):
                return True
            for session, line in enumerate(lines):
                if positions[session] == len(line):
                    continue
                operation, free = line[positions[session]]
                later = (*positions[:session], positions[session] + 1, *positions[session + 1 :])
                if free:
                    there.add((later, states))
                about = number[operation.index]
                for after in model.step(states[about], operation):
                    there.add((later, (*states[:about], after, *states[about + 1 :])))
        here = there - been
        been |= here
    return False
