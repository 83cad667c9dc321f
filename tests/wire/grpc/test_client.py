"""The client's end told frame by frame: every call ends once, whatever the server does."""

from __future__ import annotations

import pytest

from agreed.errors import MalformedInput
from agreed.wire.grpc.client import ClientConnection
from agreed.wire.grpc.events import Answer, Drained, Finished, FromServer, Goaway
from agreed.wire.grpc.messages import framed
from agreed.wire.grpc.status import OK, Code, Status
from agreed.wire.http2.frames import PREFACE, ErrorCode, FrameType
from agreed.wire.http2.limits import Limits
from tests.wire.http2 import peer
from tests.wire.http2.peer import END_STREAM, Told, data, frame, frames_of, headers, settings, window_update

PATH = "/test.Echo/Echo"
HEAD = [(b":status", b"200"), (b"content-type", b"application/grpc")]
SUCCESS = [(b"grpc-status", b"0")]


class Client:
    """One under test, with `calls` open that have said everything."""

    def __init__(self, calls: int = 1, **limits: int) -> None:
        self.connection = ClientConnection(Limits(**limits), "here:2379")
        for _ in range(calls):
            self.connection.call(PATH, {}, b"question")
        self.connection.take()
        assert self.tell(settings()) == []
        self.connection.take()

    def tell(self, stream: bytes) -> list[FromServer]:
        return self.connection.receive_data(stream, 0)

    def said(self) -> Told:
        return Told([], frames_of(self.connection.take()))


def finished(events: list[FromServer]) -> Finished:
    (only,) = (event for event in events if isinstance(event, Finished))
    return only


def test_what_a_call_looks_like() -> None:
    connection = ClientConnection(Limits(), "here:2379", "https")
    stream = connection.call(PATH, {"token": "abc", "hasleader": "true"}, b"question", timeout_ms=5_000)
    told = Told([], frames_of(connection.take()[len(PREFACE) :]))
    assert stream == 1
    (fields,) = told.fields_of(1)
    assert fields == [
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":path", PATH.encode()),
        (b":authority", b"here:2379"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        (b"token", b"abc"),
        (b"hasleader", b"true"),
        (b"grpc-timeout", b"5000m"),
    ]
    assert told.data_of(1) == framed(b"question")
    assert told.frames[-1].flags & END_STREAM


def test_an_answer() -> None:
    client = Client()
    assert client.tell(headers(1, 0, HEAD) + data(1, framed(b"answer"))) == [Answer(1, b"answer")]
    assert client.tell(headers(1, END_STREAM, SUCCESS)) == [Finished(1, OK, {})]
    assert client.said().frames == []
    assert client.connection._http2.streams == 0


def test_an_answer_in_pieces() -> None:
    client = Client()
    client.tell(headers(1, 0, HEAD))
    stream = framed(b"one") + framed(b"") + framed(b"three")
    events = [event for byte in stream for event in client.tell(data(1, bytes((byte,))))]
    assert events == [Answer(1, b"one"), Answer(1, b""), Answer(1, b"three")]


ENDS = [
    (
        "trailers alone",
        headers(1, 1, [*HEAD, (b"grpc-status", b"5"), (b"grpc-message", b"not%20found")]),
        Status(Code.NOT_FOUND, "not found"),
    ),
    ("HTTP alone", headers(1, 1, [(b":status", b"503")]), Code.UNAVAILABLE),
    (
        "HTTP with a body",
        headers(1, 0, [(b":status", b"404"), (b"content-type", b"text/html")]),
        Code.UNIMPLEMENTED,
    ),
    (
        "HTTP with a status of gRPC",
        headers(1, 0, [(b":status", b"415"), (b"grpc-status", b"3")]),
        Code.INVALID_ARGUMENT,
    ),
    (
        "another content-type",
        headers(1, 0, [(b":status", b"200"), (b"content-type", b"text/html")]),
        Code.UNKNOWN,
    ),
    ("compressed", headers(1, 0, [*HEAD, (b"grpc-encoding", b"gzip")]), Code.INTERNAL),
    ("no status", headers(1, 0, HEAD) + headers(1, 1, [(b"x", b"y")]), Code.UNKNOWN),
    ("no trailers", headers(1, 0, HEAD) + data(1, framed(b"a"), END_STREAM), Code.INTERNAL),
    ("cut short", headers(1, 0, HEAD) + data(1, framed(b"a")[:-1]) + headers(1, 1, SUCCESS), Code.INTERNAL),
    ("a message too long", headers(1, 0, HEAD) + data(1, framed(bytes(101))), Code.RESOURCE_EXHAUSTED),
    ("a reset", peer.reset(1, ErrorCode.ENHANCE_YOUR_CALM), Code.RESOURCE_EXHAUSTED),
    ("a refusal", peer.reset(1, ErrorCode.REFUSED_STREAM), Code.UNAVAILABLE),
    ("a breach of HTTP", headers(1, 0, [(b"x", b"y")]), Code.INTERNAL),
]


