"""Messages to and from JSON, as etcd's gateway writes and reads it (the JSON mapping of proto3).

    bytes             base64, standard alphabet; read also URL-safe and without padding
    int64, uint64     strings, because JavaScript has 53 bits; read as numbers too
    enumerations      names; read as numbers too
    defaults          not written
    names of fields   as in the messages; read also in lowerCamel
    unknown fields    ignored

What cannot be read raises MalformedInput with the sentence that servers written in Go say about it, because
the gateway hands that sentence to its client.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from binascii import a2b_base64
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final, NoReturn, TypeVar, cast

import msgspec
from msgspec.structs import astuple

from agreed.errors import MalformedInput
from agreed.wire.etcd.json_syntax import syntax_error
from agreed.wire.etcd.messages.fields import Field, Scalar, fields_of

M = TypeVar("M", bound=msgspec.Struct)

# --- writing -----------------------------------------------------------------------------------------------

_HTML: Final = ((b"<", rb"\u003c"), (b">", rb"\u003e"), (b"&", rb"\u0026"))


def to_json(message: msgspec.Struct) -> bytes:
    return json_text(_plain(type(message))(message))


def joined(parts: Sequence[bytes]) -> bytes:
    """One message out of parts of it.  A part with a repeated field has nothing else, and may go on with the
    field of the part before it; the others have what no other part has."""
    whole: list[bytes] = []
    field = b""
    for part in parts:
        name = part[1 : part.find(b":") + 1] if part.endswith(b"]}") else b""
        if name and name == field:
            whole[-1:] = (b",", part[len(name) + 2 : -2], b"]")
        elif part != b"{}":
            whole += (b",", part[1:-2], b"]") if name else (b",", part[1:-1])
            field = name
    return b"".join((b"{", *whole[1:], b"}"))


def json_text(value: Any) -> bytes:
    """JSON as Go writes it: no spaces, and nothing that a browser could take for markup."""
    text = msgspec.json.encode(value)
    for character, escaped in _HTML:
        if character in text:
            text = text.replace(character, escaped)
    return text


@cache
def _plain(kind: type[msgspec.Struct]) -> Callable[[msgspec.Struct], dict[str, Any]]:
    """From a message to what `json` understands."""
    told = [(field.name, _writer(field), field.oneof) for field in fields_of(kind)]

    def plain(message: msgspec.Struct) -> dict[str, Any]:
        return {
            name: write(value)
            for value, (name, write, oneof) in zip(astuple(message), told, strict=True)
            if value or (oneof and value is not None)
        }

    return plain


def _writer(field: Field) -> Callable[[Any], Any]:
    one = _one_writer(field)
    return (lambda values: [one(value) for value in values]) if field.repeated else one


def _one_writer(field: Field) -> Callable[[Any], Any]:
    if field.message is not None:
        kind = field.message
        return lambda message: _plain(kind)(message)
    if field.enumeration is not None:
        names = {int(member): member.name for member in field.enumeration}
        return lambda number: names.get(number, int(number))
    if field.type is Scalar.BYTES:
        return lambda data: b64encode(data).decode("ascii")
    if field.type in (Scalar.INT64, Scalar.UINT64):
        return str
    return lambda value: value


# --- reading -----------------------------------------------------------------------------------------------


OBJECTS_MOST: Final = 50_000
"""Two megabytes can hold a million empty objects, which take seconds; no request has more than hundreds."""

EXPLAINED_BYTES: Final = 65_536
"""To find Go's sentence takes a look at each character; of a longer text Python's must do."""


class _Fraction(str):
    """A number that is not whole, as it was written: no field takes one, but the sentence quotes it."""


def _constant(name: str) -> NoReturn:
    raise ValueError(name)


def from_json(kind: type[M], data: bytes) -> M:
    """The first value in the text; what follows it is not looked at, as in etcd.  Nothing at all, or `null`,
    is a message with nothing set.  Raises MalformedInput."""
    text = data.decode("utf-8", "replace").lstrip(" \t\r\n")
    if not text:
        return kind()
    if text.count("{") > OBJECTS_MOST:
        raise MalformedInput(f"more than {OBJECTS_MOST} objects in one request")
    try:
        value, _ = _DECODER.raw_decode(text)
    except RecursionError:
        raise MalformedInput("exceeded max depth") from None
    except ValueError as error:
        if len(data) > EXPLAINED_BYTES:
            raise MalformedInput(str(error)) from None
        # Go looks at bytes: what it complains about is half a character now and then.
        raise MalformedInput(syntax_error(data.decode("latin-1")) or "unexpected EOF") from None
    return cast(M, _message(kind, value))


_DECODER: Final = json.JSONDecoder(parse_float=_Fraction, parse_constant=_constant)


def _message(kind: type[msgspec.Struct], value: Any) -> msgspec.Struct:
    if value is None:
        return kind()
    if not isinstance(value, dict):
        _wrong(value, "map[string]json.RawMessage")
    values: dict[str, Any] = {}
    for name, camel, read, oneof in _readers(kind):
        given = value.get(camel)
        if given is None:
            given = value.get(name)
            if given is None:
                continue
        if oneof:
            for other in [other for other in values if other in _union(kind)]:
                del values[other]
        values[name] = read(given)
    return kind(**values)


@cache
def _union(kind: type[msgspec.Struct]) -> frozenset[str]:
    return frozenset(field.name for field in fields_of(kind) if field.oneof)


@cache
def _readers(kind: type[msgspec.Struct]) -> tuple[tuple[str, str, Callable[[Any], Any], bool], ...]:
    return tuple((field.name, _camel(field.name), _reader(field), field.oneof) for field in fields_of(kind))


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


_DEFAULTS: Final = {Scalar.BYTES: b"", Scalar.STRING: "", Scalar.BOOL: False}


def _reader(field: Field) -> Callable[[Any], Any]:
    one = _one_reader(field)
    if not field.repeated:
        return one

    default = one(None) if field.message is not None else _DEFAULTS.get(field.type, 0)

    def several(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            _wrong(value, "[]json.RawMessage")
        return tuple(default if item is None else one(item) for item in value)

    return several


def _one_reader(field: Field) -> Callable[[Any], Any]:
    if field.message is not None:
        kind = field.message
        return lambda value: _message(kind, value)
    if field.enumeration is not None:
        return _enumeration_reader(field)
    if field.type is Scalar.BYTES:
        return _bytes
    if field.type is Scalar.STRING:
        return _string
    if field.type is Scalar.BOOL:
        return _bool
    return _whole_reader(field.type)


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        _wrong(value, "bool")
    return value


def _string(value: Any) -> str:
    if type(value) is not str:
        _wrong(value, "string")
    return _without_halves(value)


def _without_halves(text: str) -> str:
    r"""Half of a surrogate pair (`"\ud800"`) is no character; Go puts U+FFFD in its place."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


