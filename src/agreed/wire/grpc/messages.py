"""Messages within the bytes of a call: a byte for whether it is compressed, four of length, the message.

A message may be cut anywhere, and several may come in one piece.  What has not come to its end is kept in one
buffer: a list of pieces would cost forty bytes for each, and who sends a megabyte in pieces of one byte would
have us keep forty.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final

from agreed.wire.grpc.status import Code, Status

PREFIX: Final = struct.Struct(">BI")
PREFIX_BYTES: Final = 5

_unpack = PREFIX.unpack_from
_pack = PREFIX.pack


def framed(message: bytes) -> bytes:
    return _pack(0, len(message)) + message


def framed_together(messages: Iterable[bytes], most: int) -> Iterator[bytes]:
    """All of them, in pieces of no more than `most` bytes where each is that small."""
    pieces: list[bytes] = []
    size = 0
    for message in messages:
        length = len(message)
        if size + length + PREFIX_BYTES > most and pieces:
            yield b"".join(pieces)
            pieces, size = [], 0
        pieces += (_pack(0, length), message)
        size += length + PREFIX_BYTES
    if pieces:
        yield b"".join(pieces)


def head_of(size: int) -> bytes:
    """What stands before a message of so many bytes."""
    return _pack(0, size)


class Refused(Exception):
    """A message that the call has to end for."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.message)
        self.status = status


def checked_length(data: bytes | bytearray, position: int, most: int) -> int:
    """The length in the prefix at `position`.  Raises `Refused`."""
    compressed, length = _unpack(data, position)
    if compressed:
        raise Refused(Status(Code.INTERNAL, "grpc: compressed flag set with identity or empty encoding"))
    if length > most:
        text = f"grpc: received message larger than max ({length} vs. {most})"
        raise Refused(Status(Code.RESOURCE_EXHAUSTED, text))
    return int(length)


class Assembler:
    """Puts the messages of one call together."""

    __slots__ = ("_kept", "_message_bytes_most", "_needed")

    def __init__(self, message_bytes_most: int) -> None:
        self._message_bytes_most = message_bytes_most
        self._kept = bytearray()
        self._needed = 0

    @property
    def kept_bytes(self) -> int:
        """Of a message whose end has not come yet."""
        return len(self._kept)

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that `data` completes.  Raises `Refused`."""
        if self._kept:
            self._kept += data
            if len(self._kept) < self._needed:
                return []
            data = bytes(self._kept)
            self._kept = bytearray()
        messages: list[bytes] = []
        position, size = 0, len(data)
        needed = PREFIX_BYTES
        while size - position >= PREFIX_BYTES:
            needed = PREFIX_BYTES + checked_length(data, position, self._message_bytes_most)
            end = position + needed
            if end > size:
                break
            messages.append(data[position + PREFIX_BYTES : end])
            position = end
            needed = PREFIX_BYTES
        if position < size:
            self._kept += data[position:] if position else data
            self._needed = needed
        return messages
