"""What both ends of an HTTP/2 connection have in common: frames come in, events and frames go out.

    receive_data(data, now) -> events      raises ConnectionFault: drop the connection, after writing `take()`
    take() -> bytes                        what to write, all of a turn in one piece

The transport may cut the bytes anywhere.  Faults reach as far as RFC 9113 says (5.4): a fault of a stream
resets that stream and is told as an event; a fault of the connection ends it with a GOAWAY.

Floods: whatever costs us an answer, or work that nobody will look at, has an allowance (`limits`).  A peer
that spends it all is told ENHANCE_YOUR_CALM and dropped.  Windows of received data are returned at once, in
pieces of half a window; so what bounds the memory is what the layer above keeps.
"""

from __future__ import annotations

from typing import Final

from agreed.types import Instant
from agreed.wire.http2 import frames
from agreed.wire.http2.events import (
    DataReceived,
    Drained,
    Event,
    GoawayReceived,
    HeadersReceived,
    PingAnswered,
    StreamReset,
    TrailersReceived,
)
from agreed.wire.http2.faults import ConnectionFault, StreamFault, unpadded
from agreed.wire.http2.fields import Fields, FieldsDecoder
from agreed.wire.http2.frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    FRAME_BYTES,
    HEAD,
    HEAD_BYTES,
    PADDED,
    PRIORITIZED,
    STREAM_MOST,
    WINDOW_BYTES_MOST,
    ErrorCode,
    FrameType,
    Setting,
)
from agreed.wire.http2.limits import Allowance, Limits
from agreed.wire.http2.speaking import Speaker
from agreed.wire.http2.streams import Stream

CONTINUATIONS_MOST: Final = 16
"""Frames that one block may be spread over.  Whole frames would hold far more than any list allowed."""

STREAMS_FOR_AN_IDLE_FRAME: Final = 100
"""To move the windows of so many streams costs about as much as to look at one frame that says nothing."""

_unpack_head = HEAD.unpack_from


