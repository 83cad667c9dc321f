"""The values of which messages are made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.errors import MalformedInput
from agreed.store.records import OPEN_ACL, Permission
from agreed.wire.zookeeper.codec import (
    OPEN_ACL_BYTES,
    Reader,
    pack_stat,
    read_text,
    write_acl,
    write_credentials,
    write_data,
    write_paths,
    write_text,
)
from tests.wire.zookeeper import strategies


def reader(raw: bytes) -> Reader:
    return Reader(raw, 0, len(raw))


@given(strategies.DATA)
def test_a_buffer_comes_back_and_null_is_not_empty(value):
    assert reader(write_data(value)).data() == value


@given(strategies.TEXT)
def test_a_string_comes_back(value):
    assert reader(write_text(value)).text() == value


@given(strategies.PATHS)
def test_a_list_of_paths_comes_back(value):
    assert reader(write_paths(value)).paths() == value


@given(strategies.ACL)
def test_an_acl_comes_back(value):
    assert reader(write_acl(value)).acl() == value


@given(strategies.STAT)
def test_a_stat_is_68_bytes_and_comes_back(value):
    raw = pack_stat(*value)
    assert len(raw) == 68
    assert reader(raw).stat() == value


def test_the_usual_acl_is_one_object():
    assert reader(OPEN_ACL_BYTES).acl() is OPEN_ACL
    assert write_acl((Permission(31, "world", "anyone"),)) == OPEN_ACL_BYTES


def test_an_acl_that_only_begins_like_the_usual_one_is_read_to_its_end():
    raw = b"\0\0\0\2" + OPEN_ACL_BYTES[4:] * 2
    assert reader(raw).acl() == OPEN_ACL * 2


def test_the_usual_acl_is_not_seen_where_the_frame_ends_in_it():
    with pytest.raises(MalformedInput):
        Reader(OPEN_ACL_BYTES, 0, len(OPEN_ACL_BYTES) - 1).acl()


@pytest.mark.parametrize("read", [Reader.paths, Reader.acl, Reader.credentials])
def test_a_null_list_is_empty(read):
    assert read(reader(b"\xff\xff\xff\xff")) == ()


def test_a_null_string_is_empty_but_a_null_path_is_none():
    assert reader(b"\xff\xff\xff\xff").text() == ""
    with pytest.raises(MalformedInput):
        reader(b"\xff\xff\xff\xff").path()


@pytest.mark.parametrize(
    ("what", "raw"),
    [
        (Reader.boolean, b""),
        (Reader.integer, b"\0\0\0"),
        (Reader.long, b"\0\0\0\0\0\0\0"),
        (Reader.data, b"\0\0\0\2x"),
        (Reader.data, b"\xff\xff\xff\xfe"),
        (Reader.text, b"\0\0\0\1\xff"),
        (Reader.paths, b"\0\0\0\2" + write_data(b"/a")),
        (Reader.paths, b"\x7f\xff\xff\xff"),
        (Reader.paths, b"\x80\0\0\0"),
        (Reader.acl, b"\0\0\0\1\0\0\0\1"),
        (Reader.stat, bytes(67)),
        (Reader.credentials, b"\0\0\0\1"),
    ],
)
def test_what_ends_too_early_or_has_an_impossible_length_is_malformed(what, raw):
    with pytest.raises(MalformedInput):
        what(reader(raw))


def test_a_reader_stops_at_its_end_and_not_at_that_of_the_buffer():
    raw = write_data(b"abcdef")
    with pytest.raises(MalformedInput):
        Reader(raw, 0, len(raw) - 1).data()


@given(st.text(st.characters(codec="utf-8")))
def test_both_ways_to_write_letters_beyond_the_first_plane_are_understood(text):
    """Java writes each of the two UTF-16 units as three bytes, as `DataOutput.writeUTF` does."""
    units = text.encode("utf-16-be")
    cesu8 = b"".join(
        chr(int.from_bytes(units[at : at + 2], "big")).encode("utf-8", "surrogatepass")
        for at in range(0, len(units), 2)
    )
    assert read_text(cesu8) == text
    assert read_text(text.encode()) == text


def test_half_a_surrogate_pair_is_malformed():
    """A string with it in could not be written to the log."""
    with pytest.raises(MalformedInput):
        read_text("\ud83d".encode("utf-8", "surrogatepass"))


def test_who_am_i_as_a_server_wrote_it():
    raw = b"\0\0\0\x02\0\0\0\x02ip\0\0\0\t127.0.0.1\0\0\0\x06digest\0\0\0\x01u"
    users = reader(raw).credentials()
    assert users == (("ip", "127.0.0.1"), ("digest", "u"))
    assert write_credentials(users) == raw
