"""Bytes to messages: one reader for each type, built from its fields when it is first asked for.

A reader is a loop over the tags with the two commonest kinds of field (bytes and numbers, both with a
one-byte tag and length) read in place: a call for each field would cost more than the reading.  The rules
are those of proto3: unknown fields are skipped (also groups, which nobody has written for fifteen years),
the last value of a field wins, a message that comes twice is merged, a member of a union puts out the one
before it, and repeated numbers are read packed or not.

A message within a message is a list of values until the one around it ends, because more of it may come: to
make it anew for each piece would take the square of the time, and two megabytes can hold a million pieces.

What is not protobuf raises MalformedInput, and nothing else.  Messages nest at most 100 deep, as in
Google's own readers: a transaction within a transaction 10,000 times over is an attack on the stack.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final, NoReturn

import msgspec

from agreed.errors import MalformedInput
from agreed.wire.etcd.messages.fields import Field, Scalar, fields_of
from agreed.wire.etcd.varint import SIGN_64, read_short, read_varint

Fill = Callable[[list[Any], bytes, int, int, int], None]
"""Reads into the values of a message: data, where it begins, where it ends, how much deeper it may go."""

Build = Callable[[list[Any]], Any]
"""Makes the message of its values."""

MAX_DEPTH: Final = 100
CUT: Final = "unexpected EOF"
"""What Go's readers say of a message that ends too early; clients of etcd get to see it."""

_MAX_LENGTH: Final = (1 << 31) - 1
_MAX_TAG: Final = (1 << 32) - 1

_VARINT, _FIXED_64, _LENGTH, _START_GROUP, _END_GROUP, _FIXED_32 = range(6)

# What is to be done with a field: bytes first, then what is made of a varint, then what is made of bytes.
_BYTES, _SIGNED, _BOOL, _UNSIGNED, _UNSIGNED_32, _ENUM, _STRING, _MESSAGE, _PACKED = range(9)
_ACTIONS: Final = {
    Scalar.BYTES: _BYTES,
    Scalar.STRING: _STRING,
    Scalar.BOOL: _BOOL,
    Scalar.INT64: _SIGNED,
    Scalar.UINT64: _UNSIGNED,
    Scalar.UINT32: _UNSIGNED_32,
}

_Entry = tuple[int, int, bool, Any, tuple[int, ...]]
"""The place among the values, the action, whether repeated, what the action needs (an enumeration's members
by number, or a message's type), and the places of the other members of its union."""


def _malformed(why: str) -> NoReturn:
    raise MalformedInput(why)


def _action(field: Field) -> tuple[int, Any]:
    if field.message is not None:
        return _MESSAGE, field.message
    if field.enumeration is not None:
        return _ENUM, {int(member): member for member in field.enumeration}
    return _ACTIONS[field.type], None


def _entries(fields: tuple[Field, ...]) -> dict[int, _Entry]:
    union = [place for place, field in enumerate(fields) if field.oneof]
    entries: dict[int, _Entry] = {}
    for place, field in enumerate(fields):
        action, more = _action(field)
        others = tuple(other for other in union if other != place) if field.oneof else ()
        length_delimited = action in (_BYTES, _STRING, _MESSAGE)
        tag = field.number << 3 | (_LENGTH if length_delimited else _VARINT)
        entries[tag] = (place, action, field.repeated, more, others)
        if field.repeated and not length_delimited:
            entries[field.number << 3 | _LENGTH] = (place, _PACKED, True, (action, more), others)
    return entries


def _number(action: int, more: Any, number: int) -> Any:
    """What a varint says, by the type of its field."""
    if action == _SIGNED:
        return number - (SIGN_64 << 1) if number >= SIGN_64 else number
    if action == _BOOL:
        return number != 0
    if action == _UNSIGNED:
        return number
    number &= 0xFFFFFFFF
    if action == _UNSIGNED_32:
        return number
    if number >= 1 << 31:
        number -= 1 << 32
    return more.get(number, number)