_NOT_BASE64: Final = re.compile(r"[^A-Za-z0-9+/]")
_URL_SAFE: Final = str.maketrans("-_", "+/", "\r\n")


def _bytes(value: Any) -> bytes:
    if type(value) is not str:
        _wrong(value, "[]uint8")
    text = value.translate(_URL_SAFE)
    end = _NOT_BASE64.search(text)
    kept = text if end is None else text[: end.start()]
    wrong = len(text) - 1 if len(kept) % 4 == 1 else None
    if end is not None:
        wrong = _wrong_padding(text, end.start())
    if wrong is not None:
        raise MalformedInput(f"illegal base64 data at input byte {wrong}")
    return a2b_base64(kept + "=" * (-len(kept) % 4))


def _wrong_padding(text: str, start: int) -> int | None:
    """Where the padding that begins at `start` is none; None: it is right, and the text ends with it."""
    if text[start] != "=" or start % 4 < 2:
        return start
    if start % 4 == 2:
        start += 1
        if text[start : start + 1] != "=":
            return start
    return None if start + 1 == len(text) else start + 1


_RANGES: Final = {
    Scalar.INT64: (-(1 << 63), 1 << 63),
    Scalar.UINT64: (0, 1 << 64),
    Scalar.UINT32: (0, 1 << 32),
}


def _whole_reader(scalar: Scalar) -> Callable[[Any], int]:
    low, high = _RANGES[scalar]

    def whole(value: Any) -> int:
        if type(value) is str:
            value = _number_in_string(value)
        if type(value) is not int:
            _wrong(value, scalar.value)
        if not low <= value < high:
            _out_of_range(value, scalar.value)
        return value

    return whole


def _number_in_string(text: str) -> Any:
    """A string around a number is read as JSON once more, as Go does it."""
    try:
        value = _DECODER.decode(text)
    except ValueError as error:
        if len(text) > EXPLAINED_BYTES:
            raise MalformedInput(str(error)) from None
        raise MalformedInput(syntax_error(text) or "unexpected end of JSON input") from None
    return 0 if value is None else value


_ENUM_NUMBER: Final = "protoreflect.EnumNumber"
_FULL_NAMES: Final = {
    "AlarmAction": "etcdserverpb.AlarmRequest.AlarmAction",
    "AlarmType": "etcdserverpb.AlarmType",
    "CompareResult": "etcdserverpb.Compare.CompareResult",
    "CompareTarget": "etcdserverpb.Compare.CompareTarget",
    "DowngradeAction": "etcdserverpb.DowngradeRequest.DowngradeAction",
    "EventType": "mvccpb.Event.EventType",
    "FilterType": "etcdserverpb.WatchCreateRequest.FilterType",
    "PermissionType": "authpb.Permission.Type",
    "ServingStatus": "grpc.health.v1.HealthCheckResponse.ServingStatus",
    "SortOrder": "etcdserverpb.RangeRequest.SortOrder",
    "SortTarget": "etcdserverpb.RangeRequest.SortTarget",
}


def _enumeration_reader(field: Field) -> Callable[[Any], int]:
    enumeration = field.enumeration
    assert enumeration is not None
    full_name = _FULL_NAMES[enumeration.__name__]
    by_name: dict[str, int] = {member.name: member for member in enumeration}
    by_number: dict[int, int] = {int(member): member for member in enumeration}

    def read(value: Any) -> int:
        if type(value) is str:
            member = by_name.get(value)
            if member is None:
                quoted = json.dumps(json.dumps(value))
                raise MalformedInput(f"unknown value {quoted} for enum {full_name}")
            return member
        if type(value) is not int:
            _wrong(value, _ENUM_NUMBER)
        if not -(1 << 31) <= value < 1 << 31:
            _out_of_range(value, _ENUM_NUMBER)
        return by_number.get(value, value)

    return read


def _out_of_range(value: int, wanted: str) -> NoReturn:
    raise MalformedInput(f"json: cannot unmarshal number {value} into Go value of type {wanted}")


def _wrong(value: Any, wanted: str) -> NoReturn:
    if isinstance(value, _Fraction):
        what = f"number {value}" if wanted not in ("bool", "string", "[]uint8") else "number"
    elif value is None:
        what = "null"
    elif isinstance(value, bool):
        what = "bool"
    elif isinstance(value, int):
        what = "number"
    elif isinstance(value, str):
        what = "string"
    else:
        what = "object" if isinstance(value, dict) else "array"
    raise MalformedInput(f"json: cannot unmarshal {what} into Go value of type {wanted}")
