"""The value of one key of a store, a text: got, put, and appended to.

| function | argument | result   |
| -------- | -------- | -------- |
| get      |          | the text |
| put      | the text |          |
| append   | the text |          |

`Operation.key` says which key; a history of many keys is judged key by key.  A key begins as "".  A get that
was answered None says nothing (as in `register.py`).
"""
from __future__ import annotations

from collections.abc import Hashable, Sequence

from agreed.check.history import Operation, Status
from agreed.check.models.model import Model
from agreed.check.models.values import malformed, unknown_function
from agreed.errors import MalformedInput


class KeyValue(Model[str]):
    """Texts."""

    name = "key-value"

    def __init__(self, initial: object = None) -> None:
        if not isinstance(initial, str | None):
            raise MalformedInput(f"a {self.name} begins with a text, not with {initial!r}")
        self._initial = initial or ""

    @property
    def initial(self) -> str:
        return self._initial

    def effect(self, operation: Operation) -> Hashable:
        if operation.function not in ("get", "put", "append"):
            raise unknown_function(self.name, operation)
        if operation.function == "get":
            if operation.status is not Status.OK or operation.result is None:
                return None
            return ("get", _text(operation, operation.result))
        text = _text(operation, operation.argument)
        if operation.status is Status.FAIL or (operation.function == "append" and not text):
            return None
        return (operation.function, text)

    def step(self, state: str, operation: Operation) -> Sequence[str]:
        if operation.function == "get":
            return (state,) if state == operation.result else ()
        text = _text(operation, operation.argument)
        return (text if operation.function == "put" else state + text,)

    def reads_only(self, operation: Operation) -> bool:
        return operation.function == "get"

    def always(self, operation: Operation) -> bool:
        return operation.function != "get"

    def still_possible(self, state: str, read: Operation) -> bool:
        return _text(read, read.result).startswith(state)

    def makes_possible(self, change: Operation, read: Operation) -> bool:
        put = change.function == "put"
        return put and _text(read, read.result).startswith(_text(change, change.argument))

    def idle(self, operations: Sequence[Operation]) -> frozenset[int]:
        """Whose text nobody saw: between it and the next put nobody got anything."""
        got = {str(each.result) for each in operations if each.function == "get" and each.status is Status.OK}
        return frozenset(
            each.index
            for each in operations
            if each.status is Status.INFO and each.function != "get" and not _seen(each, got)
        )


def _seen(operation: Operation, got: set[str]) -> bool:
    text = _text(operation, operation.argument)
    if operation.function == "put":
        return any(each.startswith(text) for each in got)
    return any(text in each for each in got)


def _text(operation: Operation, value: object) -> str:
    if not isinstance(value, str):
        raise malformed(operation, "texts", value)
    return value
