"""A ZooKeeper client on a small asyncio socket: our own wire codecs, and nothing hidden.

Client libraries repeat requests, hide lost connections and answer from caches, each in its own way; a judge
has to know exactly what was sent and what came back.  So this one does little: it keeps a session (pings,
goes to another server when a connection is lost or silent, presents the highest zxid it has seen), sends what
it is told, and tells apart what was surely not done from what may have been.

The one liberty is pipelining: a fresh read is `sync` and the read in one packet, which servers answer in
order.  A session that expires is followed by a new one; `session` then has another name.
"""
from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

from agreed.client.connection import Connection, FromServer
from agreed.store.records import OPEN_ACL
from agreed.torture import client as outcomes
from agreed.torture.address import Address
from agreed.torture.client import Created, Listing, NotAsked, Refused, Stored, Unanswered
from agreed.wire.zookeeper.connection import Answer, Notification
from agreed.wire.zookeeper.messages import (
    XID_PING,
    CheckRequest,
    CloseSessionRequest,
    ConnectRequest,
    ConnectResponse,
    CreateMode,
    CreateRequest,
    DeleteRequest,
    ErrorCode,
    GetChildren2Request,
    GetDataRequest,
    MultiOperation,
    MultiReadRequest,
    MultiRequest,
    Op,
    PingRequest,
    Request,
    SetDataRequest,
    Stat,
    SyncRequest,
)
from agreed.wire.zookeeper.replies import (
    Create2Reply,
    ErrorReply,
    GetChildren2Reply,
    GetDataReply,
    MultiReadReply,
    MultiReply,
    Reply,
    SetDataReply,
)

ANSWER_WITHIN_S: Final = 5.0
CONNECT_WITHIN_S: Final = 1.5
CONNECTED_WITHIN_S: Final = 2.0
"""How long a request waits for a connection before it is given up, unsent."""
PAUSE_S: Final = 0.1

NO_PASSWORD: Final = bytes(16)

REASONS: Final = {
    ErrorCode.NODE_EXISTS: outcomes.EXISTS,
    ErrorCode.NO_NODE: outcomes.ABSENT,
    ErrorCode.BAD_VERSION: outcomes.VERSION,
    ErrorCode.NOT_EMPTY: outcomes.NOT_EMPTY,
}

NOT_DONE: Final = {ErrorCode.SESSION_EXPIRED, ErrorCode.SESSION_MOVED, ErrorCode.THROTTLED}
"""Answers that say that nothing was done, and nothing about the state."""

Wanted = TypeVar("Wanted")


class _Socket(Connection):
    """One connection: a future for each request."""

    def __init__(self, heard: Callable[[Request | None, Answer | Notification], None]) -> None:
        """`heard`: every message in order; an answer with its request (None: of a ping)."""
        super().__init__(self._received, self._end)
        loop = asyncio.get_running_loop()
        self.greeting: asyncio.Future[ConnectResponse] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()
        self.heard_at = loop.time()
        self._loop = loop
        self._tell = heard
        self._waiting: deque[tuple[Request, asyncio.Future[Answer]]] = deque()

    def ping(self) -> None:
        self.send([PingRequest()])

    def ask(self, requests: Sequence[Request]) -> list[asyncio.Future[Answer]]:
        """All in one packet; one future for each."""
        futures: list[asyncio.Future[Answer]] = [self._loop.create_future() for _ in requests]
        self._waiting += zip(requests, futures, strict=True)
        self.send(requests)
        return futures

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._loop.time()
        super().data_received(data)

    def _received(self, messages: Sequence[FromServer]) -> None:
        for message in messages:
            if isinstance(message, ConnectResponse):
                if not self.greeting.done():
                    self.greeting.set_result(message)
                continue
            if isinstance(message, Notification) or message.xid == XID_PING:
                self._tell(None, message)
                continue
            request, future = self._waiting.popleft()
            self._tell(request, message)
            if not future.done():
                future.set_result(message)

    def _end(self, why: str) -> None:
        """Nobody waits any longer."""
        for _, future in self._waiting:
            if not future.done():
                future.set_exception(Unanswered(why))
                future.exception()  # whoever has stopped waiting does not want to hear of it
        self._waiting.clear()
        if not self.greeting.done():
            self.greeting.set_exception(ConnectionResetError(why))
            self.greeting.exception()
        if not self.lost.done():
            self.lost.set_result(None)


class Listener(Protocol):
    """Who wants to know everything that happens on the connection, in its order."""

    def connected(self) -> Sequence[Request]:
        """A new connection; what is to be asked on it first."""
        ...

    def answered(self, request: Request, answer: Answer) -> None: ...

    def notified(self, notification: Notification) -> None: ...

    def lost(self) -> None:
        """Nothing more is heard on this connection."""
        ...


