"""Sockets to the other members: connect, say hello, come again, and never keep more than fits.

Where a context is given the connections are by TLS, and the peer must be the host that was dialled.  Why
that fails is told, once until it works or fails otherwise: an expired certificate looks like a dead network.
So is what answers no frames: most likely TLS, where one of the two has no certificate.

A node sends on the connections it dialled and receives on those it accepted.  What cannot be sent now is
dropped: consensus repeats itself, and a peer that is slow or gone must not fill this node's memory.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Protocol, cast

from agreed.errors import MalformedInput
from agreed.node.sockets import give_up_when_unheard
from agreed.node.values import split_address
from agreed.types import NodeId
from agreed.wire.peer.codec import Decoder, encode
from agreed.wire.peer.messages import Hello, HelloReply

FIRST_WAIT_S = 0.02
LONGEST_WAIT_S = 0.5
"""Between two attempts.  A restarted node has to be in touch again well before any session expires."""

MAX_BUFFERED_BYTES = 64 * 1024 * 1024

CONNECT_TIMEOUT_S = 2.0


class Acquaintance(Protocol):
    """What the dialling side asks of the node."""

    def hello(self) -> Hello: ...

    def greeted(self, peer: NodeId, reply: HelloReply) -> bool:
        """A peer answered our hello; False: do not use this connection."""
        ...

    def peer_opened(self, peer: NodeId) -> None: ...

    def peer_closed(self, peer: NodeId) -> None: ...


class PeerConnection(asyncio.Protocol):
    """One connection to one peer, from our side."""

    def __init__(self, peer: NodeId, node: Acquaintance) -> None:
        self.peer = peer
        self.ready = False
        self.ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._node = node
        self._decoder = Decoder()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        give_up_when_unheard(transport)
        self.transport.write(encode(self._node.hello()))

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        try:
            messages = self._decoder.receive_data(data)
        except MalformedInput as error:
            if not self.ended.done():
                self.ended.set_result(error)
            self.transport.abort()
            return
        for message in messages:
            if not isinstance(message, HelloReply) or not self._node.greeted(self.peer, message):
                self.transport.abort()
                return
            if not self.ready:
                self.ready = True
                self._node.peer_opened(self.peer)

    def connection_lost(self, error: Exception | None) -> None:
        if self.ready:
            self.ready = False
            self._node.peer_closed(self.peer)
        if not self.ended.done():
            self.ended.set_result(error)


class Peers:
    """Keeps a connection to each of the addresses it was given."""

    def __init__(
        self, node: Acquaintance, log: Callable[[str, str], None], tls: ssl.SSLContext | None = None
    ) -> None:
        self._node = node
        self._log = log
        self._tls = tls
        self._tasks: dict[NodeId, tuple[str, asyncio.Task[None]]] = {}
        self._connections: dict[NodeId, PeerConnection] = {}
        self._last_message: object = None
        self._last_frame = b""

    def know(self, addresses: Mapping[NodeId, str]) -> None:
        """The peers there are now; connections to others are closed."""
        for name, (address, task) in list(self._tasks.items()):
            if addresses.get(name) != address:
                task.cancel()
                del self._tasks[name]
                connection = self._connections.pop(name, None)
                if connection is not None and connection.transport is not None:
                    connection.transport.close()
        for name, address in addresses.items():
            if name not in self._tasks:
                task = asyncio.get_running_loop().create_task(self._keep(name, address))
                self._tasks[name] = (address, task)

    def send(self, peer: NodeId, message: object) -> None:
        connection = self._connections.get(peer)
        if connection is None or not connection.ready or connection.transport is None:
            return
        if connection.transport.get_write_buffer_size() < MAX_BUFFERED_BYTES:
            if message is not self._last_message:
                # The same append goes to every follower that is not behind.
                self._last_message, self._last_frame = message, encode(message)
            connection.transport.write(self._last_frame)

    def close(self) -> None:
        self.know({})

    def _made(self, name: NodeId) -> PeerConnection:
        """Known from here on, and not when the task goes on: where the loop is busy the peer has answered by
        then, and what is said again on a new connection would be dropped."""
        connection = self._connections[name] = PeerConnection(name, self._node)
        return connection

    async def _keep(self, name: NodeId, address: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            host, port = peer_host_and_port(address)
        except ValueError as error:
            self._log("error", f"{name} cannot be reached: {error}")
            return
        wait_s = FIRST_WAIT_S
        told = ""
        while True:
            problem: Exception | None
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    _, connection = await loop.create_connection(
                        lambda: self._made(name), host, port, ssl=self._tls
                    )
            except (OSError, TimeoutError) as error:
                problem = error
            else:
                # What a peer thinks of our certificate is heard after the handshake, as the end of all.
                problem = await connection.ended
                if self._connections.get(name) is connection:
                    del self._connections[name]
                if connection.ready:
                    wait_s = FIRST_WAIT_S
                    told = ""
            if isinstance(problem, ssl.SSLError | MalformedInput) and str(problem) != told:
                told = str(problem)
                what = "no TLS with" if isinstance(problem, ssl.SSLError) else "not understood is"
                self._log("error", f"{what} {name} at {address}: {told}")
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)


def peer_host_and_port(address: str) -> tuple[str, int]:
    """`host:port`; a second port, which ZooKeeper has for elections, is not needed here."""
    behind_brackets = address.rpartition("]")[2]
    if behind_brackets.count(":") == 2:
        address = address.rsplit(":", 1)[0]
    return split_address(address)
