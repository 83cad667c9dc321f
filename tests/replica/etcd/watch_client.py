"""A client that watches one node in memory, without any bytes, and what it is told."""

from __future__ import annotations

from typing import Any

import msgspec

from agreed.replica.etcd.watch import WatchService
from agreed.replica.settings import Settings
from agreed.wire.etcd.messages import (
    CompactionRequest,
    DeleteRangeRequest,
    EventType,
    PutRequest,
    WatchCancelRequest,
    WatchCreateRequest,
    WatchProgressRequest,
    WatchRequest,
    WatchResponse,
)
from tests.replica.alone import Alone
from tests.replica.etcd.calling import Asked, Caller


class Client(Caller):
    """Its streams take what they are sent, unless `unread` says so."""

    def __init__(self, node: Alone) -> None:
        super().__init__(node)
        self.unread: dict[int, int] = {}

    def backlog(self, call: Any) -> int:
        return self.unread.get(call.stream, 0)

    def put(self, key: bytes, value: bytes = b"") -> int:
        return int(self.ask("KV/Put", PutRequest(key, value)).reply.header.revision)

    def delete(self, key: bytes, range_end: bytes = b"") -> int:
        return int(self.ask("KV/DeleteRange", DeleteRangeRequest(key, range_end)).reply.header.revision)

    def compact(self, revision: int) -> None:
        self.ask("KV/Compact", CompactionRequest(revision))

    def watch(self, key: bytes = b"", range_end: bytes = b"", **options: Any) -> Asked:
        return self.ask("Watch/Watch", creation(key, range_end, **options))

    def say(self, stream: Asked, request: WatchRequest) -> None:
        assert stream.call.on_message is not None
        stream.call.on_message(request)
        self.node.turn()

    def drained(self, stream: Asked) -> None:
        self.unread.clear()
        assert stream.call.on_drained is not None
        stream.call.on_drained()
        self.node.turn()


def creation(key: bytes = b"", range_end: bytes = b"", **options: Any) -> WatchRequest:
    return WatchRequest(create_request=WatchCreateRequest(key, range_end, **options))


UNREAD = Settings().watch_backlog_bytes + 1
CANCEL, PROGRESS = WatchCancelRequest, WatchRequest(progress_request=WatchProgressRequest())


def told(stream: Asked) -> list[tuple[int, str, bytes, bytes]]:
    """All events, of all messages: (revision, PUT or DELETE, key, value)."""
    return [
        (event.kv.mod_revision, EventType(event.type).name, event.kv.key, event.kv.value)
        for message in stream.messages
        for event in message.events
    ]


def bare(message: WatchResponse) -> WatchResponse:
    """Less the header."""
    return msgspec.structs.replace(message, header=None)


def revision(message: WatchResponse) -> int:
    assert message.header is not None
    return message.header.revision


def service_of(client: Client) -> WatchService:
    (service,) = (each for each in client.node.replica.etcd.services if isinstance(each, WatchService))
    return service
