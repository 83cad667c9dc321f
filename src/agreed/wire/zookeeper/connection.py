"""One connection between a ZooKeeper client and a server, without the socket; both of its ends.

    ServerConnection    bytes of a client    -> [(xid, request), ...]
    ClientConnection    bytes of a server    -> [ConnectResponse, Answer, Notification, ...]
                        request              -> (xid, bytes)

A connection begins with one of two things.  Either the first four bytes spell one of the four-letter words,
then an operator asks in plain text and nothing else will come; or they are the length of the handshake, and
from then on there are only frames: an int length and that many bytes.  Later, `ruok` is just a huge length.

The transport may cut the stream anywhere; any cut gives the same messages.  A frame that has not come to
its end is kept in the pieces in which it came and joined once, when its last piece is there: joining at every
piece would let a client that sends a megabyte byte by byte make us copy half a terabyte.

`MalformedInput` means that the stream can no longer be cut into frames: the connection is to be closed.
Requests that stood before the offence in the same piece are lost with it, which a client cannot tell from a
connection that broke a moment earlier.  A frame that was cut well but cannot be understood is a message
(`Malformed`, `UnknownOperation`) for the server to answer.

What is not here: sessions, watches, time, and the order of answers; the server's side of those is in
`replica`.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Final, TypeAlias

import msgspec

from agreed.errors import MalformedInput
from agreed.wire.zookeeper.codec import Reader, unpack_int
from agreed.wire.zookeeper.messages import (
    XID_AUTH,
    XID_EVENT,
    XID_PING,
    XID_SET_WATCHES,
    AuthRequest,
    CloseSessionRequest,
    ConnectRequest,
    ConnectResponse,
    FourLetterWord,
    Incoming,
    Malformed,
    Op,
    PingRequest,
    Request,
    SetWatchesRequest,
    UnknownOperation,
)
from agreed.wire.zookeeper.replies import (
    Reply,
    WatchEvent,
)
from agreed.wire.zookeeper.reply_codec import (
    decode_connect_response,
    decode_reply,
    decode_reply_header,
    decode_watch_event,
)
from agreed.wire.zookeeper.request_codec import (
    DECODERS,
    decode_connect,
    encode_connect,
    encode_request,
    op_of,
)

FRAME_BYTES_MAX: Final = 0xFFFFF
"""The default of `jute.maxbuffer`: a frame of a client may not be longer."""

FOUR_LETTER_WORDS: Final = frozenset(
    b"conf cons crst dirs dump envi gtmk hash isro mntr ruok srst srvr stat stmk wchc wchp wchs".split()
)

_HEADER = struct.Struct(">iii").unpack_from
_HEADER_AND_FIRST = struct.Struct(">iiii").unpack_from


class _Remainder:
    """The pieces of a frame which is not whole yet, and how many bytes there must be before it may be."""

    __slots__ = ("_bytes", "_bytes_needed", "_pieces")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._bytes_needed = 0

    def join(self, data: bytes) -> bytes:
        """What was kept and `data`, or nothing as long as that is not enough."""
        if not self._pieces:
            return data
        self._pieces.append(data)
        self._bytes += len(data)
        if self._bytes < self._bytes_needed:
            return b""
        whole = b"".join(self._pieces)
        self._pieces = []
        return whole

    def keep(self, rest: bytes, bytes_needed: int) -> None:
        if rest:
            self._pieces = [rest]
            self._bytes = len(rest)
            self._bytes_needed = bytes_needed


class ServerConnection:
    """The server's end.  `frame_bytes_max` is ZooKeeper's `jute.maxbuffer`."""

    __slots__ = ("_closed", "_frame_bytes_max", "_greeted", "_remainder")

    def __init__(self, frame_bytes_max: int = FRAME_BYTES_MAX) -> None:
        self._frame_bytes_max = frame_bytes_max
        self._remainder = _Remainder()
        self._greeted = False
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the client has said its last word: whatever it still sends is not listened to."""
        return self._closed

    def receive_data(self, data: bytes) -> list[tuple[int, Incoming]]:
        """The messages that `data` completes, each with its xid (0 for the handshake and for words).

        After `closeSession`, an `UnknownOperation` or a four-letter word come no more messages: the server
        answers those and closes.  Raises `MalformedInput`."""
        messages: list[tuple[int, Incoming]] = []
        if self._closed:
            return messages
        buffer = self._remainder.join(data)
        position = 0
        if not self._greeted:
            position = self._greet(buffer, messages)
            if not self._greeted:
                return messages
        size = len(buffer)
        limit = self._frame_bytes_max
        decoders = DECODERS
        while size - position >= 16:
            length, xid, op, first = _HEADER_AND_FIRST(buffer, position)
            end = position + 4 + length
            if end > size or not 8 <= length <= limit:
                break
            decoder = decoders.get(op)
            if decoder is None:
                messages.append((xid, self._unusual(op)))
                if self._closed:
                    return messages
            else:
                try:
                    messages.append((xid, decoder(buffer, position + 16, end, first)[0]))
                except MalformedInput:
                    messages.append((xid, Malformed(op)))
            position = end
        if position < size:
            self._finish(buffer, position, messages)
        return messages

    def _greet(self, buffer: bytes, messages: list[tuple[int, Incoming]]) -> int:
        """Reads the first frame, if it is whole; the position behind it."""
        if len(buffer) < 4:
            self._remainder.keep(buffer, 4)
            return 0
        word = buffer[:4]
        if word in FOUR_LETTER_WORDS:
            self._closed = True
            messages.append((0, FourLetterWord(word)))
            return 0
        end = 4 + self._checked_length(unpack_int(buffer)[0])
        if end > len(buffer):
            self._remainder.keep(buffer, end)
            return 0
        try:
            messages.append((0, decode_connect(buffer, 4, end)))
        except MalformedInput:
            self._closed = True
            raise
        self._greeted = True
        return end

    def _unusual(self, op: int) -> Incoming:
        """Operations that are in no table.  After all but one of them the conversation is over."""
        if op == Op.CREATE_SESSION:
            # Servers say this among themselves; to a client ZooKeeper answers as if it had garbled the body.
            return Malformed(op)
        self._closed = True
        return CloseSessionRequest() if op == Op.CLOSE_SESSION else UnknownOperation(op)

    def _finish(self, buffer: bytes, position: int, messages: list[tuple[int, Incoming]]) -> None:
        """The end of a chunk: a last short frame (a ping has 12 bytes), or a part of a frame to keep."""
        size = len(buffer)
        while size - position >= 4:
            end = position + 4 + self._checked_length(unpack_int(buffer, position)[0])
            if end > size:
                self._remainder.keep(buffer[position:], end - position)
                return
            _, xid, op = _HEADER(buffer, position)
            decoder = DECODERS.get(op)
            if decoder is None:
                messages.append((xid, self._unusual(op)))
                if self._closed:
                    return
            else:
                try:
                    # The body is shorter than an int, so there is no path; -1 says that it is null.
                    messages.append((xid, decoder(buffer, position + 16, end, -1)[0]))
                except MalformedInput:
                    messages.append((xid, Malformed(op)))
            position = end
        self._remainder.keep(buffer[position:], 4)

    def _checked_length(self, length: int) -> int:
        if not 8 <= length <= self._frame_bytes_max:  # xid and operation take eight bytes
            self._closed = True
            raise MalformedInput(f"a frame of {length} bytes; the limit is {self._frame_bytes_max}")
        return length


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The reply to the request sent under `xid`; `zxid` is to be remembered where it is positive."""

    xid: int
    zxid: int
    reply: Reply


class Notification(msgspec.Struct, frozen=True, gc=False):
    """A watch has seen something."""

    zxid: int
    event: WatchEvent


FromServer: TypeAlias = ConnectResponse | Answer | Notification

_SPECIAL_XIDS: Final[dict[type[Request], int]] = {
    PingRequest: XID_PING,
    AuthRequest: XID_AUTH,
    SetWatchesRequest: XID_SET_WATCHES,
}
_XID_MAX: Final = 2**31 - 1
_OUT_OF_ORDER: Final = {XID_PING, XID_AUTH}
"""Their answers may overtake others; all else is answered in the order in which it was asked."""


class ClientConnection:
    """The client's end.  `frame_bytes_max` bounds what the server may send (None: nothing does)."""

    __slots__ = ("_frame_bytes_max", "_greeted", "_last_xid", "_pending", "_remainder", "_unordered")

    def __init__(self, frame_bytes_max: int | None = None) -> None:
        self._frame_bytes_max = frame_bytes_max
        self._remainder = _Remainder()
        self._greeted = False
        self._last_xid = 0
        self._pending: deque[tuple[int, Op]] = deque()
        self._unordered: dict[int, int] = dict.fromkeys(_OUT_OF_ORDER, 0)

    @property
    def pending(self) -> tuple[int, ...]:
        """The xids of the requests without an answer, oldest first; without pings and auth packets."""
        return tuple(xid for xid, _ in self._pending)

    def connect(self, request: ConnectRequest) -> bytes:
        """The first bytes of the connection."""
        return encode_connect(request)

    def send(self, request: Request) -> tuple[int, bytes]:
        """Numbers a request: its xid, under which the answer will come, and the bytes to send."""
        special = _SPECIAL_XIDS.get(type(request))
        if special is None:
            xid = self._last_xid = self._last_xid % _XID_MAX + 1
        else:
            xid = special
        if xid in self._unordered:
            self._unordered[xid] += 1
        else:
            self._pending.append((xid, op_of(request)))
        return xid, encode_request(xid, request)

    def receive_data(self, data: bytes) -> list[FromServer]:
        """The messages that `data` completes.  Raises `MalformedInput`; then the connection is of no use."""
        buffer = self._remainder.join(data)
        messages: list[FromServer] = []
        position = 0
        size = len(buffer)
        while size - position >= 4:
            length = unpack_int(buffer, position)[0]
            if length < 0 or (self._frame_bytes_max is not None and length > self._frame_bytes_max):
                raise MalformedInput(f"a frame of {length} bytes; the limit is {self._frame_bytes_max}")
            end = position + 4 + length
            if end > size:
                self._remainder.keep(buffer[position:], 4 + length)
                return messages
            messages.append(self._decode(Reader(buffer, position + 4, end)))
            position = end
        self._remainder.keep(buffer[position:], 4)
        return messages

    def _decode(self, reader: Reader) -> FromServer:
        if not self._greeted:
            self._greeted = True
            return decode_connect_response(reader)
        xid, zxid, error = decode_reply_header(reader)
        if xid == XID_EVENT:
            return Notification(zxid, decode_watch_event(reader))
        if xid in self._unordered:
            if not self._unordered[xid]:
                raise MalformedInput(f"an answer to a request of kind {xid} that was not sent")
            self._unordered[xid] -= 1
            op = Op.PING if xid == XID_PING else Op.AUTH
            return Answer(xid, zxid, decode_reply(op, error, reader))
        if not self._pending or self._pending[0][0] != xid:
            raise MalformedInput(f"an answer to request {xid}, which is not the next in order")
        _, op = self._pending.popleft()
        return Answer(xid, zxid, decode_reply(op, error, reader))
