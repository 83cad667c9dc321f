"""A real client of gRPC, grpcio, finds nothing strange about our server's end."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator

import grpc
import pytest

from agreed.wire.http2.limits import Limits
from tests.wire.grpc import loopback
from tests.wire.grpc.loopback import CHAT, COUNT, ECHO, FAIL, METADATA, SILENT, EchoServer

WAIT_S = 20


@pytest.fixture(scope="module")
def servers() -> list[EchoServer]:
    return []


@pytest.fixture(scope="module")
def channel(servers: list[EchoServer]) -> Iterator[grpc.Channel]:
    def make() -> EchoServer:
        servers.append(EchoServer(Limits()))
        return servers[-1]

    with loopback.serving(make) as port:
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
            yield channel


def test_unary_calls_are_answered(channel: grpc.Channel) -> None:
    echo = channel.unary_unary(ECHO)
    for size in (0, 1, 100, 16_384, 65_536, 1_500_000):
        message = bytes(range(256)) * (size // 256) + bytes(size % 256)
        assert echo(message, timeout=WAIT_S) == message


def test_many_calls_at_once(channel: grpc.Channel) -> None:
    echo = channel.unary_unary(ECHO)
    calls = [echo.future(b"%d" % number, timeout=WAIT_S) for number in range(500)]
    assert [call.result() for call in calls] == [b"%d" % number for number in range(500)]


def test_a_client_waits_where_few_calls_are_allowed_at_once() -> None:
    limits = Limits(max_concurrent_streams=3)
    with (
        loopback.serving(lambda: EchoServer(limits)) as port,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        calls = [channel.unary_unary(ECHO).future(b"%d" % n, timeout=WAIT_S) for n in range(200)]
        assert [call.result() for call in calls] == [b"%d" % n for n in range(200)]


def test_a_status_comes_with_its_text(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        channel.unary_unary(FAIL)(b"", timeout=WAIT_S)
    assert failure.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert failure.value.details() == loopback.FAILURE.message


def test_metadata_and_timeout_arrive(channel: grpc.Channel) -> None:
    metadata = (("token", "abc.7"), ("hasleader", "true"), ("twice", "1"), ("twice", "2"))
    told = channel.unary_unary(METADATA)(b"", timeout=WAIT_S, metadata=metadata).decode()
    lines = dict(line.split("=", 1) for line in told.split("\n"))
    assert lines["token"] == "abc.7"
    assert lines["hasleader"] == "true"
    assert lines["twice"] == "1,2"
    assert lines[":authority"].startswith("127.0.0.1:")
    assert 0 < int(lines["timeout_ms"]) <= WAIT_S * 1000 + 1000
    assert "grpc-timeout" not in lines
    assert "timeout_ms=None" in channel.unary_unary(METADATA)(b"").decode()


def test_a_server_stream(channel: grpc.Channel) -> None:
    assert list(channel.unary_stream(COUNT)(b"1000", timeout=WAIT_S)) == [b"%d" % n for n in range(1000)]


def test_a_conversation(channel: grpc.Channel) -> None:
    questions: queue.Queue[bytes | None] = queue.Queue()
    answers = channel.stream_stream(CHAT)(iter(questions.get, None), timeout=WAIT_S)
    for number in range(50):
        question = b"%d" % number * 1000
        questions.put(question)
        assert next(answers) == question
    questions.put(None)
    assert list(answers) == []
    assert answers.code() is grpc.StatusCode.OK


def test_a_long_answer_waits_for_the_clients_window(channel: grpc.Channel) -> None:
    assert sum(len(piece) for piece in channel.unary_stream(COUNT)(b"30000", timeout=60)) == 138_890


def test_who_gives_up_is_forgotten(channel: grpc.Channel, servers: list[EchoServer]) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        channel.unary_unary(SILENT)(b"", timeout=0.2)
    assert failure.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    # On a machine that stood still that one was perhaps never sent.
    waiting = channel.unary_unary(SILENT).future(b"")
    until(lambda: bool(servers[0].connection.streams))
    waiting.cancel()
    cancelled = threading.Event()
    call = channel.stream_stream(CHAT)(iter(lambda: cancelled.wait(WAIT_S) or b"", None))
    call.cancel()
    cancelled.set()
    channel.unary_unary(ECHO)(b"", timeout=WAIT_S)
    until(lambda: len(servers[0].cancelled) >= 1 and not servers[0].connection.streams)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


def test_messages_have_a_greatest_length(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        channel.unary_unary(ECHO)(bytes(2_200_000), timeout=WAIT_S)
    assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert failure.value.details() == "grpc: received message larger than max (2200000 vs. 2097152)"


def test_compression_is_declined(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        channel.unary_unary(ECHO)(b"a" * 1000, timeout=WAIT_S, compression=grpc.Compression.Gzip)
    assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_an_unknown_method(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        channel.unary_unary("/test.Echo/Nothing")(b"", timeout=WAIT_S)
    assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED
