"""One connection with a client that calls, without the socket.

    receive_data(data, now)         -> events      raises MalformedInput: write `take()`, then drop it
    reply / send / finish / cancel                 what the calls answer
    take()                          -> bytes       what to write, all of a turn in one piece

Methods in `unary` have one request and one answer: they are told once the request is whole, so that nobody
above has to wait for it, and answered by `reply` in one go.  All others are told as soon as they begin.

A call that breaks a rule of gRPC (a message too long, compressed, or cut short) is ended here with the status
that grpc-go has for it; whoever had been told of the call is told that it is `Cancelled`.

What is not here: deadlines (`timeout_ms` is told, and whoever has a clock keeps it), and what a path means.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Final

from agreed.types import Instant
from agreed.wire.grpc.events import Called, Cancelled, Drained, Ended, FromClient, Goaway, Message
from agreed.wire.grpc.messages import (
    PREFIX,
    PREFIX_BYTES,
    Assembler,
    Refused,
    framed,
    framed_together,
    head_of,
)
from agreed.wire.grpc.requests import HEAD, Request, read_request, whole_answer
from agreed.wire.grpc.status import OK, Code, Status
from agreed.wire.grpc.trailers import status_fields
from agreed.wire.http2 import events as http2
from agreed.wire.http2.fields import EncodedFields, encode
from agreed.wire.http2.frames import FRAME_BYTES, ErrorCode
from agreed.wire.http2.limits import Limits
from agreed.wire.http2.server import Http2Server

_SUCCESS: Final = encode(status_fields(OK))

STATUSES_KEPT: Final = 256

_unpack_prefix = PREFIX.unpack_from

CUT_SHORT: Final = Status(Code.INTERNAL, "unexpected EOF")
NO_REQUEST: Final = Status(
    Code.INTERNAL, "cardinality violation: received no request message from non-client-streaming RPC"
)
TOO_MANY_REQUESTS: Final = Status(
    Code.INTERNAL,
    "cardinality violation: expected <EOF> for non client-streaming RPCs, but received another message",
)
TOO_MUCH_AT_ONCE: Final = Status(
    Code.RESOURCE_EXHAUSTED, "grpc: too many messages under way on this connection"
)


class _Incoming:
    """A call whose client has not ended its side yet."""

    __slots__ = ("assembler", "message", "request", "unary")

    def __init__(self, request: Request, unary: bool, message_bytes_most: int) -> None:
        self.request = request
        self.unary = unary
        self.message: bytes | None = None
        self.assembler = Assembler(message_bytes_most)

    @property
    def kept_bytes(self) -> int:
        return self.assembler.kept_bytes + (0 if self.message is None else len(self.message))


class ServerConnection:
    def __init__(self, unary: Container[str], limits: Limits) -> None:
        self._unary = unary
        self._limits = limits
        self._http2 = Http2Server(limits)
        self._incoming: dict[int, _Incoming] = {}
        self._answered: set[int] = set()
        """Calls whose answer has begun."""
        self._kept_bytes = 0
        """Of all calls that wait for their end."""
        self._kept: dict[Status, EncodedFields] = {}

    # --- calls ---------------------------------------------------------------------------------------------

    def take(self) -> bytes:
        return self._http2.take()

    @property
    def closed(self) -> bool:
        """Nothing will come any more: write `take()` and close."""
        return self._http2.closed

    @property
    def streams(self) -> int:
        """How many calls are open."""
        return self._http2.streams

    def reply(self, stream: int, message: bytes) -> None:
        """The one message of an answer, and success.  On a call that is no more it has no effect, as all of
        these."""
        self._http2.respond(stream, HEAD, framed(message), _SUCCESS)
        if self._incoming:
            self._forget(stream)

    def reply_in_parts(self, stream: int, parts: Sequence[bytes]) -> None:
        """As `reply`, for a message whose parts are not to be joined: to copy a hundred megabytes takes long,
        and most of it waits for windows anyway."""
        if not self._http2.is_open(stream):
            return
        self._http2.send_fields(stream, HEAD)
        self._http2.send_data(stream, head_of(sum(map(len, parts))))
        for part in parts:
            self._http2.send_data(stream, part)
        self._http2.send_fields(stream, _SUCCESS, ends=True)
        self._forget(stream)

    def send(self, stream: int, *messages: bytes) -> None:
        """Messages of an answer that goes on; small ones share a frame."""
        if stream not in self._answered:
            if not self._http2.is_open(stream):
                return
            self._answered.add(stream)
            self._http2.send_fields(stream, HEAD)
        if len(messages) == 1:
            self._http2.send_data(stream, framed(messages[0]))
            return
        for data in framed_together(messages, FRAME_BYTES):
            self._http2.send_data(stream, data)

    def finish(self, stream: int, status: Status) -> None:
        """The end of an answer, behind whatever waits."""
        if stream in self._answered:
            self._answered.discard(stream)
            trailers = _SUCCESS if status is OK else encode(status_fields(status))
            self._http2.send_fields(stream, trailers, ends=True)
        else:
            self._http2.send_fields(stream, self._whole_answer(status), ends=True)
        self._forget(stream)

    def backlog(self, stream: int) -> int:
        """Bytes of messages for which the client has no window yet."""
        return self._http2.backlog(stream)

    @property
    def untaken_bytes(self) -> int:
        """Of all calls."""
        return self._http2.untaken_bytes

    def shut_down(self) -> None:
        """Take no new calls; `closed` when those that are open have ended."""
        self._http2.shut_down()

    def _whole_answer(self, status: Status) -> EncodedFields:
        """Kept, because clients in trouble ask again and again and are told the same."""
        kept = self._kept.get(status)
        if kept is None:
            if len(self._kept) >= STATUSES_KEPT:
                self._kept.clear()
            kept = self._kept[status] = whole_answer(status)
        return kept

    def _forget(self, stream: int) -> _Incoming | None:
        incoming = self._incoming.pop(stream, None)
        if incoming is not None:
            self._kept_bytes -= incoming.kept_bytes
        return incoming

    # --- what comes in -------------------------------------------------------------------------------------

    def receive_data(self, data: bytes, now: Instant) -> list[FromClient]:
        """What `data` completes, in order.  `now` is only compared with itself.  Raises `MalformedInput`."""
        events: list[FromClient] = []
        for event in self._http2.receive_data(data, now):
            kind = type(event)
            if kind is http2.DataReceived:
                self._on_data(event, events)  # type: ignore[arg-type]
            elif kind is http2.HeadersReceived:
                self._on_headers(event, events)  # type: ignore[arg-type]
            else:
                self._on_other(event, events)
        return events

    def _on_headers(self, event: http2.HeadersReceived, events: list[FromClient]) -> None:
        fields = event.fields
        request = fields.meaning
        if request is None:
            request = fields.meaning = read_request(fields)
        assert isinstance(request, Request)
        stream = event.stream
        if request.refusal is not None:
            self._http2.send_fields(stream, request.refusal, ends=True)
            return
        unary = request.path in self._unary
        if not event.ended:
            self._incoming[stream] = _Incoming(request, unary, self._limits.max_message_bytes)
        elif unary:
            self.finish(stream, NO_REQUEST)
            return
        if not unary:
            events.append(Called(stream, request.path, request.metadata, request.timeout_ms, None))
            if event.ended:
                events.append(Ended(stream))

    def _on_data(self, event: http2.DataReceived, events: list[FromClient]) -> None:
        stream = event.stream
        incoming = self._incoming.get(stream)
        if incoming is None:
            return
        data = event.data
        if incoming.unary and event.ended and not incoming.assembler.kept_bytes and len(data) >= PREFIX_BYTES:
            # What nearly every request is: one message, whole, in one frame.
            compressed, length = _unpack_prefix(data)
            if (
                length + PREFIX_BYTES == len(data)
                and not compressed
                and length <= self._limits.max_message_bytes
                and incoming.message is None
            ):
                del self._incoming[stream]
                request = incoming.request
                events.append(
                    Called(stream, request.path, request.metadata, request.timeout_ms, data[PREFIX_BYTES:])
                )
                return
        try:
            self._assemble(stream, incoming, data, events)
            if event.ended:
                self._end(stream, incoming, events)
            elif self._kept_bytes > self._limits.max_partial_bytes:
                raise Refused(TOO_MUCH_AT_ONCE)
        except Refused as refused:
            self._refuse(stream, refused.status, events)

    def _assemble(self, stream: int, incoming: _Incoming, data: bytes, events: list[FromClient]) -> None:
        before = incoming.kept_bytes
        try:
            messages = incoming.assembler.feed(data)
            if not incoming.unary:
                events += [Message(stream, message) for message in messages]
            elif len(messages) + (incoming.message is not None) > 1:
                raise Refused(TOO_MANY_REQUESTS)
            elif messages:
                incoming.message = messages[0]
        finally:
            self._kept_bytes += incoming.kept_bytes - before

    def _end(self, stream: int, incoming: _Incoming, events: list[FromClient]) -> None:
        if incoming.assembler.kept_bytes:
            raise Refused(CUT_SHORT)
        self._forget(stream)
        if not incoming.unary:
            events.append(Ended(stream))
        elif incoming.message is None:
            self.finish(stream, NO_REQUEST)
        else:
            request = incoming.request
            events.append(
                Called(stream, request.path, request.metadata, request.timeout_ms, incoming.message)
            )

    def _refuse(self, stream: int, status: Status, events: list[FromClient]) -> None:
        unary = self._incoming[stream].unary
        self.finish(stream, status)
        if not unary:
            events.append(Cancelled(stream))

    def _on_other(self, event: http2.Event, events: list[FromClient]) -> None:
        match event:
            case http2.StreamReset(stream):
                self._answered.discard(stream)
                incoming = self._forget(stream)
                if incoming is None or not incoming.unary:
                    events.append(Cancelled(stream))
            case http2.TrailersReceived(stream):
                incoming = self._incoming.get(stream)
                if incoming is not None:
                    try:
                        self._end(stream, incoming, events)
                    except Refused as refused:
                        self._refuse(stream, refused.status, events)
            case http2.Drained(stream):
                events.append(Drained(stream))
            case http2.GoawayReceived(_, _, text):
                events.append(Goaway(text.decode("utf-8", "replace")))

    def cancel(self, stream: int) -> None:
        """Give up on a call without a status, as where its client must not believe anything."""
        self._answered.discard(stream)
        self._forget(stream)
        self._http2.reset(stream, ErrorCode.CANCEL)
