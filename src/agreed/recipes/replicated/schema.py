"""A replicated class as what it says in bytes: its state, its commands with their versions, its queries.

    schema = Schema(Stock)                          ConfigurationError for a class that cannot be replicated
    raw = schema.encode(stock)                      the state as JSON, the same bytes on every machine
    stock = schema.decode(raw)
    schema.commands["take", 1]                      the form of a command that version 1 knows

The same bytes: attributes in the order of their annotations, dicts in the order in which they were filled,
sets sorted by what their members are in JSON, because the order of a set differs from process to process.

What is encoded and decoded again need not be what it was: a `defaultdict` comes back as a dict, one list
in two attributes as two lists, a whole number in an attribute for floats as a float.  So what counts is
always what comes back (`state.py`).
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, Final, Generic, TypeVar, get_origin, get_type_hints

import msgspec
from msgspec.inspect import FrozenSetType, SetType, type_info

from agreed.errors import ConfigurationError
from agreed.recipes.codec import Codec, codec_of
from agreed.recipes.errors import CodecError, NewerVersion
from agreed.recipes.replicated.declaring import Command, Query, said_of, version_of

Object = TypeVar("Object")

NO_ARGUMENTS_OF_THAT_KIND: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Method:
    """A command or a query: its arguments by name as JSON, and its result."""

    def __init__(self, of: type, name: str, function: Callable[..., Any]) -> None:
        self.name = name
        self.function = function
        where = f"{of.__name__}.{name}"
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            raise ConfigurationError(f"{where} is run in one go, and cannot be one that waits or yields")
        self._signature = inspect.signature(function)
        self._parameters = list(self._signature.parameters.values())[1:]
        hints = _hints_of(function, where)
        for each in (*(parameter.name for parameter in self._parameters), "return"):
            if each not in hints:
                raise ConfigurationError(f"{where} does not say of which type {each!r} is")
        if any(parameter.kind in NO_ARGUMENTS_OF_THAT_KIND for parameter in self._parameters):
            raise ConfigurationError(f"{where} takes any number of arguments: name them")
        fields = [_field_of(parameter, hints[parameter.name]) for parameter in self._parameters]
        self._struct = msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True)
        self._arguments: Codec[Any] = _codec_of(self._struct, where)
        self._result: Codec[Any] = _codec_of(hints["return"], where)

    def encode(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> bytes:
        """Raises TypeError for arguments that the method does not have, CodecError for values that are not
        of its types."""
        bound = self._signature.bind(None, *arguments, **named)
        bound.apply_defaults()
        values = {each.name: bound.arguments[each.name] for each in self._parameters}
        return self._arguments.encode(self._struct(**values))

    def run(self, of: object, arguments: bytes) -> Any:
        """Raises CodecError for arguments that are none, and what the method raises."""
        values = self._arguments.decode(arguments)
        positional, named = [], {}
        for parameter in self._parameters:
            value = getattr(values, parameter.name)
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                named[parameter.name] = value
            else:
                positional.append(value)
        return self.function(of, *positional, **named)

    def result(self, value: Any) -> Any:
        """A copy: whoever asked may do with it what he likes.  Raises CodecError."""
        return self._result.decode(self._result.encode(value))


class Schema(Generic[Object]):
    """`fields`: the attributes that are the state.  `commands` by name and `since`, `queries` by name."""

    def __init__(self, kind: type[Object]) -> None:
        self.kind = kind
        self.version = version_of(kind)
        self.name = kind.__name__
        self.commands: dict[tuple[str, int], Method] = {}
        self.queries: dict[str, Method] = {}
        for name, member in inspect.getmembers(kind, inspect.isfunction):
            self._add(name, member)
        if issubclass(kind, msgspec.Struct):
            raise ConfigurationError(f"{self.name} is a Struct: an ordinary class or a dataclass is needed")
        self.fields = {
            name: hint
            for name, hint in _hints_of(kind, self.name).items()
            if hint is not ClassVar and get_origin(hint) is not ClassVar
        }
        self._struct = msgspec.defstruct(self.name, list(self.fields.items()), forbid_unknown_fields=True)
        self._state: Codec[Any] = _codec_of(self._struct, self.name)
        self._sets = any(isinstance(each, SetType | FrozenSetType) for each in _all_in(self._struct))
        self.initial = self._begin()

    def _add(self, attribute: str, member: Callable[..., Any]) -> None:
        said = said_of(member)
        if isinstance(said, Query):
            self.queries[said.name] = Method(self.kind, attribute, member)
        if isinstance(said, Command):
            if not 1 <= said.since <= self.version:
                raise ConfigurationError(
                    f"{self.name}.{attribute} is there since version {said.since}, and this is {self.version}"
                )
            if (said.name, said.since) in self.commands:
                raise ConfigurationError(f"{self.name} has two commands {said.name} since {said.since}")
            self.commands[said.name, said.since] = Method(self.kind, attribute, member)

    def _begin(self) -> bytes:
        try:
            raw = self.encode(self.kind())
            self.decode(raw)
        except Exception as error:
            raise ConfigurationError(f"a new {self.name} cannot be replicated: {error}") from error
        return raw

    def command_of(self, said: Command, speaks: int) -> tuple[int, Method]:
        """Its newest form that version `speaks` knows, and since when there is that.  Raises NewerVersion."""
        sinces = [since for name, since in self.commands if name == said.name]
        known = [since for since in sinces if since <= speaks]
        if not sinces:
            raise TypeError(f"{said.name} is no command of {self.name}")
        if not known:
            raise NewerVersion(f"{self.name}.{said.name}", min(sinces), speaks)
        return max(known), self.commands[said.name, max(known)]

    # --- the state ----------------------------------------------------------------------------------------

    def encode(self, of: Object) -> bytes:
        """Raises CodecError where it has something that is not in its annotations, or lacks something."""
        strangers = getattr(of, "__dict__", {}).keys() - self.fields.keys()
        if strangers:
            raise CodecError(f"{self.name} does not say of which type {', '.join(sorted(strangers))} is")
        try:
            values = [getattr(of, name) for name in self.fields]
            state = self._struct(*map(_in_order, values) if self._sets else values)
            return msgspec.json.encode(state)
        except (AttributeError, TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
            raise CodecError(f"no {self.name}: {error}") from error

    def decode(self, raw: bytes) -> Object:
        """Raises CodecError."""
        state = self._state.decode(raw)
        of = self.kind.__new__(self.kind)
        for name in self.fields:
            object.__setattr__(of, name, getattr(state, name))
        return of

    def upgraded(self, version: int, raw: bytes) -> bytes:
        """The state of an older version as one of this.  Raises CodecError, also where `upgrade` fails."""
        try:
            older = msgspec.json.decode(raw, type=dict[str, Any])
            upgrade = getattr(self.kind, "upgrade", None)
            if upgrade is None:
                newer = {**msgspec.json.decode(self.initial), **older}
            else:
                newer = upgrade(version, older)
            return self.encode(self.decode(msgspec.json.encode(newer)))
        except Exception as error:
            raise CodecError(f"no state of {self.name} of version {version}: {error}") from error


def _field_of(parameter: inspect.Parameter, hint: Any) -> tuple[str, Any, Any]:
    default = parameter.default
    if default is parameter.empty:
        return parameter.name, hint, msgspec.field()
    return parameter.name, hint, msgspec.field(default_factory=lambda: default)


def _hints_of(of: Any, where: str) -> dict[str, Any]:
    try:
        return get_type_hints(of)
    except (NameError, TypeError) as error:
        raise ConfigurationError(f"the types of {where} cannot be found: {error}") from error


def _codec_of(kind: Any, where: str) -> Codec[Any]:
    try:
        return codec_of(kind)
    except CodecError as error:
        raise ConfigurationError(f"{where}: {error}") from error


def _all_in(kind: Any) -> Iterator[object]:
    """Every type in it.  Types may contain themselves."""
    waiting: list[object] = [type_info(kind)]
    seen: set[int] = set()
    while waiting:
        info = waiting.pop()
        if isinstance(info, tuple):
            waiting += info
        elif isinstance(info, msgspec.inspect.Type | msgspec.inspect.Field) and id(info) not in seen:
            seen.add(id(info))
            yield info
            names = info.__struct_fields__
            waiting += [getattr(info, name) for name in names if not name.startswith("default")]


def _in_order(value: Any) -> Any:
    """The same, as far as JSON is concerned, with its sets sorted."""
    if isinstance(value, set | frozenset):
        return sorted(map(_in_order, value), key=msgspec.json.encode)
    if isinstance(value, dict):
        return {key: _in_order(each) for key, each in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return list(map(_in_order, value))
    if isinstance(value, list | tuple):
        return list(map(_in_order, value))
    if isinstance(value, msgspec.Struct):
        return _changed(value, value.__struct_fields__, msgspec.structs.force_setattr)
    if dataclasses.is_dataclass(value):
        return _changed(value, [field.name for field in dataclasses.fields(value)], object.__setattr__)
    return value


def _changed(value: Any, names: Iterable[str], put: Callable[[Any, str, Any], None]) -> Any:
    changed = copy.copy(value)
    for name in names:
        put(changed, name, _in_order(getattr(value, name)))
    return changed
