"""RFC 9113 sentence by sentence: what a client may say to a server, and what comes of what it may not.

Each row is a section, what the client does after a good beginning, the bytes, and what has to come of it:
the fault of the whole connection (a GOAWAY with that code), of one stream (a RST_STREAM), or nothing.  Each
is told twice, whole and byte by byte: how the bytes are cut must make no difference.
"""

from __future__ import annotations

import pytest

from agreed.wire.http2.events import DataReceived, HeadersReceived
from agreed.wire.http2.frames import PREFACE, ErrorCode, FrameType
from agreed.wire.http2.limits import Limits
from agreed.wire.http2.server import Http2Server
from tests.wire.http2.peer import (
    ACK,
    END_HEADERS,
    END_STREAM,
    PADDED,
    PRIORITIZED,
    REQUEST,
    Told,
    block,
    data,
    frame,
    headers,
    ping,
    reset,
    settings,
    tell,
    window_update,
)

PROTOCOL = ErrorCode.PROTOCOL_ERROR
SIZE = ErrorCode.FRAME_SIZE_ERROR
FLOW = ErrorCode.FLOW_CONTROL_ERROR
CLOSED = ErrorCode.STREAM_CLOSED
COMPRESSION = ErrorCode.COMPRESSION_ERROR
REFUSED = ErrorCode.REFUSED_STREAM
CALM = ErrorCode.ENHANCE_YOUR_CALM

GREETING = PREFACE + settings()
OPEN = headers(1, 0)
"""Stream 1, on which more is to come."""

LIMITS = Limits(max_concurrent_streams=3)


def with_field(name: bytes, value: bytes) -> bytes:
    return headers(1, END_STREAM, [*REQUEST, (name, value)])


def without(name: bytes) -> bytes:
    return headers(1, END_STREAM, [field for field in REQUEST if field[0] != name])


def headers_frame(flags: int, stream: int, payload: bytes) -> bytes:
    return frame(FrameType.HEADERS, flags, stream, payload)


def continuation(flags: int, stream: int, payload: bytes = b"") -> bytes:
    return frame(FrameType.CONTINUATION, flags, stream, payload)


BLOCK = block(REQUEST)
INCREMENTAL_SIZE_UPDATE = b"\x3f\xe1\x7f"  # of 16,352 bytes, where 4,096 are allowed

