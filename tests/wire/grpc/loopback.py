"""The two ends on real sockets, for other people's gRPC to talk to: as much asyncio as that needs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agreed.errors import MalformedInput
from agreed.wire.grpc.events import Called, Cancelled, Ended, FromClient, Message
from agreed.wire.grpc.server import ServerConnection
from agreed.wire.grpc.status import OK, Code, Status
from agreed.wire.http2.limits import Limits

ECHO = "/test.Echo/Echo"
FAIL = "/test.Echo/Fail"
SILENT = "/test.Echo/Silent"
METADATA = "/test.Echo/Metadata"
UNARY = {ECHO, FAIL, SILENT, METADATA}
COUNT = "/test.Echo/Count"
CHAT = "/test.Echo/Chat"

FAILURE = Status(Code.FAILED_PRECONDITION, "etcdserver: 100% of ünïcode\nin two lines")


def milliseconds() -> int:
    return time.monotonic_ns() // 1_000_000


class EchoServer:
    """What the methods above do; pure, one for each connection."""

    def __init__(self, limits: Limits) -> None:
        self.connection = ServerConnection(UNARY, limits)
        self.cancelled: list[int] = []
        self._paths: dict[int, str] = {}

    def receive(self, data: bytes, now: int) -> None:
        for event in self.connection.receive_data(data, now):
            self._on(event)

    def _on(self, event: FromClient) -> None:
        connection = self.connection
        match event:
            case Called(stream, path, metadata, timeout_ms, message):
                if path == ECHO:
                    assert message is not None
                    connection.reply(stream, message)
                elif path == FAIL:
                    connection.finish(stream, FAILURE)
                elif path == METADATA:
                    told = {**metadata, "timeout_ms": str(timeout_ms)}
                    connection.reply(stream, "\n".join(f"{k}={v}" for k, v in told.items()).encode())
                elif path in (COUNT, CHAT):
                    self._paths[stream] = path
                elif path != SILENT:
                    connection.finish(stream, Status(Code.UNIMPLEMENTED, f"unknown method {path}"))
            case Message(stream, data):
                if self._paths.get(stream) == CHAT:
                    connection.send(stream, data)
                elif self._paths.get(stream) == COUNT:
                    for number in range(int(data)):
                        connection.send(stream, b"%d" % number)
            case Ended(stream):
                if self._paths.pop(stream, None):
                    connection.finish(stream, OK)
            case Cancelled(stream):
                self._paths.pop(stream, None)
                self.cancelled.append(stream)


class _Protocol(asyncio.Protocol):
    def __init__(self, server: EchoServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._server.connection.take())

    def data_received(self, data: bytes) -> None:
        try:
            self._server.receive(data, milliseconds())
        except MalformedInput:
            self._transport.write(self._server.connection.take())
            self._transport.close()
            return
        self._transport.write(self._server.connection.take())


@contextmanager
def serving(make: Callable[[], EchoServer]) -> Iterator[int]:
    """A port on which each connection has an `EchoServer` of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> asyncio.Server:
        return await loop.create_server(lambda: _Protocol(make()), "127.0.0.1", 0)

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(60)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
