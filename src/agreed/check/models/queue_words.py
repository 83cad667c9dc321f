"""What is asked of a queue, and what was answered: the words that all models of queues share."""
from __future__ import annotations

from collections.abc import Hashable, Sequence

from agreed.check.history import Operation, Status
from agreed.check.models.values import frozen, unknown_function

ENQUEUE = "enqueue"
DEQUEUE = "dequeue"
NOTHING = "nothing there"
UNKNOWN = "some element"


def effect_of(name: str, operation: Operation) -> tuple[str, Hashable] | None:
    """One of the words, and the element where there is one; None if it says nothing.  `name`: the model's."""
    match operation.function, operation.status:
        case ("enqueue" | "dequeue"), Status.FAIL:
            return None
        case "enqueue", _:
            return (ENQUEUE, frozen(operation.argument))
        case "dequeue", Status.INFO:
            return (UNKNOWN, None)
        case "dequeue", _:
            taken = frozen(operation.result)
            return (NOTHING, None) if taken is None else (DEQUEUE, taken)
    raise unknown_function(name, operation)


def idle(name: str, operations: Sequence[Operation]) -> frozenset[int]:
    """Entries without an answer, of what is not known to have come out: they only stand in the way.  (If a
    dequeue without an answer took such an element, neither need have happened.)"""
    effects = [effect_of(name, each) for each in operations]
    taken = {effect[1] for effect in effects if effect and effect[0] == DEQUEUE}
    return frozenset(
        each.index
        for each, effect in zip(operations, effects, strict=True)
        if each.status is Status.INFO and effect and effect[0] == ENQUEUE and effect[1] not in taken
    )
