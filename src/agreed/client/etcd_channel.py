"""Calls to an etcd, or to a cluster of this package by etcd's protocol: asyncio around `wire.grpc`.

    async with EtcdChannel(["127.0.0.1:2379", "127.0.0.1:3379"]) as channel:
        reply = await channel.call("/etcdserverpb.KV/Put", PutRequest(b"key", b"value"))
        stream = await channel.stream("/etcdserverpb.Watch/Watch")
        stream.send(WatchRequest(create_request=WatchCreateRequest(b"key")))
        response = await stream.receive()

Messages are those of `agreed.wire.etcd.messages`; which one a path wants and gives says `wire.etcd.services`.

One connection at a time, to one of the addresses; when it breaks, the next one.  A server that says nothing
for a while although something is asked of it is pinged, and its connection broken where it does not answer:
a machine that lost its power breaks none by itself.  A call whose answer is lost fails, unless it is
`repeatable` (a read, or guarded so that doing it twice is doing it once): then it is made again, elsewhere,
until its time is over.  Streams end with their connection, and whoever wants to go on opens a new one.  With
a user, the password is shown once, and the token that comes back with every call; a token that the server has
forgotten is asked for anew.

A stream that nobody reads stops the whole channel, rather than fill the memory: who makes calls while its
messages wait gives it a channel of its own.
"""

from __future__ import annotations

import asyncio
import ssl as tls
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self, cast

import msgspec

from agreed.client.errors import ClientError
from agreed.client.url import Server
from agreed.errors import MalformedInput
from agreed.wire.etcd.messages import AuthenticateRequest
from agreed.wire.etcd.protobuf import decode, encode
from agreed.wire.etcd.services import METHODS
from agreed.wire.grpc.client import ClientConnection
from agreed.wire.grpc.events import Answer, Finished, FromServer, Goaway
from agreed.wire.grpc.status import Code, Status
from agreed.wire.http2.limits import Limits

LIMITS: Final = Limits(
    max_message_bytes=512 * 1024 * 1024,
    max_partial_bytes=1024 * 1024 * 1024,
    stream_window_bytes=8 * 1024 * 1024,
)
"""A range or a revision may be one message, of any size; we asked for it."""

_PING: Final = b"agreed.."

CONNECT_TIMEOUT_S: Final = 3.0
FIRST_WAIT_S: Final = 0.05
LONGEST_WAIT_S: Final = 1.0

PING_AFTER_S: Final = 3.0
PING_INTERVAL_S: Final = 5.5
PING_ANSWERED_WITHIN_S: Final = 3.0
"""Of silence while something is asked; from one ping to the next, for etcd ends the connection with whoever
pings more often than every five seconds; and what a living server takes at most."""

UNREAD_MOST: Final = 256
"""Messages of a stream that nobody has received yet; beyond that the connection is not read."""

REFUSALS: Final = frozenset(
    {
        Code.INVALID_ARGUMENT,
        Code.NOT_FOUND,
        Code.ALREADY_EXISTS,
        Code.PERMISSION_DENIED,
        Code.RESOURCE_EXHAUSTED,
        Code.FAILED_PRECONDITION,
        Code.OUT_OF_RANGE,
        Code.UNIMPLEMENTED,
        Code.UNAUTHENTICATED,
    }
)
"""What a server says before it does anything.  After the others it may have been done."""


class CallFailed(ClientError):
    """The call ended with `status`, which is no OK; of a lost connection `UNAVAILABLE`."""

    def __init__(self, path: str, status: Status, *, surely_not_done: bool) -> None:
        maybe = "" if surely_not_done else "; it may have been done"
        super().__init__(f"{path.rpartition('/')[2]}: {status.message or status.code.name}{maybe}")
        self.path = path
        self.status = status
        self.surely_not_done = surely_not_done


