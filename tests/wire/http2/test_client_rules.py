"""RFC 9113 as a client has to see it: what a server may say, and what comes of what it may not."""

from __future__ import annotations

import pytest

from agreed.wire.http2.client import Http2Client
from agreed.wire.http2.events import (
    DataReceived,
    GoawayReceived,
    HeadersReceived,
    StreamReset,
    TrailersReceived,
)
from agreed.wire.http2.fields import encode
from agreed.wire.http2.frames import PREFACE, ErrorCode, FrameType
from agreed.wire.http2.limits import Limits
from tests.wire.http2.peer import (
    ACK,
    END_HEADERS,
    END_STREAM,
    REQUEST,
    Told,
    block,
    data,
    frame,
    frames_of,
    headers,
    ping,
    reset,
    settings,
    tell,
    window_update,
)

PROTOCOL = ErrorCode.PROTOCOL_ERROR
CLOSED = ErrorCode.STREAM_CLOSED

ENCODED = encode(REQUEST)
OK = [(b":status", b"200")]


def answer(flags: int, fields: list[tuple[bytes, bytes]], stream: int = 1) -> bytes:
    return headers(stream, flags, fields)


def client(calls: int = 1) -> Http2Client:
    made = Http2Client(Limits())
    for _ in range(calls):
        made.begin(ENCODED, ends=True)
    made.take()
    return made


def goaway(last: int, code: int = 0, text: bytes = b"") -> bytes:
    return frame(FrameType.GOAWAY, 0, 0, last.to_bytes(4, "big") + code.to_bytes(4, "big") + text)


CONNECTION_FAULTS = [
    ("3.4 the first frame is not SETTINGS", answer(0, OK), PROTOCOL),
    ("5.1 HEADERS on an idle stream", settings() + answer(0, OK, 3), PROTOCOL),
    ("5.1 DATA on an idle stream", settings() + data(3, b"x"), PROTOCOL),
    ("5.1.1 a stream of the server", settings() + answer(0, OK, 2), PROTOCOL),
    ("6.4 RST_STREAM on an idle stream", settings() + reset(3), PROTOCOL),
    ("6.5.2 pushing enabled", settings((2, 1)), PROTOCOL),
    (
        "6.6 PUSH_PROMISE, which we forbid",
        settings() + frame(5, END_HEADERS, 1, bytes(4) + block(REQUEST)),
        PROTOCOL,
    ),
    (
        "4.3 a block that cannot be decoded",
        settings() + frame(1, END_HEADERS, 1, b"\x80"),
        ErrorCode.COMPRESSION_ERROR,
    ),
]

STREAM_FAULTS = [
    ("8.1 DATA before HEADERS", data(1, b"x"), PROTOCOL),
    ("8.1 trailers without end", answer(0, OK) + answer(0, [(b"a", b"b")]), PROTOCOL),
    ("8.1 a status in trailers", answer(0, OK) + answer(1, OK), PROTOCOL),
    ("8.1.1 less than its content-length", answer(1, [*OK, (b"content-length", b"3")]), PROTOCOL),
    ("8.3.2 no status", answer(0, [(b"a", b"b")]), PROTOCOL),
    ("8.3.2 a status that is none", answer(0, [(b":status", b"2000")]), PROTOCOL),
    ("8.3.2 two", answer(0, OK + OK), PROTOCOL),
    ("8.3.2 the fields of a request", answer(0, [*OK, *REQUEST]), PROTOCOL),
    ("15 an interim answer that is the last", answer(1, [(b":status", b"100")]), PROTOCOL),
    ("6.9 a window opened by 0", window_update(1, 0), PROTOCOL),
]


@pytest.mark.parametrize(("name", "stream", "code"), CONNECTION_FAULTS)
def test_a_fault_of_the_connection(name: str, stream: bytes, code: ErrorCode) -> None:
    told = tell(client(), stream)
    assert told.goaway is code


@pytest.mark.parametrize(("name", "stream", "code"), STREAM_FAULTS)
def test_a_fault_of_a_stream(name: str, stream: bytes, code: ErrorCode) -> None:
    made = client(2)
    told = tell(made, settings() + stream + answer(1, OK, 3))
    assert told.resets == {1: code}
    assert StreamReset(1, code, True) in told.events
    assert any(isinstance(event, HeadersReceived) and event.stream == 3 for event in told.events)
    assert made.closed is False


