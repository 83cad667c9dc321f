"""The server's end told frame by frame: what no good client does, and what the others never notice."""

from __future__ import annotations

import struct

import pytest

from agreed.errors import MalformedInput
from agreed.wire.grpc.events import Called, Cancelled, Drained, Ended, FromClient, Message
from agreed.wire.grpc.messages import framed
from agreed.wire.grpc.server import ServerConnection
from agreed.wire.grpc.status import OK, Code, Status
from agreed.wire.grpc.trailers import status_of
from agreed.wire.http2.frames import PREFACE, ErrorCode
from agreed.wire.http2.limits import Limits
from tests.wire.http2 import peer
from tests.wire.http2.peer import END_STREAM, Told, data, frames_of, headers, settings, window_update

UNARY, STREAM = "/test.Echo/Echo", "/test.Echo/Chat"
Fields = list[tuple[bytes, bytes]]


def request(path: str = UNARY, *more: tuple[bytes, bytes], method: bytes = b"POST") -> Fields:
    return [
        (b":method", method),
        (b":scheme", b"http"),
        (b":path", path.encode()),
        (b":authority", b"here:2379"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        *more,
    ]


class Server:
    """One under test, with a client that has greeted it."""

    def __init__(self, **limits: int) -> None:
        self.connection = ServerConnection({UNARY}, Limits(**limits))
        self.tell(PREFACE + settings())
        self.connection.take()

    def tell(self, stream: bytes) -> list[FromClient]:
        return self.connection.receive_data(stream, 0)

    def said(self) -> Told:
        return Told([], frames_of(self.connection.take()))

    def call(self, stream: int, path: str = UNARY, *more: tuple[bytes, bytes]) -> list[FromClient]:
        return self.tell(headers(stream, 0, request(path, *more)))


def status_in(told: Told, stream: int = 1) -> Status | None:
    return status_of(told.fields_of(stream)[-1])


def test_a_unary_call_is_told_when_it_is_whole_and_answered_in_one_piece() -> None:
    server = Server()
    assert server.call(1) == []
    assert server.tell(data(1, framed(b"question")[:4])) == []
    assert server.tell(data(1, framed(b"question")[4:])) == []
    assert server.tell(data(1, b"", END_STREAM)) == [
        Called(1, UNARY, {":authority": "here:2379"}, None, b"question")
    ]
    server.connection.reply(1, b"answer")
    told = server.said()
    assert told.data_of(1) == framed(b"answer")
    head, tail = told.fields_of(1)
    assert head == [(b":status", b"200"), (b"content-type", b"application/grpc")]
    assert tail == [(b"grpc-status", b"0")]
    assert told.frames[-1].flags & END_STREAM
    assert server.connection.streams == 0


def test_a_stream_is_told_as_it_comes() -> None:
    server = Server()
    assert server.call(1, STREAM, (b"grpc-timeout", b"7S")) == [
        Called(1, STREAM, {":authority": "here:2379"}, 7_000, None)
    ]
    assert server.tell(data(1, framed(b"a") + framed(b"b")[:5])) == [Message(1, b"a")]
    assert server.tell(data(1, b"b", END_STREAM)) == [Message(1, b"b"), Ended(1)]
    server.connection.send(1, b"x")
    server.connection.send(1, b"y")
    server.connection.finish(1, OK)
    told = server.said()
    assert told.data_of(1) == framed(b"x") + framed(b"y")
    assert status_in(told) == OK


def test_an_answer_without_messages_is_trailers_only() -> None:
    server = Server()
    server.call(1, STREAM)
    server.connection.finish(1, Status(Code.NOT_FOUND, "etcdserver: requested lease not found"))
    told = server.said()
    (only,) = told.fields_of(1)
    assert only[0] == (b":status", b"200")
    assert status_of(only) == Status(Code.NOT_FOUND, "etcdserver: requested lease not found")
    assert told.resets == {1: ErrorCode.NO_ERROR}, "the client need not go on"


REFUSED = [
    ("not POST", request(method=b"GET"), b"405", Code.INTERNAL),
    ("no content-type", request()[:-1], b"415", Code.INVALID_ARGUMENT),
    (
        "another content-type",
        [*request()[:-1], (b"content-type", b"text/html")],
        b"415",
        Code.INVALID_ARGUMENT,
    ),
    ("compressed", request(UNARY, (b"grpc-encoding", b"gzip")), b"200", Code.UNIMPLEMENTED),
    ("a timeout that is none", request(UNARY, (b"grpc-timeout", b"soon")), b"200", Code.INTERNAL),
]


@pytest.mark.parametrize("path", [UNARY, STREAM])
@pytest.mark.parametrize(("name", "fields", "http", "code"), REFUSED)
def test_what_is_no_call_is_refused_and_told_nobody(
    name: str, fields: Fields, http: bytes, code: Code, path: str
) -> None:
    server = Server()
    fields = [(key, path.encode() if key == b":path" else value) for key, value in fields]
    assert server.tell(headers(1, 0, fields)) == []
    assert server.tell(data(1, framed(b"x"), END_STREAM)) == []
    told = server.said()
    (answer,) = told.fields_of(1)
    assert dict(answer)[b":status"] == http
    status = status_of(answer)
    assert status is not None
    assert status.code is code
    assert server.connection.streams == 0


def test_who_compresses_is_told_what_is_understood() -> None:
    server = Server()
    server.call(1, UNARY, (b"grpc-encoding", b"gzip"))
    (answer,) = server.said().fields_of(1)
    assert dict(answer)[b"grpc-accept-encoding"] == b"identity"
    assert status_of(answer) == Status(
        Code.UNIMPLEMENTED, 'grpc: Decompressor is not installed for grpc-encoding "gzip"'
    )


def test_identity_is_no_compression() -> None:
    server = Server()
    server.call(1, UNARY, (b"grpc-encoding", b"identity"))
    assert len(server.tell(data(1, framed(b""), END_STREAM))) == 1


BROKEN = [
    ("no message", data(1, b"", END_STREAM), Code.INTERNAL),
    ("two messages", data(1, framed(b"a") + framed(b"b"), END_STREAM), Code.INTERNAL),
    ("two messages in two pieces", data(1, framed(b"a")) + data(1, framed(b"b")), Code.INTERNAL),
    ("the second with the end", data(1, framed(b"a")) + data(1, framed(b"b"), END_STREAM), Code.INTERNAL),
    ("cut short in its length", data(1, b"\0\0", END_STREAM), Code.INTERNAL),
    ("cut short", data(1, framed(b"abc")[:-1], END_STREAM), Code.INTERNAL),
    ("cut short by trailers", data(1, framed(b"abc")[:-1]) + headers(1, 1, [(b"a", b"b")]), Code.INTERNAL),
    ("too long", data(1, struct.pack(">BI", 0, 101)), Code.RESOURCE_EXHAUSTED),
    ("too long at once", data(1, framed(bytes(101)), END_STREAM), Code.RESOURCE_EXHAUSTED),
    ("too long behind another", data(1, framed(b"")[:4]) + data(1, b"\0" + b"\xff" * 5), Code.INTERNAL),
    ("compressed", data(1, b"\x01" + framed(b"a")[1:], END_STREAM), Code.INTERNAL),
]


@pytest.mark.parametrize(("name", "stream", "code"), BROKEN)
def test_a_unary_call_that_is_broken_is_told_nobody(name: str, stream: bytes, code: Code) -> None:
    server = Server(max_message_bytes=100)
    server.call(1)
    assert server.tell(stream) == []
    status = status_in(server.said())
    assert status is not None
    assert status.code is code
    server.call(3)
    assert len(server.tell(data(3, framed(b"fine"), END_STREAM))) == 1


def test_a_stream_that_breaks_is_cancelled_for_who_knows_of_it() -> None:
    server = Server(max_message_bytes=100)
    server.call(1, STREAM)
    assert server.tell(data(1, framed(b"a") + framed(bytes(101)))) == [Cancelled(1)]
    assert status_in(server.said()) == Status(
        Code.RESOURCE_EXHAUSTED, "grpc: received message larger than max (101 vs. 100)"
    )
    server.connection.send(1, b"late")
    assert server.connection.take() == b""


def test_trailers_of_a_client_end_its_side() -> None:
    server = Server()
    server.call(1)
    found = server.tell(data(1, framed(b"a")) + headers(1, END_STREAM, [(b"a", b"b")]))
    assert [type(event) for event in found] == [Called]
    server.call(3, STREAM)
    assert server.tell(headers(3, END_STREAM, [(b"a", b"b")])) == [Ended(3)]


def test_a_reset_cancels_what_was_told_and_hides_what_was_not() -> None:
    server = Server()
    server.call(1)
    server.call(3)
    server.call(5, STREAM)
    server.tell(data(3, framed(b"a"), END_STREAM))
    assert server.tell(peer.reset(1)) == []
    assert server.tell(peer.reset(3)) == [Cancelled(3)]
    assert server.tell(peer.reset(5)) == [Cancelled(5)]
    for stream in (1, 3, 5):
        server.connection.reply(stream, b"late")
        server.connection.send(stream, b"late")
        server.connection.finish(stream, OK)
    assert server.connection.take() == b""
    assert server.connection._answered == set()


def test_messages_under_way_are_bounded_together() -> None:
    """Each within its own limit, but a thousand of them would fill the memory."""
    server = Server(max_partial_bytes=1_000, max_message_bytes=1_000)
    prefix = struct.pack(">BI", 0, 900)
    for stream in (1, 3, 5):
        server.call(stream)
        server.tell(data(stream, prefix + bytes(400)))
    assert status_in(server.said(), 5) == Status(
        Code.RESOURCE_EXHAUSTED, "grpc: too many messages under way on this connection"
    )
    assert len(server.tell(data(1, bytes(500), END_STREAM))) == 1
    assert len(server.tell(data(3, bytes(500), END_STREAM))) == 1
    assert server.connection._kept_bytes == 0


def test_what_is_kept_is_given_back_however_a_call_ends() -> None:
    server = Server()
    for stream, end in ((1, peer.reset(1)), (3, data(3, b"", END_STREAM)), (5, b"")):
        server.call(stream)
        server.tell(data(stream, framed(bytes(100))[:50]))
        server.tell(end)
    server.connection.finish(5, Status(Code.UNAVAILABLE))
    assert server.connection._kept_bytes == 0
    for stream, rest in ((11, b"\0" + b"\xff" * 8), (13, bytes(50) + framed(b"second"))):
        server.call(stream)
        server.tell(data(stream, framed(bytes(100))[:50]))
        server.tell(data(stream, bytes(5) + rest))
        server.connection.finish(stream, Status(Code.UNAVAILABLE))
    assert server.connection._kept_bytes == 0
    server.call(15)
    server.tell(data(15, b"\x01\0\0"))  # compressed, as is seen when the length is there
    server.tell(data(15, b"\0\x09"))
    assert server.connection._kept_bytes == 0
    server.call(17)
    server.tell(data(17, framed(bytes(100))))
    assert server.connection._kept_bytes == 100
    server.tell(data(17, b"", END_STREAM))
    assert server.connection._kept_bytes == 0


def test_a_slow_reader_has_a_backlog_until_it_reads() -> None:
    server = Server()
    server.call(1, STREAM)
    server.connection.send(1, bytes(100_000))
    assert server.connection.backlog(1) == 100_005 - 65_535
    assert server.tell(window_update(0, 100_000)) == []
    assert server.tell(window_update(1, 100_000)) == [Drained(1)]
    assert server.connection.backlog(1) == 0


def test_a_failure_behind_a_backlog_comes_behind_it() -> None:
    server = Server()
    server.call(1, STREAM)
    server.connection.send(1, bytes(70_000))
    server.connection.finish(1, Status(Code.CANCELLED, "etcdserver: watch canceled"))
    server.said()
    server.tell(window_update(0, 100_000) + window_update(1, 100_000))
    assert status_of(server.said().fields_of(1)[-1]) == Status(Code.CANCELLED, "etcdserver: watch canceled")
    assert server.connection.streams == 0


def test_what_is_not_http2_is_dropped_with_a_word() -> None:
    server = ServerConnection({UNARY}, Limits())
    server.take()
    with pytest.raises(MalformedInput):
        server.receive_data(b"GET / HTTP/1.1\r\n\r\n", 0)
    assert server.closed
    assert Told([], frames_of(server.take())).goaway is ErrorCode.PROTOCOL_ERROR


def test_calls_of_one_kind_share_what_was_read_of_their_fields() -> None:
    """The hot path: the same bytes are read once, and so is what they mean."""
    server = Server()
    metadata = []
    for stream in (1, 3):
        block = b"\x83\x86\x04\x0f" + UNARY.encode() + b"\x0f\x10\x10application/grpc"
        server.tell(peer.frame(1, peer.END_HEADERS, stream, block))
        (called,) = server.tell(data(stream, framed(b""), END_STREAM))
        assert isinstance(called, Called)
        metadata.append(called.metadata)
    assert metadata[0] is metadata[1]