def _packed(data: bytes, position: int, end: int, action: int, more: Any) -> list[Any]:
    numbers = []
    while position < end:
        number, position = read_varint(data, position)
        numbers.append(_number(action, more, number))
    if position != end:
        _malformed(CUT)
    return numbers


def _skip(data: bytes, tag: int, position: int, end: int, depth: int) -> int:
    """Where an unknown field ends."""
    wire_type = tag & 7
    if tag < 8:
        _malformed("field number 0")
    if wire_type == _VARINT:
        return read_varint(data, position)[1]
    if wire_type == _FIXED_64:
        return position + 8
    if wire_type == _FIXED_32:
        return position + 4
    if wire_type == _LENGTH:
        length, position = read_short(data, position, _MAX_LENGTH)
        return position + length
    if wire_type != _START_GROUP:
        _malformed(f"wire type {wire_type} where a field begins")
    if depth <= 0:
        _malformed("nested too deep")
    while position < end:
        inner, position = read_short(data, position, _MAX_TAG)
        if inner & 7 == _END_GROUP:
            if inner >> 3 != tag >> 3:
                _malformed("a group ends that did not begin")
            return position
        position = _skip(data, inner, position, end, depth - 1)
    _malformed(CUT)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        _malformed("a string that is not UTF-8")


def _builder(kind: type[msgspec.Struct]) -> Build:
    fields = fields_of(kind)
    repeated_places = [place for place, field in enumerate(fields) if field.repeated]
    nested_places = [
        (place, field.message)
        for place, field in enumerate(fields)
        if field.message is not None and not field.repeated
    ]

    def build(values: list[Any]) -> Any:
        for place in repeated_places:
            values[place] = tuple(values[place])
        for place, nested in nested_places:
            if values[place] is not None:
                values[place] = reader(nested)[1](values[place])
        return kind(*values)

    return build


@cache
def reader(kind: type[msgspec.Struct]) -> tuple[Fill, Build]:
    """How to read a message of that type: where to begin with, and how to end."""
    find = _entries(fields_of(kind)).get

    def fill(values: list[Any], data: bytes, position: int, end: int, depth: int) -> None:
        while position < end:
            tag = data[position]
            position += 1
            if tag > 0x7F:
                tag, position = read_short(data, position - 1, _MAX_TAG)
            entry = find(tag)
            if entry is None:
                position = _skip(data, tag, position, end, depth)
                continue
            place, action, repeated, more, others = entry
            value: Any = data[position]
            position += 1
            if tag & 7 == _LENGTH:
                if value > 0x7F:
                    value, position = read_short(data, position - 1, _MAX_LENGTH)
                start = position
                position += value
                if position > end:
                    _malformed(CUT)
                if action == _BYTES:
                    value = data[start:position]
                elif action == _STRING:
                    value = _text(data[start:position])
                elif action == _PACKED:
                    values[place] = values[place] or []
                    values[place] += _packed(data, start, position, *more)
                    continue
                elif depth <= 0:
                    _malformed("nested too deep")
                else:
                    fill_nested, build_nested = reader(more)
                    value = None if repeated else values[place]
                    if value is None:
                        value = defaults_of(more)
                    fill_nested(value, data, start, position, depth - 1)
                    if repeated:
                        value = build_nested(value)
            else:
                if value > 0x7F:
                    value, position = read_varint(data, position - 1)
                if action != _SIGNED or value >= SIGN_64:
                    value = _number(action, more, value)
            if repeated:
                if values[place]:
                    values[place].append(value)
                else:
                    values[place] = [value]
                continue
            values[place] = value
            for other in others:
                values[other] = None
        if position != end:
            _malformed(CUT)

    return fill, _builder(kind)


@cache
def _defaults(kind: type[msgspec.Struct]) -> tuple[Any, ...]:
    return msgspec.structs.astuple(kind())


def defaults_of(kind: type[msgspec.Struct]) -> list[Any]:
    """What a message is before anything of it was read."""
    return list(_defaults(kind))
