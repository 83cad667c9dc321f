"""Queues: in the order of entry (`fifo-queue`), or in any order (`queue`, which is a bag).

| function | argument   | result                               |
| -------- | ---------- | ------------------------------------ |
| enqueue  | an element |                                      |
| dequeue  |            | the element; None: there was nothing |

A dequeue that was never answered may have taken an element, and then it is lost to everybody else.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from math import inf

from msgspec.structs import replace

from agreed.check.history import Operation, Status
from agreed.check.models.model import AnyModel, Model
from agreed.check.models.queue_fates import FifoQueueForeseen, QueueForeseen, fates_of, put
from agreed.check.models.queue_words import DEQUEUE, ENQUEUE, NOTHING, UNKNOWN, effect_of, idle
from agreed.check.models.values import Map, frozen
from agreed.errors import MalformedInput


class FifoQueue(Model[tuple[Hashable, ...]]):
    """First in, first out."""

    name = "fifo-queue"

    def __init__(self, initial: object = None) -> None:
        self._initial = _contents(initial)

    @property
    def initial(self) -> tuple[Hashable, ...]:
        return self._initial

    def effect(self, operation: Operation) -> Hashable:
        return effect_of(self.name, operation)

    def step(self, state: tuple[Hashable, ...], operation: Operation) -> Sequence[tuple[Hashable, ...]]:
        match effect_of(self.name, operation):
            case ("enqueue", element):
                return ((*state, element),)
            case ("dequeue", element):
                return (state[1:],) if state and state[0] == element else ()
            case (what, _) if what == NOTHING:
                return () if state else (state,)
        return (state[1:],) if state else ()

    def reads_only(self, operation: Operation) -> bool:
        return effect_of(self.name, operation) == (NOTHING, None)

    def always(self, operation: Operation) -> bool:
        return operation.function == "enqueue"

    def may_follow(self, first: Operation, second: Operation) -> bool:
        match effect_of(self.name, first), effect_of(self.name, second):
            case ("enqueue", element), ("dequeue", other):
                return element != other
            case ("enqueue", _), (what, _):
                return what == NOTHING
            case (what, _), ("enqueue", _):
                return what != NOTHING
        return self.effect(first) == self.effect(second)

    def idle(self, operations: Sequence[Operation]) -> frozenset[int]:
        return idle(self.name, operations)

    def foreseeing(self, operations: Sequence[Operation], optional: frozenset[int]) -> AnyModel:
        fates = fates_of(self.name, self._initial, operations, optional)
        return FifoQueueForeseen(self, self._initial, fates) if fates.ranks or fates.loose else self

    def show(self, state: tuple[Hashable, ...]) -> str:
        return "[" + ", ".join(repr(each) for each in state) + "]"


class Queue(Model[Map]):
    """In any order.  The state counts each element."""

    name = "queue"

    def __init__(self, initial: object = None) -> None:
        self._contents = _contents(initial)
        self._initial = Map()
        for element in self._contents:
            self._initial = put(self._initial, element, 1)

    @property
    def initial(self) -> Map:
        return self._initial

    def effect(self, operation: Operation) -> Hashable:
        return effect_of(self.name, operation)

    def step(self, state: Map, operation: Operation) -> Sequence[Map]:
        match effect_of(self.name, operation):
            case ("enqueue", element):
                return (put(state, element, 1),)
            case ("dequeue", element):
                return (put(state, element, -1),) if element in state else ()
            case (what, _) if what == NOTHING:
                return () if state else (state,)
        return tuple(put(state, element, -1) for element in state)

    def reads_only(self, operation: Operation) -> bool:
        return effect_of(self.name, operation) == (NOTHING, None)

    def always(self, operation: Operation) -> bool:
        return operation.function == "enqueue"

    def may_follow(self, first: Operation, second: Operation) -> bool:
        match effect_of(self.name, first), effect_of(self.name, second):
            case ("enqueue", element), ("dequeue", other):
                return element != other
            case ("enqueue", _), (what, _):
                return what != UNKNOWN
            case (_, _) as earlier, (what, _):
                return earlier[0] != NOTHING and what != NOTHING
        return False

    def idle(self, operations: Sequence[Operation]) -> frozenset[int]:
        """Where nobody found it empty, dequeues without an answer as well: nobody needs what they take."""
        of_no_use = idle(self.name, operations)
        effects = {each.index: effect_of(self.name, each) for each in operations}
        if (NOTHING, None) in effects.values():
            return of_no_use
        return of_no_use | {index for index, effect in effects.items() if effect == (UNKNOWN, None)}

    def foreseeing(self, operations: Sequence[Operation], optional: frozenset[int]) -> AnyModel:
        fates = fates_of(self.name, self._contents, operations, optional)
        return QueueForeseen(self, self._contents, fates) if fates.ranks or fates.loose else self

    def resolved(self, order: Sequence[Operation]) -> Sequence[Operation]:
        """A dequeue without an answer took what is asked for least."""
        effects = [effect_of(self.name, each) for each in order]
        asked = Counter(effect[1] for effect in effects if effect and effect[0] == DEQUEUE)
        inside = Counter(self._contents)
        found: list[Operation] = []
        for operation, effect in zip(order, effects, strict=True):
            what, element = effect or ("", None)
            if what == UNKNOWN and inside:
                element = min(inside, key=lambda each: asked[each] - inside[each] if asked[each] else -inf)
                operation = replace(operation, status=Status.OK, result=element)
            if what == ENQUEUE:
                inside[element] += 1
            elif what in (DEQUEUE, UNKNOWN):
                asked[element] -= what == DEQUEUE
                inside[element] -= 1
                inside += Counter()  # those that are left
            found.append(operation)
        return found


def _contents(initial: object) -> tuple[Hashable, ...]:
    if initial is None:
        return ()
    if not isinstance(initial, list | tuple):
        raise MalformedInput(f"a queue begins with a list, not with {initial!r}")
    return tuple(frozen(each) for each in initial)
