"""To copy a machine, and to say what state it is in: two walks over its graph of objects.

A machine is a handful of objects that point at each other.  To explore it, one needs the same machine
before and after each of many steps, and one must know a state when one sees it again:

    clone(machine)              another one in the same state; a step of one does not touch the other
    Form(names).of(machine)     bytes that are equal where two machines are in the same state

Both walk whatever attributes the objects have, so a new field of a machine is copied and told apart
without a word here.  What cannot change is shared: numbers, text, frozen structs, and with them the
entries and messages.

Two things are told relative to the machine itself, for they only ever mean a distance.  *Instants*: a
clock of an explored node begins at `EPOCH`, so that every number near it is an instant, and is told as
its distance from the machine's `now`; what lies further back than `HORIZON_MS` is long ago.  *Serials* of
saves: as their distance from the newest one.

With a renaming of nodes, the form is that of the machine whose name and whose peers' names are exchanged;
the order of peers in a list means nothing then.
"""
from __future__ import annotations

import marshal
from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, TypeVar

import msgspec

from agreed.consensus.machine import Entry
from agreed.consensus.members import Member, Members
from agreed.consensus.raft.config import RaftConfig
from agreed.types import Instant, NodeId

EPOCH: Instant = 1 << 50
"""Where the clocks of explored nodes begin: no other number of a machine comes near."""

HORIZON_MS = 2
"""Instants as far back as this, or further, are equally long ago: no explored node is patient for longer."""

NEAR = EPOCH >> 1

_Machine = TypeVar("_Machine")
_Copier = Callable[[Any, dict[int, Any]], Any]
_Renaming = Mapping[NodeId, NodeId]

_ATOMS: tuple[type, ...] = (int, float, str, bytes, frozenset, Enum, type, FunctionType, BuiltinFunctionType)


def clone(machine: _Machine) -> _Machine:
    """Another machine in the same state."""
    copied: _Machine = _copy(machine, {})
    return copied


# --- copies -------------------------------------------------------------------------------------------


def _copy(value: Any, seen: dict[int, Any]) -> Any:
    kind = type(value)
    copier = _copiers.get(kind)
    if copier is None:
        copier = _copiers[kind] = _copier_of(kind)
    return copier(value, seen)


def _itself(value: Any, seen: dict[int, Any]) -> Any:
    return value


def _copy_list(value: list[Any], seen: dict[int, Any]) -> list[Any]:
    return [_copy(item, seen) for item in value]


def _copy_tuple(value: tuple[Any, ...], seen: dict[int, Any]) -> tuple[Any, ...]:
    return tuple(_copy(item, seen) for item in value)


def _copy_deque(value: deque[Any], seen: dict[int, Any]) -> deque[Any]:
    return deque((_copy(item, seen) for item in value), value.maxlen)


def _copy_dict(value: dict[Any, Any], seen: dict[int, Any]) -> dict[Any, Any]:
    return {_copy(key, seen): _copy(item, seen) for key, item in value.items()}


def _copy_method(value: MethodType, seen: dict[int, Any]) -> MethodType:
    return MethodType(value.__func__, _copy(value.__self__, seen))


_copiers: dict[type, _Copier] = {
    type(None): _itself,
    list: _copy_list,
    tuple: _copy_tuple,
    deque: _copy_deque,
    dict: _copy_dict,
    set: lambda value, seen: set(value),
    MethodType: _copy_method,
}


def is_frozen(kind: type) -> bool:
    return issubclass(kind, msgspec.Struct) and bool(kind.__struct_config__.frozen)


def attributes(kind: type) -> tuple[str, ...]:
    """The slots of a class and of those it is made from, in the order of their names."""
    if issubclass(kind, msgspec.Struct):
        return tuple(sorted(kind.__struct_fields__))
    slots: set[str] = set()
    for each in kind.__mro__:
        own = each.__dict__.get("__slots__", ())
        slots.update((own,) if isinstance(own, str) else own)
    return tuple(sorted(slots - {"__dict__", "__weakref__"}))


def _copier_of(kind: type) -> _Copier:
    if issubclass(kind, _ATOMS) or is_frozen(kind):
        return _itself
    slots = attributes(kind)
    if issubclass(kind, msgspec.Struct):
        fields = kind.__struct_fields__
        return lambda value, seen: kind(*(_copy(getattr(value, name), seen) for name in fields))

    def copy(value: Any, seen: dict[int, Any]) -> Any:
        known = seen.get(id(value))
        if known is not None:
            return known
        made = seen[id(value)] = kind.__new__(kind)
        for name in slots:
            setattr(made, name, _copy(getattr(value, name), seen))
        state = getattr(value, "__dict__", None)
        if state is not None:
            into = made.__dict__
            for name, item in state.items():
                into[name] = _copy(item, seen)
        return made

    return copy


