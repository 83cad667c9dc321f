"""Typed values as bytes: what a recipe keeps for its users.

    codec_of(bytes)         the bytes themselves
    codec_of(str)           UTF-8
    codec_of(Settings)      JSON, for whatever msgspec can: numbers, lists, dicts, dataclasses, Structs,
                            TypedDicts, datetimes, enums, unions of them
    codec_of(Model)         JSON, by pydantic's own methods where it is one of its models

JSON, because programs in other languages and people at a terminal read the same keys.  Never pickle: whoever
could write a key could run code in every program that reads it.

A type that could not be read back is refused when the codec is made, and a value which is not of the type
when it is written, not by whoever reads it a week later.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Generic, Protocol, Self, TypeVar, cast, runtime_checkable

import msgspec
from msgspec import inspect

from agreed.recipes.errors import CodecError

Value = TypeVar("Value")


class Codec(Protocol[Value]):
    """One's own is as good as those that `codec_of` makes.  Both raise CodecError."""

    def encode(self, value: Value) -> bytes: ...

    def decode(self, raw: bytes) -> Value: ...


@runtime_checkable
class Model(Protocol):
    """A model of pydantic, known by its methods: whoever has one has imported pydantic, and we need not."""

    @classmethod
    def model_validate_json(cls, raw: bytes) -> Self: ...

    def model_dump_json(self) -> str: ...


def codec_of(kind: type[Value]) -> Codec[Value]:
    """Raises CodecError for a type that cannot be read back, and for one that only its own program knows."""
    made: Codec[Any]
    if kind is bytes:
        made = BYTES
    elif kind is str:
        made = TEXT
    elif isinstance(kind, type) and issubclass(kind, Model):
        made = _OfModel(kind)
    else:
        made = _OfJson(kind)
    return cast("Codec[Value]", made)


class _OfBytes:
    def encode(self, value: bytes) -> bytes:
        if not isinstance(value, bytes):
            raise CodecError(f"bytes are kept here, and no {type(value).__name__}")
        return value

    def decode(self, raw: bytes) -> bytes:
        return raw


class _OfText:
    def encode(self, value: str) -> bytes:
        if not isinstance(value, str):
            raise CodecError(f"text is kept here, and no {type(value).__name__}")
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise CodecError(f"no text: {error}") from error

    def decode(self, raw: bytes) -> str:
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise CodecError(f"no text: {error}") from error


BYTES: Final = _OfBytes()
TEXT: Final = _OfText()


class _OfModel:
    def __init__(self, kind: type[Model]) -> None:
        self._kind = kind

    def encode(self, value: Model) -> bytes:
        if not isinstance(value, self._kind):
            raise CodecError(f"{self._kind.__name__} is kept here, and no {type(value).__name__}")
        return value.model_dump_json().encode()

    def decode(self, raw: bytes) -> Model:
        try:
            return self._kind.model_validate_json(raw)
        except ValueError as error:  # what pydantic raises is one
            raise CodecError(f"no {self._kind.__name__}: {error}") from error


class _OfJson(Generic[Value]):
    """What is written is read once, by the type: the mistake is told to whoever makes it."""

    def __init__(self, kind: type[Value]) -> None:
        self._name = getattr(kind, "__name__", str(kind))
        try:
            unknown = next(_unknown_to_msgspec(inspect.type_info(kind), set()), None)
            if unknown is not None:
                raise TypeError(f"nobody knows how to write a {unknown.__qualname__}")
            self._decoder = msgspec.json.Decoder(kind)
        except (TypeError, NameError) as error:
            raise CodecError(f"{self._name} cannot be kept: {error}") from error

    def encode(self, value: Value) -> bytes:
        try:
            raw = msgspec.json.encode(value)
            self._decoder.decode(raw)
        except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
            raise CodecError(f"no {self._name}: {error}") from error
        return raw

    def decode(self, raw: bytes) -> Value:
        try:
            return self._decoder.decode(raw)
        except (ValueError, RecursionError, msgspec.MsgspecError) as error:
            raise CodecError(f"no {self._name}: {error}") from error


def _unknown_to_msgspec(info: object, seen: set[int]) -> Iterator[type]:
    """The classes in it which msgspec could only read with help.  Types may contain themselves."""
    if isinstance(info, inspect.CustomType):
        yield info.cls
    elif isinstance(info, tuple):
        for each in info:
            yield from _unknown_to_msgspec(each, seen)
    elif isinstance(info, inspect.Type | inspect.Field) and id(info) not in seen:
        seen.add(id(info))
        for name in info.__struct_fields__:
            if name not in ("default", "default_factory"):
                yield from _unknown_to_msgspec(getattr(info, name), seen)
