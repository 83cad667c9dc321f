"""What is sent, and what waits because the peer's windows are full (RFC 9113, 5.2 and 6.9).

Frames without flow control go out as they come.  Data goes out as far as two windows allow, the stream's and
the connection's; the rest waits with its stream.  When the connection's window opens, the streams that wait
for it take turns of one frame each: if the first were served until it is empty, a snapshot under way would
silence a watch beside it.
"""

from __future__ import annotations

import struct
from collections import OrderedDict, deque
from typing import Final

from agreed.wire.http2 import frames
from agreed.wire.http2.faults import ConnectionFault, StreamFault
from agreed.wire.http2.fields import TABLE_BYTES, TABLE_CLOSED, EncodedFields
from agreed.wire.http2.frames import (
    END_HEADERS,
    END_STREAM,
    FRAME_BYTES,
    WINDOW_BYTES,
    WINDOW_BYTES_MOST,
    ErrorCode,
    FrameType,
)
from agreed.wire.http2.streams import Stream

_DATA_HEAD: Final = struct.Struct(">IB").pack


class Sender:
    """`out` is what this turn has to say, in pieces.  A stream whose `local_ended` has become True has said
    everything."""

    __slots__ = (
        "_closing_notice",
        "_frame_bytes",
        "_initial_window",
        "_turns",
        "_window",
        "out",
        "spoke",
        "waiting_bytes",
    )

    def __init__(self) -> None:
        self.out: list[bytes | memoryview] = []
        self.spoke = False
        """HEADERS or DATA have been sent since this was last set to False."""
        self.waiting_bytes = 0
        """Of all streams, for which there is no window yet."""
        self._window = WINDOW_BYTES
        self._initial_window = WINDOW_BYTES
        self._frame_bytes = FRAME_BYTES
        self._closing_notice = False
        self._turns: OrderedDict[int, Stream] = OrderedDict()
        """Streams that could send if the connection's window were open, in the order of their turns."""

    @property
    def initial_window(self) -> int:
        return self._initial_window

    # --- calls ---------------------------------------------------------------------------------------------

    def respond(self, stream: Stream, head: EncodedFields, data: bytes, tail: EncodedFields) -> None:
        """A whole answer, on a stream on which nothing has been said yet: the hot path is one join, and no
        frame is made twice."""
        size = len(data)
        if (
            size <= stream.send_window
            and size <= self._window
            and size <= self._frame_bytes
            and not self._closing_notice
        ):
            self._window -= size
            number = stream.number.to_bytes(4, "big")
            self.out += (
                head.going,
                number,
                head.block,
                _DATA_HEAD(size << 8, 0),
                number,
                data,
                tail.ending,
                number,
                tail.block,
            )
            stream.local_ended = True
            self.spoke = True
            return
        self.fields(stream, head)
        self.data(stream, data)
        self.fields(stream, tail, ends=True)

    def fields(self, stream: Stream, encoded: EncodedFields, ends: bool = False) -> None:
        """HEADERS, or trailers (which `ends`) behind whatever waits."""
        if ends and stream.waiting is not None:
            stream.last = encoded
            return
        self.spoke = True
        block = encoded.block
        number = stream.number.to_bytes(4, "big")
        if self._closing_notice:
            self._closing_notice = False
            encoded = EncodedFields(TABLE_CLOSED + block)
            block = encoded.block
        if len(block) <= self._frame_bytes:
            self.out += (encoded.ending if ends else encoded.going, number, block)
        else:
            self._fields_in_pieces(stream.number, block, END_STREAM if ends else 0)
        if ends:
            stream.local_ended = True

    def _fields_in_pieces(self, stream: int, block: bytes, flags: int) -> None:
        step = self._frame_bytes
        kind = FrameType.HEADERS
        for start in range(0, len(block), step):
            if start + step >= len(block):
                flags |= END_HEADERS
            self.out.append(frames.frame(kind, flags, stream, block[start : start + step]))
            kind, flags = FrameType.CONTINUATION, 0

    def data(self, stream: Stream, data: bytes, ends: bool = False) -> None:
        size = len(data)
        if not size and not ends:
            return
        if stream.waiting is None and (
            not size or (size <= stream.send_window and size <= self._window and size <= self._frame_bytes)
        ):
            self.spoke = True
            self._window -= size
            stream.send_window -= size
            self.out += (_DATA_HEAD(size << 8, ends), stream.number.to_bytes(4, "big"), data)
            stream.local_ended = ends
            return
        if stream.waiting is None:
            stream.waiting = deque()
        if size:
            stream.waiting.append(data)
            stream.waiting_bytes += size
            self.waiting_bytes += size
        stream.last = ends
        if stream.number not in self._turns:
            self._turns[stream.number] = stream
            self._take_turns()

    def forget(self, stream: Stream) -> None:
        """The stream is reset: nothing more is to be sent on it."""
        self._turns.pop(stream.number, None)
        stream.waiting = None
        self.waiting_bytes -= stream.waiting_bytes
        stream.waiting_bytes = 0
        stream.local_ended = True

    # --- turns ---------------------------------------------------------------------------------------------

    def _take_turns(self) -> list[Stream]:
        """Send what the windows allow; the streams on which nothing waits any longer."""
        drained: list[Stream] = []
        turns = self._turns
        while turns:
            number = next(iter(turns))
            stream = turns[number]
            if self._window <= 0:
                break
            del turns[number]
            if stream.send_window <= 0:
                continue  # it comes back when its own window opens
            self._one_frame(stream)
            if stream.waiting:
                turns[number] = stream
            else:
                self._finish(stream)
                drained.append(stream)
        return drained

    def _one_frame(self, stream: Stream) -> None:
        waiting = stream.waiting
        assert waiting
        self.spoke = True
        most = min(self._window, stream.send_window, self._frame_bytes)
        pieces: list[bytes | memoryview] = []
        size = 0
        while waiting and size < most:
            piece = waiting[0]
            if len(piece) <= most - size:
                waiting.popleft()
            else:
                # A view, because a copy of the rest for each frame of a long message would be quadratic.
                view = memoryview(piece)
                waiting[0] = view[most - size :]
                piece = view[: most - size]
            pieces.append(piece)
            size += len(piece)
        self._window -= size
        stream.send_window -= size
        stream.waiting_bytes -= size
        self.waiting_bytes -= size
        ends = not waiting and stream.last is True
        self.out += (_DATA_HEAD(size << 8, ends), stream.number.to_bytes(4, "big"), *pieces)
        if ends:
            stream.local_ended = True

    def _finish(self, stream: Stream) -> None:
        stream.waiting = None
        if stream.local_ended:
            return
        if stream.last is True:
            self.data(stream, b"", ends=True)
        elif stream.last is not False:
            self.fields(stream, stream.last, ends=True)

    # --- what the peer says --------------------------------------------------------------------------------

    def window_opened(self, increment: int) -> list[Stream]:
        """The connection's.  The streams that were drained by it."""
        self._window += increment
        if self._window > WINDOW_BYTES_MOST:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "the connection's window is above 2^31-1")
        return self._take_turns()

    def stream_window_opened(self, stream: Stream, increment: int) -> list[Stream]:
        stream.send_window += increment
        if stream.send_window > WINDOW_BYTES_MOST:
            raise StreamFault(stream.number, ErrorCode.FLOW_CONTROL_ERROR, "its window is above 2^31-1")
        return self._resume(stream)

    def _resume(self, stream: Stream) -> list[Stream]:
        if stream.waiting is None or stream.send_window <= 0 or stream.number in self._turns:
            return []
        self._turns[stream.number] = stream
        return self._take_turns()

    def initial_window_changed(self, size: int, streams: list[Stream]) -> list[Stream]:
        """SETTINGS_INITIAL_WINDOW_SIZE moves the windows of the streams that are open, too (6.9.2)."""
        change = size - self._initial_window
        self._initial_window = size
        drained: list[Stream] = []
        for stream in streams:
            stream.send_window += change
            if stream.send_window > WINDOW_BYTES_MOST:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a stream's window is above 2^31-1")
        for stream in streams:
            drained += self._resume(stream)
        return drained

    def frame_bytes_changed(self, size: int) -> None:
        self._frame_bytes = size

    def table_bytes_changed(self, size: int) -> None:
        if size < TABLE_BYTES:
            self._closing_notice = True
