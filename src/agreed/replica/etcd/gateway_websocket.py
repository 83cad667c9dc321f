"""A route of the gateway over a WebSocket: each message is a line of JSON, in both directions.

Browsers cannot set headers on a WebSocket, so a token comes as a subprotocol: `Bearer, <token>`.  Frames,
masks and closing are done by wsproto.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from agreed.replica.etcd import gateway_answers as answers
from agreed.replica.etcd.gateway_answers import Answer, Headers
from agreed.replica.etcd.gateway_exchanges import MAX_BODY_BYTES, Exchange, UnaryExchange

_TOKEN: Final = "Bearer"
_FINISHED, _TOO_LARGE = 1000, 1009


def is_upgrade(method: bytes, headers: Headers) -> bool:
    return method == b"GET" and any(
        name == b"upgrade" and value.lower() == b"websocket" for name, value in headers
    )


class WebSocket:
    """The outlet of one exchange.  `accepted` False: the handshake is none, and nothing was written."""

    def __init__(
        self, write: Callable[[bytes], None], headers: Headers, unread: Callable[[], int]
    ) -> None:
        self.accepted = False
        self.token: str | None = None
        self._write = write
        self._unread = unread
        self._socket = WSConnection(ConnectionType.SERVER)
        self._exchange: Exchange | None = None
        self._leave: Callable[[], None] = _nothing
        self._message = bytearray()
        self._over = False
        try:
            self._socket.initiate_upgrade_connection(_of_handshake(headers), "/")
            for event in self._socket.events():
                if isinstance(event, Request):
                    self._accept(event)
        except (LocalProtocolError, RemoteProtocolError):
            self.accepted = False

    def _accept(self, request: Request) -> None:
        offered = request.subprotocols
        bearer = len(offered) == 2 and offered[0] == _TOKEN
        if bearer:
            self.token = offered[1]
        extra = [(name.lower(), value) for name, value in answers.CORS]
        self._send(AcceptConnection(subprotocol=_TOKEN if bearer else None, extra_headers=extra))
        self.accepted = True

    def begin_exchange(self, exchange: Exchange, leave: Callable[[], None]) -> None:
        """`leave` is called when the last frame is written."""
        self._exchange = exchange
        self._leave = leave

    def received(self, data: bytes) -> None:
        if self._over:
            return
        try:
            self._socket.receive_data(data)
            for event in self._socket.events():
                self._heard(event)
        except RemoteProtocolError as error:
            self._abandon()
            if error.event_hint is not None:
                self._send(error.event_hint)
            self._finish()

    def _heard(self, event: Event) -> None:
        if self._over:
            return
        if isinstance(event, TextMessage | BytesMessage):
            data = event.data
            self._piece(data if isinstance(data, str) else bytes(data).decode("utf-8", "replace"))
            if event.message_finished and not self._over:
                self._whole()
        elif isinstance(event, Ping):
            self._send(event.response())
        elif isinstance(event, CloseConnection):
            self._send(event.response())
            self._abandon()
            self._finish()

    def _piece(self, text: str) -> None:
        # Not a list of fragments: of two letters each they would take twenty times their length.
        self._message += text.encode("utf-8", "replace")
        if len(self._message) > MAX_BODY_BYTES:
            self._abandon()
            self._send(CloseConnection(code=_TOO_LARGE))
            self._finish()

    def _whole(self) -> None:
        data = bytes(self._message)
        self._message.clear()
        exchange = self._exchange
        if exchange is None:
            return
        exchange.body(data + b"\n")
        if isinstance(exchange, UnaryExchange) and self._exchange is not None:
            self._exchange.body_ended()

    def _abandon(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandoned()

    def _finish(self) -> None:
        self._over = True
        self._leave()

    def _send(self, event: Event) -> None:
        self._write(self._socket.send(event))

    # --- the outlet of the exchange -----------------------------------------------------------------------

    def answer(self, answer: Answer) -> None:
        self.piece(answer.body)
        self.end()

    def unread(self) -> int:
        return self._unread()

    def begin(self, code: int, headers: Headers) -> None:
        """A WebSocket has no status for what it carries."""

    def piece(self, data: bytes) -> None:
        if not self._over:
            self._send(TextMessage(data=data.decode().rstrip("\n")))

    def end(self) -> None:
        if not self._over:
            self._exchange = None
            self._send(CloseConnection(code=_FINISHED))
            self._finish()


def _of_handshake(headers: Headers) -> Headers:
    """What the handshake is about.  Whatever else a client may have written there, wsproto need not read: it
    takes the name of a host for a domain name, and headers for ASCII, and raises what nobody expects."""
    kept = [
        (name, value)
        for name, value in headers
        if (name.startswith(b"sec-websocket-") or name in (b"connection", b"upgrade")) and value.isascii()
    ]
    return [(b"host", b"localhost"), *kept]


def _nothing() -> None:
    pass
