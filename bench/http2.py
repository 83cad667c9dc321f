"""What one unary call of gRPC costs: our HTTP/2 beside `h2`, and our server beside grpc.aio and grpclib.

    python -m bench.http2 [--calls N] [--without-sockets]

In memory: one process, no socket, a client's bytes in and a server's bytes out, as many calls in one turn as
stand in the first column.  `both` is client and server, `server` the server alone, fed with bytes that a
client had said before.  On sockets: each server in a process of its own, the same client (ours) before each,
CONNECTIONS x CALLS AT ONCE; seconds of the server's processor per call stand beside, because the client takes
its share of the machine too.  A library that is not installed is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import multiprocessing
import resource
import statistics
import struct
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

from agreed.wire.grpc.client import ClientConnection
from agreed.wire.grpc.events import Answer, Called, Finished
from agreed.wire.grpc.server import ServerConnection
from agreed.wire.http2.limits import Limits

PATH = "/etcdserverpb.KV/Put"
MESSAGE = bytes(range(150))
AUTHORITY = "127.0.0.1:2379"
ROUNDS = 5


# --- in memory: ours ----------------------------------------------------------------------------------------


def our_both(at_once: int) -> Callable[[], None]:
    client = ClientConnection(Limits(), AUTHORITY)
    server = ServerConnection({PATH}, Limits())
    client.receive_data(server.take(), 0)

    def turn() -> None:
        for _ in range(at_once):
            client.call(PATH, {}, MESSAGE)
        for event in server.receive_data(client.take(), 0):
            server.reply(event.stream, event.message)  # type: ignore[union-attr, arg-type]
        finished = sum(type(event) is Finished for event in client.receive_data(server.take(), 0))
        assert finished == at_once

    return turn


def our_server() -> Callable[[bytes], None]:
    server = ServerConnection({PATH}, Limits())

    def turn(data: bytes) -> None:
        for event in server.receive_data(data, 0):
            server.reply(event.stream, event.message)  # type: ignore[union-attr, arg-type]
        server.take()

    return turn


def said_by_a_client(at_once: int, turns: int) -> list[bytes]:
    """What a client says in so many turns to a server that answers; the windows it opens are in it."""
    client = ClientConnection(Limits(), AUTHORITY)
    server = ServerConnection({PATH}, Limits())
    said = []
    for _ in range(turns):
        for _ in range(at_once):
            client.call(PATH, {}, MESSAGE)
        said.append(client.take())
        for event in server.receive_data(said[-1], 0):
            server.reply(event.stream, event.message)  # type: ignore[union-attr, arg-type]
        client.receive_data(server.take(), 0)
    return said


# --- in memory: h2 ------------------------------------------------------------------------------------------

REQUEST = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", PATH),
    (":authority", AUTHORITY),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
]
FRAMED = struct.pack(">BI", 0, len(MESSAGE)) + MESSAGE


def h2_connection(client_side: bool) -> Any:
    import h2.config
    import h2.connection

    made = h2.connection.H2Connection(
        h2.config.H2Configuration(
            client_side=client_side,
            header_encoding="utf-8",
            validate_inbound_headers=False,
            validate_outbound_headers=False,
            normalize_inbound_headers=False,
            normalize_outbound_headers=False,
        )
    )
    made.initiate_connection()
    return made


class H2Server:
    """As lean as one can be on `h2`: its checks of fields are off, as far as they can be."""

    def __init__(self) -> None:
        from h2 import events

        self.connection = h2_connection(False)
        self._bodies: dict[int, bytes] = {}
        self._kinds = events

    def receive(self, data: bytes) -> bytes:
        connection, kinds = self.connection, self._kinds
        for event in connection.receive_data(data):
            if isinstance(event, kinds.DataReceived):
                self._bodies[event.stream_id] = self._bodies.get(event.stream_id, b"") + event.data
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, kinds.StreamEnded):
                stream = event.stream_id
                body = self._bodies.pop(stream)
                connection.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
                connection.send_data(stream, body)
                connection.send_headers(stream, [("grpc-status", "0")], end_stream=True)
        return bytes(connection.data_to_send())


def h2_both(at_once: int) -> Callable[[], None]:
    from h2.events import DataReceived, StreamEnded

    client, server = h2_connection(True), H2Server()
    server.receive(client.data_to_send())

    def turn() -> None:
        for _ in range(at_once):
            stream = client.get_next_available_stream_id()
            client.send_headers(stream, REQUEST)
            client.send_data(stream, FRAMED, end_stream=True)
        ended = 0
        for event in client.receive_data(server.receive(client.data_to_send())):
            if isinstance(event, DataReceived):
                client.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            ended += isinstance(event, StreamEnded)
        assert ended == at_once

    return turn


def h2_server() -> Callable[[bytes], None]:
    server = H2Server()

    def turn(data: bytes) -> None:
        server.receive(data)

    return turn


def both_a_second(make: Callable[[int], Callable[[], None]], at_once: int, calls: int) -> float:
    """The best of some rounds, because whatever disturbs makes it slower."""
    turn = make(at_once)
    for _ in range(50):
        turn()
    turns = max(1, calls // at_once)
    best = 0.0
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(turns):
            turn()
        best = max(best, turns * at_once / (time.perf_counter() - started))
    return best


def served_a_second(make: Callable[[], Callable[[bytes], None]], at_once: int, calls: int) -> float:
    said = said_by_a_client(at_once, max(1, calls // at_once))
    best = 0.0
    for _ in range(ROUNDS):
        turn = make()
        started = time.perf_counter()
        for data in said:
            turn(data)
        best = max(best, len(said) * at_once / (time.perf_counter() - started))
    return best


# --- on sockets: the servers --------------------------------------------------------------------------------


class OurProtocol(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._server = ServerConnection({PATH}, Limits())
        transport.write(self._server.take())

    def data_received(self, data: bytes) -> None:
        server = self._server
        for event in server.receive_data(data, time.monotonic_ns() // 1_000_000):
            if type(event) is Called:
                assert event.message is not None
                server.reply(event.stream, event.message)
        self._transport.write(server.take())


class H2Protocol(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._server = H2Server()

    def data_received(self, data: bytes) -> None:
        self._transport.write(self._server.receive(data))


async def serve_protocol(protocol: type[asyncio.Protocol], tell: Callable[[int], None]) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0)
    tell(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def serve_grpc_aio(tell: Callable[[int], None]) -> None:
    import grpc

    async def echo(request: bytes, _context: object) -> bytes:
        return request

    service, method = PATH[1:].split("/")
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(echo)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    tell(server.add_insecure_port("127.0.0.1:0"))
    await server.start()
    await server.wait_for_termination()


async def serve_grpclib(tell: Callable[[int], None]) -> None:
    from grpclib.const import Cardinality, Handler
    from grpclib.encoding.base import CodecBase
    from grpclib.server import Server, Stream

    class Bytes(CodecBase):  # type: ignore[misc]
        __content_subtype__ = "proto"

        def encode(self, message: bytes, _kind: type) -> bytes:
            return message

        def decode(self, data: bytes, _kind: type) -> bytes:
            return data

    async def echo(stream: Stream[bytes, bytes]) -> None:
        await stream.send_message(await stream.recv_message())

    class Service:
        def __mapping__(self) -> dict[str, Handler]:
            return {PATH: Handler(echo, Cardinality.UNARY_UNARY, bytes, bytes)}

    server = Server([Service()], codec=Bytes())
    await server.start("127.0.0.1", 0)
    tell(server._server.sockets[0].getsockname()[1])
    await server.wait_closed()


SERVERS: dict[str, tuple[str, Callable[[Callable[[int], None]], Any]]] = {
    "ours": ("agreed", lambda tell: serve_protocol(OurProtocol, tell)),
    "h2": ("h2", lambda tell: serve_protocol(H2Protocol, tell)),
    "grpc.aio": ("grpc", serve_grpc_aio),
    "grpclib": ("grpclib", serve_grpclib),
}


def server_process(name: str, pipe: Connection) -> None:
    """Tells its port; whenever asked, the seconds of processor it has used."""

    async def serve() -> None:
        loop = asyncio.get_running_loop()

        def asked() -> None:
            pipe.recv()
            used = resource.getrusage(resource.RUSAGE_SELF)
            pipe.send(used.ru_utime + used.ru_stime)

        loop.add_reader(pipe.fileno(), asked)
        await SERVERS[name][1](pipe.send)

    if name == "ours" or name == "h2":
        import uvloop

        uvloop.run(serve())
    else:
        asyncio.run(serve())


# --- on sockets: the client ---------------------------------------------------------------------------------


class LoadProtocol(asyncio.Protocol):
    """`at_once` calls are always open, until `left` is used up."""

    def __init__(self, at_once: int, calls: int) -> None:
        self._client = ClientConnection(Limits(), AUTHORITY)
        self._at_once = at_once
        self._left = calls
        self._open = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        transport.write(self._client.take())

    def start(self) -> None:
        for _ in range(self._at_once):
            self._call()
        self._transport.write(self._client.take())

    def _call(self) -> None:
        if self._left:
            self._left -= 1
            self._open += 1
            self._client.call(PATH, {}, MESSAGE)

    def data_received(self, data: bytes) -> None:
        for event in self._client.receive_data(data, 0):
            if type(event) is Answer:
                assert event.message == MESSAGE
            elif type(event) is Finished:
                assert event.status.code == 0, event
                self._open -= 1
                self._call()
        self._transport.write(self._client.take())
        if not self._open and not self._left and not self.done.done():
            self.done.set_result(None)


async def load(port: int, connections: int, at_once: int, calls: int) -> float:
    """Calls per second."""
    loop = asyncio.get_running_loop()
    protocols = []
    for _ in range(connections):
        share = calls // connections
        _, protocol = await loop.create_connection(
            lambda n=share: LoadProtocol(at_once, n), "127.0.0.1", port
        )
        protocols.append(protocol)
    await asyncio.sleep(0.2)
    started = time.perf_counter()
    for protocol in protocols:
        protocol.start()
    await asyncio.gather(*(protocol.done for protocol in protocols))
    return calls / (time.perf_counter() - started)


def on_sockets(name: str, shapes: list[tuple[int, int]], calls: int) -> Iterator[tuple[str, float, float]]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=server_process, args=(name, theirs))
    process.start()
    try:
        port = ours.recv()
        for connections, at_once in shapes:
            asyncio.run(load(port, connections, at_once, max(connections, calls // 10)))
            speeds, costs = [], []
            for _ in range(3):
                ours.send(None)
                before = ours.recv()
                speeds.append(asyncio.run(load(port, connections, at_once, calls)))
                ours.send(None)
                costs.append((ours.recv() - before) / calls)
            yield f"{connections}x{at_once}", statistics.median(speeds), statistics.median(costs) * 1e6
    finally:
        process.terminate()
        process.join()


def installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.http2", description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--without-sockets", action="store_true")
    options = parser.parse_args()
    print("in memory, calls a second on one core")
    print(f"{'at once':>8}{'ours, both':>14}{'h2, both':>14}{'ours, server':>14}{'h2, server':>14}")
    for at_once in (1, 10, 50):
        row = [
            both_a_second(our_both, at_once, options.calls),
            both_a_second(h2_both, at_once, options.calls // 5),
            served_a_second(our_server, at_once, options.calls),
            served_a_second(h2_server, at_once, options.calls // 5),
        ]
        print(f"{at_once:>8}" + "".join(f"{value:>14,.0f}" for value in row), flush=True)
    if options.without_sockets:
        return 0
    print("\non sockets, calls a second; microseconds of the server's processor for one")
    for name, (module, _) in SERVERS.items():
        if not installed(module):
            print(f"{name:>10}  not installed")
            continue
        for shape, speed, cost in on_sockets(name, [(1, 1), (50, 1), (10, 50)], options.calls):
            print(f"{name:>10}{shape:>8}{speed:>12,.0f}{cost:>10.0f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
