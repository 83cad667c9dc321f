"""Jute, the encoding of ZooKeeper: the few kinds of values of which every message is made.

All numbers are big-endian, nothing is tagged or padded, so both sides must know what comes next:

    boolean     1 byte, anything but 0 is true        buffer      int length, bytes; length -1 is null
    int, long   4 and 8 bytes, signed                 ustring     a buffer of UTF-8
    record      its fields, one after the other       vector      int count, items; count -1 is null

Here are the values alone; requests are read and written in `request_codec.py`, replies in `reply_codec.py`.

Reading never goes beyond the given end, which is not the end of the bytes: many frames lie in one chunk, and
a length that lies must not let one request read into the next.  What cannot be read raises `MalformedInput`.

A Java client writes each half of a surrogate pair as three bytes of its own (CESU-8) where UTF-8 has four
for both.  Texts that become `str` here (schemes, ids) are understood in both forms; paths stay bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from typing import Final

from agreed.errors import MalformedInput
from agreed.store.records import OPEN_ACL, Acl, Credential, Permission
from agreed.wire.zookeeper.messages import Stat

_INT = struct.Struct(">i")
_LONG = struct.Struct(">q")
STAT_FIELDS: Final = "qqqqiiiqiiq"
_STAT = struct.Struct(f">{STAT_FIELDS}")

unpack_int = _INT.unpack_from
pack_int = _INT.pack
unpack_long = _LONG.unpack_from
pack_long = _LONG.pack

STAT_BYTES: Final = _STAT.size
pack_stat = _STAT.pack
"""The 68 bytes of a stat from its eleven numbers, in the order of `messages.Stat`."""

MULTI_HEADER = struct.Struct(">i?i")
"""What stands before each operation and result of a multi: type, done, error."""
MULTI_END: Final = MULTI_HEADER.pack(-1, True, -1)

NULL: Final = b"\xff\xff\xff\xff"


def read_text(raw: bytes) -> str:
    """UTF-8 or CESU-8 to a string.  Half a surrogate pair is malformed: it could never be written again."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        pass
    try:
        halves = raw.decode("utf-8", "surrogatepass")
        return halves.encode("utf-16-be", "surrogatepass").decode("utf-16-be")
    except UnicodeError:
        raise MalformedInput("a string is not UTF-8") from None


class Reader:
    """Reads values one after the other from `buffer[position:end]`; each method moves `position` on.

    Every method raises `MalformedInput` where the value does not fit before `end`."""

    __slots__ = ("buffer", "end", "position")

    def __init__(self, buffer: bytes, position: int, end: int) -> None:
        self.buffer = buffer
        self.position = position
        self.end = end

    def _advance(self, size: int) -> int:
        start = self.position
        after = start + size
        if after > self.end:
            raise MalformedInput("a message ends in the middle of a value")
        self.position = after
        return start

    def boolean(self) -> bool:
        return self.buffer[self._advance(1)] != 0

    def integer(self) -> int:
        number: int = unpack_int(self.buffer, self._advance(4))[0]
        return number

    def long(self) -> int:
        number: int = unpack_long(self.buffer, self._advance(8))[0]
        return number

    def data(self) -> bytes | None:
        """A buffer or the bytes of a string; None is null."""
        size = self.integer()
        if size < 0:
            if size == -1:
                return None
            raise MalformedInput(f"a value says that it has {size} bytes")
        start = self._advance(size)
        return self.buffer[start : start + size]

    def path(self) -> bytes:
        """A string which may not be null."""
        path = self.data()
        if path is None:
            raise MalformedInput("a path is null")
        return path

    def text(self) -> str:
        """A string; null is read as the empty one."""
        raw = self.data()
        return read_text(raw) if raw else ""

    def count(self) -> int:
        """How many items follow; null is none.  Whoever reads the items finds out whether they are there."""
        count = self.integer()
        if count < -1:
            raise MalformedInput(f"a list says that it has {count} items")
        return max(count, 0)

    def paths(self) -> tuple[bytes, ...]:
        return tuple([self.path() for _ in range(self.count())])

    def stat(self) -> Stat:
        return Stat._make(_STAT.unpack_from(self.buffer, self._advance(STAT_BYTES)))

    def acl(self) -> Acl:
        """The list that is open to all comes back as the one object `OPEN_ACL`."""
        start = self.position
        if self.buffer.startswith(OPEN_ACL_BYTES, start, self.end):
            self.position = start + len(OPEN_ACL_BYTES)
            return OPEN_ACL
        return tuple([Permission(self.integer(), self.text(), self.text()) for _ in range(self.count())])

    def credentials(self) -> tuple[Credential, ...]:
        return tuple([Credential(self.text(), self.text()) for _ in range(self.count())])


def write_data(value: bytes | None) -> bytes:
    """A buffer, or a string that is UTF-8 already."""
    return NULL if value is None else pack_int(len(value)) + value


def write_text(value: str) -> bytes:
    raw = value.encode()
    return pack_int(len(raw)) + raw


def write_paths(paths: Collection[bytes]) -> bytes:
    """A vector of strings; also the names of children."""
    parts = [pack_int(len(paths))]
    for path in paths:
        parts.append(pack_int(len(path)))
        parts.append(path)
    return b"".join(parts)


def write_acl(acl: Acl) -> bytes:
    if acl is OPEN_ACL:
        return OPEN_ACL_BYTES
    return _write_acl(acl)


def _write_acl(acl: Acl) -> bytes:
    return pack_int(len(acl)) + b"".join(
        [pack_int(line.permissions) + write_text(line.scheme) + write_text(line.id) for line in acl]
    )


OPEN_ACL_BYTES: Final = _write_acl(OPEN_ACL)


def write_credentials(credentials: Collection[Credential]) -> bytes:
    return pack_int(len(credentials)) + b"".join(
        [write_text(credential.scheme) + write_text(credential.id) for credential in credentials]
    )
