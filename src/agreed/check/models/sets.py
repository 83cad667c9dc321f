"""A set.

| function | argument   | result        |
| -------- | ---------- | ------------- |
| add      | an element |               |
| remove   | an element |               |
| contains | an element | True or False |
| read     |            | all elements  |
"""
from __future__ import annotations

from collections.abc import Hashable, Sequence

import msgspec

from agreed.check.history import Operation, Status
from agreed.check.models.model import Model
from agreed.check.models.values import Effect, elements, frozen, malformed, unknown_function
from agreed.errors import MalformedInput

State = frozenset[Hashable]


class Set(Model[State]):
    """Elements without order."""

    name = "set"

    def __init__(self, initial: object = None) -> None:
        if not isinstance(initial, list | tuple | set | frozenset | None):
            raise MalformedInput(f"a {self.name} begins with a list, not with {initial!r}")
        self._initial = frozenset(frozen(each) for each in initial or ())

    @property
    def initial(self) -> State:
        return self._initial

    def effect(self, operation: Operation) -> Effect:
        match operation.function:
            case "add" | "remove":
                failed = operation.status is Status.FAIL
                return None if failed else (operation.function, frozen(operation.argument))
            case "read" | "contains" if operation.status is not Status.OK or operation.result is None:
                return None
            case "read":
                if isinstance(operation.result, frozenset):
                    return ("read", operation.result)
                return ("read", frozenset(elements(operation, operation.result)))
            case "contains":
                if not isinstance(operation.result, bool):
                    raise malformed(operation, "True and False", operation.result)
                return ("contains", frozen(operation.argument), operation.result)
        raise unknown_function(self.name, operation)

    def step(self, state: State, operation: Operation) -> Sequence[State]:
        match self.effect(operation):
            case ("add", element):
                return (state | {element},)
            case ("remove", element):
                return (state - {element},)
            case ("contains", element, there):
                return (state,) if (element in state) == there else ()
            case ("read", all_of_them):
                return (state,) if state == all_of_them else ()
        return ()

    def reads_only(self, operation: Operation) -> bool:
        return operation.function in ("read", "contains")

    def may_follow(self, first: Operation, second: Operation) -> bool:
        element = frozen(first.argument)
        match self.effect(first), self.effect(second):
            case ("add" | "remove" as what, _), ("add" | "remove" as does, other):
                follows = element != other or what == does
            case ("add" | "remove" as what, _), ("contains", other, there):
                follows = element != other or (what == "add") != there
            case ("contains", _, there), ("add" | "remove" as does, other):
                follows = element != other or (does == "add") == there
            case ("add" | "remove" as what, _), ("read", all_of_them):
                follows = (element in all_of_them) != (what == "add")
            case ("read", all_of_them), ("add" | "remove" as does, other):
                follows = (other in all_of_them) == (does == "add")
            case _:
                follows = True
        return bool(follows)

    def prepared(self, operation: Operation) -> Operation:
        if operation.function != "read":
            return operation
        return msgspec.structs.replace(operation, result=frozenset(elements(operation, operation.result)))

    def always(self, operation: Operation) -> bool:
        return operation.function in ("add", "remove")

    def still_possible(self, state: State, read: Operation) -> bool:
        match self.effect(read):
            case ("read", all_of_them):
                return bool(state <= all_of_them)
            case ("contains", element, False):
                return element not in state
        return True

    def makes_possible(self, change: Operation, read: Operation) -> bool:
        return change.function == "remove"

    def idle(self, operations: Sequence[Operation]) -> frozenset[int]:
        """Adding what nobody ever saw there."""
        seen: set[Hashable] = set()
        for each in operations:
            match self.effect(each):
                case ("read", all_of_them):
                    seen |= all_of_them
                case ("contains", element, True):
                    seen.add(element)
        return frozenset(
            each.index
            for each in operations
            if each.status is Status.INFO and each.function == "add" and frozen(each.argument) not in seen
        )

    def show(self, state: State) -> str:
        return "{" + ", ".join(sorted(repr(each) for each in state)) + "}"
