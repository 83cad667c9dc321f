"""The server's end: streams are begun by the client, and there is a good way to end it all.

Going away (6.8): first a GOAWAY that refuses nothing, and a PING; what the client began before it saw that is
still on its way.  When the PING comes back nothing more is, and the second GOAWAY names the last stream that
will be served.  When those are done the connection is `closed`.

Pings are watched as grpc-go watches them, because etcd's clients are tuned to that: one that comes within
`ping_interval_least_ms` of the last, or within two hours while no call is open, is a strike; whatever we send
on a call wipes the strikes out; after two, the next ends the connection with the text `too_many_pings`, by
which clients know that they have to ping less.
"""

from __future__ import annotations

from typing import Final

from agreed.types import Instant
from agreed.wire.http2 import frames
from agreed.wire.http2.connection import Connection
from agreed.wire.http2.events import Event
from agreed.wire.http2.faults import ConnectionFault, StreamFault
from agreed.wire.http2.fields import EncodedFields, Fields, request_problem
from agreed.wire.http2.frames import PREFACE, STREAM_MOST, ErrorCode, Setting
from agreed.wire.http2.limits import Limits
from agreed.wire.http2.streams import Stream

PING_INTERVAL_WITHOUT_CALLS_MS: Final = 2 * 60 * 60 * 1000

_FAREWELL: Final = b"farewell"


class Http2Server(Connection):
    """`data` begins with the client's preface."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._newest = -1
        self._preface_read = False
        self._pinged_at: Instant | None = None
        self._strikes = 0
        self._leaving = False
        self._last_served: int | None = None
        self._announce({Setting.MAX_CONCURRENT_STREAMS: limits.max_concurrent_streams})

    @property
    def closed(self) -> bool:
        """Nothing will come any more that needs an answer, and nothing waits: write `take()` and close."""
        return self._fault is not None or (self._last_served is not None and not self._streams)

    def shut_down(self) -> None:
        """Take no new streams, as soon as the client knows it.  A client that never says that it does is for
        whoever has a clock."""
        if not self._leaving:
            self._leaving = True
            self._sender.out.append(frames.goaway(STREAM_MOST, ErrorCode.NO_ERROR))
            self.ping(_FAREWELL)

    def respond(self, number: int, head: EncodedFields, data: bytes, tail: EncodedFields) -> None:
        """A whole answer in one go; `data` is not empty."""
        stream = self._streams.get(number)
        if stream is not None and not stream.local_ended:
            self._sender.respond(stream, head, data, tail)
            if stream.local_ended:
                self._local_ended(stream)

    def _local_ended(self, stream: Stream) -> None:
        """A client that is still speaking is told that nobody listens (RFC 9113, 8.1)."""
        del self._streams[stream.number]
        if not stream.remote_ended:
            self._past.remember_reset(stream.number)
            self._sender.out.append(frames.reset(stream.number, ErrorCode.NO_ERROR))

    # --- what comes in -------------------------------------------------------------------------------------

    def _begin(self, data: bytes) -> int:
        if self._preface_read:
            return 0
        if not PREFACE.startswith(data[: len(PREFACE)]):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "this is not HTTP/2")
        if len(data) < len(PREFACE):
            return -1
        self._preface_read = True
        return len(PREFACE)

    @property
    def _newest_of_peer(self) -> int:
        return max(self._newest, 0)

    def _is_idle(self, number: int) -> bool:
        return number > self._newest or not number % 2

    def _is_refused(self, number: int) -> bool:
        """The client had been told that this one would not be looked at."""
        return self._last_served is not None and number > self._last_served

    def _stream_for(self, number: int) -> Stream | None:
        newest = self._newest
        if number <= newest:
            self._check_old_stream(number)
            return None
        if not number % 2:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"a client cannot begin stream {number}")
        if number != newest + 2:
            self._past.skip(newest + 2, number)
        self._newest = number
        if self._is_refused(number):
            return None
        if len(self._streams) >= self.limits.max_concurrent_streams:
            raise StreamFault(number, ErrorCode.REFUSED_STREAM, "too many streams at once")
        stream = Stream(number, self._sender.initial_window, self._stream_window, self._now)
        self._streams[number] = stream
        return stream

    def _check_old_stream(self, number: int) -> None:
        """HEADERS on a stream that is no more: ignored where the client cannot know it yet."""
        if self._past.was_reset(number) or self._is_refused(number):
            return
        if not number % 2 or self._past.was_skipped(number):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"stream {number} comes too late")
        raise ConnectionFault(ErrorCode.STREAM_CLOSED, f"HEADERS on stream {number}, which has ended")

    def _on_closed_stream(self, number: int, what: str) -> None:
        if not self._is_refused(number) or self._is_idle(number):
            super()._on_closed_stream(number, what)

    def _take_initial(self, stream: Stream, fields: Fields, ends: int) -> bool:
        problem = fields.initial_problem(request_problem)
        if problem is not None:
            raise StreamFault(stream.number, ErrorCode.PROTOCOL_ERROR, problem)
        stream.content_left = fields.content_length
        stream.remote_begun = True
        return True

    def _check_ping(self) -> None:
        now, last = self._now, self._pinged_at
        self._pinged_at = now
        if self._sender.spoke:
            self._sender.spoke = False
            self._strikes = 0
            return
        least = self.limits.ping_interval_least_ms if self._streams else PING_INTERVAL_WITHOUT_CALLS_MS
        if last is not None and now - last < least:
            self._strikes += 1
            if self._strikes > self.limits.ping_strikes_most:
                raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too_many_pings")

    def _on_pong(self, payload: bytes, events: list[Event]) -> None:
        if payload == _FAREWELL and self._leaving and self._last_served is None:
            self._last_served = self._newest_of_peer
            self._sender.out.append(frames.goaway(self._last_served, ErrorCode.NO_ERROR))
            return
        super()._on_pong(payload, events)
