"""Frames between nodes: bytes to messages and back.

    length   4 bytes, big-endian: size of the body
    crc32c   4 bytes, big-endian: Castagnoli CRC of the body
    crc32c   4 bytes, big-endian: Castagnoli CRC of the eight bytes before
    body     one message in MessagePack, an array whose first element is the tag of its class

TCP's own checksum is 16 bits wide and is often computed by the network card; a flipped bit in an entry would
be copied to a majority and agreed upon.  So each body has a checksum of its own, and each message is
validated against its class before anybody looks at it.  The length has one too, and is believed only if that
is right: a flipped bit could make a heartbeat seem to be a megabyte long, and whoever waited for the megabyte
would be deaf meanwhile.  Whatever does not fit raises `MalformedInput`: the connection goes, the node stays.

A connection that begins with a record of TLS is told by that name.  It has no length that a frame may have,
and an operator who has given certificates to some of the nodes must not look for a cable that flips bits.
"""

from __future__ import annotations

import struct

import msgspec
from google_crc32c import value as crc32c

from agreed.consensus.protocols import ConsensusMessage
from agreed.errors import MalformedInput
from agreed.wire.peer.messages import NodeMessage, OperatorReply, OperatorRequest, StatusReply

HEADER = struct.Struct(">III")
_CHECKED = struct.Struct(">II")
_CHECKSUM = struct.Struct(">I")

MAX_BODY_BYTES = 64 * 1024 * 1024
"""Above every legal message: an append carries some MiB, a piece of a snapshot one."""

MAX_FIRST_BODY_BYTES = 64 * 1024
"""Of the first message of a connection: nobody who has not said who he is makes us keep megabytes."""

_TLS_RECORDS = range(20, 24)
_TLS_MAJOR = 3
TLS_WHERE_A_FRAME_SHOULD_BE = (
    "a TLS record where a frame should be: the other side speaks TLS to its peers, this one does not"
)

Message = NodeMessage | OperatorRequest | OperatorReply | StatusReply | ConsensusMessage

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def encode(message: object) -> bytes:
    """One whole frame."""
    return framed(_encoder.encode(message))


def framed(body: bytes) -> bytes:
    """A frame around these bytes, whatever they are."""
    checked = _CHECKED.pack(len(body), crc32c(body))
    return b"".join((checked, _CHECKSUM.pack(crc32c(checked)), body))


class Decoder:
    """Bytes in, messages out; keeps what is not yet whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._limit = MAX_FIRST_BODY_BYTES

    def receive_data(self, data: bytes) -> list[Message]:
        """All messages that are now whole.  Raises `MalformedInput`; then the decoder is of no more use."""
        buffer = self._buffer
        buffer += data
        if self._limit == MAX_FIRST_BODY_BYTES and _is_tls(buffer):
            raise MalformedInput(TLS_WHERE_A_FRAME_SHOULD_BE)
        messages: list[Message] = []
        position = 0
        while len(buffer) - position >= HEADER.size:
            length, checksum, header_checksum = HEADER.unpack_from(buffer, position)
            if crc32c(bytes(buffer[position : position + _CHECKED.size])) != header_checksum:
                raise MalformedInput("a frame whose header has a wrong checksum")
            if length > self._limit:
                raise MalformedInput(f"a frame of {length} bytes, where {self._limit} are the limit")
            end = position + HEADER.size + length
            if len(buffer) < end:
                break
            body = bytes(memoryview(buffer)[position + HEADER.size : end])
            if crc32c(body) != checksum:
                raise MalformedInput(f"a frame of {length} bytes with a wrong checksum")
            try:
                messages.append(_decoder.decode(body))
            except (msgspec.MsgspecError, ValueError, RecursionError) as error:
                raise MalformedInput(f"not a message between nodes: {error}") from error
            self._limit = MAX_BODY_BYTES
            position = end
        if position:
            del buffer[:position]
        return messages


def _is_tls(begin: bytearray) -> bool:
    """A handshake, or an alert: of whoever cannot make anything of what we said."""
    return len(begin) > 1 and begin[0] in _TLS_RECORDS and begin[1] == _TLS_MAJOR
