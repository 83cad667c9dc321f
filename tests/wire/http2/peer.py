"""The other end of a connection under test, which says exactly the frames that it is told to say."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from hpack import Decoder, Encoder

from agreed.wire.http2.connection import Connection
from agreed.wire.http2.events import Event
from agreed.wire.http2.faults import ConnectionFault
from agreed.wire.http2.frames import ErrorCode, FrameType

END_STREAM, END_HEADERS, PADDED, PRIORITIZED, ACK = 0x1, 0x4, 0x8, 0x20, 0x1

REQUEST = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/test"),
    (b":authority", b"localhost"),
]


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload


def block(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    return Encoder().encode(list(fields))


def headers(stream: int, flags: int = END_STREAM, fields: Iterable[tuple[bytes, bytes]] = REQUEST) -> bytes:
    return frame(FrameType.HEADERS, flags | END_HEADERS, stream, block(fields))


def data(stream: int, payload: bytes, flags: int = 0) -> bytes:
    return frame(FrameType.DATA, flags, stream, payload)


def settings(*pairs: tuple[int, int]) -> bytes:
    return frame(FrameType.SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def window_update(stream: int, increment: int) -> bytes:
    return frame(FrameType.WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def reset(stream: int, code: int = ErrorCode.CANCEL) -> bytes:
    return frame(FrameType.RST_STREAM, 0, stream, struct.pack(">I", code))


def ping(payload: bytes = b"12345678", flags: int = 0) -> bytes:
    return frame(FrameType.PING, flags, 0, payload)


def frames_of(stream: bytes) -> list[Frame]:
    """What an end has said, cut into frames."""
    found = []
    position = 0
    while position < len(stream):
        word, flags, number = struct.unpack_from(">IBI", stream, position)
        end = position + 9 + (word >> 8)
        assert end <= len(stream), "a frame is cut short"
        found.append(Frame(word & 0xFF, flags, number, stream[position + 9 : end]))
        position = end
    return found


class Told(NamedTuple):
    """What came of it: the events, and the frames that were said."""

    events: list[Event]
    frames: list[Frame]
    fault: ConnectionFault | None = None

    def of(self, kind: FrameType) -> list[Frame]:
        return [frame for frame in self.frames if frame.kind == kind]

    @property
    def goaway(self) -> ErrorCode | None:
        found = self.of(FrameType.GOAWAY)
        return ErrorCode(int.from_bytes(found[-1].payload[4:8], "big")) if found else None

    @property
    def resets(self) -> dict[int, ErrorCode]:
        found = self.of(FrameType.RST_STREAM)
        return {frame.stream: ErrorCode(int.from_bytes(frame.payload, "big")) for frame in found}

    def data_of(self, stream: int) -> bytes:
        return b"".join(frame.payload for frame in self.of(FrameType.DATA) if frame.stream == stream)

    def fields_of(self, stream: int) -> list[list[tuple[bytes, bytes]]]:
        blocks = [frame for frame in self.of(FrameType.HEADERS) if frame.stream == stream]
        decoder = Decoder()
        return [[(bytes(n), bytes(v)) for n, v in decoder.decode(b.payload, raw=True)] for b in blocks]


def tell(connection: Connection, stream: bytes, now: int = 0) -> Told:
    events: list[Event] = []
    fault = None
    try:
        events = connection.receive_data(stream, now)
    except ConnectionFault as found:
        fault = found
    return Told(events, frames_of(connection.take()), fault)