class EtcdStream:
    """One call with many messages each way; made by `EtcdChannel.stream`."""

    def __init__(self, path: str, connection: _Connection, number: int) -> None:
        self._path = path
        self._reply = METHODS[path].reply
        self.connection = connection
        self._number = number
        self._unread: deque[bytes] = deque()
        self._end: CallFailed | None = None
        self._arrived = asyncio.Event()
        self._over = False

    def send(self, message: msgspec.Struct) -> None:
        """To whom nothing can be said any more, nothing is said; `receive` tells why."""
        self.connection.send(self._number, encode(message))

    async def receive(self) -> Any:
        """The next message; None once the server has said its last.  Raises `CallFailed`."""
        while not self._unread:
            if self._end is not None:
                raise self._end
            if self._over:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        message = self._unread.popleft()
        if len(self._unread) < UNREAD_MOST:
            self.connection.read_on(self)
        try:
            return decode(self._reply, message)
        except MalformedInput as error:
            self.close()
            raise _no_sense(self._path, error) from error

    @property
    def unread(self) -> int:
        """How many messages `receive` would give at once."""
        return len(self._unread)

    def close(self) -> None:
        self._over = True
        self.connection.cancel(self._number)
        self.connection.read_on(self)
        self._arrived.set()

    # --- for the connection alone ---

    def came(self, message: bytes) -> None:
        self._unread.append(message)
        self._arrived.set()
        if len(self._unread) >= UNREAD_MOST:
            self.connection.do_not_read(self)

    def finished(self, end: Finished) -> None:
        self._over = True
        if end.status.code is not Code.OK:
            self._end = _failure(self._path, end)
        self._arrived.set()


