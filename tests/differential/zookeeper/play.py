"""Plays a script on one server and writes down everything that the server said.

`Player` is split in two halves, `begin(step)` and `finish(step)`, so that two servers can work on the same
step at the same time.  What comes back is a list of `Heard`, in the order of arrival on each connection.
After a step in which a session ends, the other connections are pinged, so that the notifications caused by
its end are heard in that same step; else they are heard before the next reply on their connection, which is
where a client sees them.
"""
from __future__ import annotations

import time
from dataclasses import dataclass

from tests.acceptance.fields import Field, Nature, event_fields
from tests.acceptance.jute import Reader, Undecodable
from tests.acceptance.raw_client import NOTIFICATION, PING, Closed, RawClient, Reply, Silent
from tests.acceptance.requests import AnyRequest, CloseSession, Ping
from tests.differential.zookeeper.script import (
    CLIENTS,
    MAKE_ROOT,
    AnyStep,
    Reattach,
    Renew,
    Send,
    ZooKeeperScript,
    describe_request,
)

SESSION_TIMEOUT_MS = 30_000
WRONG_PASSWORD = b"not the password"


@dataclass(frozen=True)
class Heard:
    """One thing a server said.  `about`: the request it answers, or what else it is.  `zxid` None: has
    none.  `request` None: it answers none."""

    step: int
    client: int
    about: str
    zxid: int | None
    fields: tuple[Field, ...]
    request: AnyRequest | None = None

    @property
    def is_event(self) -> bool:
        return self.about == "notification"


@dataclass
class Seat:
    """A client: its connection, None while it has none, and what it must remember for a reconnect."""

    connection: RawClient | None = None
    session_id: int = 0
    password: bytes = bytes(16)
    last_zxid: int = 0