class Connection(Speaker):
    """Either end.  `server.Http2Server` and `client.Http2Client` add who begins streams and how."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._decoder = FieldsDecoder(limits.max_header_list_bytes)
        self._rest = b""
        self._now: Instant = 0
        self._greeted = False
        """The peer's first frame has been its SETTINGS."""
        self._block: list[bytes] | None = None
        """The pieces of a block whose last CONTINUATION has not come yet; its stream and flags beside it."""
        self._block_stream = 0
        self._block_flags = 0
        self._unreturned = 0
        self._half_window = self._receive_window // 2
        self._half_stream_window = self._stream_window // 2
        self._idle_frames = Allowance(limits.idle_frames_burst, limits.idle_frames_per_second)
        self._resets = Allowance(limits.resets_burst, limits.resets_per_second)
        self._fault: ConnectionFault | None = None
        self._handlers = (
            self._on_data,
            self._on_headers,
            self._on_priority,
            self._on_reset,
            self._on_settings,
            self._on_push_promise,
            self._on_ping,
            self._on_goaway,
            self._on_window_update,
            self._on_continuation,
        )

    def receive_data(self, data: bytes, now: Instant) -> list[Event]:
        """What `data` completes.  Raises `ConnectionFault`; the events before the fault are lost with it."""
        if self._fault is not None:
            raise self._fault
        self._now = now
        if self._rest:
            data = self._rest + data
            self._rest = b""
        events: list[Event] = []
        try:
            position = self._begin(data)
            if position < 0:
                self._rest = data
                return events
            self._read_frames(data, position, events)
        except ConnectionFault as fault:
            self._fail(fault)
            raise
        return events

    def _read_frames(self, data: bytes, position: int, events: list[Event]) -> None:
        size = len(data)
        handlers = self._handlers
        while size - position >= HEAD_BYTES:
            word, flags, stream = _unpack_head(data, position)
            length = word >> 8
            kind = word & 0xFF
            if length > FRAME_BYTES:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, f"a frame of {length} bytes")
            end = position + HEAD_BYTES + length
            if not self._greeted and kind != FrameType.SETTINGS:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
            if end > size:
                break
            stream &= STREAM_MOST
            if self._block is not None and (kind != FrameType.CONTINUATION or stream != self._block_stream):
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a block of fields is interrupted")
            if kind < len(handlers):
                try:
                    handlers[kind](stream, flags, data[position + HEAD_BYTES : end], events)
                except StreamFault as fault:
                    self._stream_failed(fault, events)
            position = end
        self._rest = data[position:]

    def _begin(self, data: bytes) -> int:
        """Where the frames begin; negative while that cannot be said yet."""
        return 0

    # --- faults --------------------------------------------------------------------------------------------

    def _fail(self, fault: ConnectionFault) -> None:
        self._fault = fault
        self._streams.clear()
        self._sender.out.append(frames.goaway(self._newest_of_peer, fault.code, fault.text.encode()))

    @property
    def _newest_of_peer(self) -> int:
        """The newest stream that the peer has begun."""
        raise NotImplementedError

    def _stream_failed(self, fault: StreamFault, events: list[Event]) -> None:
        """A peer that has us reset its streams wastes our work as one that resets them itself; but to refuse
        one is no work, and clients that begin before they know how many they may are not at fault."""
        if fault.code is not ErrorCode.REFUSED_STREAM and not self._resets.spend(self._now):
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many faults")
        stream = self._streams.get(fault.stream)
        self._sender.out.append(frames.reset(fault.stream, fault.code))
        self._past.remember_reset(fault.stream)
        if stream is not None:
            self._drop(stream)
            if stream.told:
                events.append(StreamReset(fault.stream, fault.code, True))

    def _spend_idle_frame(self, times: int = 1) -> None:
        if not self._idle_frames.spend(self._now, times):
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many frames that say nothing")

    def _is_idle(self, number: int) -> bool:
        """Whether the stream has not been begun yet."""
        raise NotImplementedError

    def _on_closed_stream(self, number: int, what: str) -> None:
        """A frame that needs an open stream came on one that is none."""
        if self._is_idle(number):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"{what} on stream {number}, which is idle")
        if not self._past.was_reset(number):
            raise StreamFault(number, ErrorCode.STREAM_CLOSED, f"{what} after the end")

    # --- HEADERS and CONTINUATION --------------------------------------------------------------------------

    def _on_headers(self, number: int, flags: int, payload: bytes, events: list[Event]) -> None:
        if not number:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "HEADERS on stream 0")
        if flags & (PADDED | PRIORITIZED):
            if flags & PADDED:
                payload = unpadded(payload)
            if flags & PRIORITIZED:
                if len(payload) < 5:
                    raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "HEADERS too short for its priority")
                payload = payload[5:]
        if not flags & END_HEADERS:
            self._block = [payload]
            self._block_stream = number
            self._block_flags = flags
            return
        self._on_block(number, payload, flags & END_STREAM, events)

    def _on_continuation(self, number: int, flags: int, payload: bytes, events: list[Event]) -> None:
        block = self._block
        if block is None:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "CONTINUATION of nothing")
        block.append(payload)
        if len(block) > CONTINUATIONS_MOST:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "a block of fields in too many pieces")
        if flags & END_HEADERS:
            self._block = None
            self._on_block(number, b"".join(block), self._block_flags & END_STREAM, events)

    def _on_block(self, number: int, block: bytes, ends: int, events: list[Event]) -> None:
        # Decoded whatever becomes of it: the table has to stay in step with the peer's.
        fields = self._decoder.decode(block)
        stream = self._streams.get(number)
        if stream is None:
            stream = self._stream_for(number)
            if stream is None:
                return
        elif stream.remote_begun:
            self._on_trailers(stream, fields, ends, events)
            return
        if fields.oversized:
            raise StreamFault(number, ErrorCode.ENHANCE_YOUR_CALM, "too many fields")
        if not self._take_initial(stream, fields, ends):
            return
        if ends:
            self._remote_ended(stream)
        stream.told = True
        events.append(HeadersReceived(number, fields, ends != 0))

    def _stream_for(self, number: int) -> Stream | None:
        """The stream that these HEADERS begin; None if they are to be ignored."""
        raise NotImplementedError

    def _take_initial(self, stream: Stream, fields: Fields, ends: int) -> bool:
        """Check the first fields of the peer on this stream; False if they are only for information."""
        raise NotImplementedError

    def _on_trailers(self, stream: Stream, fields: Fields, ends: int, events: list[Event]) -> None:
        number = stream.number
        if stream.remote_ended:
            raise StreamFault(number, ErrorCode.STREAM_CLOSED, "HEADERS after the end")
        if not ends:
            raise StreamFault(number, ErrorCode.PROTOCOL_ERROR, "trailers that do not end the stream")
        if fields.oversized:
            raise StreamFault(number, ErrorCode.ENHANCE_YOUR_CALM, "too many fields")
        problem = fields.trailers_problem()
        if problem is not None:
            raise StreamFault(number, ErrorCode.PROTOCOL_ERROR, problem)
        self._remote_ended(stream)
        events.append(TrailersReceived(number, fields))

    def _remote_ended(self, stream: Stream) -> None:
        if stream.content_left:
            raise StreamFault(stream.number, ErrorCode.PROTOCOL_ERROR, "less than its content-length")
        stream.remote_ended = True
        if stream.local_ended:
            del self._streams[stream.number]

    # --- DATA ----------------------------------------------------------------------------------------------

    def _on_data(self, number: int, flags: int, payload: bytes, events: list[Event]) -> None:
        if not number:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "DATA on stream 0")
        size = len(payload)
        self._receive_window -= size
        if self._receive_window < 0:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "more than the connection's window")
        self._unreturned += size
        if self._unreturned >= self._half_window:
            self._sender.out.append(frames.window_update(0, self._unreturned))
            self._receive_window += self._unreturned
            self._unreturned = 0
        if flags & PADDED:
            payload = unpadded(payload)
        stream = self._streams.get(number)
        if stream is None:
            self._on_closed_stream(number, "DATA")
            return
        if stream.remote_ended:
            raise StreamFault(number, ErrorCode.STREAM_CLOSED, "DATA after the end")
        if not stream.remote_begun:
            raise StreamFault(number, ErrorCode.PROTOCOL_ERROR, "DATA before HEADERS")
        stream.receive_window -= size
        if stream.receive_window < 0:
            raise StreamFault(number, ErrorCode.FLOW_CONTROL_ERROR, "more than its window")
        if stream.content_left is not None:
            stream.content_left -= len(payload)
            if stream.content_left < 0:
                raise StreamFault(number, ErrorCode.PROTOCOL_ERROR, "more than its content-length")
        if flags & END_STREAM:
            self._remote_ended(stream)
            events.append(DataReceived(number, payload, True))
            return
        stream.unreturned += size
        if stream.unreturned >= self._half_stream_window:
            self._sender.out.append(frames.window_update(number, stream.unreturned))
            stream.receive_window += stream.unreturned
            stream.unreturned = 0
        if payload:
            events.append(DataReceived(number, payload, False))
        else:
            self._spend_idle_frame()

    # --- the other frames ----------------------------------------------------------------------------------

    def _on_priority(self, number: int, _flags: int, payload: bytes, _events: list[Event]) -> None:
        """Ignored (5.3.2), once it is one."""
        if not number:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "PRIORITY on stream 0")
        self._spend_idle_frame()
        if len(payload) != 5:
            if self._is_idle(number):
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "PRIORITY has 5 bytes")
            raise StreamFault(number, ErrorCode.FRAME_SIZE_ERROR, "PRIORITY has 5 bytes")

    def _on_reset(self, number: int, _flags: int, payload: bytes, events: list[Event]) -> None:
        if len(payload) != 4:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "RST_STREAM has 4 bytes")
        if not number or self._is_idle(number):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"RST_STREAM on stream {number}, which is idle")
        stream = self._streams.get(number)
        if stream is None:
            self._spend_idle_frame()
            return
        young = self._now - stream.begun_at < self.limits.reset_age_ms
        if young and not self._resets.spend(self._now):
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many streams begun to be reset")
        self._drop(stream)
        events.append(StreamReset(number, int.from_bytes(payload, "big")))

    def _on_settings(self, number: int, flags: int, payload: bytes, events: list[Event]) -> None:
        if number:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"SETTINGS on stream {number}")
        if flags & ACK:
            if payload:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "an acknowledgement with settings")
            if not self._greeted:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
            self._spend_idle_frame()
            return
        if len(payload) % 6:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS are pairs of 6 bytes")
        self._spend_idle_frame()
        self._greeted = True
        # First the acknowledgement, then what a wider window lets out: the peer counts by its old settings
        # until it has heard that we have the new ones.
        self._sender.out.append(frames.SETTINGS_ACK)
        window: int | None = None
        for name, value in frames.settings_pairs(payload):
            if name == Setting.INITIAL_WINDOW_SIZE:
                if value > WINDOW_BYTES_MOST:
                    raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a window above 2^31-1")
                window = value
            else:
                self._on_setting(name, value)
        if window is not None:
            self._change_windows(window, events)

    def _change_windows(self, size: int, events: list[Event]) -> None:
        """Once in a frame, though it may say it thousands of times; and paid for by the number of streams."""
        self._spend_idle_frame(len(self._streams) // STREAMS_FOR_AN_IDLE_FRAME)
        self._drained(self._sender.initial_window_changed(size, list(self._streams.values())), events)

    def _on_setting(self, name: int, value: int) -> None:
        if name == Setting.MAX_FRAME_SIZE:
            if not FRAME_BYTES <= value < 2**24:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"frames of {value} bytes")
            self._sender.frame_bytes_changed(value)
        elif name == Setting.HEADER_TABLE_SIZE:
            self._sender.table_bytes_changed(value)
        elif name == Setting.ENABLE_PUSH and value > 1:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"ENABLE_PUSH is {value}")

    def _on_push_promise(self, number: int, _flags: int, _payload: bytes, _events: list[Event]) -> None:
        """A client may not push; a server may not push to us, because we have forbidden it."""
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"PUSH_PROMISE on stream {number}")

    def _on_ping(self, number: int, flags: int, payload: bytes, events: list[Event]) -> None:
        if number:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"PING on stream {number}")
        if len(payload) != 8:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "PING has 8 bytes")
        if flags & ACK:
            self._on_pong(payload, events)
            return
        self._check_ping()
        self._sender.out.append(frames.ping(payload, ACK))

    def _on_pong(self, payload: bytes, events: list[Event]) -> None:
        self._spend_idle_frame()
        events.append(PingAnswered(payload))

    def _check_ping(self) -> None:
        """Whether the peer may ask for a sign of life now."""
        self._spend_idle_frame()

    def _on_goaway(self, number: int, _flags: int, payload: bytes, events: list[Event]) -> None:
        if number:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"GOAWAY on stream {number}")
        if len(payload) < 8:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY has 8 bytes at least")
        self._spend_idle_frame()
        last = int.from_bytes(payload[:4], "big") & STREAM_MOST
        events.append(GoawayReceived(last, int.from_bytes(payload[4:8], "big"), payload[8:]))

    def _on_window_update(self, number: int, _flags: int, payload: bytes, events: list[Event]) -> None:
        if len(payload) != 4:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "WINDOW_UPDATE has 4 bytes")
        increment = int.from_bytes(payload, "big") & WINDOW_BYTES_MOST
        if not number:
            if not increment:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a window opened by 0")
            self._drained(self._sender.window_opened(increment), events)
            return
        stream = self._streams.get(number)
        if stream is None:
            if self._is_idle(number):
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"WINDOW_UPDATE on idle stream {number}")
            return  # it may have been sent before the peer knew of the end
        if not increment:
            raise StreamFault(number, ErrorCode.PROTOCOL_ERROR, "a window opened by 0")
        self._drained(self._sender.stream_window_opened(stream, increment), events)

    def _drained(self, streams: list[Stream], events: list[Event]) -> None:
        for stream in streams:
            if stream.local_ended:
                self._local_ended(stream)
            else:
                events.append(Drained(stream.number))
