"""The gateway over a WebSocket, spoken by wsproto's own client side."""

from __future__ import annotations

import json
from typing import Any

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Message,
    Ping,
    Pong,
    Request,
    TextMessage,
)

from agreed.replica import events
from agreed.replica.etcd.gateway import GatewayConnection
from agreed.replica.etcd.gateway_exchanges import MAX_BODY_BYTES
from agreed.replica.settings import Settings
from agreed.wire.etcd.messages import PutRequest
from tests.replica.alone import Alone
from tests.replica.etcd.browsing import Browser
from tests.replica.etcd.calling import Caller

WATCH = {"create_request": {"key": "Zm9v"}}


class Socket:
    def __init__(self, node: Alone, path: str, subprotocols: tuple[str, ...] = ()) -> None:
        self.browser = Browser(node)
        self._ws = WSConnection(ConnectionType.CLIENT)
        self.accepted: AcceptConnection | None = None
        self.lines: list[Any] = []
        self.closed: int | None = None
        self.pongs = 0
        self._read = 0
        self.say(Request(host="localhost", target=path, subprotocols=list(subprotocols)))

    def say(self, event: Any) -> None:
        self.browser.send(self._ws.send(event))
        self.look()

    def tell(self, message: Any) -> None:
        self.say(TextMessage(json.dumps(message)))

    def look(self) -> None:
        new = self.browser.raw[self._read :]
        self._read = len(self.browser.raw)
        if not new:
            return
        self._ws.receive_data(new)
        for event in self._ws.events():
            if isinstance(event, AcceptConnection):
                self.accepted = event
            elif isinstance(event, TextMessage):
                self.lines.append(json.loads(event.data))
            elif isinstance(event, CloseConnection):
                self.closed = event.code
            elif isinstance(event, Pong):
                self.pongs += 1


@pytest.fixture
def node() -> Alone:
    return Alone()


def test_a_watch_over_a_websocket(node: Alone) -> None:
    socket = Socket(node, "/v3/watch")
    assert socket.accepted is not None
    assert socket.accepted.subprotocol is None
    socket.tell(WATCH)
    assert socket.lines[-1]["result"]["created"] is True
    Browser(node).post("/v3/kv/put", {"key": "Zm9v", "value": "YmFy"})
    socket.look()
    assert socket.lines[-1]["result"]["events"][0]["kv"]["value"] == "YmFy"
    socket.tell({"cancel_request": {"watch_id": 0}})
    assert socket.lines[-1]["result"]["canceled"] is True


def test_who_does_not_read_is_told_of_what_he_missed_once_he_does() -> None:
    node = Alone(Settings(watch_backlog_bytes=10_000))
    socket = Socket(node, "/v3/watch")
    socket.tell(WATCH)
    node.turn(events.EtcdReads(socket.browser.number, False))
    before = len(socket.browser.raw)
    for _ in range(50):
        Caller(node).ask("KV/Put", PutRequest(b"foo", bytes(1_000)))
    assert len(socket.browser.raw) - before < 15_000
    node.turn(events.EtcdReads(socket.browser.number, True))
    node.turn()
    socket.look()
    told = [event["kv"]["mod_revision"] for line in socket.lines[1:] for event in line["result"]["events"]]
    assert told == [str(revision) for revision in range(2, 52)]


def test_a_request_may_come_in_fragments_or_as_bytes(node: Alone) -> None:
    socket = Socket(node, "/v3/lease/keepalive")
    socket.say(Message(data='{"I', message_finished=False))
    assert socket.lines == []
    socket.say(Message(data='D":7}', message_finished=True))
    socket.say(BytesMessage(data=b'{"ID":8}'))
    assert [line["result"]["ID"] for line in socket.lines] == ["7", "8"]


def test_the_token_comes_as_a_subprotocol(node: Alone) -> None:
    tokens = []
    front = node.replica.etcd
    admit = front.admit

    def noticed(call: Any, request: Any) -> Any:
        tokens.append(call.caller.token)
        return admit(call, request)

    front.admit = noticed
    socket = Socket(node, "/v3/watch", ("Bearer", "abc.12"))
    assert socket.accepted is not None
    assert socket.accepted.subprotocol == "Bearer"
    socket.tell(WATCH)
    assert tokens == ["abc.12"]


