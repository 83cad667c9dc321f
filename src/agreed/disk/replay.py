"""Reading a whole log back, without changing it: the ballot and the entries as the last save left them.

A later record wins: a save whose entries begin at or before the present end replaces what stood there, just
as it did when it was written.  Nothing is dropped silently.  What the trace of a crash can explain is
reported (`Replay.torn`); everything else raises `CorruptData`.

Memory: the entries after `keep_after`, and one block.  Time: linear in the size of the files.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from agreed.consensus.machine import Ballot, Entry
from agreed.disk.extent import Extent
from agreed.disk.files import Files, disk_failure
from agreed.disk.payloads import (
    FORMAT_VERSION,
    SegmentHeader,
    decode_log_start,
    decode_saves,
    decode_segment_header,
)
from agreed.disk.record import Damage, RecordKind
from agreed.disk.segments import (
    PlacedRecord,
    SegmentEnd,
    read_segment,
    segment_numbers,
    segment_path,
)
from agreed.errors import CorruptData, WrongIdentity
from agreed.types import Identity, Index

WHAT_TO_DO = (
    "Keep a copy of the data directory, then let this node join the cluster again with an empty one; "
    "the other nodes have what it held.  `agreed disk inspect` shows what can still be read."
)


@dataclass
class ReplayedSegment:
    """`highest_index` is the highest position ever written in it, replaced or not (0: none)."""

    number: int
    end: int
    highest_index: Index = 0


@dataclass
class TornTail:
    path: Path
    offset: int
    size: int
    """Bytes from the offset to the end of the file, most of them unwritten space."""


@dataclass
class Replay:
    """The log of a directory as of the last save."""

    identity: Identity
    ballot: Ballot
    extent: Extent
    entries: list[Entry]
    """Those after `keep_after` (none if the log ends before it), without gaps."""
    segments: list[ReplayedSegment] = field(default_factory=list)
    leftover: list[int] = field(default_factory=list)
    """Numbers of files before a gap in the numbers: a removal that did not get to its end, or a lost file."""
    torn: TornTail | None = None
    last_record: PlacedRecord | None = None


class _Reader:
    """Holds what has been read so far; each record changes it as the save did that wrote it."""

    def __init__(self, header: SegmentHeader, keep_after: Index) -> None:
        extent = Extent(header.previous_index, header.previous_term)
        self.replay = Replay(header.identity, header.ballot, extent, [])
        self._keep_after = keep_after

    def apply(self, path: Path, placed: PlacedRecord) -> None:
        record = placed.record
        try:
            match record.kind:
                case RecordKind.SEGMENT:
                    self._continue(path, decode_segment_header(record.payload), placed.offset)
                case RecordKind.SAVES:
                    self._save(path, placed)
                case RecordKind.LOG_START:
                    self.replay.extent.start_after(*decode_log_start(record.payload))
                    self.replay.entries.clear()
        except ValueError as error:
            raise corrupt(path, placed.offset, str(error)) from error
        self.replay.last_record = placed

    def _continue(self, path: Path, header: SegmentHeader, offset: int) -> None:
        replay = self.replay
        if offset != 0:
            raise ValueError("a second description in the middle of a file")
        if header.identity != replay.identity:
            raise WrongIdentity(
                f"{path} belongs to another data directory (identity {header.identity:016x}, here "
                f"{replay.identity:016x}): files of two directories were mixed.  {WHAT_TO_DO}"
            )
        expected = (replay.extent.last_index, replay.extent.last_term, replay.ballot)
        if (header.previous_index, header.previous_term, header.ballot) != expected:
            raise corrupt(
                path,
                offset,
                f"it goes on after entry {header.previous_index} of term {header.previous_term}, but "
                f"the file before it ends with entry {replay.extent.last_index} of term "
                f"{replay.extent.last_term}",
            )

    def _save(self, path: Path, placed: PlacedRecord) -> None:
        replay, keep_after = self.replay, self._keep_after
        extent, kept = replay.extent, replay.entries
        highest = replay.segments[-1].highest_index
        for ballot, entries in decode_saves(placed.record.payload):
            replay.ballot = ballot
            for entry in entries:
                index = entry.index
                if not extent.accepts(index):
                    gap = f"entry {index} follows entry {extent.last_index}: a gap"
                    raise corrupt(path, placed.offset, gap)
                if kept and index <= extent.last_index:
                    del kept[max(0, index - kept[0].index) :]
                extent.put(entry)
                if index > keep_after:
                    kept.append(entry)
                if index > highest:
                    highest = index
        replay.segments[-1].highest_index = highest


def corrupt(path: Path, offset: int, reason: str) -> CorruptData:
    return CorruptData(f"{path}, offset {offset}: {reason}.  {WHAT_TO_DO}")


def replay_log(directory: Path, files: Files, keep_after: Index) -> Replay | None:
    """None where there is no log file.  Raises CorruptData, WrongIdentity, DiskFailed."""
    numbers = segment_numbers(files.names(directory))
    if not numbers:
        return None
    run = len(numbers) - 1
    while run and numbers[run - 1] == numbers[run] - 1:
        run -= 1
    reader: _Reader | None = None
    for number in numbers[run:]:
        reader = _replay_segment(directory, files, number, number == numbers[-1], reader, keep_after)
    assert reader is not None
    reader.replay.leftover = numbers[:run]
    return reader.replay


def _replay_segment(
    directory: Path, files: Files, number: int, last: bool, reader: _Reader | None, keep_after: Index
) -> _Reader:
    path = segment_path(directory, number)
    with disk_failure(path, "reading"):
        file = files.open_for_reading(path)
        try:
            for found in read_segment(file, number, last):
                if isinstance(found, SegmentEnd):
                    if found.damage is Damage.ROTTEN:
                        raise corrupt(path, found.offset, found.reason)
                    if reader is None or reader.replay.segments[-1].number != number:
                        raise corrupt(path, 0, "the file is empty")
                    if found.damage is Damage.TORN:
                        reader.replay.torn = TornTail(path, found.offset, file.size() - found.offset)
                    reader.replay.segments[-1].end = found.offset
                    break
                if found.offset == 0:
                    header = read_segment_header(path, found)
                    reader = reader or _Reader(header, keep_after)
                    reader.replay.segments.append(ReplayedSegment(number, 0))
                assert reader is not None
                reader.apply(path, found)
        finally:
            file.close()
    assert reader is not None
    return reader


def read_segment_header(path: Path, first: PlacedRecord) -> SegmentHeader:
    """Raises CorruptData where the file does not begin with one that this version can read."""
    try:
        if first.record.kind is not RecordKind.SEGMENT:
            raise ValueError("the file does not begin with its description")
        header = decode_segment_header(first.record.payload)
    except ValueError as error:
        raise corrupt(path, 0, str(error)) from error
    if header.version != FORMAT_VERSION:
        raise CorruptData(
            f"{path}: written in format {header.version}, this version reads format {FORMAT_VERSION}.  "
            "Start the version that wrote it."
        )
    return header
