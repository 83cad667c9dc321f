"""A counter.

| function    | argument       | result                        |
| ----------- | -------------- | ----------------------------- |
| add         | a whole number |                               |
| add-and-get | a whole number | the value, with this included |
| read        |                | the value                     |
"""
from __future__ import annotations

from collections.abc import Sequence

from agreed.check.history import Operation, Status
from agreed.check.models.model import Model
from agreed.check.models.values import Effect, number, unknown_function
from agreed.errors import MalformedInput


class Counter(Model[int]):
    """A number that is added to."""

    name = "counter"

    def __init__(self, initial: object = None) -> None:
        if isinstance(initial, bool) or not isinstance(initial, int | None):
            raise MalformedInput(f"a {self.name} begins with a whole number, not with {initial!r}")
        self._initial = initial or 0

    @property
    def initial(self) -> int:
        return self._initial

    def effect(self, operation: Operation) -> Effect:
        answered = operation.status is Status.OK and operation.result is not None
        match operation.function:
            case "read":
                return ("read", number(operation, operation.result)) if answered else None
            case "add" | "add-and-get" if operation.status is Status.FAIL:
                return None
            case "add-and-get" if answered:
                change = number(operation, operation.argument)
                return ("add-and-get", change, number(operation, operation.result))
            case "add" | "add-and-get":
                return ("add", number(operation, operation.argument))
        raise unknown_function(self.name, operation)

    def step(self, state: int, operation: Operation) -> Sequence[int]:
        match self.effect(operation):
            case ("read", value):
                return (state,) if state == value else ()
            case ("add", change):
                return (state + change,)
            case ("add-and-get", change, value):
                return (value,) if state + change == value else ()
        return ()

    def reads_only(self, operation: Operation) -> bool:
        return operation.function == "read"

    def always(self, operation: Operation) -> bool:
        effect = self.effect(operation)
        return effect is not None and effect[0] == "add"

    def still_possible(self, state: int, read: Operation) -> bool:
        return state <= number(read, read.result)

    def makes_possible(self, change: Operation, read: Operation) -> bool:
        return number(change, change.argument) < 0

    def may_follow(self, first: Operation, second: Operation) -> bool:
        match self.effect(first), self.effect(second):
            case ("add", _), ("add", _):
                return True
        return False
