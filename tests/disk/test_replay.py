"""Reading a log back: the later record wins, and what makes no sense is refused although it verifies."""
from __future__ import annotations

import pytest

from agreed.consensus.machine import Ballot, Save
from agreed.disk.payloads import (
    FORMAT_VERSION,
    SegmentHeader,
    encode_log_start,
    encode_saves,
    encode_segment_header,
)
from agreed.disk.record import RecordKind, encode_record
from agreed.disk.replay import Replay, replay_log
from agreed.disk.segments import segment_path
from agreed.errors import CorruptData
from tests.disk.faulty_files import FaultyFiles
from tests.disk.workload import DIRECTORY, entry

HEADER = SegmentHeader(FORMAT_VERSION, 1, 0, 0, Ballot(0, None))
FIRST = RecordKind.SEGMENT, encode_segment_header(HEADER)


def _saves(*batches: tuple[int, list[int]]) -> tuple[RecordKind, bytes]:
    return RecordKind.SAVES, encode_saves(
        [Save(0, Ballot(term, None), [entry(index, term) for index in indexes]) for term, indexes in batches]
    )


def _replay(*records: tuple[RecordKind, bytes], keep_after: int = 0) -> Replay:
    disk = FaultyFiles()
    content = b""
    for kind, payload in records:
        content += encode_record(kind, payload, 1, len(content))
    disk.create(segment_path(DIRECTORY, 1)).write(0, content)
    replay = replay_log(DIRECTORY, disk, keep_after)
    assert replay is not None
    return replay


def _kept(replay: Replay) -> list[tuple[int, int]]:
    return [(each.index, each.term) for each in replay.entries]


def test_no_log_at_all() -> None:
    assert replay_log(DIRECTORY, FaultyFiles(), 0) is None


def test_the_last_ballot_counts() -> None:
    assert _replay(FIRST, _saves((1, []), (4, []))).ballot == Ballot(4, None)


@pytest.mark.parametrize(
    ("keep_after", "kept"),
    [
        (0, [(1, 1), (2, 1), (3, 2), (4, 2)]),
        (2, [(3, 2), (4, 2)]),
        (3, [(4, 2)]),
        (4, []),
        (9, []),
    ],
)
def test_the_later_record_wins(keep_after: int, kept: list[tuple[int, int]]) -> None:
    replay = _replay(FIRST, _saves((1, [1, 2, 3, 4, 5])), _saves((2, [3, 4])), keep_after=keep_after)
    assert _kept(replay) == kept
    assert (replay.extent.last_index, replay.extent.term_at(2), replay.extent.term_at(3)) == (4, 1, 2)
    assert replay.segments[-1].highest_index == 5


@pytest.mark.parametrize("keep_after", [0, 3])
def test_a_log_start_voids_what_was_before(keep_after: int) -> None:
    replay = _replay(
        FIRST,
        _saves((1, [1, 2, 3, 4, 5])),
        (RecordKind.LOG_START, encode_log_start(3, 2)),
        _saves((2, [4])),
        keep_after=keep_after,
    )
    assert _kept(replay) == [(4, 2)]
    assert replay.extent.base_index == 3


NEWER = SegmentHeader(FORMAT_VERSION + 1, 1, 0, 0, Ballot(0, None))


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([_saves((1, [1]))], "offset 0: the file does not begin with its description"),
        ([(RecordKind.SEGMENT, b"short")], "offset 0: not a segment header"),
        ([FIRST, _saves((1, [2]))], "offset 80: entry 2 follows entry 0: a gap"),
        ([FIRST, _saves((1, [1, 3]))], "offset 80: entry 3 follows entry 1: a gap"),
        ([FIRST, (RecordKind.SAVES, b"nonsense")], "offset 80: not a batch of saves"),
        ([FIRST, (RecordKind.LOG_START, b"nonsense")], "offset 80: not a log start"),
        ([FIRST, FIRST], "offset 80: a second description"),
        (
            [(RecordKind.SEGMENT, encode_segment_header(NEWER))],
            f"written in format {FORMAT_VERSION + 1}, this version reads format {FORMAT_VERSION}",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(records: list[tuple[RecordKind, bytes]], message: str) -> None:
    with pytest.raises(CorruptData, match=r"/data/0{9}1\.wal.*" + message):
        _replay(*records)
