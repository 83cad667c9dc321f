"""What is written can be read again, whatever its sizes; what is no such file is refused and harms nobody.

That etcd's own tools open what is written here is held by `tests/acceptance/etcd`.
"""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agreed.errors import MalformedInput
from agreed.wire.etcd.bbolt import PAGE_BYTES, Reading, Writing, bucket

CONTENT = st.dictionaries(st.binary(min_size=1, max_size=40), st.binary(max_size=300), max_size=80)


def written(content: dict[bytes, dict[bytes, bytes]]) -> bytes:
    writing = Writing(bucket(name, entries) for name, entries in content.items())
    data = b"".join(writing.pieces())
    assert len(data) == writing.size_bytes
    return data


def read(data: bytes) -> dict[bytes, list[tuple[bytes, bytes]]]:
    reading = Reading(data)
    return {name: list(reading.bucket(name)) for name in reading.names()}


@given(st.dictionaries(st.binary(min_size=1, max_size=20), CONTENT, max_size=6))
@settings(max_examples=60)
def test_what_is_written_can_be_read_in_order(content: dict[bytes, dict[bytes, bytes]]) -> None:
    assert read(written(content)) == {name: sorted(entries.items()) for name, entries in content.items()}


@pytest.mark.parametrize("size", [0, 4000, 4052, 4053, 4096, 5000, 1_500_000])
def test_a_value_may_be_larger_than_a_page(size: int) -> None:
    entries = {b"a": b"x", b"b": bytes(size), b"c": b"y"}
    assert read(written({b"key": entries})) == {b"key": sorted(entries.items())}


def test_a_bucket_of_many_entries_is_a_tree_with_branches() -> None:
    entries = {struct.pack(">Q", number) + b"_" + bytes(8): b"v" * 30 for number in range(20_000)}
    data = written({b"key": entries, b"none": {}})
    assert read(data) == {b"key": sorted(entries.items()), b"none": []}
    assert len(data) % PAGE_BYTES == 0


def test_long_keys_do_not_make_a_tree_without_end() -> None:
    entries = {bytes([number]) * 9_000: b"" for number in range(30)}
    assert read(written({b"key": entries})) == {b"key": sorted(entries.items())}


def test_whoever_asks_may_do_something_else_while_sizes_are_added_up() -> None:
    entries = {struct.pack(">Q", number): b"" for number in range(10_000)}
    pieces = list(Writing([bucket(b"key", entries)]).pieces())
    assert pieces[:4] == [b"", b"", b"", b""]


def test_the_newer_meta_page_counts() -> None:
    data = bytearray(written({b"key": {b"a": b"1"}}))
    data[PAGE_BYTES + 60] ^= 1  # the second one, which is the newer, is torn
    assert read(bytes(data)) == {b"key": [(b"a", b"1")]}


@given(st.data())
@settings(max_examples=150)
def test_a_broken_file_is_refused_or_read_but_never_harms(data: st.DataObject) -> None:
    keys = {bytes([i]) * 30: bytes(300) for i in range(60)}
    sound = bytearray(written({b"key": keys, b"meta": {b"a": b"1"}}))
    for _ in range(data.draw(st.integers(1, 6))):
        sound[data.draw(st.integers(0, len(sound) - 1))] = data.draw(st.integers(0, 255))
    broken = bytes(sound[: data.draw(st.integers(0, len(sound)))] if data.draw(st.booleans()) else sound)
    try:
        read(broken)
    except MalformedInput:
        pass


def test_a_page_that_names_itself_is_no_way_to_go_round_for_ever() -> None:
    data = bytearray(written({b"key": {struct.pack(">Q", i): bytes(200) for i in range(100)}}))
    branch = next(
        page
        for page in range(2, len(data) // PAGE_BYTES)
        if struct.unpack_from("<H", data, page * PAGE_BYTES + 8)[0] == 0x01
    )
    struct.pack_into("<Q", data, branch * PAGE_BYTES + 16 + 8, branch)
    with pytest.raises(MalformedInput, match="named wrongly"):
        read(bytes(data))