def test_a_unary_call_is_answered_once(node: Alone) -> None:
    socket = Socket(node, "/v3/kv/put")
    socket.tell({"key": "Zm9v"})
    assert socket.lines[0]["header"]["revision"] == "2"
    assert socket.closed == 1000
    assert socket.browser.closed


def test_pings_are_answered(node: Alone) -> None:
    socket = Socket(node, "/v3/watch")
    socket.say(Ping(b"are you there"))
    assert socket.pongs == 1


def test_who_closes_is_no_watcher_any_more(node: Alone) -> None:
    socket = Socket(node, "/v3/watch")
    socket.tell(WATCH)
    socket.say(CloseConnection(code=1000))
    assert socket.closed == 1000
    assert socket.browser.closed
    assert b"etcd_debugging_mvcc_watcher_total 0\n" in Browser(node).get("/metrics").body


def test_what_cannot_be_read_is_answered_and_ends_it(node: Alone) -> None:
    socket = Socket(node, "/v3/watch")
    socket.say(TextMessage("nonsense"))
    assert socket.lines[0]["code"] == 2
    assert socket.closed == 1000


def test_frames_that_are_none_end_it(node: Alone) -> None:
    socket = Socket(node, "/v3/watch")
    socket.tell(WATCH)
    socket.browser.send(b"\xff\xff\xff\xff")
    assert socket.browser.closed
    assert b"etcd_debugging_mvcc_watcher_total 0\n" in Browser(node).get("/metrics").body


def test_a_message_without_end_ends_it(node: Alone) -> None:
    socket = Socket(node, "/v3/watch")
    piece = "x" * 0x40000
    for _ in range(MAX_BODY_BYTES // len(piece) + 1):
        if socket.closed is None:
            socket.say(Message(data=piece, message_finished=False))
    assert socket.closed == 1009
    assert socket.browser.closed


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        ("/v3/watch", [("Upgrade", "websocket"), ("Connection", "Upgrade")], 400),
        ("/v3/nope", [("Upgrade", "websocket"), ("Connection", "Upgrade")], 404),
        ("/v3/watch", [("Upgrade", "h2c"), ("Connection", "Upgrade")], 405),
    ],
)
def test_a_handshake_that_is_none(node: Alone, path: str, headers: Any, code: int) -> None:
    browser = Browser(node)
    assert browser.begin("GET", path, None, headers).code == code


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (b"Host: \xff\xfe", b"101"),
        (b"Host: x\r\nSec-WebSocket-Extensions: \xa2", b"101"),
        (b"Host: x\r\nX-Anything: \xa2", b"101"),
        (b"Host: x\r\nSec-WebSocket-Protocol: Bearer, \xa2", b"101"),
        (b"Host: x\r\nConnection: \xa2", b"400"),
        (b"Host: x\r\nSec-WebSocket-Version: 7", b"400"),
    ],
)
def test_headers_that_are_no_text_harm_nobody(node: Alone, header: bytes, code: bytes) -> None:
    handshake = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nUpgrade: websocket\r\n"
    for given in (b"Connection: Upgrade", b"Sec-WebSocket-Version: 13"):
        if given.partition(b":")[0] not in header:
            handshake += given + b"\r\n"
    answer = Browser(node).send(b"GET /v3/watch HTTP/1.1\r\n" + header + b"\r\n" + handshake + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 " + code)


def test_empty_fragments_are_not_kept(node: Alone) -> None:
    socket = Socket(node, "/v3/lease/keepalive")
    socket.browser.send(b"\x01\x80\0\0\0\0" + b"\x00\x80\0\0\0\0" * 1_000)
    connection = node.replica.etcd._connections[socket.browser.number]
    assert isinstance(connection, GatewayConnection)
    assert connection._websocket is not None
    assert connection._websocket._message == b""
    socket.browser.send(b"\x80\x88\0\0\0\0" + b'{"ID":7}')
    socket.look()
    assert [line["result"]["ID"] for line in socket.lines] == ["7"]
