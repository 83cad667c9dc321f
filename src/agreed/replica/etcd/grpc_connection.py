"""A connection that speaks gRPC: frames become calls, what services say of them becomes frames.

What HTTP/2 and gRPC ask for is done in `wire/grpc/server.py`; here a call gets its method, its caller and its
deadline, and messages are decoded and encoded.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from agreed.errors import MalformedInput
from agreed.replica.etcd.calls import Call, Caller
from agreed.wire.etcd import errors, protobuf
from agreed.wire.etcd.services import METHODS, UNARY_PATHS, Kind
from agreed.wire.etcd.services import SERVICES as SERVICE_NAMES
from agreed.wire.grpc.events import Called, Cancelled, Drained, Ended, Message
from agreed.wire.grpc.server import ServerConnection
from agreed.wire.grpc.status import OK, Code, Status
from agreed.wire.http2.limits import Limits

if TYPE_CHECKING:
    from agreed.replica.etcd.front import EtcdClients

UNTAKEN_MOST_BYTES = 256 * 1024 * 1024
"""Of answers on one connection that its client has no window for.  In a few hundred kilobytes somebody can
ask ten thousand times for a megabyte, and then not listen; who goes beyond this is told so instead."""

UNTAKEN = Status(Code.UNKNOWN, "the answers to earlier calls have not been taken")
"""A write is done when its answer is not given: RESOURCE_EXHAUSTED would say that it surely was not."""


@lru_cache(maxsize=4)
def _limits(message_bytes: int) -> Limits:
    return Limits(max_message_bytes=message_bytes)


_NOBODY_THERE = ServerConnection(UNARY_PATHS, Limits())
"""On which there never was a call, so nothing can be said there."""


class GrpcConnection:
    """`over`: nothing more will come of it, it may be closed."""

    def __init__(
        self, front: EtcdClients, client: int, address: str, port: int, certificate: str | None
    ) -> None:
        self.client = client
        self._front = front
        limits = _limits(front.replica.settings.etcd_max_message_bytes)
        self._server = ServerConnection(UNARY_PATHS, limits)
        self._nobody = self._caller = Caller(address, port, None, certificate)
        self._calls: dict[int, Call] = {}
        self._begun: dict[int, Called] = {}
        """Streams whose first message has not come yet."""
        self._events: dict[type, Callable[[Any], None]] = {
            Called: self._called,
            Message: self._message,
            Ended: self._ended,
            Cancelled: self._cancelled,
            Drained: self._drained,
        }

    @property
    def over(self) -> bool:
        return self._server.closed

    def received(self, data: bytes) -> None:
        """Raises `MalformedInput` where the connection has to end."""
        handlers = self._events
        for event in self._server.receive_data(data, self._front.replica.now):
            handler = handlers.get(type(event))
            if handler is not None:
                handler(event)

    def take(self) -> bytes:
        return self._server.take()

    def client_reads(self, reads: bool) -> None:
        """Its windows say it, for each call."""

    def gone(self) -> None:
        """Calls may be remembered a little longer than they live (until a progress notification would have
        been due), and with them this; but not what their client has not taken, or sent in part."""
        self._begun.clear()
        calls, self._calls = self._calls, {}
        for call in calls.values():
            call.abandoned()
        self._server = _NOBODY_THERE

    def shut_down(self) -> None:
        """Streams would never end by themselves, so they do it here: see `end`."""
        self._end(but=Kind.UNARY)
        self._server.shut_down()

    def end(self) -> None:
        """Every call hears that this node stops, and can go on elsewhere.  One that only sees its connection
        close after a GOAWAY would be given an error by which Go's client takes a watch for over."""
        self._end()

    def _end(self, but: Kind | None = None) -> None:
        for stream in self._begun:
            self._server.finish(stream, errors.STOPPED)
        self._begun.clear()
        for call in list(self._calls.values()):
            if call.method.kind is not but:
                call.abandon(errors.STOPPED)

    # --- what comes in ----------------------------------------------------------------------------------

    def _called(self, event: Called) -> None:
        method = METHODS.get(event.path)
        if method is None:
            self._server.finish(event.stream, unknown(event.path))
        elif event.message is not None:
            self._begin(event, event.message)
        else:
            self._begun[event.stream] = event

    def _begin(self, event: Called, message: bytes) -> None:
        method = METHODS[event.path]
        try:
            request = protobuf.decode(method.request, message)
        except MalformedInput as error:
            self._server.finish(event.stream, not_understood(error))
            return
        metadata = event.metadata
        token = metadata.get("token") or metadata.get("authorization")
        front = self._front
        timeout_ms = event.timeout_ms
        call = Call(
            self,
            event.stream,
            method,
            metadata,
            self._nobody if token is None else self._with_token(token),
            None if timeout_ms is None else front.replica.now + timeout_ms,
        )
        call.request_bytes = len(message)
        self._calls[event.stream] = call
        front.dispatch(call, request)

    def _with_token(self, token: str) -> Caller:
        """The same in call after call."""
        token = token.removeprefix("Bearer ")
        if self._caller.token != token:
            self._caller = msgspec.structs.replace(self._nobody, token=token)
        return self._caller

    def _message(self, event: Message) -> None:
        begun = self._begun.pop(event.stream, None)
        if begun is not None:
            self._begin(begun, event.data)
            return
        call = self._calls.get(event.stream)
        if call is None:
            return
        try:
            request = protobuf.decode(call.method.request, event.data)
        except MalformedInput as error:
            call.abandoned()
            self._forget(call)
            self._server.finish(event.stream, not_understood(error))
            return
        call.heard(request, len(event.data))

    def _ended(self, event: Ended) -> None:
        begun = self._begun.pop(event.stream, None)
        if begun is not None:
            # A stream of requests may be empty; one request is one request.
            empty = METHODS[begun.path].kind is Kind.BIDIRECTIONAL
            self._server.finish(event.stream, OK if empty else NO_REQUEST)
            return
        call = self._calls.get(event.stream)
        if call is not None:
            call.no_more()

    def _cancelled(self, event: Cancelled) -> None:
        self._begun.pop(event.stream, None)
        call = self._calls.pop(event.stream, None)
        if call is not None:
            call.abandoned()

    def _drained(self, event: Drained) -> None:
        call = self._calls.get(event.stream)
        if call is not None and call.on_drained is not None:
            call.on_drained()

    # --- what goes out: the transport of calls ------------------------------------------------------------

    def _forget(self, call: Call) -> None:
        self._calls.pop(call.stream, None)
        self._front.mark(self)

    def reply(self, call: Call, message: msgspec.Struct) -> None:
        """The hot path."""
        if self._server.untaken_bytes > UNTAKEN_MOST_BYTES:
            self.ended(call, UNTAKEN)
        elif self._calls.pop(call.stream, None) is not None:
            self._server.reply(call.stream, protobuf.encode(message))
            self._front.counters.replied[call.method.path] += 1
            self._front.mark(self)

    def written(self, part: msgspec.Struct) -> bytes:
        return protobuf.encode(part)

    def reply_written(self, call: Call, parts: list[bytes]) -> None:
        """Messages of protobuf are put together by writing one behind the other."""
        if self._server.untaken_bytes > UNTAKEN_MOST_BYTES:
            self.ended(call, UNTAKEN)
        elif self._calls.pop(call.stream, None) is not None:
            self._server.reply_in_parts(call.stream, parts)
            self._front.counters.replied[call.method.path] += 1
            self._front.mark(self)

    def messages(self, call: Call, messages: Sequence[msgspec.Struct]) -> None:
        if call.stream in self._calls:
            self._server.send(call.stream, *map(protobuf.encode, messages))
            self._front.mark(self)

    def ended(self, call: Call, status: Status) -> None:
        if self._calls.pop(call.stream, None) is not None:
            self._server.finish(call.stream, status)
            self._front.counters.ended[call.method.path, status.code] += 1
            self._front.mark(self)

    def backlog(self, call: Call) -> int:
        return self._server.backlog(call.stream)


NO_REQUEST = Status(Code.INTERNAL, "EOF")


def unknown(path: str) -> Status:
    service, slash, method = path.removeprefix("/").rpartition("/")
    if not slash:
        return Status(Code.RESOURCE_EXHAUSTED, f'malformed method name: "{path}"')
    if service in SERVICE_NAMES:
        return errors.unknown_method(service, method)
    return errors.unknown_service(service)


def not_understood(error: MalformedInput) -> Status:
    return Status(Code.INTERNAL, f"grpc: error unmarshalling request: {error}")
