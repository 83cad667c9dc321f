"""Arguments and results as models take them: hashable, and of the shape that was asked for."""
from __future__ import annotations

from collections.abc import Hashable, Mapping

from agreed.check.history import Operation
from agreed.errors import MalformedInput

FLAT = frozenset((int, str, type(None), bool, float, bytes))


def frozen(value: object) -> Hashable:
    """The value with lists as tuples, sets as frozensets, maps as frozensets of pairs."""
    if value.__class__ in FLAT:
        return value
    if isinstance(value, list | tuple):
        return tuple(frozen(each) for each in value)
    if isinstance(value, set | frozenset):
        return frozenset(frozen(each) for each in value)
    if isinstance(value, Mapping):
        return frozenset((frozen(key), frozen(each)) for key, each in value.items())
    if isinstance(value, Hashable):
        return value
    raise MalformedInput(f"{value!r} cannot be a value of a history")


def pair(operation: Operation) -> tuple[Hashable, Hashable]:
    """The argument as two values."""
    argument = operation.argument
    if not isinstance(argument, list | tuple) or len(argument) != 2:
        raise malformed(operation, "two values")
    return frozen(argument[0]), frozen(argument[1])


def malformed(operation: Operation, wanted: str) -> MalformedInput:
    return MalformedInput(
        f"operation {operation.index}: {operation.function} takes {wanted}, not {operation.argument!r}"
    )


def unknown_function(model: str, operation: Operation) -> MalformedInput:
    return MalformedInput(f"operation {operation.index}: a {model} knows no {operation.function!r}")