class ZooKeeperClient:
    """Implements `client.Client`.  `addresses`: at which servers may be reached."""

    def __init__(self, name: str, addresses: Sequence[Address], dice: random.Random, timeout_ms: int) -> None:
        self.name = name
        self.listener: Listener | None = None
        self._addresses = list(addresses)
        self._dice = dice
        self._wanted_timeout_ms = timeout_ms
        self._timeout_s = timeout_ms / 1000
        self._session_id = 0
        self._password = NO_PASSWORD
        self._last_zxid = 0
        self._sessions = 0
        self._socket: _Socket | None = None
        self._connected = asyncio.Event()
        self._keeper = asyncio.ensure_future(self._keep())

    @property
    def session(self) -> str:
        return f"{self.name}/{self._sessions}"

    @property
    def connected(self) -> bool:
        return self._connected.is_set()

    # --- the session ------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Be connected to some server, always."""
        while True:
            socket = await self._connect(self._dice.choice(self._addresses))
            if socket is None:
                await asyncio.sleep(PAUSE_S * (0.5 + self._dice.random()))
                continue
            self._socket = socket
            first = self.listener.connected() if self.listener is not None else ()
            if first:
                socket.ask(first)
            self._connected.set()
            try:
                await self._stay(socket)
            finally:
                self._connected.clear()
                self._socket = None
                socket.break_off("the client went to another server")
                if self.listener is not None:
                    self.listener.lost()

    async def _connect(self, address: Address) -> _Socket | None:
        loop = asyncio.get_running_loop()
        socket: _Socket | None = None
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                _, socket = await loop.create_connection(
                    lambda: _Socket(self._heard),
                    address.host,
                    address.port,
                    local_addr=address.caller,
                )
                socket.greet(
                    ConnectRequest(
                        0, self._last_zxid, self._wanted_timeout_ms, self._session_id, self._password, False
                    )
                )
                response = await socket.greeting
        except (OSError, TimeoutError, ConnectionError):
            if socket is not None:
                socket.break_off("no answer to the handshake")
            return None
        if response.timeout_ms <= 0:
            self._session_id, self._password = 0, NO_PASSWORD
            socket.break_off("the session has expired")
            return None
        if self._session_id != response.session_id:
            self._sessions += 1
        self._session_id, self._password = response.session_id, response.password
        self._timeout_s = response.timeout_ms / 1000
        return socket

    async def _stay(self, socket: _Socket) -> None:
        """Ping, until the connection is lost or silent for two thirds of the session's time."""
        loop = asyncio.get_running_loop()
        while not socket.lost.done():
            await asyncio.wait({socket.lost}, timeout=self._timeout_s / 4)
            if loop.time() - socket.heard_at > self._timeout_s * 2 / 3:
                return
            socket.ping()

    @property
    def last_zxid(self) -> int:
        """The newest change of which this client has heard."""
        return self._last_zxid

    def _heard(self, request: Request | None, message: Answer | Notification) -> None:
        if message.zxid > 0:
            self._last_zxid = max(self._last_zxid, message.zxid)
        if self.listener is None:
            return
        if isinstance(message, Notification):
            self.listener.notified(message)
        elif request is not None:
            self.listener.answered(request, message)

    async def close(self) -> None:
        with contextlib.suppress(NotAsked, Unanswered, Refused):
            await self.ask(CloseSessionRequest(), within_s=1.0)
        self._keeper.cancel()
        await asyncio.gather(self._keeper, return_exceptions=True)

    def disconnect(self) -> None:
        if self._socket is not None:
            self._socket.break_off("the client hung up")

    async def vanish(self, seconds: float) -> None:
        self._keeper.cancel()
        await asyncio.gather(self._keeper, return_exceptions=True)
        await asyncio.sleep(seconds)
        self._keeper = asyncio.ensure_future(self._keep())

    # --- requests ---------------------------------------------------------------------------------------

    async def ask(self, *requests: Request, within_s: float = ANSWER_WITHIN_S) -> list[Answer]:
        """The answers, in order, with their errors in them."""
        try:
            async with asyncio.timeout(CONNECTED_WITHIN_S):
                await self._connected.wait()
        except TimeoutError:
            raise NotAsked("no connection to any server") from None
        socket = self._socket
        assert socket is not None
        futures = socket.ask(requests)
        try:
            async with asyncio.timeout(within_s):
                return [await future for future in futures]
        except TimeoutError:
            socket.break_off("no answer in time")
            raise Unanswered("no answer in time") from None

    async def _done(self, kind: type[Wanted], *requests: Request) -> tuple[Wanted, int]:
        """The reply to the last request, and the zxid with it.  Whatever goes before must succeed."""
        *before, last = await self.ask(*requests)
        for answer in before:
            if isinstance(answer.reply, ErrorReply):
                raise NotAsked(f"sync was refused with {answer.reply.error}")
        return _expected(kind, last.reply), last.zxid

    def _freshly(self, path: str, request: Request, fresh: bool) -> tuple[Request, ...]:
        return (SyncRequest(path.encode()), request) if fresh else (request,)

    async def create(
        self, path: str, value: str, *, ephemeral: bool = False, sequential: bool = False
    ) -> Created:
        mode = CreateMode(int(ephemeral) + 2 * int(sequential))
        request = CreateRequest(path.encode(), value.encode(), OPEN_ACL, mode, op=Op.CREATE2)
        reply, _ = await self._done(Create2Reply, request)
        return Created(reply.path.decode(), reply.stat.created_zxid)

    async def read(self, path: str, *, fresh: bool) -> Stored | None:
        try:
            reply, zxid = await self._done(
                GetDataReply, *self._freshly(path, GetDataRequest(path.encode(), False), fresh)
            )
        except Refused as refused:
            if refused.reason == outcomes.ABSENT:
                return None
            raise
        return _stored(reply.data, reply.stat, zxid)

    async def write(self, path: str, value: str, version: int | None = None) -> Stored:
        request = SetDataRequest(path.encode(), value.encode(), -1 if version is None else version)
        reply, zxid = await self._done(SetDataReply, request)
        return _stored(value.encode(), reply.stat, zxid)

    async def remove(self, path: str, version: int | None = None) -> int:
        [answer] = await self.ask(DeleteRequest(path.encode(), -1 if version is None else version))
        raise_if_refused(answer.reply)
        return answer.zxid

    async def children(self, path: str, *, fresh: bool) -> Listing:
        reply, zxid = await self._done(
            GetChildren2Reply, *self._freshly(path, GetChildren2Request(path.encode(), False), fresh)
        )
        created = (reply.stat.children_version + reply.stat.children) // 2
        return Listing(tuple(sorted(name.decode() for name in reply.children)), created, zxid)

    async def read_many(self, paths: Sequence[str], *, fresh: bool) -> list[Stored | None]:
        request = MultiReadRequest(tuple(GetDataRequest(path.encode(), False) for path in paths))
        reply, zxid = await self._done(MultiReadReply, *self._freshly(paths[0], request, fresh))
        found: list[Stored | None] = []
        for result in reply.results:
            if isinstance(result, GetDataReply):
                found.append(_stored(result.data, result.stat, zxid))
            elif isinstance(result, ErrorReply) and result.error == ErrorCode.NO_NODE:
                found.append(None)
            else:
                raise NotAsked(f"a read in a multi was answered with {result}")
        return found

    async def transact(self, guards: dict[str, int], writes: dict[str, str]) -> int:
        operations: list[MultiOperation] = [
            CheckRequest(path.encode(), version) for path, version in guards.items() if path not in writes
        ]
        operations += [
            SetDataRequest(path.encode(), value.encode(), guards.get(path, -1))
            for path, value in writes.items()
        ]
        reply, zxid = await self._done(MultiReply, MultiRequest(tuple(operations)))
        for result in reply.results:
            if isinstance(result, ErrorReply) and result.error not in (
                ErrorCode.OK,
                ErrorCode.RUNTIME_INCONSISTENCY,
            ):
                raise_if_refused(result)
        if any(isinstance(result, ErrorReply) for result in reply.results):
            raise Unanswered("a multi failed, and nobody says why")
        changed = [result.stat.modified_zxid for result in reply.results if isinstance(result, SetDataReply)]
        return changed[0] if changed else zxid


def _stored(data: bytes | None, stat: Stat, zxid: int) -> Stored:
    return Stored((data or b"").decode(), stat.version, stat.modified_zxid, zxid)


def raise_if_refused(reply: Reply) -> None:
    """`Refused`, `NotAsked` or `Unanswered`, where the reply is an error."""
    if isinstance(reply, ErrorReply):
        try:
            error = ErrorCode(reply.error)
        except ValueError:
            raise Unanswered(f"an error that nobody knows: {reply.error}") from None
        if error in REASONS:
            raise Refused(REASONS[error])
        if error in NOT_DONE:
            raise NotAsked(f"the server said {error.name}")
        raise Unanswered(f"the server said {error.name}")


def _expected(kind: type[Wanted], reply: Reply) -> Wanted:
    raise_if_refused(reply)
    if not isinstance(reply, kind):
        raise Unanswered(f"answered with {type(reply).__name__}")
    return reply
