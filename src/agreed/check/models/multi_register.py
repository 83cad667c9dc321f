"""Several registers, read and written together: each operation is a transaction.

| function | argument                                | result                               |
| -------- | --------------------------------------- | ------------------------------------ |
| txn      | [["write", "x", 1], ["read", "y", None]] | the same, with the reads filled in   |

`w` and `r` do as well.  A register that was never written is None, or what `initial` says; where that is
something else, a read that was answered None says nothing (as in `register.py`).
"""
from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from agreed.check.history import Operation, Status
from agreed.check.models.model import Model
from agreed.check.models.values import Map, frozen, malformed, unknown_function
from agreed.errors import MalformedInput

READ, WRITE = "r", "w"
NAMES = {"r": READ, "read": READ, "w": WRITE, "write": WRITE}

Steps = tuple[tuple[str, Hashable, Hashable], ...]


class MultiRegister(Model[Map]):
    """Transactions over registers."""

    name = "multi-register"

    def __init__(self, initial: object = None) -> None:
        if initial is not None and not isinstance(initial, Mapping):
            raise MalformedInput(f"a {self.name} begins with a map, not with {initial!r}")
        self._initial = Map({frozen(key): frozen(value) for key, value in (initial or {}).items()})

    @property
    def initial(self) -> Map:
        return self._initial

    def effect(self, operation: Operation) -> Hashable:
        steps = self._steps(operation)
        return None if operation.status is Status.FAIL or not steps else steps

    def step(self, state: Map, operation: Operation) -> Sequence[Map]:
        for what, key, value in self._steps(operation):
            if what == WRITE:
                state = state.with_(key, value)
            elif state.get(key) != value:
                return ()
        return (state,)

    def reads_only(self, operation: Operation) -> bool:
        return all(what == READ for what, _, _ in self._steps(operation))

    def always(self, operation: Operation) -> bool:
        return all(what == WRITE for what, _, _ in self._steps(operation))

    def may_follow(self, first: Operation, second: Operation) -> bool:
        """Where neither touches what the other writes."""
        ours, theirs = self._steps(first), self._steps(second)
        return not any(
            key == other and WRITE in (what, does) for what, key, _ in ours for does, other, _ in theirs
        )

    def _steps(self, operation: Operation) -> Steps:
        if operation.function != "txn":
            raise unknown_function(self.name, operation)
        answered = operation.status is Status.OK and operation.result is not None
        steps = []
        for step in _list(operation, operation.result if answered else operation.argument):
            match step:
                case [str(name), key, value] if name in NAMES:
                    said = answered and (value is not None or self._initial.get(frozen(key)) is None)
                    if NAMES[name] == WRITE or said:
                        steps.append((NAMES[name], frozen(key), frozen(value)))
                case _:
                    raise malformed(operation, "[read key value] and [write key value]", step)
        return tuple(steps)


def _list(operation: Operation, value: object) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise malformed(operation, "a list of steps", value)
    return value
