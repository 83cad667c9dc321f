"""A connection to a server of the etcd API that costs its own process as little as can be.

It speaks no more HTTP/2 than it needs: it counts frames and does not decode the fields of answers.  A unary
call that succeeds has one DATA frame and then ends; one that fails ends without.  Each connection learns the
server's table of fields once, so that the head of a request is fifteen bytes.

Windows towards us are opened as far as they go; the window towards the server is watched, and a server that
does not open it in time would be told of as an error.  It makes no messages: those are the load's
(`etcd_load`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
WIDEST = (1 << 31) - 1


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def text(value: bytes) -> bytes:
    return bytes((len(value),)) + value


class Connection(asyncio.Protocol):
    """`on_end(stream, ok)` for unary calls, `on_message(stream, message)` for streams in `streams`."""

    def __init__(self, path: bytes, authority: bytes) -> None:
        self.transport: asyncio.Transport | None = None
        self.window = 65535
        self.on_end: Callable[[int, bool], None] = lambda stream, ok: None
        self.on_message: Callable[[int, bytes], None] = lambda stream, message: None
        self.streams: dict[int, bytearray] = {}
        self.broken = ""
        self._next = 1
        self._data: set[int] = set()
        self._buffer = b""
        # The first request puts four fields into the server's table; later ones name them by their number.
        self._first = (
            b"\x83\x86"
            + b"\x44"
            + text(path)
            + b"\x41"
            + text(authority)
            + b"\x5f"
            + text(b"application/grpc")
            + b"\x40"
            + text(b"te")
            + text(b"trailers")
        )
        self._later = b"\x83\x86\xc1\xc0\xbf\xbe"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none of its kind
        wide = (4).to_bytes(2, "big") + WIDEST.to_bytes(4, "big")
        more = (WIDEST - 65535).to_bytes(4, "big")
        self.transport.write(PREFACE + frame(SETTINGS, 0, 0, wide) + frame(WINDOW_UPDATE, 0, 0, more))

    def connection_lost(self, problem: Exception | None) -> None:
        self.broken = self.broken or f"the connection was lost: {problem}"

    def head(self) -> tuple[int, bytes]:
        """The number of a new stream, and the frame that opens it."""
        stream = self._next
        self._next += 2
        block = self._first if stream == 1 else self._later
        return stream, frame(HEADERS, END_HEADERS, stream, block)

    def body(self, stream: int, message: bytes, *, end: bool) -> bytes:
        self.window -= len(message) + 5
        if self.window < 0:
            self.broken = "the server does not open its window"
        content = b"\0" + len(message).to_bytes(4, "big") + message
        return frame(DATA, END_STREAM if end else 0, stream, content)

    def call(self, message: bytes) -> tuple[int, bytes]:
        stream, head = self.head()
        return stream, head + self.body(stream, message, end=True)

    def open(self) -> tuple[int, bytes]:
        """A call whose messages are wanted one by one."""
        stream, head = self.head()
        self.streams[stream] = bytearray()
        return stream, head

    def write(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        at, size = 0, len(buffer)
        while size - at >= 9:
            length = int.from_bytes(buffer[at : at + 3], "big")
            end = at + 9 + length
            if end > size:
                break
            kind, flags = buffer[at + 3], buffer[at + 4]
            stream = int.from_bytes(buffer[at + 5 : at + 9], "big")
            if kind <= HEADERS:
                self._part(kind, flags, stream, buffer, at + 9, end)
            else:
                self._control(kind, flags, stream, buffer[at + 9 : end])
            at = end
        self._buffer = buffer[at:]

    def _part(self, kind: int, flags: int, stream: int, buffer: bytes, start: int, end: int) -> None:
        if kind == DATA:
            if stream in self.streams:
                self._messages(stream, buffer[start:end])
            else:
                self._data.add(stream)
        if flags & END_STREAM:
            if stream in self.streams:
                self.broken = "a stream was ended"
            ok = stream in self._data
            self._data.discard(stream)
            self.on_end(stream, ok)

    def _messages(self, stream: int, piece: bytes) -> None:
        kept = self.streams[stream]
        kept += piece
        at = 0
        while len(kept) - at >= 5:
            end = at + 5 + int.from_bytes(kept[at + 1 : at + 5], "big")
            if end > len(kept):
                break
            self.on_message(stream, bytes(kept[at + 5 : end]))
            at = end
        del kept[:at]

    def _control(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == WINDOW_UPDATE and stream == 0:
            self.window += int.from_bytes(payload, "big")
        elif kind == SETTINGS and not flags & ACK:
            self.write(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self.write(frame(PING, ACK, 0, payload))
        elif kind in (RESET, GOAWAY):
            self.broken = f"frame of kind {kind}: {payload!r}"
