"""A snapshot as bytes: the same file on every node that holds it, so that it can be sent as it is.

    header      "agreedSN" (8), format version (4), length of the mark (4), the mark (msgpack of
                SnapshotMark), CRC32C of all before (4)
    pieces      any number of: length, not 0 (4), CRC32C of length and payload (4), payload
    trailer     0 (4), length of the whole payload in bytes (8), SHA-256 of the whole payload (32),
                CRC32C of the 44 bytes before (4)

Integers are little-endian.  The pieces are read as they were written, but where one ends does not enter the
digest: that is of the payload as a whole, and what two nodes compare to know that they hold the same state.
"""
from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator

import msgspec
from google_crc32c import value as crc32c

from agreed.consensus.machine import SnapshotMark
from agreed.disk.files import OpenFile

FORMAT_VERSION = 1
MAX_PIECE = 1 << 30
"""Bytes of payload in one piece, at most.  A reader holds one piece at a time."""

MAX_MARK = 1 << 20

_MAGIC = b"agreedSN"
_HEAD = struct.Struct("<8sII")
_CHECKSUM = struct.Struct("<I")
_PIECE = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
_TRAILER = struct.Struct("<IQ32s")
TRAILER_SIZE = _TRAILER.size + _CHECKSUM.size


class BadSnapshot(Exception):
    """This file is not a whole snapshot; the message says where it goes wrong.  Never leaves this package."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"offset {offset}: {reason}")
        self.offset = offset


def encode_header(mark: SnapshotMark) -> bytes:
    body = msgspec.msgpack.encode(mark)
    head = _HEAD.pack(_MAGIC, FORMAT_VERSION, len(body)) + body
    return head + _CHECKSUM.pack(crc32c(head))


def encode_piece(payload: bytes) -> bytes:
    assert 0 < len(payload) <= MAX_PIECE
    length = _LENGTH.pack(len(payload))
    return b"".join((length, _CHECKSUM.pack(crc32c(length + payload)), payload))


def encode_trailer(length: int, digest: bytes) -> bytes:
    trailer = _TRAILER.pack(0, length, digest)
    return trailer + _CHECKSUM.pack(crc32c(trailer))


class SnapshotScan:
    """Reads a snapshot from its beginning, verifying as it goes.

    `held` is the offset behind the last header or piece that verified: what a receiver may count on after a
    restart.  `digest` is there once `pieces` has come to its end, which it does only for a whole snapshot.
    """

    def __init__(self, file: OpenFile) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._size = file.size()
        self.held = 0
        self.payload_size = 0
        self.digest = b""

    def mark(self) -> SnapshotMark:
        """First.  Raises BadSnapshot."""
        head = self._file.read(0, _HEAD.size)
        if len(head) < _HEAD.size:
            raise BadSnapshot(0, "the header is missing")
        magic, version, length = _HEAD.unpack(head)
        if magic != _MAGIC:
            raise BadSnapshot(0, "this is not a snapshot")
        if version != FORMAT_VERSION:
            raise BadSnapshot(0, f"format {version} (this version reads format {FORMAT_VERSION})")
        whole = self._file.read(0, _HEAD.size + min(length, MAX_MARK) + _CHECKSUM.size)
        body_end = _HEAD.size + length
        if len(whole) != body_end + _CHECKSUM.size or _CHECKSUM.unpack_from(whole, body_end)[0] != crc32c(
            whole[:body_end]
        ):
            raise BadSnapshot(0, "the header does not match its checksum")
        try:
            mark = msgspec.msgpack.decode(whole[_HEAD.size : body_end], type=SnapshotMark)
        except (msgspec.DecodeError, ValueError) as error:
            raise BadSnapshot(0, f"the header makes no sense: {error}") from error
        self.held = len(whole)
        return mark

    def pieces(self) -> Iterator[bytes]:
        """Then the payload, piece by piece, each verified.  Raises BadSnapshot at the first that is not."""
        while True:
            offset = self.held
            head = self._file.read(offset, _PIECE.size)
            if len(head) < _PIECE.size:
                raise BadSnapshot(offset, "the file ends before its trailer")
            length, checksum = _PIECE.unpack(head)
            if length == 0:
                break
            if offset + _PIECE.size + length > self._size:
                raise BadSnapshot(offset, "the file ends inside a piece")
            payload = self._file.read(offset + _PIECE.size, length)
            if crc32c(head[: _LENGTH.size] + payload) != checksum:
                raise BadSnapshot(offset, "a piece does not match its checksum")
            self._hash.update(payload)
            self.payload_size += length
            self.held = offset + _PIECE.size + length
            yield payload
        self._check_trailer(self.held)

    def _check_trailer(self, offset: int) -> None:
        trailer = self._file.read(offset, TRAILER_SIZE)
        if len(trailer) < TRAILER_SIZE or offset + TRAILER_SIZE != self._size:
            raise BadSnapshot(offset, "the file does not end with its trailer")
        body = trailer[: _TRAILER.size]
        if _CHECKSUM.unpack_from(trailer, _TRAILER.size)[0] != crc32c(body):
            raise BadSnapshot(offset, "the trailer does not match its checksum")
        _, length, digest = _TRAILER.unpack(body)
        if length != self.payload_size or digest != self._hash.digest():
            raise BadSnapshot(offset, "the payload does not match its SHA-256")
        self.held = self._size
        self.digest = digest
