"""A node that says what it was told to say: the other side of an operator's connection, in a thread."""
from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from types import TracebackType

from agreed.consensus.members import Member, Members
from agreed.wire.peer.codec import Decoder, encode
from agreed.wire.peer.messages import OperatorHello, StatusReply


def a_status(name: str, members: Members | None = None, **fields: object) -> StatusReply:
    """A healthy follower, but for the fields given."""
    values: dict[str, object] = {
        "name": name,
        "identity": hash(name) & (2**62 - 1),
        "cluster": 7,
        "role": "follower",
        "term": 3,
        "leader": "n1",
        "members": members or Members(()),
        "commit_index": 100,
        "applied_index": 100,
        "last_index": 100,
        "first_index": 1,
        "snapshot_index": 0,
        "revision": 99,
        "keys": 5,
        "sessions": 1,
        "connections": 1,
        "watches": 0,
        "uptime_ms": 61_000,
        "resident_bytes": 50 * 2**20,
        "followers": (),
        "problem": None,
        "version": "0.1.0",
    }
    return StatusReply(**(values | fields))  # type: ignore[arg-type]


class FakeNode:
    """Answers each request with `answer(request)`: a message, bytes as they are, or None to hang up."""

    def __init__(self, answer: Callable[[object], object]) -> None:
        self.heard: list[object] = []
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> FakeNode:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def member(self, name: str) -> Member:
        return Member(name, hash(name) & (2**62 - 1), self.address)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._converse(connection)

    def _converse(self, connection: socket.socket) -> None:
        decoder = Decoder()
        while data := connection.recv(65536):
            for message in decoder.receive_data(data):
                self.heard.append(message)
                if isinstance(message, OperatorHello):
                    continue
                reply = self._answer(message)
                if reply is None:
                    return
                connection.sendall(reply if isinstance(reply, bytes) else encode(reply))
