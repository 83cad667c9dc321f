"""A ZooKeeper client that hides nothing: one TCP connection, bytes in, bytes out.

It does not retry, does not ping, does not reorder, and lets the caller send whatever he likes, right or
wrong. What the server says comes back as `Reply` (a notification is a reply with xid -1), or as one of the
two exceptions: `Closed` when the server ended the connection, `Silent` when nothing came within the
deadline.
"""
from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from tests.acceptance.jute import Reader, Writer

NOTIFICATION = -1
PING = -2
AUTH = -4
SET_WATCHES = -8

HEADER = struct.Struct("!iqi")


class Closed(Exception):
    """The server ended the connection."""


class Silent(Exception):
    """The server said nothing within the deadline."""


@dataclass(frozen=True)
class Reply:
    xid: int
    zxid: int
    err: int
    body: bytes


@dataclass(frozen=True)
class Session:
    """What the server answered to the handshake.  `timeout_ms` 0: refused.

    `rest` is what follows the password: the readOnly byte, if the request had one."""

    protocol: int
    timeout_ms: int
    id: int
    password: bytes
    rest: bytes

    @property
    def accepted(self) -> bool:
        return self.timeout_ms != 0


class RawClient:
    """One connection.  `session` is the answer to `handshake`, None before it."""

    def __init__(self, port: int, *, timeout_s: float = 10.0, host: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection((host, port), timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self.session: Session | None = None
        self.last_zxid = 0
        self._xid = 0

    def set_timeout(self, seconds: float) -> None:
        self._socket.settimeout(seconds)

    def close(self) -> None:
        self._socket.close()

    # --- frames

    def send_bytes(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise Silent from None
        except OSError as problem:
            raise Closed(str(problem)) from None

    def _fill(self) -> None:
        try:
            piece = self._socket.recv(262144)
        except TimeoutError:
            raise Silent from None
        except OSError as problem:
            raise Closed(str(problem)) from None
        if not piece:
            raise Closed("end of stream")
        self._buffer += piece

    def frame(self) -> bytes:
        while len(self._buffer) < 4:
            self._fill()
        size = int.from_bytes(self._buffer[:4], "big", signed=True)
        while len(self._buffer) < 4 + size:
            self._fill()
        data = bytes(self._buffer[4 : 4 + size])
        del self._buffer[: 4 + size]
        return data

    # --- handshake

    def handshake(
        self,
        *,
        timeout_ms: int = 30_000,
        session_id: int = 0,
        password: bytes | None = bytes(16),
        last_zxid: int = 0,
        read_only: bool | None = False,
        protocol: int = 0,
    ) -> Session:
        """`read_only` None leaves the byte out, as clients before 3.4 do."""
        body = Writer().int32(protocol).int64(last_zxid).int32(timeout_ms).int64(session_id).buffer(password)
        if read_only is not None:
            body.boolean(read_only)
        self.send_bytes(Writer().buffer(body.bytes()).bytes())
        reader = Reader(self.frame())
        answer = Session(
            reader.int32(), reader.int32(), reader.int64(), reader.buffer() or b"", reader.data[reader.at :]
        )
        self.session = answer
        return answer

    # --- requests

    def next_xid(self) -> int:
        self._xid += 1
        return self._xid

    @staticmethod
    def request(xid: int, code: int, body: bytes = b"") -> bytes:
        """The whole frame of a request."""
        return struct.pack("!iii", len(body) + 8, xid, code) + body

    def send(self, code: int, body: bytes = b"", *, xid: int | None = None) -> int:
        number = self.next_xid() if xid is None else xid
        self.send_bytes(self.request(number, code, body))
        return number

    def receive(self) -> Reply:
        data = self.frame()
        xid, zxid, err = HEADER.unpack_from(data)
        if zxid > self.last_zxid and xid != NOTIFICATION:
            self.last_zxid = zxid
        return Reply(xid, zxid, err, data[16:])

    def call(self, code: int, body: bytes = b"", *, xid: int | None = None) -> Reply:
        """Send, and return the next thing that is not a notification."""
        self.send(code, body, xid=xid)
        while (reply := self.receive()).xid == NOTIFICATION:
            pass
        return reply


def connect(port: int, *, timeout_s: float = 10.0, timeout_ms: int = 30_000) -> RawClient:
    """A connection with a new session."""
    client = RawClient(port, timeout_s=timeout_s)
    client.handshake(timeout_ms=timeout_ms)
    return client
