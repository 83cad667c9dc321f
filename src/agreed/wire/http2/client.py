"""The client's end: it begins the streams, and learns how many it may have and when there will be no more."""

from __future__ import annotations

from agreed.wire.http2.connection import Connection
from agreed.wire.http2.events import Event, GoawayReceived, StreamReset
from agreed.wire.http2.faults import ConnectionFault, StreamFault
from agreed.wire.http2.fields import EncodedFields, Fields, response_problem
from agreed.wire.http2.frames import PREFACE, STREAM_MOST, ErrorCode, Setting
from agreed.wire.http2.limits import Limits
from agreed.wire.http2.streams import Stream


class Http2Client(Connection):
    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._newest = -1
        self._streams_most: int = STREAM_MOST
        self._leaving = False
        self._sender.out.append(PREFACE)
        self._announce({Setting.ENABLE_PUSH: 0})

    @property
    def closed(self) -> bool:
        """No call is open, and none can be begun."""
        return self._fault is not None or (self._leaving and not self._streams)

    @property
    def can_begin(self) -> bool:
        """Whether the server takes one more stream now."""
        return (
            self._fault is None
            and not self._leaving
            and len(self._streams) < self._streams_most
            and self._newest + 2 <= STREAM_MOST
        )

    def begin(self, encoded: EncodedFields, ends: bool = False) -> int:
        """Begin a stream with the fields of a request; only where `can_begin`.  Its number."""
        assert self.can_begin
        self._newest += 2
        stream = Stream(self._newest, self._sender.initial_window, self._stream_window, self._now)
        stream.told = True
        self._streams[stream.number] = stream
        self._sender.fields(stream, encoded, ends)
        return stream.number

    # --- what comes in -------------------------------------------------------------------------------------

    @property
    def _newest_of_peer(self) -> int:
        return 0  # a server begins none, because it may not push

    def _is_idle(self, number: int) -> bool:
        return number > self._newest or not number % 2

    def _stream_for(self, number: int) -> Stream | None:
        self._on_closed_stream(number, "HEADERS")
        return None

    def _take_initial(self, stream: Stream, fields: Fields, ends: int) -> bool:
        problem = fields.initial_problem(response_problem)
        if problem is not None:
            raise StreamFault(stream.number, ErrorCode.PROTOCOL_ERROR, problem)
        if fields.fields[0][1].startswith(b"1"):
            if ends:
                raise StreamFault(stream.number, ErrorCode.PROTOCOL_ERROR, "an interim answer at the end")
            self._spend_idle_frame()
            return False
        stream.content_left = fields.content_length
        stream.remote_begun = True
        return True

    def _check_ping(self) -> None:
        """gRPC for Go measures the way to its client, which it does by a ping as soon as it is sent anything
        and none is under way: with calls one after the other that is one for each of them, for ever."""
        if self._sender.spoke:
            self._sender.spoke = False
            return
        super()._check_ping()

    def _on_setting(self, name: int, value: int) -> None:
        if name == Setting.MAX_CONCURRENT_STREAMS:
            self._streams_most = value
        elif name == Setting.ENABLE_PUSH and value:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a server cannot enable pushing")
        else:
            super()._on_setting(name, value)

    def _on_goaway(self, number: int, flags: int, payload: bytes, events: list[Event]) -> None:
        """The streams that the server will not look at are over, and surely had no effect."""
        super()._on_goaway(number, flags, payload, events)
        self._leaving = True
        told = events[-1]
        assert isinstance(told, GoawayReceived)
        for stream in [stream for stream in self._streams.values() if stream.number > told.last_stream]:
            self._drop(stream)
            self._past.remember_reset(stream.number)
            events.append(StreamReset(stream.number, ErrorCode.REFUSED_STREAM))
