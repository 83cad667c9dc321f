"""A real server of gRPC, grpcio, finds nothing strange about our client's end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent import futures

import grpc
import pytest

from agreed.wire.grpc.client import ClientConnection
from agreed.wire.grpc.events import Answer, Finished, FromServer, Goaway
from agreed.wire.grpc.status import OK, Code, Status
from agreed.wire.http2.limits import Limits

WAIT_S = 20
ECHO, CHAT, COUNT, FAIL, SLOW, METADATA = (
    f"/test.Echo/{name}" for name in ("Echo", "Chat", "Count", "Fail", "Slow", "Metadata")
)
FAILURE = "100% of ünïcode\nin two lines"


def echo(request: bytes, _context: grpc.ServicerContext) -> bytes:
    return request


def chat(requests: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
    yield from requests


def count(request: bytes, _context: grpc.ServicerContext) -> Iterator[bytes]:
    for number in range(int(request)):
        yield b"%d" % number


def fail(_request: bytes, context: grpc.ServicerContext) -> bytes:
    context.set_trailing_metadata((("why", "because"),))
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, FAILURE)
    return b""


def slow(_request: bytes, context: grpc.ServicerContext) -> bytes:
    for _ in range(1000):
        if not context.is_active():
            return b"nobody listens"
        time.sleep(0.01)
    return b"too late"


def metadata(_request: bytes, context: grpc.ServicerContext) -> bytes:
    told = dict(context.invocation_metadata())
    return f"{told['token']} {0 < context.time_remaining() <= WAIT_S + 1}".encode()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    handlers = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo),
        "Chat": grpc.stream_stream_rpc_method_handler(chat),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "Slow": grpc.unary_unary_rpc_method_handler(slow),
        "Metadata": grpc.unary_unary_rpc_method_handler(metadata),
    }
    options = [("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)]
    server = grpc.server(futures.ThreadPoolExecutor(4), options=options)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
    number = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield number
    server.stop(None).wait(WAIT_S)


class Caller:
    """Our end on a plain socket."""

    def __init__(self, port: int) -> None:
        self.connection = ClientConnection(Limits(max_message_bytes=1 << 24), f"127.0.0.1:{port}")
        self._socket = socket.create_connection(("127.0.0.1", port), WAIT_S)
        self.heard: list[FromServer] = []

    def flush(self) -> None:
        self._socket.sendall(self.connection.take())

    def until(self, *streams: int) -> None:
        """Until each of these calls has finished."""
        waiting = set(streams)
        while waiting - {event.stream for event in self.heard if isinstance(event, Finished)}:
            self.flush()
            data = self._socket.recv(65_536)
            assert data, "the server has hung up"
            self.heard += self.connection.receive_data(data, time.monotonic_ns() // 1_000_000)
        self.flush()

    def answers(self, stream: int) -> list[bytes]:
        return [e.message for e in self.heard if isinstance(e, Answer) and e.stream == stream]

    def status(self, stream: int) -> Status:
        found = [e.status for e in self.heard if isinstance(e, Finished) and e.stream == stream]
        assert len(found) == 1
        return found[0]

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def caller(port: int) -> Iterator[Caller]:
    made = Caller(port)
    yield made
    made.close()


def test_unary_calls_of_all_sizes(caller: Caller) -> None:
    messages = [bytes(size) for size in (0, 1, 16_384, 65_536, 1_500_000)]
    streams = [caller.connection.call(ECHO, {}, message) for message in messages]
    caller.until(*streams)
    assert [caller.answers(stream) for stream in streams] == [[message] for message in messages]
    assert {caller.status(stream) for stream in streams} == {OK}


def test_many_calls_one_after_the_other(caller: Caller) -> None:
    for number in range(100):
        stream = caller.connection.call(ECHO, {"token": f"{number % 3}"}, b"%d" % number)
        caller.until(stream)
        assert caller.answers(stream) == [b"%d" % number]


def test_a_stream_of_answers(caller: Caller) -> None:
    stream = caller.connection.call(COUNT, {}, b"500")
    caller.until(stream)
    assert caller.answers(stream) == [b"%d" % number for number in range(500)]


def test_a_conversation(caller: Caller) -> None:
    stream = caller.connection.call(CHAT, {}, b"first", end=False)
    caller.flush()
    for number in range(20):
        caller.connection.send(stream, b"%d" % number)
    caller.connection.end(stream)
    caller.until(stream)
    assert caller.answers(stream) == [b"first", *(b"%d" % number for number in range(20))]


def test_a_failure_with_its_text_and_trailers(caller: Caller) -> None:
    stream = caller.connection.call(FAIL, {}, b"")
    caller.until(stream)
    assert caller.status(stream) == Status(Code.FAILED_PRECONDITION, FAILURE)
    finished = caller.heard[-1]
    assert isinstance(finished, Finished)
    assert finished.metadata == {"why": "because"}


def test_metadata_and_timeout_arrive(caller: Caller) -> None:
    stream = caller.connection.call(METADATA, {"token": "abc.7"}, b"", timeout_ms=WAIT_S * 1000)
    caller.until(stream)
    assert caller.answers(stream) == [b"abc.7 True"]


def test_the_server_keeps_our_deadline(caller: Caller) -> None:
    stream = caller.connection.call(SLOW, {}, b"", timeout_ms=50)
    caller.until(stream)
    assert caller.status(stream).code in (Code.DEADLINE_EXCEEDED, Code.CANCELLED)


def test_a_call_that_is_cancelled_says_no_more(caller: Caller) -> None:
    cancelled = caller.connection.call(SLOW, {}, b"")
    caller.flush()
    caller.connection.cancel(cancelled)
    other = caller.connection.call(ECHO, {}, b"still here")
    caller.until(other)
    assert caller.answers(other) == [b"still here"]
    assert not [
        event for event in caller.heard if not isinstance(event, Goaway) and event.stream == cancelled
    ]


def test_a_method_that_is_not_there(caller: Caller) -> None:
    stream = caller.connection.call("/test.Echo/Nothing", {}, b"")
    caller.until(stream)
    assert caller.status(stream).code is Code.UNIMPLEMENTED


def test_a_server_that_stops_tells_us(caller: Caller) -> None:
    begun = threading.Event()

    def slow_from_here(request: bytes, context: grpc.ServicerContext) -> bytes:
        begun.set()
        return slow(request, context)

    server = grpc.server(futures.ThreadPoolExecutor(2))
    handlers = {"Slow": grpc.unary_unary_rpc_method_handler(slow_from_here)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
    other = Caller(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    stream = other.connection.call(SLOW, {}, b"")
    other.flush()
    assert begun.wait(WAIT_S)
    stopped = server.stop(0.2)
    other.until(stream)
    assert any(isinstance(event, Goaway) for event in other.heard)
    assert other.status(stream).code is not Code.OK
    assert other.connection.closed
    stopped.wait(WAIT_S)
    other.close()