CONNECTION_FAULTS = [
    ("4.2", "DATA longer than the largest frame", OPEN + data(1, bytes(16_385)), SIZE),
    ("4.2", "HEADERS longer than the largest frame", headers_frame(END_HEADERS, 1, bytes(16_385)), SIZE),
    ("4.2", "a frame of no kind longer than the largest frame", frame(0x16, 0, 0, bytes(16_385)), SIZE),
    (
        "4.3",
        "a block that cannot be decoded",
        headers_frame(END_HEADERS, 1, b"\x82\xff\xff\xff"),
        COMPRESSION,
    ),
    ("4.3", "a block with an index of 0", headers_frame(END_HEADERS, 1, b"\x80"), COMPRESSION),
    (
        "4.3",
        "a block with an index that nothing has",
        headers_frame(END_HEADERS, 1, b"\xff\x20"),
        COMPRESSION,
    ),
    ("4.3", "a block that ends in a string", headers_frame(END_HEADERS, 1, b"\x40\x05ab"), COMPRESSION),
    ("4.3", "a block that ends before a string", headers_frame(END_HEADERS, 1, b"\x40"), COMPRESSION),
    ("4.3", "a number without end", headers_frame(END_HEADERS, 1, b"\xff" * 12), COMPRESSION),
    (
        "4.3",
        "a string that Huffman did not make",
        headers_frame(END_HEADERS, 1, b"\x40\x81\x00\x81\x00"),
        COMPRESSION,
    ),
    (
        "4.3",
        "a string with a coded end of string",
        headers_frame(END_HEADERS, 1, b"\x40\x84" + b"\xff" * 4),
        COMPRESSION,
    ),
    (
        "4.3",
        "a table larger than allowed",
        headers_frame(END_HEADERS, 1, INCREMENTAL_SIZE_UPDATE + BLOCK),
        COMPRESSION,
    ),
    ("4.3", "a table resized behind a field", headers_frame(END_HEADERS, 1, BLOCK + b"\x20"), COMPRESSION),
    (
        "4.3",
        "PRIORITY in the middle of a block",
        headers_frame(0, 1, BLOCK) + frame(2, 0, 1, bytes(5)),
        PROTOCOL,
    ),
    (
        "4.3",
        "HEADERS of another stream in the middle of a block",
        headers_frame(0, 1, BLOCK) + headers(3),
        PROTOCOL,
    ),
    ("4.3", "PING in the middle of a block", headers_frame(0, 1, BLOCK) + ping(), PROTOCOL),
    ("5.1", "DATA on an idle stream", data(1, b"x"), PROTOCOL),
    ("5.1", "RST_STREAM on an idle stream", reset(1), PROTOCOL),
    ("5.1", "WINDOW_UPDATE on an idle stream", window_update(1, 1), PROTOCOL),
    ("5.1", "CONTINUATION on an idle stream", continuation(END_HEADERS, 1, BLOCK), PROTOCOL),
    ("5.1", "CONTINUATION behind the end", headers(1) + continuation(END_HEADERS, 1, BLOCK), PROTOCOL),
    ("5.1", "HEADERS behind RST_STREAM", OPEN + reset(1) + headers(1), CLOSED),
    ("5.1.1", "a stream with an even number", headers(2), PROTOCOL),
    ("5.1.1", "a number smaller than the last", headers(5) + headers(3), PROTOCOL),
    (
        "5.5",
        "a frame of no kind in the middle of a block",
        headers_frame(0, 1, BLOCK) + frame(0x16, 0, 0),
        PROTOCOL,
    ),
    ("6.1", "DATA on stream 0", data(0, b"x"), PROTOCOL),
    ("6.1", "DATA with more padding than payload", OPEN + data(1, b"\x05abcd", PADDED), PROTOCOL),
    ("6.1", "DATA with padding but no payload", OPEN + data(1, b"", PADDED), PROTOCOL),
    ("6.2", "HEADERS on stream 0", headers(0), PROTOCOL),
    (
        "6.2",
        "HEADERS with more padding than payload",
        headers_frame(END_HEADERS | PADDED, 1, b"\x05a"),
        PROTOCOL,
    ),
    ("6.2", "HEADERS too short for a priority", headers_frame(END_HEADERS | PRIORITIZED, 1, b"ab"), SIZE),
    ("6.3", "PRIORITY on stream 0", frame(FrameType.PRIORITY, 0, 0, bytes(5)), PROTOCOL),
    ("6.3", "PRIORITY of the wrong size on an idle stream", frame(FrameType.PRIORITY, 0, 1, bytes(4)), SIZE),
    ("6.4", "RST_STREAM on stream 0", reset(0), PROTOCOL),
    ("6.4", "RST_STREAM of the wrong size", OPEN + frame(FrameType.RST_STREAM, 0, 1, bytes(3)), SIZE),
    ("6.5", "an acknowledgement with settings", frame(FrameType.SETTINGS, ACK, 0, bytes(6)), SIZE),
    ("6.5", "SETTINGS on a stream", frame(FrameType.SETTINGS, 0, 1, bytes(6)), PROTOCOL),
    ("6.5", "SETTINGS of the wrong size", frame(FrameType.SETTINGS, 0, 0, bytes(3)), SIZE),
    ("6.5.2", "ENABLE_PUSH neither 0 nor 1", settings((2, 2)), PROTOCOL),
    ("6.5.2", "a window above the largest", settings((4, 2**31)), FLOW),
    ("6.5.2", "frames smaller than the smallest", settings((5, 16_383)), PROTOCOL),
    ("6.5.2", "frames larger than the largest", settings((5, 2**24)), PROTOCOL),
    (
        "6.6",
        "PUSH_PROMISE of a client",
        OPEN + frame(FrameType.PUSH_PROMISE, END_HEADERS, 1, bytes(4) + BLOCK),
        PROTOCOL,
    ),
    ("6.7", "PING on a stream", frame(FrameType.PING, 0, 1, bytes(8)), PROTOCOL),
    ("6.7", "PING of the wrong size", frame(FrameType.PING, 0, 0, bytes(6)), SIZE),
    ("6.8", "GOAWAY on a stream", frame(FrameType.GOAWAY, 0, 1, bytes(8)), PROTOCOL),
    ("6.8", "GOAWAY of the wrong size", frame(FrameType.GOAWAY, 0, 0, bytes(7)), SIZE),
    ("6.9", "the connection's window opened by 0", window_update(0, 0), PROTOCOL),
    ("6.9", "WINDOW_UPDATE of the wrong size", frame(FrameType.WINDOW_UPDATE, 0, 0, bytes(3)), SIZE),
    ("6.9.1", "the connection's window above the largest", window_update(0, 2**31 - 1), FLOW),
    (
        "6.9.2",
        "a stream's window above the largest, by a setting",
        headers(1) + window_update(1, 2**31 - 1 - 65_535) + settings((4, 65_536)),
        FLOW,
    ),
    ("6.10", "CONTINUATION of nothing", OPEN + continuation(END_HEADERS, 1, BLOCK), PROTOCOL),
    ("6.10", "CONTINUATION on stream 0", headers_frame(0, 1, BLOCK) + continuation(0, 0), PROTOCOL),
    ("6.10", "CONTINUATION of another stream", headers_frame(0, 1, BLOCK) + continuation(0, 3), PROTOCOL),
    (
        "6.10",
        "CONTINUATION behind the last",
        headers_frame(0, 1, BLOCK) + continuation(4, 1) + continuation(4, 1),
        PROTOCOL,
    ),
    ("6.10", "CONTINUATION without end", headers_frame(0, 1, BLOCK) + continuation(0, 1) * 16, CALM),
]

