"""A proxy that spoils one field of what a server says: the proof that the comparison would notice.

`CorruptingProxy(port, corruption)` forwards every byte of the client and every frame of the server, after
asking `corruption(code, frame)` what to send instead: `code` is the operation that the frame answers (0 for
a notification), and the answer is a list of frames, so that one can also be lost.
"""
from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.acceptance.raw_client import NOTIFICATION

Corruption = Callable[[int, bytes], list[bytes]]


def add_at(offset_from_end: int, size: int, amount: int, frame: bytes) -> bytes:
    """`frame` with the big-endian number that starts `offset_from_end` bytes before its end made larger."""
    start = len(frame) - offset_from_end
    number = int.from_bytes(frame[start : start + size], "big", signed=True) + amount
    return frame[:start] + number.to_bytes(size, "big", signed=True) + frame[start + size :]


def in_stat(codes: tuple[int, ...], offset_from_end: int, size: int, amount: int = 1) -> Corruption:
    """Spoils one field of the Stat that ends the replies to `codes`."""

    def corruption(code: int, frame: bytes) -> list[bytes]:
        if code not in codes or len(frame) < 16 + 68:
            return [frame]
        return [add_at(offset_from_end, size, amount, frame)]

    return corruption


def lost_notification(code: int, frame: bytes) -> list[bytes]:
    return [] if code == 0 else [frame]


def other_error(code: int, frame: bytes) -> list[bytes]:
    """NoAuth where the server says NoNode."""
    wrong = frame[12:16] == (-101).to_bytes(4, "big", signed=True)
    return [frame[:12] + (-102).to_bytes(4, "big", signed=True) + frame[16:]] if wrong else [frame]


def other_event(code: int, frame: bytes) -> list[bytes]:
    """`data changed` where a node was created."""
    return [frame[:16] + b"\0\0\0\3" + frame[20:]] if code == 0 and frame[16:20] == b"\0\0\0\1" else [frame]


def zxid_goes_back(code: int, frame: bytes) -> list[bytes]:
    """The zxid in the header of a getData reply."""
    return [frame[:4] + (1).to_bytes(8, "big") + frame[12:]] if code == 4 else [frame]


def spoilt_byte_of_data(code: int, frame: bytes) -> list[bytes]:
    if code != 4 or len(frame) < 16 + 4 + 68 + 1:
        return [frame]
    return [frame[:20] + bytes([frame[20] ^ 1]) + frame[21:]]


# the Stat, from its end: pzxid 8, numChildren 12, dataLength 16, ephemeralOwner 24, aversion 28, cversion 32,
# version 36, mtime 44, ctime 52, mzxid 60, czxid 68
CORRUPTIONS: dict[str, Corruption] = {
    "version in getData": in_stat((4,), 36, 4),
    "cversion in exists": in_stat((3,), 32, 4),
    "aversion in getACL": in_stat((6,), 28, 4),
    "owner in getData": in_stat((4,), 24, 8, 1 << 40),
    "data length in setData": in_stat((5,), 16, 4),
    "number of children in getChildren2": in_stat((12,), 12, 4),
    "pzxid in exists": in_stat((3,), 8, 8, -1),
    "mzxid in setData": in_stat((5,), 60, 8, -1),
    "mtime in setData": in_stat((5,), 44, 8, 5000),
    "ctime after mtime in getData": in_stat((4,), 52, 8, -5000),
    "a notification is lost": lost_notification,
    "another error code": other_error,
    "another kind of event": other_event,
    "a zxid that goes back": zxid_goes_back,
    "one bit of the data": spoilt_byte_of_data,
}


class CorruptingProxy:
    """Listens on `port` of its own while the context lasts."""

    def __init__(self, server_port: int, corruption: Corruption) -> None:
        self._server_port = server_port
        self._corruption = corruption
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
                codes: dict[int, int] = {}
                for target in (self._requests, self._replies):
                    threading.Thread(target=target, args=(client, server, codes), daemon=True).start()

    @staticmethod
    def _requests(client: socket.socket, server: socket.socket, codes: dict[int, int]) -> None:
        reader = client.makefile("rb")
        with contextlib.suppress(OSError, EOFError):
            server.sendall(whole_frame(reader.read))  # the handshake has no code
            while True:
                frame = whole_frame(reader.read)
                xid = int.from_bytes(frame[4:8], "big", signed=True)
                codes[xid] = int.from_bytes(frame[8:12], "big", signed=True)
                server.sendall(frame)
        shut(server)

    def _replies(self, client: socket.socket, server: socket.socket, codes: dict[int, int]) -> None:
        reader = server.makefile("rb")
        with contextlib.suppress(OSError, EOFError):
            client.sendall(whole_frame(reader.read))
            while True:
                frame = whole_frame(reader.read)[4:]
                xid = int.from_bytes(frame[:4], "big", signed=True)
                code = 0 if xid == NOTIFICATION else codes.get(xid, -1)
                for spoilt in self._corruption(code, frame):
                    client.sendall(len(spoilt).to_bytes(4, "big") + spoilt)
        shut(client)


def shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def whole_frame(read: Callable[[int], bytes]) -> bytes:
    """Length and content; EOFError where the stream ends."""
    header = read(4)
    size = int.from_bytes(header, "big", signed=True)
    content = read(size) if len(header) == 4 and size >= 0 else b""
    if len(header) < 4 or len(content) < size:
        raise EOFError
    return header + content
