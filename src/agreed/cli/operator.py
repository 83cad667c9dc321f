"""What a command line says to nodes, over one blocking connection per question.

    status(address, timeout_s) -> StatusReply
    change(addresses, request, timeout_s) -> address of the node that did it

Both take a context as well (`tls`, made by `peer_tls.py`) where that port speaks TLS.

An operator speaks on the port of the peers (`wire/peer`): `OperatorHello`, then requests and replies in turn.
A change is done by the leader alone; any other node answers with the leader's address, and we go there.

A change whose answer is lost may have been made.  It is never repeated here: whoever asks is told so
(`surely_not_done` of the error), and `agreed status` shows what has become of it.
"""
from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Sequence
from types import TracebackType

from agreed.errors import AgreedError, ConfigurationError, MalformedInput, MembershipRefused
from agreed.node.values import an_address, split_address
from agreed.replica.operators import OUTCOME_UNKNOWN
from agreed.wire.peer.codec import Decoder, encode
from agreed.wire.peer.messages import (
    PROTOCOL_VERSION,
    HelloReply,
    OperatorHello,
    OperatorReply,
    OperatorRequest,
    StatusReply,
    StatusRequest,
)

MOST_REDIRECTIONS = 5
"""Leadership may move while we follow it; but not again and again within one question."""

READ_BYTES = 65536


class NoAnswer(AgreedError):
    """A node could not be reached, or its answer was lost.  `surely_not_done`: the question never left."""

    def __init__(self, message: str, *, surely_not_done: bool) -> None:
        super().__init__(message)
        self.surely_not_done = surely_not_done


class Conversation:
    """One connection of an operator to a node; a context manager.  Raises `NoAnswer`."""

    def __init__(self, address: str, timeout_s: float, tls: ssl.SSLContext | None = None) -> None:
        self._address = address
        self._deadline = time.monotonic() + timeout_s
        self._decoder = Decoder()
        self._waiting: list[object] = []
        try:
            self._socket = _connected(address, timeout_s, tls)
        except OSError as error:
            message = f"{address}: cannot be reached ({_reason(error)})"
            raise NoAnswer(message, surely_not_done=True) from error

    def __enter__(self) -> Conversation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def ask(self, request: OperatorRequest) -> object:
        """The reply to this one request."""
        changes = not isinstance(request, StatusRequest)
        try:
            self._socket.sendall(encode(OperatorHello(PROTOCOL_VERSION)) + encode(request))
            while True:
                reply = self._next()
                if not isinstance(reply, HelloReply):
                    return reply
                if reply.refusal is not None:
                    raise NoAnswer(f"{self._address}: {reply.refusal}", surely_not_done=True)
        except (OSError, MalformedInput) as error:
            lost = "; what was asked may have been done, see `agreed status`" if changes else ""
            message = f"{self._address}: no answer ({_reason(error)}){lost}"
            raise NoAnswer(message, surely_not_done=not changes) from error

    def _next(self) -> object:
        while not self._waiting:
            left_s = self._deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            self._socket.settimeout(left_s)
            data = self._socket.recv(READ_BYTES)
            if not data:
                raise ConnectionResetError(
                    "the connection was closed; is this the port of the peers, and does it speak TLS?"
                )
            self._waiting += self._decoder.receive_data(data)
        return self._waiting.pop(0)


def _connected(address: str, timeout_s: float, tls: ssl.SSLContext | None) -> socket.socket:
    host, port = split_address(address)
    connection = socket.create_connection((host, port), timeout=timeout_s)
    if tls is None:
        return connection
    try:
        return tls.wrap_socket(connection, server_hostname=host)
    except BaseException:
        connection.close()
        raise


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, ssl.SSLError):
        return f"no TLS: {getattr(error, 'verify_message', '') or error.reason or error}"
    return (isinstance(error, OSError) and error.strerror) or str(error)


def addresses_of(text: str) -> list[str]:
    """`host:port,host:port` as a list.  Raises `ConfigurationError`."""
    try:
        found = [an_address(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise ConfigurationError(f"--node: {error}") from error
    if not found:
        raise ConfigurationError("--node: names no address")
    return found


def status(address: str, timeout_s: float, tls: ssl.SSLContext | None = None) -> StatusReply:
    """How that node sees itself.  Raises `NoAnswer`, also for one that does not yet belong to a cluster."""
    with Conversation(address, timeout_s, tls) as conversation:
        reply = conversation.ask(StatusRequest())
    if isinstance(reply, StatusReply):
        return reply
    why = reply.refusal if isinstance(reply, OperatorReply) else f"answered with {type(reply).__name__}"
    raise NoAnswer(f"{address}: {why}", surely_not_done=True)


def change(
    addresses: Sequence[str], request: OperatorRequest, timeout_s: float, tls: ssl.SSLContext | None = None
) -> str:
    """Have the leader do this, whichever of the nodes it is; the address at which it was done.

    A refusal by one node is not the last word: it may be one that lost its disk and knows of no cluster,
    while the leader is among the others.  Raises `MembershipRefused` with the reasons, or `NoAnswer`."""
    left = list(addresses)
    asked: set[str] = set()
    refusals: list[str] = []
    unreached: list[str] = []
    while left and len(asked) < len(addresses) + MOST_REDIRECTIONS:
        address = left.pop(0)
        if address in asked:
            continue
        asked.add(address)
        try:
            with Conversation(address, timeout_s, tls) as conversation:
                reply = conversation.ask(request)
        except NoAnswer as error:
            if not error.surely_not_done:
                raise
            unreached.append(str(error))
            continue
        if not isinstance(reply, OperatorReply):
            raise NoAnswer(f"{address}: answered with {type(reply).__name__}", surely_not_done=False)
        if reply.refusal is None:
            return address
        if reply.refusal == OUTCOME_UNKNOWN:
            raise NoAnswer(f"{address}: {reply.refusal}", surely_not_done=False)
        if reply.leader_address is None:
            refusals.append(f"{address}: {reply.refusal}")
        else:
            left.insert(0, reply.leader_address)
    if refusals:
        raise MembershipRefused("; ".join(refusals))
    raise NoAnswer("; ".join(["no leader was found", *unreached]), surely_not_done=True)
