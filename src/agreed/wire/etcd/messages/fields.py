"""How the messages say what protobuf has to know: in annotations, beside the fields they are about.

    count: Annotated[Int64, 4] = 0                               field number 4, an int64
    sort_order: Annotated[int, SortOrder, 5] = SortOrder.NONE    an enumeration
    filters: Annotated[tuple[Annotated[int, FilterType], ...], 5] = ()
    lease: Annotated[Int64 | None, 8, ONEOF] = None              one member of a union: at most one is set

`bytes`, `str`, `bool` and messages say all by themselves.  `fields_of` reads them, once for each type; the
codecs for protobuf and JSON, and the tests' oracle, are all built from what it answers.
"""
from __future__ import annotations

from enum import Enum, IntEnum
from functools import cache
from types import NoneType
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

from msgspec import Struct


class Scalar(Enum):
    BYTES = "bytes"
    STRING = "string"
    BOOL = "bool"
    INT64 = "int64"
    UINT64 = "uint64"
    UINT32 = "uint32"


class _Oneof:
    """The mark of a member of the message's (one) union."""


Int64 = Annotated[int, Scalar.INT64]
Uint64 = Annotated[int, Scalar.UINT64]
Uint32 = Annotated[int, Scalar.UINT32]
ONEOF: Final = _Oneof()

_BY_PYTHON_TYPE: Final = {bytes: Scalar.BYTES, str: Scalar.STRING, bool: Scalar.BOOL}

FieldType = Scalar | type[IntEnum] | type[Struct]


class Field(Struct, frozen=True):
    """One field: `type` is a scalar, an enumeration or a message."""

    name: str
    number: int
    type: Any
    repeated: bool = False
    oneof: bool = False

    @property
    def message(self) -> type[Struct] | None:
        return self.type if isinstance(self.type, type) and issubclass(self.type, Struct) else None

    @property
    def enumeration(self) -> type[IntEnum] | None:
        return self.type if isinstance(self.type, type) and issubclass(self.type, IntEnum) else None


@cache
def fields_of(kind: type[Struct]) -> tuple[Field, ...]:
    """In the order of the constructor, which is that of the field numbers as well."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple(_field(name, hints[name]) for name in kind.__struct_fields__)


def _field(name: str, hint: Any) -> Field:
    inner, *marks = get_args(hint)
    number = next(mark for mark in marks if type(mark) is int)
    repeated = get_origin(inner) is tuple
    if repeated:
        inner = get_args(inner)[0]
    else:
        inner = _without_none(inner)
    if get_origin(inner) is Annotated:
        inner, *more = get_args(inner)
        marks += more
    return Field(name, number, _type(inner, marks), repeated, ONEOF in marks)


def _without_none(hint: Any) -> Any:
    arguments = get_args(hint)
    if NoneType in arguments:
        return next(argument for argument in arguments if argument is not NoneType)
    return hint


def _type(inner: Any, marks: list[Any]) -> Any:
    for mark in marks:
        if isinstance(mark, Scalar) or (isinstance(mark, type) and issubclass(mark, IntEnum)):
            return mark
    return _BY_PYTHON_TYPE.get(inner, inner)
