"""Sockets that are accepted: ZooKeeper and etcd clients on a port each, peers and operators on another.

A protocol object only carries bytes to the shell and back.  A client that does not read what it is sent is
not read from either; if there is more for one that has let `MAX_UNREAD_BYTES` pile up (watch events need no
request), it goes.  One answer may be longer than that: who asked for it has had no time to read it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from agreed.errors import ConfigurationError, MalformedInput
from agreed.node.sockets import end_when_gone, give_up_when_unheard
from agreed.node.tls import common_name, distinguished_name
from agreed.node.values import split_address
from agreed.replica import events
from agreed.replica.founding import Caller
from agreed.wire.peer.codec import Decoder, encode
from agreed.wire.peer.messages import PROTOCOL_VERSION, Hello, HelloReply, OperatorHello, OperatorReply

if TYPE_CHECKING:
    from agreed.node.shell import Shell
    from agreed.node.turns import Turns

MAX_UNREAD_BYTES = 64 * 1024 * 1024

FIRST_WORD_TIMEOUT_S = 10.0
"""Who connects and says nothing is closed after this."""

LAST_WORD_TIMEOUT_S = 10.0
"""Who does not take what it was sent last, because it is gone or does not want to, is cut off after this."""


async def listen_at(
    factory: Callable[[], asyncio.Protocol], address: str, context: ssl.SSLContext | None = None
) -> asyncio.Server:
    """`address` is host:port.  Raises ConfigurationError."""
    loop = asyncio.get_running_loop()
    host, port = split_address(address)
    try:
        if context is None:
            return await loop.create_server(factory, host, port)
        # Who connects and never says anything would else be kept for a minute.
        return await loop.create_server(
            factory, host, port, ssl=context, ssl_handshake_timeout=FIRST_WORD_TIMEOUT_S
        )
    except OSError as error:
        raise ConfigurationError(f"cannot listen at {address}: {error}") from error


def with_its_port(address: str, server: asyncio.Server) -> str:
    """Who asks for port 0 is given one that is free, and hears which."""
    if split_address(address)[1]:
        return address
    return f"{address.rpartition(':')[0]}:{server.sockets[0].getsockname()[1]}"


class ClientProtocol(asyncio.Protocol):
    """One ZooKeeper client.  (What its bytes mean the replica knows; for those of others there is a class
    that tells of them by other events.)"""

    opened: type[events.ClientOpened | events.EtcdOpened] = events.ClientOpened
    bytes_came: type[events.ClientBytes | events.EtcdBytes] = events.ClientBytes
    closed: type[events.ClientClosed | events.EtcdClosed] = events.ClientClosed
    name_in: Callable[[dict[str, object]], str | None] = staticmethod(distinguished_name)

    __slots__ = ("_deadline", "_full", "_held", "_shell", "address", "id", "transport")

    def __init__(self, shell: Turns) -> None:
        self._shell = shell
        self._full = False
        self._held = False
        self._deadline: asyncio.TimerHandle | None = None
        self.id = 0
        self.address = ""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        peername = transport.get_extra_info("peername") or ("", 0)
        self.address = peername[0]
        if not self._shell.may_connect(self.address):
            transport.abort()
            return
        self.transport = transport
        self.id = self._shell.client_opened(self)
        self._deadline = asyncio.get_running_loop().call_later(FIRST_WORD_TIMEOUT_S, self._silent)
        certificate = transport.get_extra_info("peercert")
        subject = self.name_in(certificate) if certificate else None
        self._shell.happened(self.opened(self.id, self.address, peername[1], subject))

    def _silent(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self.id:
            self._shell.happened(self.bytes_came(self.id, data))

    def connection_lost(self, error: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self.id:
            self._shell.client_closed(self)
            self._shell.happened(self.closed(self.id))
        self.transport = None

    def write(self, data: bytes) -> None:
        transport = self.transport
        if transport is None:
            return
        if self._full and transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self._shell.log("warning", f"client {self.address} does not read: it is dropped")
            transport.abort()
        else:
            transport.write(data)

    def close(self) -> None:
        """After what was written is out, or could not be delivered for a while."""
        if self.transport is not None:
            if self._deadline is not None:
                self._deadline.cancel()
            self.transport.close()
            self._deadline = asyncio.get_running_loop().call_later(LAST_WORD_TIMEOUT_S, self._silent)

    def cut(self) -> None:
        """The node has forgotten it: nothing that still comes is heard."""
        self.id = 0
        if self.transport is not None:
            self.transport.abort()

    # Two reasons not to read: the client does not take our replies, or the cluster is behind with its
    # requests.

    def pause_writing(self) -> None:
        self._full = True
        self._apply()

    def resume_writing(self) -> None:
        self._full = False
        self._apply()

    def hold(self, held: bool) -> None:
        self._held = held
        self._apply()

    def _apply(self) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        if self._full or self._held:
            if self.transport.is_reading():
                self.transport.pause_reading()
        elif not self.transport.is_reading():
            self.transport.resume_reading()


class EtcdProtocol(ClientProtocol):
    """One etcd client, whatever it speaks."""

    opened = events.EtcdOpened
    bytes_came = events.EtcdBytes
    closed = events.EtcdClosed
    name_in = staticmethod(common_name)

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        end_when_gone(transport)
        super().connection_made(transport)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._shell.happened(events.EtcdReads(self.id, False))

    def resume_writing(self) -> None:
        super().resume_writing()
        self._shell.happened(events.EtcdReads(self.id, True))


class PeerProtocol(asyncio.Protocol):
    """A connection that another node, or an operator's command line, has opened."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._decoder = Decoder()
        self._peer: Caller | None = None
        self._operator = False
        self._deadline: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        give_up_when_unheard(transport)
        self._shell.peer_protocols.add(self)
        self._deadline = asyncio.get_running_loop().call_later(FIRST_WORD_TIMEOUT_S, self._silent)

    def _silent(self) -> None:
        if self._peer is None and not self._operator:
            self._drop("it did not say who it is")

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._decoder.receive_data(data)
        except MalformedInput as error:
            self._drop(str(error))
            return
        for message in messages:
            if self._peer is not None:
                if isinstance(message, Hello | HelloReply | OperatorHello):
                    self._drop("a second hello")
                    return
                name = self._peer.name
                if self._peer.is_replaced(self._shell.holder_of(name)):
                    self._drop(f"{name} was replaced")
                    return
                self._shell.happened_now(events.PeerMessage(name, message))
            elif self._operator:
                self._shell.operator_asked(self, message)
            elif isinstance(message, Hello):
                if not self._greet(message):
                    return
            elif isinstance(message, OperatorHello) and message.version == PROTOCOL_VERSION:
                self._operator = True
            else:
                self._drop("its first message is no hello")
                return

    def _greet(self, hello: Hello) -> bool:
        """Answers; True if the caller is a member from which messages are taken."""
        assert self.transport is not None
        refusal = self._shell.refuse(hello)
        self.transport.write(encode(HelloReply(self._shell.hello(), refusal)))
        if refusal is not None:
            self._shell.log_once(hello.member.name, f"{hello.member.name} is refused: {refusal}")
            self.transport.close()
            return False
        if self._shell.is_member(hello):
            self._peer = Caller(hello.member, self._shell.holder_of(hello.member.name))
        return True

    def answer(self, reply: object) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(encode(reply))

    def refuse(self, reason: str) -> None:
        self.answer(OperatorReply(reason))

    def _drop(self, reason: str) -> None:
        if self.transport is not None and not self.transport.is_closing():
            peername = self.transport.get_extra_info("peername") or ("?", 0)
            self._shell.log(
                "warning", f"the peer connection from {peername[0]}:{peername[1]} is dropped: {reason}"
            )
            self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._shell.peer_protocols.discard(self)
        if self._peer is not None:
            self._shell.peer_hung_up(self._peer.name)
        self.transport = None
