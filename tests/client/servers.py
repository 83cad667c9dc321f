"""Servers in the test's own event loop: one that says what the test tells it, and one with a whole store."""
from __future__ import annotations

import asyncio
import itertools
import random
import ssl as tls
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self

from agreed.store.commands import AttachLease, GrantLease
from agreed.store.machine import Store
from agreed.store.records import Credential
from agreed.store.results import LeaseResult, Refusal
from agreed.torture.processes import LOOPBACK
from agreed.wire.zookeeper.connection import ServerConnection
from agreed.wire.zookeeper.messages import (
    XID_PING,
    CloseSessionRequest,
    ConnectRequest,
    ConnectResponse,
    ErrorCode,
    PingRequest,
)
from agreed.wire.zookeeper.reads import READS, answer
from agreed.wire.zookeeper.reply_codec import encode_connect_response, header_reply
from agreed.wire.zookeeper.translate import command_for, reply_for
from agreed.wire.zookeeper.watches import Watches

Answers = Callable[[int, object], bytes | None]
"""xid and request -> the bytes of the reply; None: hang up instead."""


class Server(ABC):
    """On a port of its own, as long as its context lasts."""

    def __init__(self, ssl: tls.SSLContext | None = None) -> None:
        self._ssl = ssl
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"agreed://{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0, ssl=self._ssl)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()

    @abstractmethod
    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""


class ScriptedServer(Server):
    """Answers handshakes and pings itself, and the rest as `answers` says."""

    def __init__(self, answers: Answers, session_timeout_ms: int = 10_000) -> None:
        super().__init__()
        self.answers = answers
        self.greetings: list[ConnectRequest] = []
        self._timeout_ms = session_timeout_ms

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        machine = ServerConnection()
        try:
            while data := await reader.read(65536):
                for xid, request in machine.receive_data(data):
                    reply = self._reply(xid, request)
                    if reply is None:
                        return
                    writer.write(reply)
        except ConnectionError:
            pass
        finally:
            writer.close()

    def _reply(self, xid: int, request: object) -> bytes | None:
        if isinstance(request, ConnectRequest):
            self.greetings.append(request)
            return encode_connect_response(ConnectResponse(0, self._timeout_ms, 7, b"p" * 16, False))
        if isinstance(request, PingRequest):
            return header_reply(XID_PING, 1)
        return self.answers(xid, request)


class _Session:
    """A connection, as the store's reads see it."""

    def __init__(self, number: int, writer: asyncio.StreamWriter) -> None:
        self.id = number
        self.lease = 0
        self.credentials: tuple[Credential, ...] = ()
        self.writer = writer


class StoreServer(Server):
    """Our store behind our codecs, without a log and a quorum: thousands of things happen in a second.

    The fraction `loss` of all requests breaks the connection, one half of the writes before and one half
    after they were done."""

    def __init__(self, seed: int = 0, loss: float = 0.0, ssl: tls.SSLContext | None = None) -> None:
        super().__init__(ssl)
        self.loss = loss
        self.lost = 0
        self.store = Store()
        self._dice = random.Random(seed)
        self._sessions: dict[int, _Session] = {}
        self._numbers = itertools.count(1)
        self._watches = Watches(lambda connection, acl: True)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, trace)
        self.break_all()

    def break_all(self) -> None:
        for session in list(self._sessions.values()):
            session.writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        machine = ServerConnection()
        number = next(self._numbers)
        session = self._sessions[number] = _Session(number, writer)
        try:
            while not writer.is_closing() and (data := await reader.read(65536)):
                for xid, request in machine.receive_data(data):
                    if not self._take(session, xid, request):
                        return
        except ConnectionError:
            pass
        finally:
            del self._sessions[number]
            self._watches.drop(number)
            writer.close()

    def _take(self, session: _Session, xid: int, request: object) -> bool:
        """False: the connection is over."""
        self.store.begin(time.time_ns() // 1_000_000)
        if isinstance(request, ConnectRequest):
            return self._greet(session, request)
        if type(request) in READS:
            frames = answer(self.store, self._watches, session, xid, request)  # type: ignore[arg-type]
            return self._breaks() is False and self._write(session, frames)
        command = command_for(session.lease, request)  # type: ignore[arg-type]
        assert not isinstance(command, ErrorCode)
        when = self._breaks()
        if when == "before":
            return False
        result = self.store.execute(command)
        for connection, frame in self._watches.notify(self.store.fresh, self.store.tree.get):
            if connection in self._sessions:
                self._write(self._sessions[connection], frame)
        self.store.fresh.clear()
        if result is Refusal.LEASE_MOVED or when == "after":
            return False
        self._write(session, reply_for(xid, request, result, self.store.revision))  # type: ignore[arg-type]
        return not isinstance(request, CloseSessionRequest)

    def _breaks(self) -> str | bool:
        if self._dice.random() >= self.loss:
            return False
        self.lost += 1
        return self._dice.choice(("before", "after"))

    def _write(self, session: _Session, frames: bytes) -> bool:
        if not session.writer.is_closing():
            session.writer.write(frames)
        return True

    def _greet(self, session: _Session, request: ConnectRequest) -> bool:
        command = (
            AttachLease(request.session_id, request.timeout_ms, request.password, ())
            if request.session_id
            else GrantLease(self._dice.getrandbits(40), request.timeout_ms, self._dice.randbytes(16), ())
        )
        result = self.store.execute(command)
        assert isinstance(result, LeaseResult)
        for other in list(self._sessions.values()):
            if other.lease == result.lease:
                other.lease = 0
                other.writer.close()
        session.lease = result.lease
        response = ConnectResponse(0, result.ttl_ms, result.lease, result.secret, False)
        return self._write(session, encode_connect_response(response))
