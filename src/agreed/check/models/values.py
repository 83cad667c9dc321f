"""Arguments and results as models take them: hashable, and of the shape that was asked for."""
from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from agreed.check.history import Operation
from agreed.errors import MalformedInput

Effect: TypeAlias = "tuple[Any, ...] | None"
"""As `Model.effect` has it; the first says of what kind it is, the rest belongs to it."""

FLAT = frozenset((int, str, type(None), bool, float, bytes))


def frozen(value: object) -> Hashable:
    """The value with lists as tuples, sets as frozensets, maps as frozensets of pairs."""
    if value.__class__ in FLAT:
        return value
    try:
        return _frozen(value)
    except RecursionError as error:
        raise MalformedInput("a value is nested too deep") from error


def _frozen(value: object) -> Hashable:
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


def number(operation: Operation, value: object) -> int:
    """An argument or result as a whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise malformed(operation, "whole numbers", value)
    return value


def elements(operation: Operation, value: object) -> tuple[Hashable, ...]:
    """An argument or result as several values."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise malformed(operation, "a list", value)
    return tuple(frozen(each) for each in value)


def malformed(operation: Operation, wanted: str, got: object = None) -> MalformedInput:
    return MalformedInput(
        f"operation {operation.index}: {operation.function} has to do with {wanted}, "
        f"not with {operation.argument if got is None else got!r}"
    )


def unknown_function(model: str, operation: Operation) -> MalformedInput:
    return MalformedInput(f"operation {operation.index}: a {model} knows no {operation.function!r}")


class Map(Hashable):
    """A dict that never changes.  A changed copy costs as much as a dict's copy, its hash nothing."""

    __slots__ = ("_hash", "_items")

    def __init__(self, items: Mapping[Hashable, Hashable] | None = None) -> None:
        self._items = dict(items or {})
        self._hash = 0
        for pair in self._items.items():
            self._hash ^= hash(pair)

    def get(self, key: Hashable, default: Hashable = None) -> Hashable:
        return self._items.get(key, default)

    def items(self) -> Iterable[tuple[Hashable, Hashable]]:
        return self._items.items()

    def with_(self, key: Hashable, value: Hashable) -> Map:
        """The map with that value there."""
        changed = self.without(key)
        if changed is self:
            changed = Map.__new__(Map)
            changed._items, changed._hash = self._items.copy(), self._hash
        changed._items[key] = value
        changed._hash ^= hash((key, value))
        return changed

    def without(self, key: Hashable) -> Map:
        """The map without that key; itself if it has none."""
        if key not in self._items:
            return self
        changed = Map.__new__(Map)
        changed._items = self._items.copy()
        changed._hash = self._hash ^ hash((key, changed._items.pop(key)))
        return changed

    def __contains__(self, key: Hashable) -> bool:
        return key in self._items

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Map) and self._hash == other._hash and self._items == other._items

    def __hash__(self) -> int:
        return self._hash

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + self._items.__sizeof__()

    def __repr__(self) -> str:
        inside = ", ".join(f"{key}: {value!r}" for key, value in sorted(self._items.items(), key=repr))
        return "{" + inside + "}"
