"""Linearizability by its definition: try every order.  For histories of a few operations, as an oracle.

Of the model it takes `step`, and of `effect` only whether an operation says anything at all.
"""
from __future__ import annotations

from collections.abc import Hashable

from agreed.check.history import History, Operation
from agreed.check.models import AnyModel


def linearizable_by_trying(history: History, model: AnyModel) -> bool:
    """Whether each object of the history (by key) has an order that the model accepts."""
    by_key: dict[Hashable, list[Operation]] = {}
    for operation in history:
        if model.effect(operation) is not None:
            by_key.setdefault(operation.key, []).append(operation)
    return all(_explained(model, model.initial, tuple(each), set()) for each in by_key.values())


def _explained(
    model: AnyModel, state: Hashable, left: tuple[Operation, ...], tried: set[tuple[Hashable, frozenset[int]]]
) -> bool:
    answered = [operation.returned for operation in left if operation.returned is not None]
    if not answered:
        return True
    mark = (state, frozenset(operation.index for operation in left))
    if mark in tried:
        return False
    tried.add(mark)
    for operation in left:
        if operation.called > min(answered):
            continue
        rest = tuple(each for each in left if each is not operation)
        for after in model.step(state, operation):
            if _explained(model, after, rest, tried):
                return True
    return False
