"""The bytes of a snapshot: those of the table, and no other bytes get through."""
from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.consensus.machine import SnapshotMark
from agreed.consensus.members import Members
from agreed.disk.snapshot_format import (
    BadSnapshot,
    SnapshotScan,
    encode_header,
    encode_piece,
    encode_trailer,
)
from tests.disk.faulty_files import FaultyFiles
from tests.disk.workload import MEMBERS

MARK = SnapshotMark(5, 2, MEMBERS)


def _scan(content: bytes) -> tuple[SnapshotMark, list[bytes], SnapshotScan]:
    file = FaultyFiles().create(Path("/data/file"))
    file.write(0, content)
    scan = SnapshotScan(file)
    return scan.mark(), list(scan.pieces()), scan


def _whole(pieces: list[bytes]) -> bytes:
    payload = b"".join(pieces)
    trailer = encode_trailer(len(payload), hashlib.sha256(payload).digest())
    return encode_header(MARK) + b"".join(map(encode_piece, pieces)) + trailer


def test_the_bytes_are_those_of_the_table() -> None:
    header = encode_header(SnapshotMark(5, 2, Members(())))
    assert header[:-4].hex(" ", -4) == "61677265 6564534e 01000000 07000000 93050293 909090"
    assert encode_piece(b"hello").hex(" ", -4) == "05000000 a1b1174e 68656c6c 6f"
    assert encode_trailer(5, bytes(32))[:-4].hex() == "000000000500000000000000" + "00" * 32


@given(st.lists(st.binary(min_size=1, max_size=100), max_size=5))
def test_what_was_written_is_read(pieces: list[bytes]) -> None:
    content = _whole(pieces)
    mark, found, scan = _scan(content)
    assert (mark, found) == (MARK, pieces)
    assert (scan.held, scan.digest) == (len(content), hashlib.sha256(b"".join(pieces)).digest())


@given(st.binary(max_size=200), st.sampled_from([0, len(encode_header(MARK)), len(encode_header(MARK)) + 12]))
def test_any_bytes_have_a_defined_outcome(garbage: bytes, sound: int) -> None:
    with pytest.raises(BadSnapshot):
        _scan(_whole([b"piece"])[:sound] + garbage)


def test_a_newer_format_is_named() -> None:
    content = bytearray(_whole([b"piece"]))
    content[8] = 9
    with pytest.raises(BadSnapshot, match=r"format 9 \(this version reads format 1\)"):
        _scan(bytes(content))


def test_pieces_in_another_order_are_refused() -> None:
    """Each piece verifies, and so does the trailer."""
    one, other = encode_piece(b"one"), encode_piece(b"two")
    content = _whole([b"one", b"two"]).replace(one + other, other + one)
    with pytest.raises(BadSnapshot, match="does not match its SHA-256"):
        _scan(content)


def test_what_is_held_ends_with_the_last_sound_piece() -> None:
    content = _whole([b"a" * 50, b"b" * 50])
    file = FaultyFiles().create(Path("/data/file"))
    file.write(0, content[:-60])
    scan = SnapshotScan(file)
    scan.mark()
    with pytest.raises(BadSnapshot):
        list(scan.pieces())
    assert scan.held == len(encode_header(MARK) + encode_piece(b"a" * 50))
