"""A gRPC client of a node in memory: real bytes both ways.

    client = GrpcClient(node)
    stream = client.call("KV/Put", PutRequest(b"k", b"v"))
    client.answers[stream], client.statuses[stream]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from agreed.replica import events
from agreed.wire.etcd import protobuf
from agreed.wire.etcd.services import METHODS, Method
from agreed.wire.grpc.client import ClientConnection
from agreed.wire.grpc.events import Answer, Finished, FromServer, Goaway
from agreed.wire.grpc.status import Status
from agreed.wire.http2.limits import Limits
from tests.replica.alone import Alone


def method(name: str) -> Method:
    return METHODS[next(path for path in METHODS if path.endswith(f".{name}"))]


class GrpcClient:
    def __init__(self, node: Alone) -> None:
        self.node = node
        self.id = len(node.clients) + 1
        node.clients[self.id] = self  # type: ignore[assignment]
        self.grpc = ClientConnection(Limits(), "node:2379")
        self.connection = self
        self.replies: list[FromServer] = []
        self.methods: dict[int, Method] = {}
        self.answers: dict[int, list[Any]] = {}
        self.statuses: dict[int, Status] = {}
        self.writes = 0
        self.closed = False
        self.paused = False
        self.told_to_go = False
        node.turn(events.EtcdOpened(self.id, "127.0.0.1", 50_000 + self.id))

    def receive_data(self, data: bytes) -> list[FromServer]:
        self.writes += 1
        told = self.grpc.receive_data(data, self.node.now)
        for event in told:
            if isinstance(event, Answer):
                reply = protobuf.decode(self.methods[event.stream].reply, event.message)
                self.answers[event.stream].append(reply)
            elif isinstance(event, Finished):
                self.statuses[event.stream] = event.status
            elif isinstance(event, Goaway):
                self.told_to_go = True
        return told

    def begin(
        self,
        name: str,
        *requests: msgspec.Struct,
        metadata: Mapping[str, str] | None = None,
        timeout_ms: int | None = None,
    ) -> int:
        """Nothing leaves before `say`."""
        called = method(name)
        stream = self.grpc.call(called.path, metadata or {}, None, timeout_ms, end=False)
        for request in requests:
            self.grpc.send(stream, protobuf.encode(request))
        self.methods[stream] = called
        self.answers[stream] = []
        return stream

    def call(
        self,
        name: str,
        request: msgspec.Struct,
        metadata: Mapping[str, str] | None = None,
        timeout_ms: int | None = None,
    ) -> int:
        """A whole request, and what that brings."""
        stream = self.begin(name, request, metadata=metadata, timeout_ms=timeout_ms)
        self.grpc.end(stream)
        self.say()
        return stream

    def say(self, data: bytes = b"") -> None:
        self.node.turn(events.EtcdBytes(self.id, data + self.grpc.take()))

    def answer(self, stream: int) -> Any:
        (only,) = self.answers[stream]
        return only