@pytest.mark.parametrize(("name", "stream", "expected"), ENDS)
def test_a_call_ends_once(name: str, stream: bytes, expected: Status | Code) -> None:
    client = Client(2, max_message_bytes=100)
    status = finished(client.tell(stream)).status
    assert expected in (status, status.code)
    late = client.tell(data(1, framed(b"late")) + headers(1, END_STREAM, SUCCESS))
    assert late == []
    assert finished(client.tell(headers(3, 0, HEAD) + headers(3, END_STREAM, SUCCESS))).status == OK
    assert client.connection._calls == {}


def test_only_a_refusal_surely_had_no_effect() -> None:
    client = Client(3)
    assert finished(client.tell(peer.reset(1, ErrorCode.REFUSED_STREAM))).refused
    assert not finished(client.tell(peer.reset(3, ErrorCode.CANCEL))).refused
    assert not finished(client.tell(headers(5, 0, [(b"x", b"y")]))).refused


def test_an_answer_that_comes_before_the_question_has_ended() -> None:
    client = Client(0)
    stream = client.connection.call(PATH, {}, b"first", end=False)
    client.connection.take()
    refused = [*HEAD, (b"grpc-status", b"7")]
    assert finished(client.tell(headers(stream, END_STREAM, refused))).status.code is Code.PERMISSION_DENIED
    assert client.said().resets == {stream: ErrorCode.CANCEL}
    client.connection.send(stream, b"second")
    client.connection.end(stream)
    assert client.connection.take() == b""


def test_a_call_that_is_cancelled_is_never_heard_of_again() -> None:
    client = Client(1)
    client.connection.cancel(1)
    assert client.said().resets == {1: ErrorCode.CANCEL}
    assert client.tell(headers(1, 0, HEAD) + data(1, framed(b"a")) + headers(1, END_STREAM, SUCCESS)) == []
    client.connection.cancel(1)
    assert client.connection.take() == b""


def test_a_server_that_leaves() -> None:
    client = Client(2)
    farewell = frame(FrameType.GOAWAY, 0, 0, (1).to_bytes(4, "big") + bytes(4) + b"maintenance")
    events = client.tell(farewell)
    assert events[0] == Goaway("maintenance")
    assert events[1] == Finished(3, finished(events).status, {}, refused=True)
    assert not client.connection.can_call
    assert not client.connection.closed
    client.tell(headers(1, END_STREAM, [*HEAD, *SUCCESS]))
    assert client.connection.closed


def test_few_calls_at_once_where_the_server_says_so() -> None:
    client = Client(1)
    client.tell(settings((3, 1)))
    assert not client.connection.can_call
    client.tell(headers(1, END_STREAM, [*HEAD, *SUCCESS]))
    assert client.connection.can_call


def test_a_long_question_has_a_backlog() -> None:
    client = Client(0)
    stream = client.connection.call(PATH, {}, bytes(70_000))
    client.connection.take()
    assert client.connection.backlog(stream) == 70_005 - 65_535
    assert client.tell(window_update(0, 10_000) + window_update(stream, 10_000)) == []
    assert client.said().frames[-1].flags & END_STREAM
    stream = client.connection.call(PATH, {}, bytes(70_000), end=False)
    client.connection.take()
    assert client.tell(window_update(0, 100_000) + window_update(stream, 10_000)) == [Drained(stream)]


def test_a_server_that_speaks_something_else() -> None:
    client = Client()
    with pytest.raises(MalformedInput):
        client.tell(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert client.connection.closed
    assert client.said().goaway is not None


def test_the_fields_of_a_call_are_encoded_once() -> None:
    connection = ClientConnection(Limits(), "here")
    for timeout_ms in (None, 1_000, None, 1_000):
        connection.call(PATH, {"token": "a"}, b"", timeout_ms)
    assert len(connection._kept) == 2
    for number in range(1_000):
        connection.call(PATH, {"token": f"{number}"}, b"")
    assert len(connection._kept) <= 256
