"""ZooKeeper's encoding, written a second time for the tests, so that a mistake of ours is not made twice.

Big-endian integers without tags; a buffer or string is its length and its bytes, length -1 is null; a
vector is its count and its items.  `Writer` builds, `Reader` takes apart; `Undecodable` is the only error
of the latter.
"""
from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple, Self, TypeVar

Item = TypeVar("Item")


class Undecodable(Exception):
    """The bytes are not what the protocol says they are."""


class Acl(NamedTuple):
    permissions: int
    scheme: str | None
    id: str | None


class Stat(NamedTuple):
    czxid: int
    mzxid: int
    ctime: int
    mtime: int
    version: int
    cversion: int
    aversion: int
    ephemeral_owner: int
    data_length: int
    children: int
    pzxid: int


STAT = struct.Struct("!qqqqiiiqiiq")

OPEN = (Acl(31, "world", "anyone"),)


class Writer:
    """Appends; each method returns the writer, so that a body is one expression."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def raw(self, data: bytes) -> Self:
        self.pieces.append(data)
        return self

    def int32(self, value: int) -> Self:
        return self.raw(struct.pack("!i", value))

    def int64(self, value: int) -> Self:
        return self.raw(struct.pack("!q", value))

    def boolean(self, value: bool) -> Self:
        return self.raw(b"\1" if value else b"\0")

    def buffer(self, value: bytes | None) -> Self:
        if value is None:
            return self.int32(-1)
        return self.int32(len(value)).raw(value)

    def text(self, value: str | None) -> Self:
        return self.buffer(None if value is None else value.encode("utf-8", "surrogatepass"))

    def texts(self, values: Sequence[str | None]) -> Self:
        self.int32(len(values))
        for value in values:
            self.text(value)
        return self

    def acl(self, lines: Sequence[Acl] | None) -> Self:
        if lines is None:
            return self.int32(-1)
        self.int32(len(lines))
        for line in lines:
            self.int32(line.permissions).text(line.scheme).text(line.id)
        return self

    def bytes(self) -> bytes:
        return b"".join(self.pieces)


class Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        end = self.at + size
        if size < 0 or end > len(self.data):
            raise Undecodable(f"{size} bytes wanted at {self.at} of {len(self.data)}")
        piece = self.data[self.at : end]
        self.at = end
        return piece

    def int32(self) -> int:
        return int.from_bytes(self.take(4), "big", signed=True)

    def int64(self) -> int:
        return int.from_bytes(self.take(8), "big", signed=True)

    def boolean(self) -> bool:
        return self.take(1) != b"\0"

    def buffer(self) -> bytes | None:
        size = self.int32()
        return None if size == -1 else self.take(size)

    def text(self) -> str | None:
        raw = self.buffer()
        return None if raw is None else raw.decode("utf-8", "surrogateescape")

    def vector(self, item: Callable[[], Item]) -> list[Item]:
        return [item() for _ in range(max(0, self.int32()))]

    def acl(self) -> list[Acl]:
        return self.vector(lambda: Acl(self.int32(), self.text(), self.text()))

    def stat(self) -> Stat:
        return Stat(*STAT.unpack(self.take(STAT.size)))

    def end(self) -> None:
        if self.at != len(self.data):
            raise Undecodable(f"{len(self.data) - self.at} bytes left over")
