"""A script for two etcd servers: calls, and what is done on watch streams, so that it can be kept in a file.

Requests are written as their fields, and only those that are set:

    Call("Put", {"key": "a", "value": "1"})
    Call("Range", {"key": "a", "revision": "@2"})       the second revision after the script began
    Watch(0, {"key": "a", "start_revision": "@1"})      on stream 0

Bytes are texts (of Latin-1); `@` means: counted from the revision at which the script begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.acceptance.etcd.schema import METHODS, pb
from tests.differential.script import Script, Step

Fields = dict[str, Any]

STREAMS = 2


class Call(Step, frozen=True, tag="call"):
    """A unary call; a keep-alive is one request and one reply."""

    method: str
    fields: Fields = {}  # noqa: RUF012 - a Struct makes a new one each time

    def describe(self) -> str:
        return f"{self.method}{describe_fields(self.fields)}"

    def smaller(self) -> Iterator[Call]:
        return (Call(self.method, fields) for fields in smaller_value(self.fields))


class Watch(Step, frozen=True, tag="watch"):
    stream: int
    fields: Fields

    def describe(self) -> str:
        return f"Watch on stream {self.stream} {describe_fields(self.fields)}"

    def smaller(self) -> Iterator[Watch]:
        return (Watch(self.stream, fields) for fields in smaller_value(self.fields))


class Cancel(Step, frozen=True, tag="cancel"):
    stream: int
    watch_id: int

    def describe(self) -> str:
        return f"Cancel on stream {self.stream} {self.watch_id}"


class Progress(Step, frozen=True, tag="progress"):
    stream: int

    def describe(self) -> str:
        return f"Progress on stream {self.stream}"


AnyStep = Call | Watch | Cancel | Progress


class EtcdScript(Script[AnyStep], frozen=True):
    """It begins in a store without keys or leases."""


def describe_fields(fields: Mapping[str, Any]) -> str:
    return f"({', '.join(f'{name}={describe_value(value)}' for name, value in fields.items())})"


def describe_value(value: Any) -> str:
    if isinstance(value, Mapping):
        return describe_fields(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(describe_value, value))}]"
    return repr(value)


def smaller_value(value: Any) -> Iterator[Any]:
    """Without one of its fields or elements, at any depth."""
    if isinstance(value, dict):
        for name in value:
            if name != "key":
                yield {other: each for other, each in value.items() if other != name}
        for name, part in value.items():
            for smaller in smaller_value(part):
                yield {**value, name: smaller}
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield [*value[:number], *value[number + 1 :]]
            for smaller in smaller_value(part):
                yield [*value[:number], smaller, *value[number + 1 :]]


def request(method: str, fields: Mapping[str, Any], beginning: int) -> Any:
    """The message of a call, for a server on which the script begins at this revision."""
    return fill(getattr(pb, METHODS[method].request)(), fields, beginning)


def fill(message: Any, fields: Mapping[str, Any], beginning: int) -> Any:
    for name, value in fields.items():
        descriptor = message.DESCRIPTOR.fields_by_name[name]
        if descriptor.message_type is not None and not descriptor.is_repeated:
            part = getattr(message, name)
            part.SetInParent()
            fill(part, value, beginning)
        elif descriptor.message_type is not None:
            for each in value:
                fill(getattr(message, name).add(), each, beginning)
        elif descriptor.is_repeated:
            getattr(message, name).extend(value)
        else:
            setattr(message, name, scalar(descriptor, value, beginning))
    return message


def scalar(descriptor: Any, value: Any, beginning: int) -> Any:
    if descriptor.type == descriptor.TYPE_BYTES:
        return value.encode("latin-1")
    if isinstance(value, str):
        return beginning + int(value.removeprefix("@"))
    return value
