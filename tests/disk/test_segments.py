"""Reading a file of the log: record by record, however large the blocks, to its honest end."""
from __future__ import annotations

from pathlib import Path

import pytest

from agreed.disk import segments
from agreed.disk.files import OpenFile
from agreed.disk.record import Damage, Record, RecordKind, encode_record, record_size
from agreed.disk.segments import PlacedRecord, SegmentEnd, read_segment, segment_numbers, segment_path
from tests.disk.faulty_files import FaultyFiles

PAYLOADS = [b"", b"x" * 5, b"y" * 300, b"z" * 40, b"w" * 1000, b"v"]


def _file(payloads: list[bytes], behind: bytes = b"") -> tuple[OpenFile, list[PlacedRecord]]:
    content, placed = b"", []
    for payload in payloads:
        end = len(content) + record_size(len(payload))
        placed.append(PlacedRecord(len(content), Record(RecordKind.SAVES, payload, end)))
        content += encode_record(RecordKind.SAVES, payload, 3, len(content))
    file = FaultyFiles().create(Path("/data/file"))
    file.write(0, content + behind)
    return file, placed


@pytest.mark.parametrize("block", [1, 28, 64, 500, 1 << 20])
@pytest.mark.parametrize("last", [True, False])
def test_every_record_is_read_whatever_the_size_of_a_block(
    block: int, last: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "BLOCK", block)
    file, placed = _file(PAYLOADS)
    assert list(read_segment(file, 3, last)) == [*placed, SegmentEnd(file.size(), None, "")]


def test_a_file_is_read_in_blocks_and_not_record_by_record() -> None:
    file, placed = _file([b"small"] * 200)
    reads: list[int] = []

    class Counting:
        size = staticmethod(file.size)

        def read(self, offset: int, size: int) -> bytes:
            reads.append(size)
            return file.read(offset, size)

    assert len(list(read_segment(Counting(), 3, True))) == len(placed) + 1  # type: ignore[arg-type]
    assert len(reads) == 1


def test_unwritten_space_ends_the_last_file_and_is_damage_in_any_other() -> None:
    file, placed = _file(PAYLOADS, bytes(1000))
    end = placed[-1].record.end
    assert list(read_segment(file, 3, True))[-1] == SegmentEnd(end, None, "")
    found = list(read_segment(file, 3, False))[-1]
    assert isinstance(found, SegmentEnd)
    assert (found.offset, found.damage) == (end, Damage.ROTTEN)


def test_a_file_without_a_first_record_is_damaged() -> None:
    file, _ = _file([], bytes(1000))
    (found,) = read_segment(file, 3, True)
    assert isinstance(found, SegmentEnd)
    assert (found.offset, found.damage) == (0, Damage.ROTTEN)


def test_names() -> None:
    names = ["0000000012.wal", "0000000003.wal", "0000000004.wal.new", "x.wal", "123.wal", "identity", "lock"]
    assert segment_numbers(names) == [3, 12]
    assert segment_path(Path("/data"), 12).name == "0000000012.wal"
