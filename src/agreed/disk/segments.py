"""The files of the log: their names, and reading one of them record by record to its honest end.

A log is a row of files, `0000000001.wal`, `0000000002.wal`, ..., numbered without gaps.  Only the last one
is written to.  Before the next one appears, the one before it is cut to its exact length and synced, so in
every file but the last each byte is accounted for, and damage there is never the trace of a crash.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from agreed.disk.files import OpenFile
from agreed.disk.record import HEADER_SIZE, BadRecord, Damage, Record, decode_record, is_zero, judge

BLOCK = 4 << 20
"""Bytes read at once."""

_SUFFIX = ".wal"


class PlacedRecord(NamedTuple):
    offset: int
    record: Record


class SegmentEnd(NamedTuple):
    """Where the records of a file end.  `damage` None: nothing but unwritten space is left."""

    offset: int
    damage: Damage | None
    reason: str


def segment_path(directory: Path, number: int) -> Path:
    return directory / f"{number:010d}{_SUFFIX}"


def segment_numbers(names: Iterable[str]) -> list[int]:
    """The numbers of the log files among these names, ascending."""
    stems = (name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))
    return sorted(int(stem) for stem in stems if len(stem) == 10 and stem.isdecimal())


def read_segment(file: OpenFile, number: int, last: bool) -> Iterator[PlacedRecord | SegmentEnd]:
    """The records of file `number`, then one `SegmentEnd`.  Needs one block, or one record, of memory."""
    size = file.size()
    offset = start = 0
    data = b""
    while offset < size:
        found = decode_record(data, start, number, offset)
        if isinstance(found, Record):
            yield PlacedRecord(offset, found)
            start += found.end - offset
            offset = found.end
            continue
        needed = HEADER_SIZE if found.declared_end is None else found.declared_end - offset
        available = len(data) - start
        if available < needed and offset + available < size:
            data, start = file.read(offset, max(BLOCK, needed)), 0
            continue
        yield _end_at_bad_record(file.read(offset, size - offset), found, number, offset, last)
        return
    yield SegmentEnd(offset, None, "")


def _end_at_bad_record(rest: bytes, bad: BadRecord, number: int, offset: int, last: bool) -> SegmentEnd:
    if not last:
        return SegmentEnd(offset, Damage.ROTTEN, bad.reason + ", and this file was finished and synced")
    if offset == 0:
        return SegmentEnd(0, Damage.ROTTEN, bad.reason + ", and a file gets its name after its first record")
    if is_zero(rest):
        return SegmentEnd(offset, None, "")
    damage = judge(rest, bad, number, offset)
    if damage is Damage.TORN:
        return SegmentEnd(offset, damage, "a write that never finished")
    return SegmentEnd(offset, damage, bad.reason + ", though it had been written and synced")
