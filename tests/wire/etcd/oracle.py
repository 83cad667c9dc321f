"""Google's protobuf, taught our messages from the same tables: what it reads and writes is what is right."""

from __future__ import annotations

from typing import Any

import msgspec
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import strategies as st

from agreed.wire.etcd import messages
from agreed.wire.etcd.messages.fields import Field, Scalar, fields_of

KINDS: tuple[type[msgspec.Struct], ...] = tuple(
    kind
    for name in messages.__all__
    if issubclass(kind := getattr(messages, name), msgspec.Struct)
)

_PROTO = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    Scalar.BYTES: _PROTO.TYPE_BYTES,
    Scalar.STRING: _PROTO.TYPE_STRING,
    Scalar.BOOL: _PROTO.TYPE_BOOL,
    Scalar.INT64: _PROTO.TYPE_INT64,
    Scalar.UINT64: _PROTO.TYPE_UINT64,
    Scalar.UINT32: _PROTO.TYPE_UINT32,
}


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="all.proto", package="t", syntax="proto3")
    enumerations = {}
    for kind in KINDS:
        described = file.message_type.add(name=kind.__name__)
        if any(field.oneof for field in fields_of(kind)):
            described.oneof_decl.add(name="union")
        for field in fields_of(kind):
            _describe(described, field)
            if field.enumeration is not None:
                enumerations[field.enumeration.__name__] = field.enumeration
    for name, enumeration in enumerations.items():
        described_enum = file.enum_type.add(name=name)
        for member in enumeration:
            described_enum.value.add(name=f"{name}_{member.name}", number=int(member))
    return file


def _describe(described: Any, field: Field) -> None:
    line = described.field.add(name=field.name, number=field.number)
    line.label = _PROTO.LABEL_REPEATED if field.repeated else _PROTO.LABEL_OPTIONAL
    if field.message is not None:
        line.type, line.type_name = _PROTO.TYPE_MESSAGE, f".t.{field.message.__name__}"
    elif field.enumeration is not None:
        line.type, line.type_name = _PROTO.TYPE_ENUM, f".t.{field.enumeration.__name__}"
    else:
        line.type = _TYPES[field.type]
    if field.oneof:
        line.oneof_index = 0


_POOL = descriptor_pool.DescriptorPool()
_POOL.AddSerializedFile(_file().SerializeToString())


def oracle_type(kind: type[msgspec.Struct]) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"t.{kind.__name__}"))


def to_oracle(message: msgspec.Struct) -> Any:
    theirs = oracle_type(type(message))()
    _fill(theirs, message)
    return theirs


def _fill(theirs: Any, ours: msgspec.Struct) -> None:
    for field in fields_of(type(ours)):
        value = getattr(ours, field.name)
        if value is None:
            continue
        if field.message is None:
            if field.repeated:
                getattr(theirs, field.name).extend(value)
            else:
                setattr(theirs, field.name, value)
        elif field.repeated:
            for one in value:
                _fill(getattr(theirs, field.name).add(), one)
        else:
            getattr(theirs, field.name).SetInParent()
            _fill(getattr(theirs, field.name), value)


def from_oracle(theirs: Any, kind: type[msgspec.Struct]) -> msgspec.Struct:
    values = {}
    for field in fields_of(kind):
        value = getattr(theirs, field.name)
        if field.message is not None:
            nested = field.message
            if field.repeated:
                values[field.name] = tuple(from_oracle(one, nested) for one in value)
            else:
                values[field.name] = from_oracle(value, nested) if theirs.HasField(field.name) else None
        elif field.repeated:
            values[field.name] = tuple(value)
        else:
            values[field.name] = value if not field.oneof or theirs.HasField(field.name) else None
    return kind(**values)


_SCALARS = {
    Scalar.BYTES: st.binary(max_size=200),
    Scalar.STRING: st.text(max_size=20),
    Scalar.BOOL: st.booleans(),
    Scalar.INT64: st.integers(-(2**63), 2**63 - 1) | st.integers(-1, 300_000),
    Scalar.UINT64: st.integers(0, 2**64 - 1),
    Scalar.UINT32: st.integers(0, 2**32 - 1),
}


def messages_of(kind: type[msgspec.Struct], depth: int = 3) -> st.SearchStrategy[msgspec.Struct]:
    """Any message of that type, nested at most so deep."""
    fields = fields_of(kind)
    union = [field for field in fields if field.oneof]
    parts = {field.name: _value(field, depth) for field in fields if not field.oneof}

    def build(plain: dict[str, Any], chosen: tuple[str, Any] | None) -> msgspec.Struct:
        return kind(**plain, **({chosen[0]: chosen[1]} if chosen else {}))

    open_choices = [field for field in union if depth or not field.message]
    choices = [st.tuples(st.just(field.name), _value(field, depth)) for field in open_choices]
    return st.builds(build, st.fixed_dictionaries(parts), st.one_of(st.none(), *choices))


def _value(field: Field, depth: int) -> st.SearchStrategy[Any]:
    one: st.SearchStrategy[Any]
    if field.message is not None:
        if depth == 0:
            return st.just(()) if field.repeated else st.none()
        nested = field.message
        one = st.deferred(lambda: messages_of(nested, depth - 1))
        if not field.repeated and not field.oneof:
            one = st.none() | one
    elif field.enumeration is not None:
        one = st.sampled_from(field.enumeration) | st.integers(-(2**31), 2**31 - 1)
    else:
        one = _SCALARS[field.type]
    return st.lists(one, max_size=3).map(tuple) if field.repeated else one
