"""What a peer can do wrong, by how far it reaches (RFC 9113, 5.4): one stream, or the whole connection."""

from __future__ import annotations

from agreed.errors import MalformedInput
from agreed.wire.http2.frames import ErrorCode


class ConnectionFault(MalformedInput):
    """The connection cannot go on.  `code` and the text were told to the peer in a GOAWAY."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(f"{code.name}: {text}")
        self.code = code
        self.text = text


class StreamFault(Exception):
    """One stream cannot go on; it never leaves this package, but becomes a RST_STREAM."""

    def __init__(self, stream: int, code: ErrorCode, text: str) -> None:
        super().__init__(f"stream {stream}: {code.name}: {text}")
        self.stream = stream
        self.code = code


def unpadded(payload: bytes) -> bytes:
    """What is left of a padded payload (6.1): the first byte says how much is padding at its end."""
    if not payload or payload[0] >= len(payload):
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "more padding than payload")
    return payload[1 : len(payload) - payload[0]]