STREAM_FAULTS = [
    ("5.1", "DATA behind the end", headers(1) + data(1, b"x"), CLOSED),
    ("5.1", "HEADERS behind the end", headers(1) + headers(1), CLOSED),
    ("5.1", "DATA behind RST_STREAM", OPEN + reset(1) + data(1, b"x"), CLOSED),
    ("6.3", "PRIORITY of the wrong size", OPEN + frame(FrameType.PRIORITY, 0, 1, bytes(4)), SIZE),
    ("6.9", "a stream's window opened by 0", OPEN + window_update(1, 0), PROTOCOL),
    ("6.9.1", "a stream's window above the largest", OPEN + window_update(1, 2**31 - 1), FLOW),
    ("8.1", "trailers that do not end the stream", OPEN + headers(1, 0, [(b"x", b"y")]), PROTOCOL),
    ("8.1", "a pseudo-field in trailers", OPEN + headers(1, END_STREAM, [(b":path", b"/")]), PROTOCOL),
    ("8.1.1", "less than its content-length", with_field(b"content-length", b"1"), PROTOCOL),
    (
        "8.1.1",
        "more than its content-length",
        headers(1, 0, [*REQUEST, (b"content-length", b"1")]) + data(1, b"ab"),
        PROTOCOL,
    ),
    (
        "8.1.1",
        "less than its content-length, in pieces",
        headers(1, 0, [*REQUEST, (b"content-length", b"5")]) + data(1, b"ab") + data(1, b"cd", END_STREAM),
        PROTOCOL,
    ),
    (
        "8.1.1",
        "two content-lengths",
        headers(1, 1, [*REQUEST, (b"content-length", b"0"), (b"content-length", b"1")]),
        PROTOCOL,
    ),
    ("8.1.1", "a content-length that is none", with_field(b"content-length", b"-1"), PROTOCOL),
    ("8.2.1", "an upper-case name", with_field(b"X-Test", b"y"), PROTOCOL),
    ("8.2.1", "a name with a space", with_field(b"x test", b"y"), PROTOCOL),
    ("8.2.1", "a name with a colon", with_field(b"x:y", b"y"), PROTOCOL),
    ("8.2.1", "an empty name", with_field(b"", b"y"), PROTOCOL),
    ("8.2.1", "a name beyond ASCII", with_field(b"x\xe9", b"y"), PROTOCOL),
    ("8.2.1", "a value with a line feed", with_field(b"x", b"a\nb"), PROTOCOL),
    ("8.2.1", "a value with a carriage return", with_field(b"x", b"a\r"), PROTOCOL),
    ("8.2.1", "a value with a NUL", with_field(b"x", b"\0"), PROTOCOL),
    ("8.2.1", "a value that begins with a space", with_field(b"x", b" a"), PROTOCOL),
    ("8.2.1", "a value that ends with a tab", with_field(b"x", b"a\t"), PROTOCOL),
    ("8.2.2", "connection", with_field(b"connection", b"keep-alive"), PROTOCOL),
    ("8.2.2", "keep-alive", with_field(b"keep-alive", b"1"), PROTOCOL),
    ("8.2.2", "transfer-encoding", with_field(b"transfer-encoding", b"chunked"), PROTOCOL),
    ("8.2.2", "upgrade", with_field(b"upgrade", b"h2c"), PROTOCOL),
    ("8.2.2", "te that is not trailers", with_field(b"te", b"gzip"), PROTOCOL),
    ("8.3", "an unknown pseudo-field", headers(1, 1, [*REQUEST, (b":test", b"x")]), PROTOCOL),
    ("8.3", "the pseudo-field of answers", headers(1, 1, [*REQUEST, (b":status", b"200")]), PROTOCOL),
    ("8.3", "a pseudo-field behind a field", headers(1, 1, [(b"x", b"y"), *REQUEST]), PROTOCOL),
    ("8.3.1", "no method", without(b":method"), PROTOCOL),
    ("8.3.1", "no scheme", without(b":scheme"), PROTOCOL),
    ("8.3.1", "no path", without(b":path"), PROTOCOL),
    ("8.3.1", "an empty path", headers(1, 1, [*REQUEST[:2], (b":path", b"")]), PROTOCOL),
    ("8.3.1", "two methods", headers(1, 1, [REQUEST[0], *REQUEST]), PROTOCOL),
    ("8.3.1", "two schemes", headers(1, 1, [REQUEST[1], *REQUEST]), PROTOCOL),
    ("8.3.1", "two paths", headers(1, 1, [REQUEST[2], *REQUEST]), PROTOCOL),
    ("8.5", "CONNECT without an authority", headers(1, 1, [(b":method", b"CONNECT")]), PROTOCOL),
    (
        "10.5.1",
        "more fields than allowed",
        headers(1, 1, [*REQUEST, *((b"x", b"a" * 968) for _ in range(33))]),
        CALM,
    ),
]

