"""One connection to a server: a socket, cut into messages.

    greet(request)      the handshake, the first that is said
    send(requests)      all in one packet
    heard(messages)     what came, in its order; every answer is the answer to the oldest request without one
                        (those to pings and credentials, which may overtake, carry their own xid)
    lost(why)           nothing more comes.  Called once

Nothing is decided here: no session, no time, nothing is repeated.  What stands on it is `machine.py`, and the
client with which `agreed.torture` breaks clusters, which must know exactly what was sent and what came back.
"""
from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

from agreed.errors import MalformedInput
from agreed.wire.zookeeper.connection import Answer, ClientConnection, Notification
from agreed.wire.zookeeper.messages import ConnectRequest, ConnectResponse, Request

FromServer = ConnectResponse | Answer | Notification


class Connection(asyncio.Protocol):
    """For `loop.create_connection`."""

    def __init__(
        self, heard: Callable[[Sequence[FromServer]], None], lost: Callable[[str], None]
    ) -> None:
        self._on_messages = heard
        self._on_lost: Callable[[str], None] | None = lost
        self._machine = ClientConnection()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def greet(self, request: ConnectRequest) -> None:
        self._write(self._machine.connect(request))

    def send(self, requests: Sequence[Request]) -> None:
        self._write(b"".join([self._machine.send(request)[1] for request in requests]))

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._machine.receive_data(data)
        except MalformedInput as problem:
            self.break_off(f"what the server said makes no sense: {problem}")
            return
        if messages and self._on_lost is not None:
            self._on_messages(messages)

    def break_off(self, why: str) -> None:
        """What comes late is not listened to."""
        if self._transport is not None:
            self._transport.abort()
        self._over(why)

    def connection_lost(self, error: Exception | None) -> None:
        self._over("the connection was lost")

    def _over(self, why: str) -> None:
        lost, self._on_lost = self._on_lost, None
        if lost is not None:
            lost(why)
