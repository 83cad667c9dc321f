"""Queues: in the order of entry (`fifo-queue`), or in any order (`queue`, which is a bag).

| function | argument   | result                               |
| -------- | ---------- | ------------------------------------ |
| enqueue  | an element |                                      |
| dequeue  |            | the element; None: there was nothing |

A dequeue that was never answered may have taken an element, and then it is lost to everybody else.
"""
from __future__ import annotations

from collections.abc import Hashable, Sequence

from agreed.check.history import Operation, Status
from agreed.check.models.model import Model
from agreed.check.models.values import Map, frozen, unknown_function
from agreed.errors import MalformedInput

NOTHING = "nothing there"
UNKNOWN = "some element"


def _effect(name: str, operation: Operation) -> tuple[str, Hashable] | None:
    match operation.function, operation.status:
        case ("enqueue" | "dequeue"), Status.FAIL:
            return None
        case "enqueue", _:
            return ("enqueue", frozen(operation.argument))
        case "dequeue", Status.INFO:
            return (UNKNOWN, None)
        case "dequeue", _:
            taken = frozen(operation.result)
            return (NOTHING, None) if taken is None else ("dequeue", taken)
    raise unknown_function(name, operation)


def _idle(name: str, operations: Sequence[Operation]) -> frozenset[int]:
    """Entries of what nobody took: they only stand in the way."""
    effects = [_effect(name, each) for each in operations]
    if (UNKNOWN, None) in effects:
        return frozenset()
    taken = {effect[1] for effect in effects if effect and effect[0] == "dequeue"}
    return frozenset(
        each.index
        for each, effect in zip(operations, effects, strict=True)
        if each.status is Status.INFO and effect and effect[1] not in taken
    )


class FifoQueue(Model[tuple[Hashable, ...]]):
    """First in, first out."""

    name = "fifo-queue"

    def __init__(self, initial: object = None) -> None:
        self._initial = _contents(initial)

    @property
    def initial(self) -> tuple[Hashable, ...]:
        return self._initial

    def effect(self, operation: Operation) -> Hashable:
        return _effect(self.name, operation)

    def step(self, state: tuple[Hashable, ...], operation: Operation) -> Sequence[tuple[Hashable, ...]]:
        match _effect(self.name, operation):
            case ("enqueue", element):
                return ((*state, element),)
            case ("dequeue", element):
                return (state[1:],) if state and state[0] == element else ()
            case (what, _) if what == NOTHING:
                return () if state else (state,)
        return (state[1:],) if state else ()

    def reads_only(self, operation: Operation) -> bool:
        return _effect(self.name, operation) == (NOTHING, None)

    def always(self, operation: Operation) -> bool:
        return operation.function == "enqueue"

    def may_follow(self, first: Operation, second: Operation) -> bool:
        match _effect(self.name, first), _effect(self.name, second):
            case ("enqueue", element), ("dequeue", other):
                return element != other
            case ("enqueue", _), (what, _):
                return what == NOTHING
            case (what, _), ("enqueue", _):
                return what != NOTHING
        return self.effect(first) == self.effect(second)

    def idle(self, operations: Sequence[Operation]) -> frozenset[int]:
        return _idle(self.name, operations)

    def show(self, state: tuple[Hashable, ...]) -> str:
        return "[" + ", ".join(repr(each) for each in state) + "]"


class Queue(Model[Map]):
    """In any order.  The state counts each element."""

    name = "queue"

    def __init__(self, initial: object = None) -> None:
        self._initial = Map()
        for element in _contents(initial):
            self._initial = _put(self._initial, element, 1)

    @property
    def initial(self) -> Map:
        return self._initial

    def effect(self, operation: Operation) -> Hashable:
        return _effect(self.name, operation)

    def step(self, state: Map, operation: Operation) -> Sequence[Map]:
        match _effect(self.name, operation):
            case ("enqueue", element):
                return (_put(state, element, 1),)
            case ("dequeue", element):
                return (_put(state, element, -1),) if element in state else ()
            case (what, _) if what == NOTHING:
                return () if state else (state,)
        return tuple(_put(state, element, -1) for element in state)

    def reads_only(self, operation: Operation) -> bool:
        return _effect(self.name, operation) == (NOTHING, None)

    def always(self, operation: Operation) -> bool:
        return operation.function == "enqueue"

    def may_follow(self, first: Operation, second: Operation) -> bool:
        match _effect(self.name, first), _effect(self.name, second):
            case ("enqueue", element), ("dequeue", other):
                return element != other
            case ("enqueue", _), (what, _):
                return what != UNKNOWN
            case (_, _) as earlier, (what, _):
                return earlier[0] != NOTHING and what != NOTHING
        return False

    def idle(self, operations: Sequence[Operation]) -> frozenset[int]:
        return _idle(self.name, operations)


def _contents(initial: object) -> tuple[Hashable, ...]:
    if initial is None:
        return ()
    if not isinstance(initial, list | tuple):
        raise MalformedInput(f"a queue begins with a list, not with {initial!r}")
    return tuple(frozen(each) for each in initial)


def _put(state: Map, element: Hashable, change: int) -> Map:
    count = state.get(element, 0)
    assert isinstance(count, int)
    return state.with_(element, count + change) if count + change else state.without(element)
