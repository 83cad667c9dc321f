"""A ZooKeeper server of a few lines that can be told to lie, and the load generator, built."""

from __future__ import annotations

import shutil
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from bench import generator

CREATE, GET, SET, SYNC, CLOSE = 1, 4, 5, 9, -11
CONNECT_REPLY = struct.pack(">iiiqi16s?", 37, 0, 30_000, 1, 16, bytes(16), False)


class LyingServer:
    """Answers everything with success until `lie_after` sets and gets were answered; then as `lie` says:
    nothing, wrong_xid, error, short_body, silence, hang_up, or stall (for `stall_s`, once)."""

    def __init__(self, lie: str = "nothing", lie_after: int = 50, stall_s: float = 0.5) -> None:
        self.lie, self.lie_after, self.stall_s = lie, lie_after, stall_s
        self.answered = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        greeted = False
        # A generator that has seen a lie hangs up in the middle; that is not a failure of this server.
        with connection, connection.makefile("rb") as stream, suppress(OSError):
            while head := stream.read(4):
                frame = stream.read(struct.unpack(">i", head)[0])
                reply = self._reply(frame) if greeted else CONNECT_REPLY
                greeted = True
                if reply is None:
                    connection.shutdown(socket.SHUT_RDWR)
                    return
                connection.sendall(reply)

    def _reply(self, frame: bytes) -> bytes | None:
        xid, operation = struct.unpack_from(">ii", frame)
        error, body = 0, b""
        if operation in (CREATE, SYNC):
            length = struct.unpack_from(">i", frame, 8)[0]
            body = frame[8 : 12 + length]
        elif operation == SET:
            body = bytes(68)
        elif operation == GET:
            body = struct.pack(">i", 128) + bytes(128 + 68)
        if operation in (GET, SET) and self._must_lie():
            match self.lie:
                case "wrong_xid":
                    xid += 1
                case "error":
                    error = -101
                case "short_body":
                    body = body[:-1]
                case "silence":
                    return b""
                case "hang_up":
                    return None
                case "stall":
                    self.lie = "nothing"
                    time.sleep(self.stall_s)
        return struct.pack(">iiqi", 16 + len(body), xid, 7, error) + body

    def _must_lie(self) -> bool:
        with self._lock:
            self.answered += 1
            return self.answered > self.lie_after


@pytest.fixture
def lying_server() -> Iterator[type[LyingServer]]:
    started: list[LyingServer] = []

    class Tracked(LyingServer):
        def __init__(self, *arguments: object, **keywords: object) -> None:
            super().__init__(*arguments, **keywords)  # type: ignore[arg-type]
            started.append(self)

    yield Tracked
    for server in started:
        server.close()


@pytest.fixture(scope="session")
def built() -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler `cc`, so no load generator")
    generator.build()
