"""One write to a log file: a header, a payload, and marks by which damage tells how it came about.

    offset  size  what (little-endian)
         0     3  "agd"
         3     1  kind (RecordKind)
         4     4  length of the payload in bytes
         8     4  number of the file this record belongs to
        12     4  its offset in that file
        16     4  number of whole sectors of the file (512 bytes) inside the payload that hold only zeros
        20     4  CRC32C of the payload
        24     4  CRC32C of the 24 bytes before
        28     n  payload
      28+n   1-8  0xED, up to the next multiple of 8: never zero, so that a missing end can be seen

A log file is zero where nothing was written yet.  Each record is one write, and the next one is written only
after it has been synced.  From these two facts follows what a record that does not verify means:

* A whole record somewhere behind it: it *was* synced once, so the disk has lost what it had promised to
  keep.  `Damage.ROTTEN`.
* Nothing behind it, and more sectors of it are zero than it was written with, or all is zero from some byte
  on: that write never finished, nobody was told that it had.  `Damage.TORN`.
* Nothing behind it, and yet nothing of it is missing: bytes have changed.  `Damage.ROTTEN`, although it is
  the last record; a tail is not called torn just because it is the tail, for then a flipped bit in the last
  acknowledged write would go unnoticed.

What remains undetected: a disk that forgets a sector, or all, of the *last* write after it said that it was
synced.  That leaves the very same traces as a write which never finished; only the other nodes can know.

A header names its own place, so bytes that only look like a record (a copy of a log file stored as a value)
are not mistaken for one.
"""
from __future__ import annotations

import struct
from enum import Enum, IntEnum
from typing import NamedTuple

from google_crc32c import value as crc32c

from agreed.disk.files import SECTOR

HEADER = struct.Struct("<3sBIIIIII")
HEADER_SIZE = HEADER.size
_CHECKED = struct.Struct("<3sBIIIII")
_HEADER_CHECKSUM = struct.Struct("<I")
_ZERO_SECTOR = bytes(SECTOR)
MAGIC = b"agd"
ALIGNMENT = 8
END_MARK = b"\xed"
MAX_PAYLOAD = 1 << 30
"""Bytes.  A log file stays well below 4 GiB, so that offsets fit."""


class RecordKind(IntEnum):
    SEGMENT = 1
    """First in a log file: what must be known in order to read it alone (`wal.SegmentHeader`)."""
    SAVES = 2
    """A batch of ballots and entries."""
    LOG_START = 3
    """All entries before are void; the log goes on after a received snapshot."""


_KINDS = {int(kind): kind for kind in RecordKind}


class Record(NamedTuple):
    kind: RecordKind
    payload: bytes
    end: int
    """Offset of the byte after it."""


class Damage(Enum):
    TORN = "torn"
    ROTTEN = "rotten"


class BadRecord(NamedTuple):
    """Why there is no record at this offset."""

    reason: str
    declared_end: int | None
    """Where it ends, if its header can be trusted."""
    zero_sectors: int = 0
    """How many it was written with, if its header can be trusted."""


def record_size(payload_size: int) -> int:
    """Bytes a record takes on disk, end marks included."""
    return (HEADER_SIZE + payload_size) // ALIGNMENT * ALIGNMENT + ALIGNMENT


def encode_record(kind: RecordKind, payload: bytes, file_number: int, offset: int) -> bytes:
    """The bytes to write at `offset` of file `file_number`."""
    assert offset % ALIGNMENT == 0
    zero_sectors = _count_zero_sectors(payload, offset + HEADER_SIZE)
    checked = _CHECKED.pack(MAGIC, kind, len(payload), file_number, offset, zero_sectors, crc32c(payload))
    padding = ALIGNMENT - (HEADER_SIZE + len(payload)) % ALIGNMENT
    return b"".join((checked, _HEADER_CHECKSUM.pack(crc32c(checked)), payload, END_MARK * padding))


def decode_record(data: bytes, start: int, file_number: int, offset: int) -> Record | BadRecord:
    """The record at `data[start:]`, which is what lies at `offset` of the file.

    A `BadRecord` with a `declared_end` behind the end of `data` may only need more data.
    """
    if start + HEADER_SIZE > len(data):
        return BadRecord("the file ends inside a header", None)
    magic, kind, length, its_number, its_offset, zeros, checksum, header_checksum = HEADER.unpack_from(
        data, start
    )
    if magic != MAGIC or crc32c(data[start : start + HEADER_SIZE - 4]) != header_checksum:
        return BadRecord("the header does not match its checksum", None)
    if its_number != file_number or its_offset != offset:
        return BadRecord(f"it belongs to offset {its_offset} of file {its_number}", None)
    declared_end = offset + record_size(length)
    end = start + record_size(length)
    if end > len(data):
        return BadRecord("the file ends inside the record", declared_end, zeros)
    payload = data[start + HEADER_SIZE : start + HEADER_SIZE + length]
    if crc32c(payload) != checksum:
        return BadRecord("the payload does not match its checksum", declared_end, zeros)
    padding = data[start + HEADER_SIZE + length : end]
    if padding != END_MARK * len(padding):
        return BadRecord("the end marks are damaged", declared_end, zeros)
    if kind not in _KINDS:
        return BadRecord(f"kind {kind} is unknown (written by a newer version?)", declared_end, zeros)
    return Record(_KINDS[kind], payload, declared_end)


def find_record(data: bytes, start: int, file_number: int, offset: int) -> int | None:
    """Offset in the file of the first whole record after `offset`; `data[start:]` lies at `offset`."""
    position = data.find(MAGIC, start + 1)
    while position >= 0:
        place = offset + position - start
        if place % ALIGNMENT == 0 and isinstance(decode_record(data, position, file_number, place), Record):
            return place
        position = data.find(MAGIC, position + 1)
    return None


def is_zero(data: bytes) -> bool:
    """Whether nothing was ever written here.  (Comparing is a hundred times faster than `not any(data)`.)"""
    return data == bytes(len(data))


def judge(data: bytes, bad: BadRecord, file_number: int, offset: int) -> Damage:
    """How the bad record at `offset` came about; `data` is everything from there to the end of the file."""
    if find_record(data, 0, file_number, offset) is not None:
        return Damage.ROTTEN
    end = HEADER_SIZE if bad.declared_end is None else bad.declared_end - offset
    if end > len(data):
        # Space is allocated durably before anything is written into it, so no crash makes a file end here.
        return Damage.ROTTEN
    if is_zero(data[end - 1 :]):
        return Damage.TORN
    missing = -bad.zero_sectors
    position = 0
    while position < end:
        sector_end = min(end, position + SECTOR - (offset + position) % SECTOR)
        missing += is_zero(data[position:sector_end])
        position = sector_end
    return Damage.TORN if missing > 0 else Damage.ROTTEN


def _count_zero_sectors(payload: bytes, offset: int) -> int:
    """Of those that lie wholly in the payload; all others hold a part of the header or end marks."""
    if payload.find(_ZERO_SECTOR) < 0:
        return 0
    first = -offset % SECTOR
    starts = range(first, len(payload) - SECTOR + 1, SECTOR)
    return sum(payload.startswith(_ZERO_SECTOR, start) for start in starts)
