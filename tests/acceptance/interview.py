"""Asking one server one question after the other, and saying in words what it answers.

An answer in words has no zxids, times or session ids of its own: a zxid is told by its place (`=header`,
`earlier`, `later`), a session by whose it is, and the root below which everything happens is `~`.
"""
from __future__ import annotations

import time

from tests.acceptance.fields import Field, Nature, event_fields
from tests.acceptance.jute import Reader, Undecodable
from tests.acceptance.raw_client import NOTIFICATION, Closed, RawClient, Reply, Silent, connect
from tests.acceptance.requests import AnyRequest

QUIET_S = 0.4
PATIENCE_S = 30.0
LONGEST_MS = 40_000
"""Of a session, which says nothing while others are asked.  Its end would be a write that nobody expects."""


class Interview:
    """Who asks: the port, the root below which everything happens, and the lines so far."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.root = f"/questions-{time.time_ns()}"
        self.lines: list[str] = []

    def client(self) -> RawClient:
        return connect(self.port, timeout_s=PATIENCE_S, timeout_ms=LONGEST_MS)

    def note(self, question: str, answer: object) -> None:
        self.lines.append(f"{question} -> {answer}")

    # --- asking

    def do(self, client: RawClient, request: AnyRequest) -> Reply:
        """A request whose answer is not of interest."""
        return client.call(request.code, self.body(client, request), xid=request.xid)

    def body(self, client: RawClient, request: AnyRequest) -> bytes:
        return request.body(self.root, client.last_zxid)

    def ask(self, question: str, client: RawClient, request: AnyRequest) -> None:
        client.send(request.code, self.body(client, request), xid=request.xid)
        self.hear(question, client, request)

    def send_together(self, client: RawClient, requests: tuple[AnyRequest, ...]) -> None:
        """All of them in one packet."""
        frames = []
        for request in requests:
            xid = client.next_xid() if request.xid is None else request.xid
            frames.append(RawClient.request(xid, request.code, self.body(client, request)))
        client.send_bytes(b"".join(frames))

    def hear(self, question: str, client: RawClient, request: AnyRequest | None = None) -> None:
        """The next thing the server says, whatever it is."""
        try:
            reply = client.receive()
        except Closed:
            self.note(question, "closed")
        except Silent:
            self.note(question, "nothing")
        else:
            self.note(question, self.in_words(client, reply, request))

    def hear_nothing(self, question: str, client: RawClient) -> None:
        client.set_timeout(QUIET_S)
        self.hear(question, client)
        client.set_timeout(PATIENCE_S)

    # --- saying it in words

    def in_words(self, client: RawClient, reply: Reply, request: AnyRequest | None) -> str:
        if reply.xid == NOTIFICATION:
            about = "with a zxid" if reply.zxid > 0 else f"zxid {reply.zxid}"
            fields = [f for f in event_fields(reply.zxid, reply.body) if f.name in ("event", "path", "state")]
            return f"notification, {about}, {self.list_of(client, reply, fields)}"
        xid = f"xid {reply.xid}, " if reply.xid < 0 else ""
        zxid = f"zxid {reply.zxid}, " if reply.zxid <= 0 else ""
        if reply.err or request is None:
            return f"{xid}{zxid}err {reply.err}" + (f", body {reply.body.hex()}" if reply.body else "")
        reader = Reader(reply.body)
        try:
            fields = list(request.reply(reader))
            reader.end()
        except Undecodable:
            return f"{xid}{zxid}err 0, undecodable {reply.body.hex()}"
        return f"{xid}{zxid}err 0" + (", " if fields else "") + self.list_of(client, reply, fields)

    def list_of(self, client: RawClient, reply: Reply, fields: list[Field]) -> str:
        return ", ".join(f"{field.name} {self.value(client, reply, field)}" for field in fields)

    def value(self, client: RawClient, reply: Reply, field: Field) -> str:
        value = field.value
        if field.nature is Nature.ZXID and value > 0:
            return "=header" if value == reply.zxid else "earlier" if value < reply.zxid else "later"
        if field.nature is Nature.TIME:
            return "now" if abs(value[1] - time.time() * 1000) < 60_000 else str(value[1])
        if field.nature is Nature.SESSION:
            own = client.session.id if client.session else None
            return "nobody" if value == 0 else "own" if value == own else "somebody"
        if field.nature is Nature.NAMES:
            return f"[{', '.join(sorted(self.placeless(name) for name in value))}]"
        return self.placeless(value)

    def placeless(self, value: object) -> str:
        return repr(value).replace(self.root, "~")
