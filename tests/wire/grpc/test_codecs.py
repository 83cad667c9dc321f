"""The small codecs of gRPC: timeouts, statuses, messages within a stream of bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.wire.grpc.messages import Assembler, Refused, framed, framed_together
from agreed.wire.grpc.requests import is_grpc
from agreed.wire.grpc.status import OK, Code, Status
from agreed.wire.grpc.timeouts import decode_timeout, encode_timeout
from agreed.wire.grpc.trailers import (
    decode_text,
    encode_text,
    metadata_of,
    status_fields,
    status_of,
    status_of_http,
    status_of_reset,
)

TIMEOUTS = [
    ("5S", 5_000),
    ("1H", 3_600_000),
    ("2M", 120_000),
    ("100m", 100),
    ("1500u", 2),
    ("999999n", 1),
    ("0n", 0),
    ("99999999H", 99_999_999 * 3_600_000),
]


@pytest.mark.parametrize(("text", "timeout_ms"), TIMEOUTS)
def test_timeouts(text: str, timeout_ms: int) -> None:
    assert decode_timeout(text) == timeout_ms


@pytest.mark.parametrize(
    "text", ["", "5", "S", "5s", "-1S", "1.5S", "123456789S", " 5S", "5S ", "5S\n", "٣S"]
)
def test_what_is_no_timeout(text: str) -> None:
    assert decode_timeout(text) is None


@given(st.integers(0, 99_999_999 * 3_600_000))
def test_a_timeout_is_never_told_shorter_than_it_is(timeout_ms: int) -> None:
    told = decode_timeout(encode_timeout(timeout_ms))
    assert told is not None
    assert timeout_ms <= told
    assert told == timeout_ms or told - timeout_ms < timeout_ms / 1000


TEXTS = [
    ("", b""),
    ("etcdserver: key not found", b"etcdserver: key not found"),
    ("100%", b"100%25"),
    ("a\nb", b"a%0Ab"),
    ("ünï", b"%C3%BCn%C3%AF"),
    ("\x7f~", b"%7F~"),
]


@pytest.mark.parametrize(("text", "encoded"), TEXTS)
def test_texts_of_a_status(text: str, encoded: bytes) -> None:
    assert encode_text(text) == encoded
    assert decode_text(encoded) == text


@given(st.text())
def test_any_text_survives_and_needs_only_printable_ascii(text: str) -> None:
    encoded = encode_text(text)
    assert all(0x20 <= byte < 0x7F for byte in encoded)
    assert decode_text(encoded) == text.encode("utf-8", "replace").decode()


@pytest.mark.parametrize(
    ("encoded", "text"), [(b"%", "%"), (b"%4", "%4"), (b"%zz%41", "%zzA"), (b"%ff", "�")]
)
def test_a_text_that_is_encoded_badly_is_taken_as_it_is(encoded: bytes, text: str) -> None:
    assert decode_text(encoded) == text


def test_statuses_as_fields_and_back() -> None:
    for code in Code:
        for text in ("", "why"):
            assert status_of(status_fields(Status(code, text))) == Status(code, text)
    assert status_of(status_fields(OK)) is OK


@pytest.mark.parametrize(
    ("value", "code"),
    [(b"17", Code.UNKNOWN), (b"x", Code.UNKNOWN), (b"", Code.UNKNOWN), (b"9" * 50, Code.UNKNOWN)],
)
def test_a_status_that_nobody_knows(value: bytes, code: Code) -> None:
    found = status_of([(b"grpc-status", value)])
    assert found is not None
    assert found.code is code


def test_what_stands_for_a_status_where_there_is_none() -> None:
    assert status_of([(b"x", b"y")]) is None
    assert status_of_http(b"404").code is Code.UNIMPLEMENTED
    assert status_of_http(b"503").code is Code.UNAVAILABLE
    assert status_of_http(b"418").code is Code.UNKNOWN
    assert status_of_reset(7).code is Code.UNAVAILABLE
    assert status_of_reset(8).code is Code.CANCELLED
    assert status_of_reset(11).code is Code.RESOURCE_EXHAUSTED
    assert status_of_reset(1).code is Code.INTERNAL
    assert status_of_reset(0xDEAD).code is Code.INTERNAL


def test_metadata_is_what_belongs_to_nobody_else() -> None:
    fields = [
        (b":method", b"POST"),
        (b":authority", b"a:1"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        (b"grpc-timeout", b"1S"),
        (b"token", b"t"),
        (b"twice", b"1"),
        (b"twice", b"2"),
        (b"odd", b"\xff"),
    ]
    assert metadata_of(fields) == {":authority": "a:1", "token": "t", "twice": "1,2", "odd": "�"}


CONTENT_TYPES = {
    b"application/grpc": True,
    b"application/grpc+proto": True,
    b"application/grpc;charset=utf-8": True,
    b"Application/GRPC": True,
    b"application/grpc+json": False,
    b"application/grpc-web": False,
    b"application/grpcx": False,
    b"application/json": False,
    b"": False,
}


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_content_types(content_type: bytes) -> None:
    assert is_grpc(content_type) is CONTENT_TYPES[content_type]


# --- messages -----------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=40), max_size=6), st.lists(st.integers(1, 50), max_size=30))
def test_messages_come_out_as_they_went_in_however_they_are_cut(
    messages: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(framed(message) for message in messages)
    assembler = Assembler(40)
    found = []
    for size in cuts:
        found += assembler.feed(stream[:size])
        stream = stream[size:]
    found += assembler.feed(stream)
    assert found == messages
    assert assembler.kept_bytes == 0


def test_a_message_may_have_its_length_and_no_more() -> None:
    assert Assembler(10).feed(framed(bytes(10))) == [bytes(10)]
    with pytest.raises(Refused) as refused:
        Assembler(10).feed(b"\0\0\0\0\x0b")
    assert refused.value.status == Status(
        Code.RESOURCE_EXHAUSTED, "grpc: received message larger than max (11 vs. 10)"
    )


def test_a_compressed_message_was_not_agreed_on() -> None:
    with pytest.raises(Refused) as refused:
        Assembler(10).feed(b"\x01\0\0\0\x01x")
    assert refused.value.status.code is Code.INTERNAL


def test_what_is_kept_is_counted() -> None:
    assembler = Assembler(100)
    assembler.feed(framed(b"abc") + framed(bytes(50))[:20])
    assert assembler.kept_bytes == 20
    assembler.feed(bytes(35))
    assert assembler.kept_bytes == 0


def test_messages_that_leave_together_are_what_they_would_be_alone() -> None:
    messages = [b"one", b"", b"x" * 40, b"three", b"y" * 9, b"z"]
    pieces = list(framed_together(messages, 20))
    assert b"".join(pieces) == b"".join(map(framed, messages))
    assert [len(piece) for piece in pieces] == [13, 45, 10, 20]
    assert list(framed_together([], 20)) == []