# --- forms --------------------------------------------------------------------------------------------

_TOLD_ONCE = frozenset({Entry, Members, RaftConfig})
"""Kinds without instants, serials or cycles, of which many states have the same few."""

SERIALS = ("serial", "saved_serial", "ballot_serial")


class Form:
    """How states are told apart: exactly, or up to the names of the nodes.

    One `Form` is good for many machines; it is made for one renaming (None: exactly as they are).
    """

    def __init__(self, renaming: _Renaming | None = None) -> None:
        self._renaming = renaming
        self._now: Instant = 0
        self._serial = self._saved_serial = 0
        self._within: list[int] = []
        self._known: dict[Any, Any] = {}

    def of(self, value: object, now: Instant = 0, serial: int = 0, saved_serial: int = 0) -> bytes:
        """`now` and `serial`: what instants and serials are told relative to.  Saves up to `saved_serial`
        are done, and equal in that."""
        self._now, self._serial, self._saved_serial = now, serial, saved_serial
        self._within = []
        return marshal.dumps(self._tell(value), 2)

    def _tell(self, value: Any) -> Any:
        kind = type(value)
        if kind is int:
            return max(value - self._now, -HORIZON_MS) + 0.5 if value > NEAR else value
        if kind is str:
            return value if self._renaming is None else self._renaming.get(value, value)
        if value is None or kind is bool or kind is bytes:
            return value
        if kind is float:
            return ("float", value)
        if kind is tuple or kind is list or kind is deque:
            return self._tell_row(value)
        if kind is dict:
            if all(type(item) is MethodType for item in value.values()):
                return ()  # a table of what to do with what; every machine of a class has the same
            pairs = [(self._tell_key(key), self._tell(item)) for key, item in value.items()]
            return tuple(sorted(pairs, key=_first))
        if kind is set or kind is frozenset:
            return tuple(sorted(self._tell(item) for item in value))
        return self._tell_object(value, kind)

    def _tell_key(self, key: Any) -> Any:
        return key.__qualname__ if isinstance(key, type) else self._tell(key)

    def _tell_row(self, row: Any) -> tuple[Any, ...]:
        told = tuple(map(self._tell, row))
        if self._renaming is not None and len(told) > 1 and all(map(self._is_node, row)):
            return tuple(sorted(told, key=repr))
        return told

    def _is_node(self, value: Any) -> bool:
        """Whether this is a node, or stands for one."""
        assert self._renaming is not None
        if isinstance(value, str):
            return value in self._renaming
        return getattr(value, "name", None) in self._renaming

    def _tell_object(self, value: Any, kind: type) -> Any:
        if kind in _TOLD_ONCE:
            known = self._known.get(value)
            if known is None:
                known = self._known[value] = self._tell_parts(value, kind)
            return known
        if kind is MethodType:
            return value.__func__.__name__
        if isinstance(value, type | FunctionType | BuiltinFunctionType):
            return value.__qualname__
        if isinstance(value, Enum):
            return (kind.__name__, value.name)
        if isinstance(value, int):
            return int(value)
        if kind is Member:
            # Identity and address follow from the name, in an explored cluster.
            return ("Member", self._tell(value.name))
        if id(value) in self._within:
            return ("^", kind.__name__)
        return self._tell_parts(value, kind)

    def _tell_parts(self, value: Any, kind: type) -> Any:
        self._within.append(id(value))
        parts: list[Any] = [kind.__name__]
        for name in attributes(kind):
            parts.append(self._tell_attribute(name, getattr(value, name)))
        state = getattr(value, "__dict__", None)
        if state is not None:
            for name in sorted(state):
                parts.append((name, self._tell_attribute(name, state[name])))
        self._within.pop()
        return tuple(parts)

    def _tell_attribute(self, name: str, value: Any) -> Any:
        if name in SERIALS:
            return self._since(value)
        if name == "saving" and type(value) is dict:
            return tuple((self._since(serial), upto) for serial, upto in value.items())
        if name == "_held" and type(value) is list:
            return tuple((self._since(serial), self._tell(send)) for serial, send in value)
        return self._tell(value)

    def _since(self, serial: int) -> int:
        return max(serial, self._saved_serial) - self._serial


def _first(pair: tuple[Any, Any]) -> Any:
    return pair[0]