ACCEPTED = [
    ("4.1", "a frame of no kind", frame(0x16, 0, 0, b"abc") + headers(1)),
    ("4.1", "flags that mean nothing", frame(FrameType.HEADERS, 0xD2 | END_HEADERS, 1, BLOCK)),
    ("4.1", "the reserved bit", frame(FrameType.HEADERS, END_HEADERS, 1 | 1 << 31, BLOCK)),
    ("5.1", "PRIORITY on an idle stream", frame(FrameType.PRIORITY, 0, 3, bytes(5)) + headers(1)),
    ("5.1", "WINDOW_UPDATE behind RST_STREAM", OPEN + reset(1) + window_update(1, 5)),
    ("5.1", "RST_STREAM twice", OPEN + reset(1) + reset(1)),
    ("5.1", "PRIORITY behind RST_STREAM", OPEN + reset(1) + frame(FrameType.PRIORITY, 0, 1, bytes(5))),
    ("5.1.1", "numbers that are left out", headers(1) + headers(9)),
    ("6.1", "DATA with padding", OPEN + data(1, b"\x02abc\0\0", PADDED | END_STREAM)),
    ("6.1", "DATA that is all padding", OPEN + data(1, b"\x02\0\0", PADDED | END_STREAM)),
    ("6.2", "HEADERS with padding", headers_frame(END_HEADERS | PADDED, 1, b"\x03" + BLOCK + bytes(3))),
    ("6.2", "HEADERS with a priority", headers_frame(END_HEADERS | PRIORITIZED, 1, bytes(5) + BLOCK)),
    (
        "6.2",
        "HEADERS with both",
        headers_frame(END_HEADERS | PRIORITIZED | PADDED, 1, b"\x01" + bytes(5) + BLOCK + b"\0"),
    ),
    ("6.4", "an error code that nobody knows", OPEN + reset(1, 0xDEAD)),
    ("6.5", "an acknowledgement of our settings", frame(FrameType.SETTINGS, ACK, 0)),
    ("6.5.2", "a setting that nobody knows", settings((0xF000, 7), (4, 100))),
    ("6.7", "an answer to no question", ping(flags=ACK)),
    ("6.8", "GOAWAY with an unknown code", frame(FrameType.GOAWAY, 0, 0, bytes(4) + b"\xff" * 4 + b"why")),
    (
        "6.9.1",
        "windows as large as can be",
        OPEN + window_update(0, 2**31 - 65_536) + window_update(1, 2**31 - 65_536),
    ),
    (
        "6.10",
        "a block in three pieces",
        headers_frame(0, 1, BLOCK[:3])
        + continuation(0, 1, BLOCK[3:9])
        + continuation(END_HEADERS, 1, BLOCK[9:]),
    ),
    (
        "6.10",
        "a block of empty pieces",
        headers_frame(0, 1, b"") + continuation(0, 1) + continuation(END_HEADERS, 1, BLOCK),
    ),
    ("8.1", "trailers", OPEN + data(1, b"a") + headers(1, END_STREAM, [(b"x", b"y")])),
    (
        "8.1.1",
        "its content-length",
        headers(1, 0, [*REQUEST, (b"content-length", b"2")]) + data(1, b"ab", END_STREAM),
    ),
    ("8.2.2", "te: trailers", with_field(b"te", b"trailers")),
    ("8.2.3", "several cookies", headers(1, 1, [*REQUEST, (b"cookie", b"a=b"), (b"cookie", b"c=d")])),
    ("8.5", "CONNECT", headers(1, 0, [(b":method", b"CONNECT"), (b":authority", b"a:1")])),
]


