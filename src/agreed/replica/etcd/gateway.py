"""The JSON gateway: a connection that speaks HTTP/1.1, and what its requests are for.

    POST /v3/...           a call: the same services as over gRPC, in JSON (`gateway_exchanges.py`)
    GET  /v3/... Upgrade   the same over a WebSocket (`gateway_websocket.py`)
    GET  /version ...      pages for people, probes and collectors (`pages.py`)
    OPTIONS                what browsers ask before they send a page's request here

HTTP itself is done by h11: framing, keep-alive, and which requests are none.  Requests of one connection are
answered in their order, one after the other; what comes ahead of its turn waits in the buffer, within
bounds (`pipelines.py`).  `/v3beta/...` is `/v3/...`, as in etcd.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import h11

from agreed.errors import MalformedInput
from agreed.replica.etcd import gateway_answers as answers
from agreed.replica.etcd import pages
from agreed.replica.etcd.calls import Caller
from agreed.replica.etcd.gateway_answers import Answer, Headers
from agreed.replica.etcd.gateway_exchanges import (
    MAX_BODY_BYTES,
    Exchange,
    Origin,
    PageExchange,
    StreamExchange,
    UnaryExchange,
)
from agreed.replica.etcd.gateway_websocket import WebSocket, is_upgrade
from agreed.replica.etcd.pipelines import Pipelines
from agreed.replica.etcd.slow_requests import SlowRequests
from agreed.wire.etcd.services import ROUTES, Kind, Method
from agreed.wire.grpc.timeouts import decode_timeout

if TYPE_CHECKING:
    from agreed.replica.etcd.front import EtcdClients

MAX_HEAD_BYTES: Final = 65_536
OUT_MOST_BYTES: Final = 262_144
"""To be written, or not read: with more than that a connection does not go on to its next request."""
MAX_DRAINED_BYTES: Final = 262_144
"""Of a body that nobody wants any more, before the connection is closed instead."""


class GatewayConnection:
    """`over`: nothing more will come of it, it may be closed."""

    def __init__(
        self, front: EtcdClients, client: int, address: str, port: int, certificate: str | None
    ) -> None:
        self.client = client
        self.over = False
        self._front = front
        self._address = address
        self._port = port
        self._certificate = certificate
        self._slow = next(service for service in front.services if isinstance(service, SlowRequests))
        self._pipelines = next(service for service in front.services if isinstance(service, Pipelines))
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._websocket: WebSocket | None = None
        self._exchange: Exchange | None = None
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._reads = True
        self._unread = 0
        """Bytes of which the client has taken nothing since it stopped reading."""
        self._head_only = False
        self._advancing = False
        self._leaving = False
        self._drained = 0
        self._ahead = 0

    # --- what the front says ----------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Raises `MalformedInput` where the client sends far ahead of what is answered."""
        if self._websocket is not None:
            self._websocket.received(data)
            return
        if self.over:
            return
        if self._http.their_state is h11.DONE:
            self._ahead += len(data)
            if self._ahead > MAX_BODY_BYTES:
                raise MalformedInput("requests far ahead of their answers")
        self._http.receive_data(data)
        self._advance()

    def take(self) -> bytes:
        data = b"".join(self._out)
        self._out.clear()
        self._out_bytes = 0
        if not self._reads:
            self._unread += len(data)
        return data

    def client_reads(self, reads: bool) -> None:
        self._reads = reads
        self._unread = 0
        if reads and self._exchange is not None:
            self._exchange.drained()
        if reads:
            self._advance()

    def gone(self) -> None:
        self.over = True
        self._slow.whole(self)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandoned()

    def shut_down(self) -> None:
        """The answer under way is the last."""
        self._leaving = True
        if self._websocket is None and self._http.our_state is h11.IDLE and self._exchange is None:
            self._leave()

    def too_slow(self) -> None:
        """Said by `SlowRequests`."""
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._last_words(408)
        self.gone()
        self._front.mark(self)

    # --- requests -----------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """As far as what has come allows.  An answer may be made while its request is still looked at, so
        this is never entered twice: the outer one goes on."""
        if self._advancing:
            return
        self._advancing = True
        try:
            while not self.over and self._websocket is None and self._has_room() and self._step():
                pass
        finally:
            self._advancing = False
        self._watch_the_clock()

    def go_on(self) -> None:
        if not self.over:
            self._advance()

    def _has_room(self) -> bool:
        """Else it goes on by itself when there is."""
        if self._unread > OUT_MOST_BYTES:
            return False
        if self._out_bytes > OUT_MOST_BYTES:
            self._pipelines.wait(self)
            return False
        return True

    def _step(self) -> bool:
        """One event; False: nothing more for now."""
        http = self._http
        if http.our_state is h11.DONE and http.their_state is h11.DONE:
            self._next_request()
        if http.our_state in (h11.MUST_CLOSE, h11.CLOSED, h11.ERROR):
            self._leave()
            return False
        try:
            event = http.next_event()
        except h11.RemoteProtocolError as error:
            self._broken(error)
            return False
        if event is h11.NEED_DATA:
            if http.they_are_waiting_for_100_continue and http.our_state is h11.SEND_RESPONSE:
                self._send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))
            return False
        if event is h11.PAUSED:
            return False
        if isinstance(event, h11.Request):
            self._requested(event)
        elif isinstance(event, h11.Data):
            self._body(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            if self._exchange is not None:
                self._exchange.body_ended()
        else:
            self._leave()
        return True

    def _next_request(self) -> None:
        self._http.start_next_cycle()
        self._drained = 0
        self._ahead = 0
        if self._leaving:
            self._leave()

    def _body(self, data: bytes) -> None:
        if self._exchange is not None:
            self._exchange.body(data)
            return
        self._drained += len(data)
        if self._drained > MAX_DRAINED_BYTES:
            self._leave()

    def _watch_the_clock(self) -> None:
        """Half a request must not stay half for ever; but the body of a stream has all the time it wants."""
        http = self._http
        half_body = http.their_state is h11.SEND_BODY and not isinstance(self._exchange, StreamExchange)
        half_head = http.their_state is h11.IDLE and bool(http.trailing_data[0])
        if (half_body or half_head) and not self.over:
            self._slow.begun(self)
        else:
            self._slow.whole(self)

    def _requested(self, request: h11.Request) -> None:
        self._head_only = request.method == b"HEAD"
        target = request.target.decode("ascii", "replace")
        if "://" in target:
            target = "/" + target.partition("://")[2].partition("/")[2]
        path, _, query = target.partition("?")
        path = unquote(path)
        if path.startswith("/v3beta/"):
            path = "/v3/" + path.removeprefix("/v3beta/")
        if request.method == b"OPTIONS":
            self.answer(answers.PREFLIGHT)
        elif path.startswith("/v3/"):
            self._gateway(request, path)
        else:
            self._page(request.method.decode("ascii"), path, query)

    def _page(self, method: str, path: str, query: str) -> None:
        exchange = PageExchange()
        self._exchange = exchange
        caller = Caller(self._address, self._port)
        waiting = pages.ask(self._front, caller, method, pages.Target(path, query), self.answer)
        if self._exchange is exchange:
            exchange.waiting = waiting

    def _gateway(self, request: h11.Request, path: str) -> None:
        method = ROUTES.get(path)
        headers = list(request.headers)
        if method is None:
            self.answer(answers.NO_SUCH_ROUTE)
        elif self._certificate and pages.authentication_is_on(self._front):
            self.answer(answers.NAMED_BY_CERTIFICATE)
        elif is_upgrade(request.method, headers):
            self._upgrade(method, headers)
        elif request.method != b"POST":
            self.answer(answers.WRONG_METHOD)
        else:
            origin = self._origin(method, headers, None)
            kind = UnaryExchange if method.kind is Kind.UNARY else StreamExchange
            self._exchange = kind(self._front, self, origin)

    def _origin(self, method: Method, headers: Iterable[tuple[bytes, bytes]], token: str | None) -> Origin:
        metadata = {}
        timeout_ms = None
        for name, value in headers:
            if name == b"grpc-timeout":
                timeout_ms = decode_timeout(value.decode("latin-1"))
            elif name == b"authorization":
                metadata["authorization"] = value.decode("latin-1")
            elif name.startswith(b"grpc-metadata-"):
                metadata[name[len(b"grpc-metadata-") :].decode("ascii")] = value.decode("latin-1")
        token = token or metadata.get("token") or metadata.get("authorization")
        if token is not None:
            token = token.removeprefix("Bearer ")
        return Origin(method, metadata, Caller(self._address, self._port, token), timeout_ms)

    def _upgrade(self, method: Method, headers: Headers) -> None:
        websocket = WebSocket(self._write, headers, lambda: self._unread)
        if not websocket.accepted:
            self.answer(answers.BAD_HANDSHAKE)
            return
        origin = self._origin(method, headers, websocket.token)
        kind = UnaryExchange if method.kind is Kind.UNARY else StreamExchange
        exchange = kind(self._front, websocket, origin)
        self._exchange = exchange
        self._websocket = websocket
        websocket.begin_exchange(exchange, self._leave)
        early = self._http.trailing_data[0]
        if early:
            websocket.received(early)

    # --- answers: the outlet of exchanges -------------------------------------------------------------------

    def unread(self) -> int:
        return self._unread

    def answer(self, answer: Answer) -> None:
        headers = [*answer.headers, (b"Content-Length", str(len(answer.body)).encode())]
        self._begin(answer.code, headers)
        if answer.body and not self._head_only:
            self._send(h11.Data(data=answer.body))
        self.end()

    def begin(self, code: int, headers: Headers) -> None:
        """Of an answer whose length nobody knows yet."""
        self._begin(code, [*headers, (b"Transfer-Encoding", b"chunked")])

    def _begin(self, code: int, headers: Headers) -> None:
        whole = [*answers.CORS, *headers, (b"Date", answers.http_date(self._front.replica.wall_ms))]
        if self._leaving or self._http.they_are_waiting_for_100_continue:
            whole.append((b"Connection", b"close"))
        self._send(h11.Response(status_code=code, headers=whole, reason=answers.PHRASES[code]))

    def piece(self, data: bytes) -> None:
        self._send(h11.Data(data=data))

    def end(self) -> None:
        self._send(h11.EndOfMessage())
        self._exchange = None
        self._advance()

    def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            self._write(data)

    def _write(self, data: bytes) -> None:
        self._out.append(data)
        self._out_bytes += len(data)
        self._front.mark(self)

    # --- ends ---------------------------------------------------------------------------------------------

    def _broken(self, error: h11.RemoteProtocolError) -> None:
        """What came is not HTTP."""
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            code = error.error_status_hint
            self._last_words(code if code in answers.PHRASES else 400)
        self.gone()
        self._front.mark(self)

    def _last_words(self, code: int) -> None:
        text = f"{code} {answers.PHRASES[code].decode()}".encode()
        headers = [answers.TEXT, (b"Connection", b"close"), (b"Content-Length", str(len(text)).encode())]
        self._send(h11.Response(status_code=code, headers=headers, reason=answers.PHRASES[code]))
        self._send(h11.Data(data=text))
        self._send(h11.EndOfMessage())

    def _leave(self) -> None:
        self.over = True
        self._front.mark(self)
