"""The frames of HTTP/2 as bytes (RFC 9113, sections 4 and 6), and the numbers in them.

    length (3) | type (1) | flags (1) | stream (4) | payload

Each function here makes one whole frame.  Frames that carry parts of calls (HEADERS, DATA) are put together
where they are sent (`sending`), because that is the path that has to be lean.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client says first (3.4)."""

FRAME_BYTES: Final = 16_384
"""The longest payload that needs no permission (4.2).  We never ask for longer ones."""

WINDOW_BYTES: Final = 65_535
"""Every window before anybody has said anything (6.9.2)."""

WINDOW_BYTES_MOST: Final = 2**31 - 1
STREAM_MOST: Final = 2**31 - 1

HEAD: Final = struct.Struct(">IBI")
"""A frame's first nine bytes; the length is above the eight bits of the type."""
HEAD_BYTES: Final = 9


class FrameType(IntEnum):
    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITIZED: Final = 0x20


class ErrorCode(IntEnum):
    """Section 7.  Unknown ones are treated as INTERNAL_ERROR."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


class Setting(IntEnum):
    """Section 6.5.2.  Unknown ones are ignored."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


_PAIR: Final = struct.Struct(">HI")
_TWO_NUMBERS: Final = struct.Struct(">II")

SETTINGS_ACK: Final = HEAD.pack(FrameType.SETTINGS, ACK, 0)


def frame(kind: FrameType, flags: int, stream: int, payload: bytes) -> bytes:
    return HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def settings(values: Mapping[Setting, int]) -> bytes:
    payload = b"".join(_PAIR.pack(name, value) for name, value in values.items())
    return frame(FrameType.SETTINGS, 0, 0, payload)


def settings_pairs(payload: bytes) -> Iterable[tuple[int, int]]:
    """The numbers and values in a SETTINGS frame, whose length is known to be right."""
    return _PAIR.iter_unpack(payload)


def window_update(stream: int, increment: int) -> bytes:
    return frame(FrameType.WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


def reset(stream: int, code: int) -> bytes:
    return frame(FrameType.RST_STREAM, 0, stream, code.to_bytes(4, "big"))


def ping(payload: bytes, flags: int = 0) -> bytes:
    """`payload` has eight bytes."""
    return frame(FrameType.PING, flags, 0, payload)


def goaway(last_stream: int, code: int, text: bytes = b"") -> bytes:
    return frame(FrameType.GOAWAY, 0, 0, _TWO_NUMBERS.pack(last_stream, code) + text)
