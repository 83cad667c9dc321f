"""Messages to bytes: one writer for each type, built from its fields when it is first asked for.

A field with its default is not written (proto3), a negative number takes ten bytes, repeated numbers are
packed, and fields go out in the order of their numbers: what etcd's own writers put on the wire, byte for
byte.

Some things are written often enough to be remembered or to be written out by hand: a header is the same
object for all replies of one revision, the events of one revision are one tuple for all their watchers, so
that what these are told differs in a number only, and a key with its value is what every large answer is
made of.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import msgspec
from msgspec.structs import astuple

from agreed.wire.etcd.messages import Event, KeyValue, ResponseHeader, WatchResponse
from agreed.wire.etcd.messages.fields import Field, Scalar, fields_of
from agreed.wire.etcd.varint import FIRST_TWO, TABLE_SIZE, WHOLE, varint

Writer = Callable[[Any], bytes]

_VARINT, _LENGTH = 0, 2


def _tag(field: Field, wire_type: int) -> bytes:
    return varint(field.number << 3 | wire_type)


def _bytes_writer(field: Field) -> Writer:
    tag = _tag(field, _LENGTH)
    return lambda value: tag + varint(len(value)) + value


def _string_writer(field: Field) -> Writer:
    tag = _tag(field, _LENGTH)

    def write(value: str) -> bytes:
        data = value.encode()
        return tag + varint(len(data)) + data

    return write


def _bool_writer(field: Field) -> Writer:
    true, false = _tag(field, _VARINT) + b"\x01", _tag(field, _VARINT) + b"\x00"
    return lambda value: true if value else false


def _number_writer(field: Field) -> Writer:
    tag = _tag(field, _VARINT)
    return lambda value: tag + varint(value)


def _packed_writer(field: Field) -> Writer:
    tag = _tag(field, _LENGTH)

    def write(numbers: tuple[int, ...]) -> bytes:
        data = b"".join(map(varint, numbers))
        return tag + varint(len(data)) + data

    return write


def _message_writer(field: Field, kind: type[msgspec.Struct]) -> Writer:
    tag = _tag(field, _LENGTH)
    if kind is ResponseHeader:
        return _remembering(_plain_message_writer(tag, kind))
    return _plain_message_writer(tag, kind)


def _plain_message_writer(tag: bytes, kind: type[msgspec.Struct]) -> Writer:
    # A type may hold itself (a transaction within a transaction): its encoder is looked up when it is used.
    def write(message: msgspec.Struct) -> bytes:
        data = encoder(kind)(message)
        return tag + varint(len(data)) + data

    return write


def _remembering(write: Writer) -> Writer:
    """The last thing written is kept, for as long as the same object comes again and again."""
    last: Any = None
    written = b""

    def remembered(value: Any) -> bytes:
        nonlocal last, written
        if value is not last:
            written = write(value)
            last = value
        return written

    return remembered


def _repeated_writer(one: Writer) -> Writer:
    return lambda values: b"".join(map(one, values))


def _repeated_message_writer(field: Field, kind: type[msgspec.Struct]) -> Writer:
    tag = _tag(field, _LENGTH)
    if kind is KeyValue:
        return partial(_key_values, tag)

    def write(messages: tuple[msgspec.Struct, ...]) -> bytes:
        encode = encoder(kind)
        written: list[bytes] = []
        for message in messages:
            data = encode(message)
            written += (tag, varint(len(data)), data)
        return b"".join(written)

    return _remembering(write) if kind is Event else write


def _writer(field: Field) -> Writer:
    numeric = field.enumeration is not None or field.type in (Scalar.INT64, Scalar.UINT64, Scalar.UINT32)
    if field.repeated and numeric:
        return _packed_writer(field)
    if field.repeated and field.message is not None:
        return _repeated_message_writer(field, field.message)
    if field.message is not None:
        one = _message_writer(field, field.message)
    elif field.type is Scalar.BYTES:
        one = _bytes_writer(field)
    elif field.type is Scalar.STRING:
        one = _string_writer(field)
    elif field.type is Scalar.BOOL:
        one = _bool_writer(field)
    else:
        one = _number_writer(field)
    return _repeated_writer(one) if field.repeated else one


def _key_values(tag: bytes, kvs: tuple[KeyValue, ...]) -> bytes:
    """What every large answer is made of, written out by hand: a third of the time."""
    whole, first_two, small, most = WHOLE, FIRST_TWO, TABLE_SIZE, TABLE_SIZE * TABLE_SIZE
    written = []
    for kv in kvs:
        key, value, version = kv.key, kv.value, kv.version
        created, modified = kv.create_revision, kv.mod_revision
        size = len(key) + len(value)
        usual = key and value and size < 16_000 and 0 < version < small and not kv.lease
        if not usual or not (0 < created < most > modified > 0):
            data = _KEY_VALUE(kv)
            written.append(tag + varint(len(data)) + data)
            continue
        creation = (
            whole[created] if created < small else first_two[created % small] + whole[created // small]
        )
        modification = (
            whole[modified] if modified < small else first_two[modified % small] + whole[modified // small]
        )
        key_length, value_length, versions = whole[len(key)], whole[len(value)], whole[version]
        size += 5 + len(key_length) + len(value_length) + len(creation) + len(modification) + len(versions)
        written.append(
            b"%b%b\x0a%b%b\x10%b\x18%b\x20%b\x2a%b%b"
            % (tag, whole[size], key_length, key, creation, modification, versions, value_length, value)
        )
    return b"".join(written)


def _told_to_many(encode: Writer) -> Writer:
    """Of `WatchResponse`: where only the watcher is another one than last time, only that is written anew."""
    header: ResponseHeader | None = None
    events: tuple[Event, ...] = ()
    before = behind = b""

    def write(message: WatchResponse) -> bytes:
        nonlocal header, events, before, behind
        number = message.watch_id
        if (
            not message.events
            or message.created
            or message.canceled
            or message.compact_revision
            or message.cancel_reason
            or message.fragment
        ):
            return encode(message)
        if message.header is not header or message.events is not events:
            before = encode(WatchResponse(message.header))
            behind = encode(WatchResponse(events=message.events))
            header, events = message.header, message.events
        return b"%b\x10%b%b" % (before, varint(number), behind) if number else before + behind

    return write


@cache
def encoder(kind: type[msgspec.Struct]) -> Writer:
    """The function that writes messages of that type."""
    fields = fields_of(kind)
    writers = tuple(map(_writer, fields))
    if any(field.oneof and field.message is None for field in fields):
        # A number that is a member of a union is written when it is set, also when it is 0.
        told = tuple((write, field.oneof) for write, field in zip(writers, fields, strict=True))

        def encode_with_union(message: msgspec.Struct) -> bytes:
            return b"".join(
                [
                    write(value)
                    for value, (write, oneof) in zip(astuple(message), told, strict=True)
                    if value or (oneof and value is not None)
                ]
            )

        return encode_with_union

    def encode(message: msgspec.Struct) -> bytes:
        return b"".join([write(value) for value, write in zip(astuple(message), writers) if value])  # noqa: B905

    return _told_to_many(encode) if kind is WatchResponse else encode


_KEY_VALUE = encoder(KeyValue)
