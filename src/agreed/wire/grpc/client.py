"""One connection with a server that is called, without the socket: the mirror of `server`.

    call(path, metadata, message, timeout_ms, end)  -> stream
    send / end / cancel                                what the call goes on with
    receive_data(data, now)                         -> events      raises MalformedInput
    take()                                          -> bytes       what to write

Every call ends with exactly one `Finished`, except those that are cancelled here, and those of a connection
that breaks: the caller knows of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agreed.types import Instant
from agreed.wire.grpc.events import Answer, Drained, Finished, FromServer, Goaway
from agreed.wire.grpc.messages import Assembler, Refused, framed
from agreed.wire.grpc.requests import is_grpc
from agreed.wire.grpc.status import Code, Status
from agreed.wire.grpc.timeouts import encode_timeout
from agreed.wire.grpc.trailers import metadata_of, status_of, status_of_http, status_of_reset
from agreed.wire.http2 import events as http2
from agreed.wire.http2.client import Http2Client
from agreed.wire.http2.fields import EncodedFields, Field, Fields, encode
from agreed.wire.http2.frames import ErrorCode
from agreed.wire.http2.limits import Limits

REQUESTS_KEPT: Final = 256

_MESSAGES_FOLLOW: Final = "messages follow"
"""The meaning of the first fields of an answer where they do not end it."""


class ClientConnection:
    """`authority` is what the server is called (host and port), `scheme` is `https` over TLS."""

    def __init__(self, limits: Limits, authority: str, scheme: str = "http") -> None:
        self._limits = limits
        self._http2 = Http2Client(limits)
        self._authority = authority.encode()
        self._scheme = scheme.encode()
        self._calls: dict[int, Assembler] = {}
        self._kept: dict[tuple[str, tuple[tuple[str, str], ...], int | None], EncodedFields] = {}

    # --- calls ---------------------------------------------------------------------------------------------

    def take(self) -> bytes:
        return self._http2.take()

    @property
    def closed(self) -> bool:
        """No call is open, and none can be begun here."""
        return self._http2.closed

    @property
    def can_call(self) -> bool:
        """Whether the server takes one more call now."""
        return self._http2.can_begin

    def call(
        self,
        path: str,
        metadata: Mapping[str, str],
        message: bytes | None,
        timeout_ms: int | None = None,
        end: bool = True,
    ) -> int:
        """Begin a call, only where `can_call`; its number.  `end`: no message follows."""
        stream = self._http2.begin(self._request(path, metadata, timeout_ms))
        self._calls[stream] = Assembler(self._limits.max_message_bytes)
        if message is not None:
            self._http2.send_data(stream, framed(message), end)
        elif end:
            self._http2.send_data(stream, b"", ends=True)
        return stream

    def send(self, stream: int, message: bytes) -> None:
        """One more message; on a call that is no more it has no effect, as all of these."""
        self._http2.send_data(stream, framed(message))

    def end(self, stream: int) -> None:
        """No more messages."""
        self._http2.send_data(stream, b"", ends=True)

    def cancel(self, stream: int) -> None:
        """Nothing more is to come of this call."""
        if self._calls.pop(stream, None) is not None:
            self._http2.reset(stream, ErrorCode.CANCEL)

    def backlog(self, stream: int) -> int:
        """Bytes of messages for which the server has no window yet."""
        return self._http2.backlog(stream)

    def ping(self, payload: bytes) -> None:
        """Eight bytes; any answer shows that the server lives.  Servers drop who asks too often."""
        self._http2.ping(payload)

    def _request(self, path: str, metadata: Mapping[str, str], timeout_ms: int | None) -> EncodedFields:
        key = (path, tuple(metadata.items()), timeout_ms)
        kept = self._kept.get(key)
        if kept is None:
            fields: list[Field] = [
                (b":method", b"POST"),
                (b":scheme", self._scheme),
                (b":path", path.encode()),
                (b":authority", self._authority),
                (b"te", b"trailers"),
                (b"content-type", b"application/grpc"),
                *((name.encode(), value.encode()) for name, value in metadata.items()),
            ]
            if timeout_ms is not None:
                fields.append((b"grpc-timeout", encode_timeout(timeout_ms).encode()))
            if len(self._kept) >= REQUESTS_KEPT:
                self._kept.clear()
            kept = self._kept[key] = encode(fields)
        return kept

    # --- what comes in -------------------------------------------------------------------------------------

    def receive_data(self, data: bytes, now: Instant) -> list[FromServer]:
        """What `data` completes, in order.  Raises `MalformedInput`."""
        events: list[FromServer] = []
        for event in self._http2.receive_data(data, now):
            match event:
                case http2.DataReceived(stream, piece, ended):
                    self._on_data(stream, piece, ended, events)
                case http2.HeadersReceived(stream, fields, ended):
                    self._on_headers(stream, fields, ended, events)
                case http2.TrailersReceived(stream, fields):
                    self._finish_by(stream, fields, events)
                case http2.StreamReset(stream, code):
                    # A fault that we found ourselves says nothing of what the server had done.
                    refused = code == ErrorCode.REFUSED_STREAM and not event.ours
                    self._finish(stream, status_of_reset(code), {}, events, refused, not refused)
                case http2.Drained(stream):
                    events.append(Drained(stream))
                case http2.GoawayReceived(_, _, text):
                    events.append(Goaway(text.decode("utf-8", "replace")))
        return events

    def _on_headers(self, stream: int, fields: Fields, ended: bool, events: list[FromServer]) -> None:
        if ended:
            self._finish_by(stream, fields, events)
            return
        if fields.meaning is _MESSAGES_FOLLOW:
            return
        status = fields.get(b":status") or b""
        if status != b"200" or not is_grpc(fields.get(b"content-type") or b""):
            self._give_up(stream, status_of(fields.fields) or status_of_http(status), events)
        elif (fields.get(b"grpc-encoding") or b"identity") != b"identity":
            text = "the answer is compressed, which was not asked for"
            self._give_up(stream, Status(Code.INTERNAL, text), events)
        else:
            fields.meaning = _MESSAGES_FOLLOW

    def _on_data(self, stream: int, piece: bytes, ended: bool, events: list[FromServer]) -> None:
        assembler = self._calls.get(stream)
        if assembler is None:
            return
        try:
            messages = assembler.feed(piece)
        except Refused as refused:
            # The server may have sent it behind something that it has done.
            self._give_up(stream, refused.status, events, unsaid=True)
            return
        events += [Answer(stream, message) for message in messages]
        if ended:
            text = "server closed the stream without sending trailers"
            self._finish(stream, Status(Code.INTERNAL, text), {}, events)

    def _give_up(
        self, stream: int, status: Status, events: list[FromServer], unsaid: bool = False
    ) -> None:
        """The rest of this answer is of no use."""
        self._http2.reset(stream, ErrorCode.CANCEL)
        self._finish(stream, status, {}, events, unsaid=unsaid)

    def _finish_by(self, stream: int, fields: Fields, events: list[FromServer]) -> None:
        status = status_of(fields.fields)
        if status is None:
            http = fields.get(b":status") or b"200"
            text = "the answer ended without a status"
            status = Status(Code.UNKNOWN, text) if http == b"200" else status_of_http(http)
        assembler = self._calls.get(stream)
        if assembler is not None and assembler.kept_bytes and status.code is Code.OK:
            status = Status(Code.INTERNAL, "unexpected EOF")
        self._finish(stream, status, metadata_of(fields.fields), events)

    def _finish(
        self,
        stream: int,
        status: Status,
        metadata: Mapping[str, str],
        events: list[FromServer],
        refused: bool = False,
        unsaid: bool = False,
    ) -> None:
        if self._calls.pop(stream, None) is not None:
            # An answer may end before its request does; nobody will hear the rest of it.
            self._http2.reset(stream, ErrorCode.CANCEL)
            events.append(Finished(stream, status, metadata, refused, unsaid))
