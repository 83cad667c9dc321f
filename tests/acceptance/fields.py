"""A reply, taken apart into named fields, each with the nature that says how two servers may be compared.

Two servers never agree on transaction ids, clock times and session ids; they must agree on everything else,
and on the order of the transaction ids.  So each field carries its `Nature`, and
`tests/differential/zookeeper/compare.py` renames accordingly.
"""
from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

from tests.acceptance.jute import Acl, Reader, Stat


class Nature(Enum):
    """How the value of a field is compared."""

    VALUE = "equal"
    ZXID = "equal after an order-preserving renaming"
    TIME = "a moment of this run, and the same moment wherever the same transaction is meant"
    SESSION = "equal after naming sessions by the client that has them"
    NAMES = "equal as a set"


class Field(NamedTuple):
    """`value` of nature TIME is a pair: the transaction id it belongs to, and milliseconds."""

    name: str
    nature: Nature
    value: Any


def stat_fields(stat: Stat, prefix: str = "stat.") -> Iterator[Field]:
    yield Field(prefix + "czxid", Nature.ZXID, stat.czxid)
    yield Field(prefix + "mzxid", Nature.ZXID, stat.mzxid)
    yield Field(prefix + "pzxid", Nature.ZXID, stat.pzxid)
    yield Field(prefix + "ctime", Nature.TIME, (stat.czxid, stat.ctime))
    yield Field(prefix + "mtime", Nature.TIME, (stat.mzxid, stat.mtime))
    yield Field(prefix + "version", Nature.VALUE, stat.version)
    yield Field(prefix + "cversion", Nature.VALUE, stat.cversion)
    yield Field(prefix + "aversion", Nature.VALUE, stat.aversion)
    yield Field(prefix + "ephemeralOwner", Nature.SESSION, stat.ephemeral_owner)
    yield Field(prefix + "dataLength", Nature.VALUE, stat.data_length)
    yield Field(prefix + "numChildren", Nature.VALUE, stat.children)


def acl_field(lines: list[Acl]) -> Field:
    """Lines in a row that differ in the id alone are sorted: what `auth` expands to has no order."""
    ordered: list[Acl] = []
    start = 0
    for end in range(1, len(lines) + 1):
        if end == len(lines) or lines[end].permissions != lines[start].permissions:
            ordered += sorted(lines[start:end], key=repr)
            start = end
    return Field("acl", Nature.VALUE, tuple(ordered))


def names_field(reader: Reader, name: str) -> Field:
    return Field(name, Nature.NAMES, tuple(reader.vector(reader.text)))


EVENT_TYPES = {1: "created", 2: "deleted", 3: "data changed", 4: "children changed"}


def event_fields(zxid: int, body: bytes) -> Iterator[Field]:
    reader = Reader(body)
    kind, state = reader.int32(), reader.int32()
    yield Field("event", Nature.VALUE, EVENT_TYPES.get(kind, str(kind)))
    yield Field("state", Nature.VALUE, state)
    yield Field("path", Nature.VALUE, reader.text())
    yield Field("zxid", Nature.ZXID, zxid)
    reader.end()