def test_an_answer_with_all_its_parts() -> None:
    made = client()
    stream = settings() + answer(0, [(b":status", b"103")]) + answer(0, OK) + data(1, b"a") + data(1, b"b")
    told = tell(made, stream + answer(END_STREAM, [(b"grpc-status", b"0")]))
    kinds = [type(event) for event in told.events]
    assert kinds == [HeadersReceived, DataReceived, DataReceived, TrailersReceived]
    assert made.streams == 0


def test_what_a_client_says_first() -> None:
    made = Http2Client(Limits())
    assert made.begin(ENCODED, ends=True) == 1
    assert made.begin(ENCODED) == 3
    said = made.take()
    assert said.startswith(PREFACE)
    found = frames_of(said[len(PREFACE) :])
    assert [one.kind for one in found] == [
        FrameType.SETTINGS,
        FrameType.WINDOW_UPDATE,
        FrameType.HEADERS,
        FrameType.HEADERS,
    ]
    assert b"\x00\x02\x00\x00\x00\x00" in found[0].payload, "no pushing"
    assert [one.flags & END_STREAM for one in found[2:]] == [1, 0]


def test_a_server_says_how_many_streams_there_may_be() -> None:
    made = client(1)
    assert made.can_begin
    tell(made, settings((3, 2)))
    made.begin(ENCODED)
    assert not made.can_begin
    tell(made, reset(1))
    assert made.can_begin


def test_what_a_server_that_leaves_has_not_looked_at_may_be_tried_again() -> None:
    made = client(3)
    told = tell(made, settings() + goaway(3, 0, b"maintenance"))
    assert told.events == [
        GoawayReceived(3, 0, b"maintenance"),
        StreamReset(5, ErrorCode.REFUSED_STREAM),
    ]
    assert not made.can_begin
    assert not made.closed
    tell(made, answer(END_STREAM, OK, 1) + answer(END_STREAM, OK, 3))
    assert made.closed


def test_what_comes_on_a_cancelled_stream_is_ignored() -> None:
    made = client(1)
    tell(made, settings())
    made.reset(1, ErrorCode.CANCEL)
    made.take()
    told = tell(made, answer(0, OK) + data(1, b"abc") + answer(END_STREAM, [(b"grpc-status", b"0")]))
    assert told == Told([], [])


def test_what_comes_behind_the_end_is_a_fault_of_the_stream() -> None:
    told = tell(client(1), settings() + answer(END_STREAM, OK) + data(1, b"x"))
    assert told.resets == {1: CLOSED}


def test_pings_of_a_server_are_answered() -> None:
    told = tell(client(), settings() + ping(b"abcdefgh"))
    assert frame(FrameType.PING, ACK, 0, b"abcdefgh") == b"".join(
        frame(one.kind, one.flags, one.stream, one.payload) for one in told.of(FrameType.PING)
    )


def test_a_server_may_ping_at_every_call_and_not_without_any() -> None:
    """gRPC for Go measures the way to its client like that: an etcd pings thousands of times a second."""
    made = client(0)
    tell(made, settings())
    for _ in range(3 * Limits().idle_frames_burst):
        number = made.begin(ENCODED, ends=True)
        assert tell(made, ping(b"measure!") + answer(END_STREAM, OK, number)).fault is None
    told = tell(made, ping(b"measure!") * (2 * Limits().idle_frames_burst))
    assert told.fault is not None
    assert told.fault.code is ErrorCode.ENHANCE_YOUR_CALM


def test_a_question_longer_than_the_window_waits() -> None:
    made = Http2Client(Limits())
    stream = made.begin(ENCODED)
    made.send_data(stream, bytes(70_000), ends=True)
    made.take()
    assert made.backlog(stream) == 70_000 - 65_535
    told = tell(made, settings() + window_update(0, 10_000) + window_update(1, 10_000))
    assert len(told.data_of(1)) == 70_000 - 65_535
    assert told.of(FrameType.DATA)[-1].flags & END_STREAM