def told(stream: bytes, cut: bool) -> Told:
    """What a server makes of `stream`, whole or byte by byte."""
    server = Http2Server(LIMITS)
    server.take()
    if not cut:
        return tell(server, GREETING + stream)
    heard = Told([], [])
    for byte in GREETING + stream:
        more = tell(server, bytes((byte,)))
        heard = Told(heard.events + more.events, heard.frames + more.frames, more.fault)
        if more.fault:
            break
    return heard


def named(rows: list[tuple[str, str, bytes, ErrorCode]]) -> list[object]:
    return [pytest.param(stream, code, id=f"{section} {what}") for section, what, stream, code in rows]


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "byte by byte"])
@pytest.mark.parametrize(("stream", "code"), named(CONNECTION_FAULTS))
def test_a_fault_of_the_connection(stream: bytes, code: ErrorCode, cut: bool) -> None:
    heard = told(stream, cut)
    assert heard.fault is not None
    assert heard.fault.code is code
    assert heard.goaway is code


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "byte by byte"])
@pytest.mark.parametrize(("stream", "code"), named(STREAM_FAULTS))
def test_a_fault_of_a_stream(stream: bytes, code: ErrorCode, cut: bool) -> None:
    heard = told(stream + headers(11), cut)
    assert heard.resets == {1: code}
    assert heard.goaway is None
    assert any(isinstance(event, HeadersReceived) and event.stream == 11 for event in heard.events)


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("stream", [pytest.param(row[2], id=f"{row[0]} {row[1]}") for row in ACCEPTED])
def test_what_is_allowed(stream: bytes, cut: bool) -> None:
    heard = told(stream + headers(11), cut)
    assert heard.goaway is None
    assert heard.resets == {}
    assert any(isinstance(event, HeadersReceived) and event.stream == 11 for event in heard.events)


@pytest.mark.parametrize(
    "first",
    [b"GET / HTTP/1.1\r\n\r\n", PREFACE[:-1] + b"x", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"\x16\x03\x01"],
)
def test_a_beginning_that_is_not_http2(first: bytes) -> None:
    heard = tell(Http2Server(LIMITS), first)
    assert heard.goaway is PROTOCOL


@pytest.mark.parametrize(
    "first", [headers(1), ping(), frame(FrameType.SETTINGS, ACK, 0), window_update(0, 1)]
)
def test_the_first_frame_is_settings(first: bytes) -> None:
    heard = tell(Http2Server(LIMITS), PREFACE + first)
    assert heard.goaway is PROTOCOL


def test_after_a_fault_nothing_is_listened_to() -> None:
    server = Http2Server(LIMITS)
    first = tell(server, GREETING + data(0, b"x"))
    assert server.closed
    again = tell(server, headers(1))
    assert again.fault is first.fault
    assert again.frames == []


def test_settings_are_acknowledged_each() -> None:
    heard = told(settings((4, 1)) + settings((4, 2), (4, 3)), False)
    acknowledged = [found for found in heard.of(FrameType.SETTINGS) if found.flags & ACK]
    assert len(acknowledged) == 3


def test_a_ping_comes_back() -> None:
    heard = told(ping(b"abcdefgh"), False)
    assert [(found.flags, found.payload) for found in heard.of(FrameType.PING)] == [(ACK, b"abcdefgh")]


def test_more_streams_than_allowed_are_refused_and_may_be_tried_again() -> None:
    heard = told(headers(1) + headers(3) + headers(5) + headers(7, 0) + data(7, b"x", END_STREAM), False)
    assert heard.resets == {7: REFUSED}
    assert [event.stream for event in heard.events if isinstance(event, HeadersReceived)] == [1, 3, 5]


def test_what_the_server_announces() -> None:
    server = Http2Server(
        Limits(max_concurrent_streams=7, max_header_list_bytes=1000, stream_window_bytes=70_000)
    )
    said = tell(server, GREETING).frames
    payload = said[0].payload
    assert said[0].kind == FrameType.SETTINGS
    values = {
        int.from_bytes(payload[i : i + 2], "big"): int.from_bytes(payload[i + 2 : i + 6], "big")
        for i in range(0, len(payload), 6)
    }
    assert values == {3: 7, 6: 1000, 4: 70_000}


def test_padding_is_not_data_but_takes_the_window() -> None:
    heard = told(OPEN + data(1, b"\x02abc\0\0", PADDED), False)
    assert [event.data for event in heard.events if isinstance(event, DataReceived)] == [b"abc"]