class Player:
    """Plays scripts on the server at `port`, one after the other."""

    def __init__(self, port: int, *, timeout_s: float = 10.0) -> None:
        self.port = port
        self._timeout_s = timeout_s
        self.seats: list[Seat] = []
        self.heard: list[Heard] = []
        self.sessions: dict[int, str] = {}
        self.started_ms = 0
        self.root = ""
        self._number = 0

    def open(self, root: str) -> None:
        """Begin a script whose paths lie under `root`: fresh clients, empty memory."""
        self.heard = []
        self.sessions = {}
        self.started_ms = int(time.time() * 1000)
        self.root = root
        self._number = -(CLIENTS + 2)  # so that the first step of the script is number 0
        self.seats = [Seat() for _ in range(CLIENTS)]
        for client in range(CLIENTS):
            self.begin(Renew(client))
            self.finish(Renew(client))
        self.begin(MAKE_ROOT)
        self.finish(MAKE_ROOT)

    def close(self) -> None:
        """End a script: what was not yet heard is heard now, and the sessions are closed."""
        self._number += 1
        for client in range(CLIENTS):
            self._flush(client)
        for seat in self.seats:
            if seat.connection is not None:
                try:
                    seat.connection.call(-11)
                except (Closed, Silent):
                    pass
                seat.connection.close()
                seat.connection = None

    # --- one step

    def begin(self, step: AnyStep) -> None:
        self._number += 1
        seat = self.seats[step.client]
        if isinstance(step, Send):
            if seat.connection is None:
                return
            packet = b"".join(self._frame(seat, request) for request in step.requests)
            try:
                seat.connection.send_bytes(packet)
            except (Closed, Silent):
                pass  # reading tells
        elif seat.connection is not None and not (isinstance(step, Reattach) and step.overlapping):
            self._flush(step.client)
            if isinstance(step, Renew):
                self._quietly_close_session(seat)
            self._drop(seat)

    def _frame(self, seat: Seat, request: AnyRequest) -> bytes:
        assert seat.connection is not None
        xid = seat.connection.next_xid() if request.xid is None else request.xid
        return RawClient.request(xid, request.code, request.body(self.root, seat.last_zxid))

    def finish(self, step: AnyStep) -> None:
        if isinstance(step, Send):
            self._finish_send(step)
        elif isinstance(step, Reattach):
            self._finish_reattach(step)
        else:
            self._connect(step.client, 0, bytes(16), "new session")
            self._flush_others(step.client)

    def _finish_send(self, step: Send) -> None:
        for request in step.requests:
            if not self._listen(step.client, request):
                break
        if any(isinstance(request, CloseSession) for request in step.requests):
            self._flush_others(step.client)

    def _flush_others(self, moving: int) -> None:
        for client, seat in enumerate(self.seats):
            if client != moving and seat.connection is not None:
                self._flush(client)

    def _finish_reattach(self, step: Reattach) -> None:
        seat = self.seats[step.client]
        old = seat.connection
        password = WRONG_PASSWORD if step.wrong_password else seat.password
        self._connect(step.client, seat.session_id, password, "reattach")
        if old is None:
            return
        if seat.connection is not old and seat.connection is not None:
            # the server must end the old connection by itself; what it still said there is heard first
            ended = self._hear_the_end_of(step.client, old)
            self._note(step.client, "old connection", None, (Field("ended", Nature.VALUE, ended),))
        old.close()

    # --- hearing

    def _note(
        self,
        client: int,
        about: str,
        zxid: int | None,
        fields: tuple[Field, ...],
        request: AnyRequest | None = None,
    ) -> None:
        self.heard.append(Heard(self._number, client, about, zxid, fields, request))

    def _connect(self, client: int, session_id: int, password: bytes, about: str) -> None:
        seat = self.seats[client]
        fields: tuple[Field, ...]
        try:
            connection = RawClient(self.port, timeout_s=self._timeout_s)
            session = connection.handshake(
                timeout_ms=SESSION_TIMEOUT_MS, session_id=session_id, password=password,
                last_zxid=seat.last_zxid
            )
        except (Closed, Silent) as problem:
            seat.connection = None
            self._note(client, about, None, (Field("failed", Nature.VALUE, type(problem).__name__),))
            return
        if session.accepted:
            self.sessions.setdefault(session.id, f"session {len(self.sessions)} of client {client}")
            seat.connection, seat.session_id, seat.password = connection, session.id, session.password
            if about == "new session":
                seat.last_zxid = 0
            connection.last_zxid = seat.last_zxid
        else:
            connection.close()
            seat.connection = None
        fields = (
            Field("timeout", Nature.VALUE, session.timeout_ms),
            Field("session", Nature.SESSION, session.id),
            Field("password length", Nature.VALUE, len(session.password)),
            Field("rest", Nature.VALUE, session.rest),
        )
        self._note(client, about, None, fields)

    def _listen(self, client: int, request: AnyRequest) -> bool:
        """Hear everything up to the reply to `request`; False when there will be no more."""
        seat = self.seats[client]
        about = describe_request(request)
        if seat.connection is None:
            self._note(client, about, None, (Field("closed", Nature.VALUE, True),))
            return False
        try:
            reply = self._hear_events(client, seat.connection)
        except (Closed, Silent) as problem:
            self._note(client, about, None, (Field(type(problem).__name__.lower(), Nature.VALUE, True),))
            self._drop(seat)
            return False
        seat.last_zxid = max(seat.last_zxid, reply.zxid)
        self._note(client, about, reply.zxid, self._reply_fields(reply, request), request)
        return True

    @staticmethod
    def _reply_fields(reply: Reply, request: AnyRequest) -> tuple[Field, ...]:
        fields = [Field("err", Nature.VALUE, reply.err)]
        if reply.xid <= 0 or request.xid is not None:
            fields.append(Field("xid", Nature.VALUE, reply.xid))
        if reply.err:
            fields.append(Field("body", Nature.VALUE, reply.body))
            return tuple(fields)
        reader = Reader(reply.body)
        try:
            fields += list(request.reply(reader))
            reader.end()
        except Undecodable as problem:
            fields.append(Field("undecodable", Nature.VALUE, str(problem)))
            fields.append(Field("body", Nature.VALUE, reply.body))
        return tuple(fields)

    def _hear_events(self, client: int, connection: RawClient) -> Reply:
        while (reply := connection.receive()).xid == NOTIFICATION:
            try:
                fields = tuple(event_fields(reply.zxid, reply.body))
            except Undecodable:
                fields = (Field("undecodable", Nature.VALUE, reply.body),)
            self._note(client, "notification", None, fields)
        return reply

    def _flush(self, client: int) -> None:
        """Hear what the server has said so far, with a ping behind it."""
        connection = self.seats[client].connection
        if connection is None:
            return
        try:
            connection.send(Ping().code, xid=PING)
            reply = self._hear_events(client, connection)
        except (Closed, Silent) as problem:
            self._note(client, "flush", None, (Field(type(problem).__name__.lower(), Nature.VALUE, True),))
            self._drop(self.seats[client])
            return
        self.seats[client].last_zxid = max(self.seats[client].last_zxid, reply.zxid)
        if reply.xid != PING:
            self._note(client, "flush", None, (Field("unasked reply", Nature.VALUE, (reply.xid, reply.err)),))

    def _hear_the_end_of(self, client: int, connection: RawClient) -> str:
        try:
            self._hear_events(client, connection)
        except Closed:
            return "closed"
        except Silent:
            return "still open"
        return "said more"

    @staticmethod
    def _quietly_close_session(seat: Seat) -> None:
        """A session left behind would expire in the middle of a later script."""
        if seat.connection is None:
            return
        try:
            seat.connection.call(CloseSession().code)
        except (Closed, Silent):
            pass

    @staticmethod
    def _drop(seat: Seat) -> None:
        if seat.connection is not None:
            seat.connection.close()
            seat.connection = None


def play_on_both(left: Player, right: Player, script: ZooKeeperScript, root: str) -> None:
    """Both servers do the same at the same time; afterwards each player's `heard` tells."""
    for player in (left, right):
        player.open(root)
    for step in script.steps:
        for player in (left, right):
            player.begin(step)
        for player in (left, right):
            player.finish(step)
    for player in (left, right):
        player.close()
