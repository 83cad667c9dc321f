"""Header fields: our decoder against the library's, block after block; what is kept; what is refused."""

from __future__ import annotations

import pytest
from hpack import Decoder, Encoder, HPACKError
from hypothesis import given, settings
from hypothesis import strategies as st

from agreed.wire.http2 import fields as module
from agreed.wire.http2.faults import ConnectionFault
from agreed.wire.http2.fields import Field, FieldsDecoder, encode, request_problem

names = st.sampled_from([b":path", b"te", b"x", b"grpc-timeout", b"user-agent", b"a" * 40, b"accept"])
values = st.one_of(st.sampled_from([b"", b"/", b"1S", b"trailers"]), st.binary(max_size=60))
field_lists = st.lists(st.tuples(names, values, st.booleans()), max_size=8)


def plain(found: object) -> list[Field]:
    return [(bytes(name), bytes(value)) for name, value in found]  # type: ignore[attr-defined]


@settings(max_examples=40)
@given(
    st.lists(st.tuples(field_lists, st.booleans(), st.sampled_from([None, None, 0, 100, 4096])), max_size=12)
)
def test_block_after_block_like_the_library(
    blocks: list[tuple[list[tuple[bytes, bytes, bool]], bool, int | None]],
) -> None:
    encoder, theirs, ours = Encoder(), Decoder(), FieldsDecoder(1 << 20)
    theirs.max_allowed_table_size = 4096
    for wanted, huffman, size in blocks:
        if size is not None:
            encoder.header_table_size = size
        block = encoder.encode(wanted, huffman=huffman)
        expected = plain(theirs.decode(block, raw=True))
        assert list(ours.decode(block).fields) == expected == [(n, v) for n, v, _ in wanted]


@settings(max_examples=80)
@given(st.lists(st.binary(max_size=40), max_size=4))
def test_nonsense_is_nonsense_to_both(blocks: list[bytes]) -> None:
    theirs, ours = Decoder(1 << 20), FieldsDecoder(1 << 20)
    for block in blocks:
        try:
            expected = plain(theirs.decode(block, raw=True))
        except HPACKError:
            with pytest.raises(ConnectionFault):
                ours.decode(block)
            return
        assert list(ours.decode(block).fields) == expected


def test_a_block_that_changes_nothing_is_read_once() -> None:
    decoder = FieldsDecoder(10_000)
    block = b"\x83\x86\x84"
    first = decoder.decode(block)
    assert decoder.decode(block) is first


def test_what_is_kept_is_forgotten_when_the_table_moves_under_it() -> None:
    """The same byte, 0xbe, is the newest entry of the table, whatever that is."""
    decoder = FieldsDecoder(10_000)
    decoder.decode(b"\x40\x01a\x01b")
    assert decoder.decode(b"\xbe").fields == ((b"a", b"b"),)
    assert decoder.decode(b"\xbe").fields == ((b"a", b"b"),)
    decoder.decode(b"\x40\x01c\x01d")
    assert decoder.decode(b"\xbe").fields == ((b"c", b"d"),)
    decoder.decode(b"\x20")
    with pytest.raises(ConnectionFault):
        decoder.decode(b"\xbe")


def test_blocks_that_are_long_are_not_kept() -> None:
    decoder = FieldsDecoder(1 << 20)
    block = b"\x10\x01x\x7f" + b"\xff\x07" + bytes(1150)
    assert decoder.decode(block) is not decoder.decode(block)


def test_a_list_may_have_its_length_and_no_more() -> None:
    decoder = FieldsDecoder(2 * (32 + 4))
    two = encode([(b"ab", b"cd"), (b"ef", b"gh")]).block
    assert not decoder.decode(two).oversized
    assert decoder.decode(two + two).oversized
    assert len(decoder.decode(two + two).fields) == 2


@settings(max_examples=40)
@given(st.lists(st.tuples(names, values), max_size=8))
def test_what_we_encode_needs_no_table(wanted: list[Field]) -> None:
    encoded = encode(wanted)
    for _ in range(2):
        assert plain(Decoder(1 << 20).decode(encoded.block, raw=True)) == wanted
    ours = FieldsDecoder(1 << 20)
    assert ours.decode(encoded.block) is ours.decode(encoded.block) or len(encoded.block) > 1024


def test_a_table_of_the_library_is_never_touched_by_what_we_encode() -> None:
    before = len(module._ENCODER.header_table.dynamic_entries)
    encode([(b"grpc-status", b"0"), (b"x-something-new", b"y")])
    assert len(module._ENCODER.header_table.dynamic_entries) == before == 0


def test_a_request_is_judged_once_for_all_like_it() -> None:
    decoder = FieldsDecoder(10_000)
    good = decoder.decode(encode([(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/")]).block)
    judged = []

    def rule(fields: object) -> str | None:
        judged.append(fields)
        return request_problem(fields)  # type: ignore[arg-type]

    assert good.initial_problem(rule) is None
    assert good.initial_problem(rule) is None
    assert len(judged) == 1
