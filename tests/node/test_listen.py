"""Clients at their sockets: what is written to those who read, and to those who do not."""

from __future__ import annotations

from typing import Any, cast

import pytest

from agreed.node import listen
from agreed.node.listen import ClientProtocol, EtcdProtocol
from agreed.replica.events import EtcdReads


class Socket:
    """A transport whose other end reads nothing before it is told to."""

    def __init__(self, protocol: ClientProtocol) -> None:
        self.protocol = protocol
        self.unread = 0
        self.reading = True
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.unread += len(data)
        if self.unread > 10:
            self.protocol.pause_writing()

    def read(self) -> None:
        self.unread = 0
        self.protocol.resume_writing()

    def get_write_buffer_size(self) -> int:
        return self.unread

    def is_closing(self) -> bool:
        return self.aborted

    def is_reading(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def abort(self) -> None:
        self.aborted = True


class Shell:
    def __init__(self) -> None:
        self.events: list[object] = []
        self.logs: list[str] = []

    def happened(self, event: object) -> None:
        self.events.append(event)

    def log(self, level: str, sentence: str) -> None:
        self.logs.append(sentence)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> ClientProtocol:
    monkeypatch.setattr(listen, "MAX_UNREAD_BYTES", 100)
    protocol = EtcdProtocol(cast(Any, Shell()))
    protocol.id = 7
    protocol.transport = cast(Any, Socket(protocol))
    return protocol


def test_one_answer_may_be_longer_than_what_a_client_may_leave_unread(client: ClientProtocol) -> None:
    """A range of sixty megabytes over the gateway had ended its connection, however fast the client read."""
    socket = cast(Socket, client.transport)
    client.write(bytes(1_000))
    assert not socket.aborted
    assert not socket.reading
    socket.read()
    assert socket.reading
    shell = cast(Shell, client._shell)
    assert shell.events == [EtcdReads(7, False), EtcdReads(7, True)]
    client.write(bytes(1_000))
    assert not socket.aborted


def test_who_does_not_read_is_dropped_when_there_is_more_for_him(client: ClientProtocol) -> None:
    socket = cast(Socket, client.transport)
    for _ in range(20):
        client.write(bytes(9))
    assert socket.aborted
    assert socket.unread < 120
