"""Registers: a value that is read, written, and (cas-register) replaced if it is what was expected.

| function | argument        | result                                        |
| -------- | --------------- | --------------------------------------------- |
| read     |                 | the value                                     |
| write    | the value       |                                               |
| cas      | [expected, new] | False if the value was another; else anything |

`None` is a value only if the register begins with it.  Otherwise a read that was answered None says nothing:
that is how test tools write down an answer that they did not look at (Knossos' convention).
"""
from __future__ import annotations

from collections.abc import Hashable, Sequence

from agreed.check.history import Operation, Status
from agreed.check.models.model import Model
from agreed.check.models.values import Effect, frozen, pair, unknown_function


class Register(Model[Hashable]):
    """Reads and writes."""

    name = "register"

    def __init__(self, initial: object = None) -> None:
        self._initial = frozen(initial)

    @property
    def initial(self) -> Hashable:
        return self._initial

    def effect(self, operation: Operation) -> Effect:
        if operation.function == "read":
            if operation.status is not Status.OK or (operation.result is None and self._initial is not None):
                return None
            return ("read", frozen(operation.result))
        if operation.function == "write":
            return None if operation.status is Status.FAIL else ("write", frozen(operation.argument))
        raise unknown_function(self.name, operation)

    def step(self, state: Hashable, operation: Operation) -> Sequence[Hashable]:
        if operation.function == "read":
            return (state,) if state == frozen(operation.result) else ()
        return (frozen(operation.argument),)

    def reads_only(self, operation: Operation) -> bool:
        return operation.function == "read"

    def always(self, operation: Operation) -> bool:
        return operation.function == "write"

    def idle(self, operations: Sequence[Operation]) -> frozenset[int]:
        """Whose value nobody saw: up to the next write nothing depends on the state."""
        seen: set[Hashable] = set()
        waiting: list[tuple[Hashable, Hashable, int]] = []
        for each in operations:
            match self.effect(each):
                case ("not", _):
                    return frozenset()
                case ("write", value) if each.status is Status.INFO:
                    waiting.append((value, value, each.index))
                case ("cas", expected, new) if each.status is Status.INFO:
                    waiting.append((expected, new, each.index))
                case ("read", value) | ("cas", value, _):
                    seen.add(value)
        while useful := [each for each in waiting if each[1] in seen]:
            seen.update(expected for expected, _, _ in useful)
            waiting = [each for each in waiting if each not in useful]
        return frozenset(index for *_, index in waiting)

    def states(self, operations: Sequence[Operation]) -> Sequence[Hashable]:
        written: dict[Hashable, None] = {self._initial: None}
        for operation in operations:
            if operation.function == "write":
                written[frozen(operation.argument)] = None
            elif operation.function == "cas":
                written[pair(operation)[1]] = None
        return list(written)


class CasRegister(Register):
    """Reads, writes, and compare-and-set."""

    name = "cas-register"

    def effect(self, operation: Operation) -> Effect:
        if operation.function != "cas":
            return super().effect(operation)
        expected, new = pair(operation)
        if _refused(operation):
            return ("not", expected)
        return None if operation.status is Status.FAIL else ("cas", expected, new)

    def step(self, state: Hashable, operation: Operation) -> Sequence[Hashable]:
        if operation.function != "cas":
            return super().step(state, operation)
        expected, new = pair(operation)
        if _refused(operation):
            return (state,) if state != expected else ()
        return (new,) if state == expected else ()

    def reads_only(self, operation: Operation) -> bool:
        return operation.function == "read" or _refused(operation)


def _refused(operation: Operation) -> bool:
    """The system said that the value was another: evidence, as good as a read."""
    if operation.function != "cas":
        return False
    if operation.status is Status.FAIL:
        return operation.error is None
    return operation.status is Status.OK and operation.result is False