class _Unary:
    """One message each way."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._message: bytes | None = None

    def came(self, message: bytes) -> None:
        self._message = message

    def finished(self, end: Finished) -> None:
        if self.answer.done():
            return
        if end.status.code is not Code.OK:
            self.answer.set_exception(_failure(self.path, end))
        else:
            self.answer.set_result(self._message or b"")


def _failure(path: str, end: Finished) -> CallFailed:
    """A code that we gave it ourselves, as where an answer is too large for us, is no word of the server."""
    said = end.status.code in REFUSALS and not end.unsaid
    return CallFailed(path, end.status, surely_not_done=end.refused or said)


def _no_sense(path: str, error: MalformedInput) -> CallFailed:
    status = Status(Code.INTERNAL, f"what the server said makes no sense: {error}")
    return CallFailed(path, status, surely_not_done=False)


class _Connection(asyncio.Protocol):
    """One socket; all that is said in one turn of the event loop leaves in one packet."""

    def __init__(self, authority: str, scheme: str) -> None:
        self.machine = ClientConnection(LIMITS, authority, scheme)
        self.usable = True
        self._calls: dict[int, EtcdStream | _Unary] = {}
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._write_due = False
        self._full: set[EtcdStream] = set()
        self._heard_at = 0.0
        self._pinged_at = -PING_INTERVAL_S
        self._look_at_silence: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._write_soon()

    def _write_soon(self) -> None:
        if not self._write_due:
            self._write_due = True
            self._loop.call_soon(self._write)

    def _write(self) -> None:
        self._write_due = False
        data = self.machine.take()
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def ask(self, path: str, metadata: Mapping[str, str], message: bytes, timeout_ms: int) -> bytes:
        number = self._begin(path, metadata, message, timeout_ms)
        call = self._calls[number] = _Unary(path)
        try:
            return await call.answer
        finally:
            self.cancel(number)

    @property
    def idle(self) -> bool:
        return not self._calls

    def stream(self, path: str, metadata: Mapping[str, str]) -> EtcdStream:
        number = self._begin(path, metadata, None, None)
        call = self._calls[number] = EtcdStream(path, self, number)
        return call

    def _begin(
        self, path: str, metadata: Mapping[str, str], message: bytes | None, timeout_ms: int | None
    ) -> int:
        self._write_soon()
        if self._look_at_silence is None:
            self._heard_at = self._loop.time()  # nothing was asked before: it had no reason to speak
            self._look_at_silence = self._loop.call_at(self._heard_at + PING_AFTER_S, self._is_it_silent)
        return self.machine.call(path, metadata, message, timeout_ms, message is not None)

    def _is_it_silent(self) -> None:
        look, self._look_at_silence = self._look_at_silence, None
        if look is None or not self._calls or self._transport is None:
            return
        now = self._loop.time()
        if self._full:
            self._heard_at = now  # it is we who do not listen
        if self._heard_at < self._pinged_at and now - look.when() > PING_ANSWERED_WITHIN_S / 2:
            self._pinged_at = now  # we stood still, and perhaps the server did with us: it has its time again
        if self._heard_at < self._pinged_at <= now - PING_ANSWERED_WITHIN_S:
            self.close("the server does not answer")
            return
        if now >= max(self._heard_at + PING_AFTER_S, self._pinged_at + PING_INTERVAL_S):
            self._pinged_at = now
            self.machine.ping(_PING)
            self._write_soon()
        if self._heard_at < self._pinged_at:
            again_at = self._pinged_at + PING_ANSWERED_WITHIN_S
        else:
            again_at = max(self._heard_at + PING_AFTER_S, self._pinged_at + PING_INTERVAL_S)
        self._look_at_silence = self._loop.call_at(again_at, self._is_it_silent)

    def send(self, number: int, message: bytes) -> None:
        if number in self._calls:
            self.machine.send(number, message)
            self._write_soon()

    def cancel(self, number: int) -> None:
        if self._calls.pop(number, None) is not None:
            self.machine.cancel(number)
            self._write_soon()

    def do_not_read(self, stream: EtcdStream) -> None:
        if not self._full and self._transport is not None:
            self._transport.pause_reading()
        self._full.add(stream)

    def read_on(self, stream: EtcdStream) -> None:
        if stream in self._full:
            self._full.discard(stream)
            if not self._full and self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        try:
            events = self.machine.receive_data(data, int(self._heard_at * 1000))
        except MalformedInput as error:
            self._write()
            self.close(f"what the server said makes no sense: {error}")
            return
        for event in events:
            self._happened(event)
        self._write_soon()

    def _happened(self, event: FromServer) -> None:
        match event:
            case Answer(number, message):
                if (call := self._calls.get(number)) is not None:
                    call.came(message)
            case Finished(number):
                if (call := self._calls.pop(number, None)) is not None:
                    call.finished(event)
            case Goaway():
                self.usable = False

    def close(self, why: str = "the channel was closed") -> None:
        if self._transport is not None:
            self._transport.abort()
        self._end(why)

    def connection_lost(self, error: Exception | None) -> None:
        self._end("the connection was lost")

    def _end(self, why: str) -> None:
        self.usable = False
        if self._look_at_silence is not None:
            self._look_at_silence.cancel()
            self._look_at_silence = None
        calls, self._calls = self._calls, {}
        for number, call in calls.items():
            call.finished(Finished(number, Status(Code.UNAVAILABLE, why), {}))


class EtcdChannel:
    """See above.  Must be used on the event loop on which it was made.

    `ssl` is told to offer HTTP/2 (ALPN): an etcd speaks HTTP/1 with whoever does not.  `dial` is another way
    to a server than by a socket to its host and port."""

    def __init__(
        self,
        servers: Sequence[Server | str],
        *,
        ssl: tls.SSLContext | None = None,
        user: str | None = None,
        password: str = "",
        dial: Callable[[asyncio.Protocol, str], Awaitable[None]] | None = None,
    ) -> None:
        self._connect = self._by_socket if dial is None else dial
        self._servers = deque(str(server) for server in servers)
        self._ssl = ssl
        if ssl is not None:
            ssl.set_alpn_protocols(["h2"])
        self._user = user
        self._password = password
        self._metadata: dict[str, str] = {}
        self._connection: _Connection | None = None
        self._left: list[_Connection] = []
        self._connecting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for connection in (self._connection, *self._left):
            if connection is not None:
                connection.close()

    # --- calls ------------------------------------------------------------------------------------------

    async def call(
        self, path: str, request: msgspec.Struct, *, timeout_s: float = 10.0, repeatable: bool = False
    ) -> Any:
        """The reply.  Raises `CallFailed`."""
        ends_at = asyncio.get_running_loop().time() + timeout_s
        wait_s = FIRST_WAIT_S
        while True:
            connection = None
            try:
                connection = await self._connected(path, ends_at)
                return await self._ask(connection, path, request, ends_at)
            except CallFailed as error:
                self._heed(error, connection)
                if not self._has_forgotten_us(error) and (
                    error.status.code is not Code.UNAVAILABLE or not (repeatable or error.surely_not_done)
                ):
                    raise
                if asyncio.get_running_loop().time() + wait_s >= ends_at:
                    raise
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def stream(
        self, path: str, *, timeout_s: float = 10.0, metadata: Mapping[str, str] | None = None
    ) -> EtcdStream:
        """A new stream.  Raises `CallFailed` where nobody can be reached; a refusal is what it receives."""
        connection = await self._connected(path, asyncio.get_running_loop().time() + timeout_s)
        return connection.stream(path, {**self._metadata, **(metadata or {})})

    def give_up(self, stream: EtcdStream, error: CallFailed | None = None) -> None:
        """It is closed; `error` is what it ended with, None where it says nothing and that is too long.  What
        is asked next is asked elsewhere, or with a new token, where one of these may help."""
        stream.close()
        if error is None:
            self._elsewhere(stream.connection)
        else:
            self._heed(error, stream.connection)

    async def _ask(self, connection: _Connection, path: str, request: msgspec.Struct, ends_at: float) -> Any:
        left_s = ends_at - asyncio.get_running_loop().time()
        timeout_ms = max(1, int(left_s * 1000))
        try:
            async with asyncio.timeout_at(ends_at):
                message = await connection.ask(path, self._metadata, encode(request), timeout_ms)
        except TimeoutError as error:
            raise _late(path, surely_not_done=False) from error
        try:
            return decode(METHODS[path].reply, message)
        except MalformedInput as error:
            raise _no_sense(path, error) from error

    # --- connections ------------------------------------------------------------------------------------

    async def _connected(self, path: str, ends_at: float) -> _Connection:
        async with self._connecting:
            wait_s = FIRST_WAIT_S
            while (connection := self._connection) is None or not self._takes_calls(connection):
                if connection is not None:
                    self._elsewhere(connection)
                if asyncio.get_running_loop().time() >= ends_at:
                    raise _late(path, surely_not_done=True)
                try:
                    self._connection = await self._dial(ends_at)
                except (OSError, TimeoutError) as error:
                    self._servers.rotate(-1)
                    if asyncio.get_running_loop().time() + wait_s >= ends_at:
                        text = f"no server can be reached ({error or 'it took too long'})"
                        status = Status(Code.UNAVAILABLE, text)
                        raise CallFailed(path, status, surely_not_done=True) from error
                    await asyncio.sleep(wait_s)
                    wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            if self._user is not None and not self._metadata:
                await self._authenticate(connection, ends_at)
            return connection

    def _takes_calls(self, connection: _Connection) -> bool:
        return connection.usable and connection.machine.can_call

    async def _dial(self, ends_at: float) -> _Connection:
        connection = _Connection(self._servers[0], "http" if self._ssl is None else "https")
        soon = asyncio.get_running_loop().time() + CONNECT_TIMEOUT_S
        async with asyncio.timeout_at(min(ends_at, soon)):
            await self._connect(connection, self._servers[0])
        return connection

    async def _by_socket(self, made: asyncio.Protocol, server: str) -> None:
        host, _, port = server.rpartition(":")
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: made, host.strip("[]"), int(port), ssl=self._ssl)

    def _heed(self, error: CallFailed, connection: _Connection | None) -> None:
        """`connection`: None where there was none."""
        if self._has_forgotten_us(error):
            self._metadata = {}
        elif connection is not None and error.status.code in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED):
            self._elsewhere(connection)

    def _elsewhere(self, connection: _Connection) -> None:
        """This server cannot help at present; what still runs on the connection goes on.  Said once for each
        connection, however many calls have failed on it: else they would take turns through all servers."""
        if self._connection is not connection:
            return
        self._left.append(connection)
        self._connection = None
        for connection in self._left:
            if connection.idle:
                connection.close()
        self._left = [connection for connection in self._left if not connection.idle]
        self._servers.rotate(-1)

    # --- who we are -------------------------------------------------------------------------------------

    async def _authenticate(self, connection: _Connection, ends_at: float) -> None:
        assert self._user is not None
        request = AuthenticateRequest(name=self._user, password=self._password)
        try:
            reply = await self._ask(connection, "/etcdserverpb.Auth/Authenticate", request, ends_at)
        except CallFailed as error:
            if "authentication is not enabled" not in error.status.message:
                raise
            self._user = None
        else:
            self._metadata = {"token": reply.token}

    def _has_forgotten_us(self, error: CallFailed) -> bool:
        text = error.status.message
        return self._user is not None and ("invalid auth token" in text or "auth store is old" in text)


def _late(path: str, *, surely_not_done: bool) -> CallFailed:
    status = Status(Code.DEADLINE_EXCEEDED, "no answer in time")
    return CallFailed(path, status, surely_not_done=surely_not_done)
