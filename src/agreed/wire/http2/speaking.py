"""What is said on a connection: the half of either end that sends.

Everything here goes nowhere on a stream that is no more, because the peer may have ended it while we were
thinking.  What the peer's windows do not let through waits in `sending`.
"""

from __future__ import annotations

from agreed.wire.http2 import frames
from agreed.wire.http2.fields import EncodedFields
from agreed.wire.http2.frames import WINDOW_BYTES, ErrorCode, Setting
from agreed.wire.http2.limits import Limits
from agreed.wire.http2.sending import Sender
from agreed.wire.http2.streams import Past, Stream


class Speaker:
    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._streams: dict[int, Stream] = {}
        self._past = Past()
        self._newest = 0
        """The highest number of a stream that has been begun."""
        self._sender = Sender()
        self._receive_window = max(WINDOW_BYTES, limits.connection_window_bytes)
        self._stream_window = max(WINDOW_BYTES, limits.stream_window_bytes)

    def take(self) -> bytes:
        out = self._sender.out
        if not out:
            return b""
        taken = b"".join(out)
        out.clear()
        return taken

    @property
    def streams(self) -> int:
        """How many are open."""
        return len(self._streams)

    def is_open(self, number: int) -> bool:
        """Whether there is anything that we may still say on this stream."""
        stream = self._streams.get(number)
        return stream is not None and not stream.local_ended

    def _announce(self, values: dict[Setting, int]) -> None:
        """Our settings, and a connection's window above the one that everybody begins with."""
        if self._stream_window != WINDOW_BYTES:
            values[Setting.INITIAL_WINDOW_SIZE] = self._stream_window
        values[Setting.MAX_HEADER_LIST_SIZE] = self.limits.max_header_list_bytes
        self._sender.out.append(frames.settings(values))
        if self._receive_window > WINDOW_BYTES:
            self._sender.out.append(frames.window_update(0, self._receive_window - WINDOW_BYTES))

    def _local_ended(self, stream: Stream) -> None:
        """We have said everything on this stream."""
        if stream.remote_ended:
            del self._streams[stream.number]

    def send_fields(self, number: int, encoded: EncodedFields, ends: bool = False) -> None:
        """HEADERS; behind the body, with `ends`, trailers.  As all of these: on a stream that is no more it
        has no effect, because the peer may have ended it while we were thinking."""
        stream = self._streams.get(number)
        if stream is not None and not stream.local_ended:
            self._sender.fields(stream, encoded, ends)
            if stream.local_ended:
                self._local_ended(stream)

    def send_data(self, number: int, data: bytes, ends: bool = False) -> None:
        stream = self._streams.get(number)
        if stream is not None and not stream.local_ended:
            self._sender.data(stream, data, ends)
            if stream.local_ended:
                self._local_ended(stream)

    def reset(self, number: int, code: ErrorCode) -> None:
        stream = self._streams.get(number)
        if stream is not None:
            self._drop(stream)
            self._past.remember_reset(number)
            self._sender.out.append(frames.reset(number, code))

    @property
    def untaken_bytes(self) -> int:
        """The backlog of all streams."""
        return self._sender.waiting_bytes

    def backlog(self, number: int) -> int:
        """Bytes that wait for the peer's windows."""
        stream = self._streams.get(number)
        return 0 if stream is None else stream.waiting_bytes

    def ping(self, payload: bytes) -> None:
        """Eight bytes, that will come back as `PingAnswered`."""
        self._sender.out.append(frames.ping(payload))

    def _drop(self, stream: Stream) -> None:
        self._sender.forget(stream)
        del self._streams[stream.number]
