"""Records: what was written is read, and damage is told by its kind."""
from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.disk.record import (
    ALIGNMENT,
    HEADER_SIZE,
    BadRecord,
    Damage,
    Record,
    RecordKind,
    decode_record,
    encode_record,
    find_record,
    is_zero,
    judge,
    record_size,
)

SPACE = bytes(4096)
"""What lies behind the last record: allocated, never written."""


@given(st.sampled_from(RecordKind), st.binary(max_size=100), st.integers(0, 1 << 20), st.integers(0, 1000))
def test_what_was_written_is_read(kind: RecordKind, payload: bytes, number: int, place: int) -> None:
    offset = place * ALIGNMENT
    data = encode_record(kind, payload, number, offset)
    assert len(data) == record_size(len(payload))
    assert len(data) % ALIGNMENT == 0
    assert data[-1] != 0
    assert decode_record(b"ahead" + data, 5, number, offset) == Record(kind, payload, offset + len(data))


def test_the_bytes_are_those_of_the_table() -> None:
    assert encode_record(RecordKind.SAVES, b"hello", 7, 16).hex(" ", 4) == (
        "61676402 05000000 07000000 10000000 00000000 4cbb719a 101ff6ec 68656c6c 6fededed edededed"
    )


@given(st.binary(max_size=60), st.integers(0), st.integers(0, 7))
def test_no_flipped_bit_is_overlooked(payload: bytes, place: int, bit: int) -> None:
    data = bytearray(encode_record(RecordKind.SAVES, payload, 3, 64))
    data[place % len(data)] ^= 1 << bit
    assert isinstance(decode_record(bytes(data), 0, 3, 64), BadRecord)


@pytest.mark.parametrize(("number", "offset"), [(4, 64), (3, 72)])
def test_a_record_in_another_place_is_none(number: int, offset: int) -> None:
    data = encode_record(RecordKind.SAVES, b"x", 3, 64)
    found = decode_record(data, 0, number, offset)
    assert found == BadRecord("it belongs to offset 64 of file 3", None)


@given(st.binary(max_size=200))
def test_any_bytes_have_a_defined_outcome(data: bytes) -> None:
    assert isinstance(decode_record(data, 0, 1, 0), BadRecord)
    assert find_record(data, 0, 1, 0) is None


@pytest.mark.parametrize("length", [0, 10, HEADER_SIZE, 40])
def test_a_record_cut_short_says_how_much_it_needs(length: int) -> None:
    data = encode_record(RecordKind.SAVES, bytes(100), 1, 8)
    found = decode_record(data[:length], 0, 1, 8)
    assert isinstance(found, BadRecord)
    assert found.declared_end == (None if length < HEADER_SIZE else 8 + len(data))


def _damage(data: bytes, offset: int = 0) -> Damage:
    bad = decode_record(data, 0, 1, offset)
    assert isinstance(bad, BadRecord)
    return judge(data, bad, 1, offset)


LONG = encode_record(RecordKind.SAVES, Random(0).randbytes(2000), 1, 0)


@pytest.mark.parametrize("length", range(1, len(LONG), 61))
def test_a_write_that_stopped_at_any_byte_is_torn(length: int) -> None:
    assert _damage(LONG[:length] + bytes(len(LONG) - length) + SPACE) is Damage.TORN


@pytest.mark.parametrize("sector", range(3))
def test_a_write_of_which_a_sector_is_missing_is_torn(sector: int) -> None:
    missing = LONG[: sector * 512] + bytes(512) + LONG[sector * 512 + 512 :]
    assert _damage(missing + SPACE) is Damage.TORN


def test_sectors_are_those_of_the_file_and_not_of_the_record() -> None:
    record = encode_record(RecordKind.SAVES, Random(0).randbytes(2000), 1, 1000)
    first = 1024 - 1000
    assert _damage(bytes(first) + record[first:] + SPACE, 1000) is Damage.TORN
    shifted = record[:100] + bytes(500) + record[600:]
    assert _damage(shifted + SPACE, 1000) is Damage.ROTTEN


ZEROS = encode_record(RecordKind.SAVES, Random(0).randbytes(700) + bytes(1500) + b"x" * 800, 1, 4000)


@pytest.mark.parametrize("place", [0, 27, 100, 500, 1000, 2500, len(ZEROS) - 1])
def test_zeros_that_were_written_are_not_missing(place: int) -> None:
    flipped = ZEROS[:place] + bytes([ZEROS[place] ^ 4]) + ZEROS[place + 1 :]
    assert _damage(flipped + SPACE, 4000) is Damage.ROTTEN


@pytest.mark.parametrize("start", [96, 2144])
def test_a_sector_is_missing_between_zeros_that_were_written(start: int) -> None:
    assert _damage(ZEROS[:start] + bytes(512) + ZEROS[start + 512 :] + SPACE, 4000) is Damage.TORN


@pytest.mark.parametrize("place", [0, 5, 20, 30, 1000, len(LONG) - 1])
def test_a_record_of_which_nothing_is_missing_is_rotten_even_at_the_end(place: int) -> None:
    flipped = LONG[:place] + bytes([LONG[place] ^ 4]) + LONG[place + 1 :]
    assert _damage(flipped + SPACE) is Damage.ROTTEN


def test_what_lies_before_a_whole_record_is_rotten_whatever_it_looks_like() -> None:
    behind = encode_record(RecordKind.SAVES, b"", 1, len(LONG))
    assert _damage(bytes(len(LONG)) + behind + SPACE) is Damage.ROTTEN
    assert _damage(LONG[:40] + bytes(len(LONG) - 40) + behind + SPACE) is Damage.ROTTEN


def test_a_copy_of_a_log_in_a_value_is_not_taken_for_a_record() -> None:
    """Somebody stored a log file as a value, and the write of it was torn."""
    copy = encode_record(RecordKind.SAVES, b"copied", 1, 4096)
    record = encode_record(RecordKind.SAVES, copy * 3 + Random(0).randbytes(1000), 1, 0)
    assert _damage(record[:512] + bytes(512) + record[1024:] + SPACE) is Damage.TORN


@pytest.mark.parametrize(("data", "expected"), [(b"", True), (bytes(9), True), (bytes(9) + b"\1", False)])
def test_is_zero(data: bytes, expected: bool) -> None:
    assert is_zero(data) is expected
