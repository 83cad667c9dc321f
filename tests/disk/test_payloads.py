"""What the records of the log hold: everything comes back, and nothing else is accepted."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.consensus.machine import Ballot, Entry, EntryKind, Save
from agreed.disk.payloads import (
    SavedBatch,
    SegmentHeader,
    decode_log_start,
    decode_saves,
    decode_segment_header,
    encode_log_start,
    encode_saves,
    encode_segment_header,
)

numbers = st.integers(0, (1 << 64) - 1)
ballots = st.builds(Ballot, numbers, st.none() | st.text(max_size=20))
entries = st.builds(Entry, numbers, numbers, st.sampled_from(EntryKind), st.binary(max_size=50))
saves = st.lists(st.builds(Save, st.just(0), ballots, st.lists(entries, max_size=4)), max_size=4)


@given(saves)
def test_saves_come_back(batch: list[Save]) -> None:
    found = list(decode_saves(encode_saves(batch)))
    assert found == [SavedBatch(save.ballot, save.entries) for save in batch]


@given(st.builds(SegmentHeader, st.integers(0, 9), numbers, numbers, numbers, ballots))
def test_a_segment_header_comes_back(header: SegmentHeader) -> None:
    assert decode_segment_header(encode_segment_header(header)) == header


@given(numbers, numbers)
def test_a_log_start_comes_back(index: int, term: int) -> None:
    assert decode_log_start(encode_log_start(index, term)) == (index, term)


@given(st.binary(max_size=100))
def test_any_bytes_have_a_defined_outcome(data: bytes) -> None:
    for decode in (lambda data: list(decode_saves(data)), decode_segment_header, decode_log_start):
        try:
            decode(data)
        except ValueError:
            pass


@given(saves.filter(bool), st.integers(1, 30))
def test_saves_cut_short_are_refused(batch: list[Save], missing: int) -> None:
    """Within the last of them: without the whole of it they would be a batch."""
    last = len(encode_saves(batch[-1:]))
    found: list[SavedBatch] = []
    with pytest.raises(ValueError):
        found += decode_saves(encode_saves(batch)[: -min(missing, last - 1)])
    assert found == [SavedBatch(save.ballot, save.entries) for save in batch[:-1]][: len(found)]
    assert len(found) < len(batch)
