"""One input of the fuzzer of HTTP/2: a whole node in memory, and clients of its etcd port that talk nonsense.

Most of what they say is well framed, so that it comes through to the services: any method with any message,
now and then a spoilt one.  Others speak spoilt HTTP/2, or HTTP/1.1 to the gateway with spoilt JSON.  In the
end an honest client asks for a put and a range, and has to be answered, whatever the answer is: the node may
have been told to ask for passwords, or that it is no member any more.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec

from agreed.replica import events
from agreed.wire.etcd import json_mapping, protobuf
from agreed.wire.etcd.messages import PutRequest, RangeRequest
from agreed.wire.etcd.services import METHODS
from agreed.wire.grpc.client import ClientConnection
from agreed.wire.http2.limits import Limits
from tests.replica.alone import Alone
from tests.replica.etcd.speaking import GrpcClient
from tests.torture.nonsense import Mutator

Draw = Callable[[type[msgspec.Struct]], msgspec.Struct]

ROUTES = [(route, method) for method in METHODS.values() for route in method.routes]
PAGES = ("/health", "/livez", "/readyz", "/version", "/metrics", "/", "/v3/watch", "/v3/nothing")
ANSWERED_WITHIN_MS = 20_000


class _Deaf:
    """A client whose ears do not matter."""

    def __init__(self, node: Alone) -> None:
        self.id = len(node.clients) + 1
        self.connection = self
        self.replies: list[object] = []
        self.closed = self.paused = False
        node.clients[self.id] = self  # type: ignore[assignment]
        node.turn(events.EtcdOpened(self.id, "127.0.0.1", 50_000 + self.id))

    def receive_data(self, _data: bytes) -> list[object]:
        return []


def _grpc(dice: random.Random, draw: Draw) -> list[bytes]:
    """Calls of any method, in a few pieces."""
    connection = ClientConnection(Limits(), "node:2379")
    mutator = Mutator(dice)
    pieces = []
    for _ in range(dice.randrange(1, 7)):
        method = METHODS[dice.choice(sorted(METHODS))]
        metadata = {"hasleader": "true"} if dice.random() < 0.1 else {}
        if dice.random() < 0.05:
            metadata["token"] = dice.choice(("t.1", "", "x" * 500))
        timeout_ms = dice.choice((None, None, 5, 1_000))
        stream = connection.call(method.path, metadata, None, timeout_ms, end=False)
        for _ in range(dice.choice((1, 1, 1, 2, 4))):
            message = protobuf.encode(draw(method.request))
            connection.send(stream, mutator.spoil(message) if dice.random() < 0.15 else message)
        if dice.random() < 0.8:
            connection.end(stream)
        elif dice.random() < 0.5:
            connection.cancel(stream)
        if dice.random() < 0.5:
            pieces.append(connection.take())
    pieces.append(connection.take())
    return pieces


def _http1(dice: random.Random, draw: Draw) -> list[bytes]:
    mutator = Mutator(dice)
    pieces = []
    for _ in range(dice.randrange(1, 4)):
        path, method = dice.choice(ROUTES)
        body = json_mapping.to_json(draw(method.request))
        verb = "POST"
        if dice.random() < 0.3:
            body = mutator.spoil(body)
        if dice.random() < 0.2:
            verb, path, body = dice.choice(("GET", "POST", "PUT")), dice.choice(PAGES), b""
        head = f"{verb} {path} HTTP/1.1\r\nHost: node\r\nContent-Length: {len(body)}\r\n"
        if dice.random() < 0.1:
            head += "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            head += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        whole = f"{head}\r\n".encode() + body
        pieces.append(mutator.spoil(whole) if dice.random() < 0.3 else whole)
    return pieces


def throw(dice: random.Random, draw: Draw, conversation: Callable[[], list[bytes]]) -> int:
    """Raises whatever the node raises.  How many of what was said came through to a service."""
    node = Alone()
    for _ in range(dice.randrange(1, 4)):
        client = _Deaf(node)
        pieces = (
            dice.choice((_grpc, _grpc, _grpc, _http1))(dice, draw) if dice.random() < 0.9 else conversation()
        )
        for piece in pieces:
            if client.closed:
                break
            node.turn(events.EtcdBytes(client.id, piece))
            if dice.random() < 0.2:
                node.pass_ms(dice.choice((10, 1_000)), 500)
        if dice.random() < 0.5:
            node.turn(events.EtcdClosed(client.id))
    be_honest(node)
    return sum(1 for effects in node.effects if effects.write)


def be_honest(node: Alone) -> None:
    client = GrpcClient(node)
    requests: tuple[tuple[str, Any], ...] = (
        ("KV/Put", PutRequest(b"honest", b"1")),
        ("KV/Range", RangeRequest(b"honest")),
    )
    for name, request in requests:
        stream = client.call(name, request)
        for _ in range(ANSWERED_WITHIN_MS // 500):
            if stream in client.statuses:
                break
            node.pass_ms(500, 500)
        else:
            raise AssertionError(f"{name} of an honest client is not answered")
