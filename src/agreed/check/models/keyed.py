"""Many objects of one kind as one object, by `Operation.key`.

Linearizability needs none of this: it is judged object by object.  Sequential consistency and its relatives
are not local; a history of two registers can be inconsistent though each of them is consistent.
"""
from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from agreed.check.history import Operation
from agreed.check.models.model import AnyModel, Model
from agreed.check.models.values import Map


class Keyed(Model[Map]):
    """One object of `model` for each key."""

    def __init__(self, model: AnyModel) -> None:
        self.model = model
        self.name = model.name

    @property
    def initial(self) -> Map:
        return Map()

    def effect(self, operation: Operation) -> Hashable:
        effect = self.model.effect(operation)
        return None if effect is None else (operation.key, effect)

    def step(self, state: Map, operation: Operation) -> Sequence[Map]:
        before = state.get(operation.key, self.model.initial)
        return [state.with_(operation.key, after) for after in self.model.step(before, operation)]

    def reads_only(self, operation: Operation) -> bool:
        return self.model.reads_only(operation)

    def may_follow(self, first: Operation, second: Operation) -> bool:
        return first.key != second.key or self.model.may_follow(first, second)

    def prepared(self, operation: Operation) -> Operation:
        return self.model.prepared(operation)

    def always(self, operation: Operation) -> bool:
        return self.model.always(operation)

    def still_possible(self, state: Map, read: Operation) -> bool:
        return self.model.still_possible(state.get(read.key, self.model.initial), read)

    def makes_possible(self, change: Operation, read: Operation) -> bool:
        return change.key == read.key and self.model.makes_possible(change, read)

    def parts(self, operations: Sequence[Operation]) -> Mapping[Hashable, Sequence[Operation]]:
        return {None: operations}

    def idle(self, operations: Sequence[Operation]) -> frozenset[int]:
        by_key = self.model.parts(operations)
        return frozenset(index for each in by_key.values() for index in self.model.idle(each))
