"""A ZooKeeper server of one node, without consensus, disk or sockets, for tests to speak to in bytes.

Bytes go through the real codec, translation, store and watch table.  What a replica adds (an order agreed by
many) is replaced by the simplest thing that could be: requests are done at once, in the order of the calls.
"""
from __future__ import annotations

import struct
from typing import NamedTuple

from agreed.store.access import allowed
from agreed.store.commands import AddCredential, GrantLease
from agreed.store.machine import Store
from agreed.store.records import OPEN_ACL, READ, Acl, Credential
from agreed.store.results import Result
from agreed.wire.zookeeper.connection import ServerConnection
from agreed.wire.zookeeper.credentials import from_address, from_auth_packet, with_added
from agreed.wire.zookeeper.messages import AuthRequest, ConnectRequest, ErrorCode, Malformed, UnknownOperation
from agreed.wire.zookeeper.reads import READS, answer
from agreed.wire.zookeeper.reply_codec import header_reply
from agreed.wire.zookeeper.request_codec import encode_connect
from agreed.wire.zookeeper.translate import command_for, reply_for
from agreed.wire.zookeeper.watches import Watches

SUPER_DIGEST = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="
START_MS = 1_795_329_307_000


class Frame(NamedTuple):
    xid: int
    zxid: int
    error: int
    body: bytes


class OneNode:
    def __init__(self, watch_limit: int = 1000) -> None:
        self.store = Store()
        self.store.begin(START_MS)
        self.watches = Watches(self._may_read, watch_limit)
        self.clients: dict[int, Client] = {}

    def connect(self) -> Client:
        number = len(self.clients) + 1
        client = self.clients[number] = Client(self, number)
        self.execute(GrantLease(client.lease, 10_000, bytes(16), client.credentials))
        return client

    def execute(self, command: object) -> Result:
        """Time goes on by a millisecond a command, and events reach their watchers before any reply."""
        self.store.begin(self.store.stamp_ms + 1)
        result = self.store.execute(command)  # type: ignore[arg-type]
        for number, frame in self.watches.notify(self.store.fresh, self.store.tree.get):
            self.clients[number].inbox += frame
        self.store.fresh.clear()
        return result

    def _may_read(self, connection: int, acl: Acl) -> bool:
        return allowed(acl, READ, self.clients[connection].credentials)


class Client:
    def __init__(self, server: OneNode, number: int) -> None:
        self.server = server
        self.id = number
        self.lease = 0x1000 + number
        self.credentials: tuple[Credential, ...] = from_address("127.0.0.1")
        self.inbox = b""
        self.closed = False
        self._connection = ServerConnection()
        self._connection.receive_data(encode_connect(ConnectRequest(0, 0, 10_000, 0, bytes(16), False)))

    def send(self, xid: int, op: int, body: bytes = b"") -> None:
        frame = struct.pack("!iii", 8 + len(body), xid, op) + body
        for number, request in self._connection.receive_data(frame):
            reply = self._reply(number, request)
            self.inbox += reply  # not before events of the request have been put there

    def receive(self) -> Frame | None:
        """The next frame that was sent to this client; None: there is none."""
        if not self.inbox:
            return None
        length, xid, zxid, error = struct.unpack_from("!iiqi", self.inbox)
        body, self.inbox = self.inbox[20 : 4 + length], self.inbox[4 + length :]
        return Frame(xid, zxid, error, body)

    def call(self, xid: int, op: int, body: bytes = b"") -> Frame:
        """The next frame after a request: its reply, if no event was on its way."""
        self.send(xid, op, body)
        frame = self.receive()
        assert frame is not None
        return frame

    def _reply(self, xid: int, request: object) -> bytes:
        server = self.server
        store = server.store
        if isinstance(request, Malformed):
            return header_reply(xid, store.revision, ErrorCode.MARSHALLING_ERROR)
        if isinstance(request, UnknownOperation):
            self.closed = True
            return header_reply(xid, -1, ErrorCode.UNIMPLEMENTED)
        if isinstance(request, AuthRequest):
            return self._authenticate(xid, request)
        if type(request) in READS:
            return answer(store, server.watches, self, xid, request)  # type: ignore[arg-type]
        command = command_for(self.lease, request)  # type: ignore[arg-type]
        if isinstance(command, ErrorCode):
            return header_reply(xid, store.revision, command)
        result = server.execute(command)
        return reply_for(xid, request, result, store.revision)  # type: ignore[arg-type]

    def _authenticate(self, xid: int, request: AuthRequest) -> bytes:
        proven = from_auth_packet(request.scheme, request.auth, "127.0.0.1", SUPER_DIGEST)
        if proven is None:
            self.closed = True
            return header_reply(xid, 0, ErrorCode.AUTH_FAILED)
        self.credentials = with_added(self.credentials, proven)
        for credential in proven:
            self.server.execute(AddCredential(self.lease, credential))
        return header_reply(xid, 0)


# --- bodies of requests, written by hand ------------------------------------------------------------------


def text(value: str | bytes | None) -> bytes:
    if value is None:
        return struct.pack("!i", -1)
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("!i", len(raw)) + raw


def acl(*lines: tuple[int, str, str | None]) -> bytes:
    return struct.pack("!i", len(lines)) + b"".join(
        struct.pack("!i", permissions) + text(scheme) + text(id) for permissions, scheme, id in lines
    )


WORLD = acl(*OPEN_ACL)


def create(
    path: str | None, data: bytes | None = b"", lines: bytes = WORLD, flags: int = 0, ttl: int | None = None
) -> bytes:
    body = text(path) + text(data) + lines + struct.pack("!i", flags)
    return body if ttl is None else body + struct.pack("!q", ttl)


def path_and_version(path: str, version: int = -1) -> bytes:
    return text(path) + struct.pack("!i", version)


def set_data(path: str, data: bytes | None, version: int = -1) -> bytes:
    return text(path) + text(data) + struct.pack("!i", version)


def read(path: str, watch: bool = False) -> bytes:
    return text(path) + struct.pack("!?", watch)


def path_and_int(path: str, number: int) -> bytes:
    return text(path) + struct.pack("!i", number)


def operation(op: int, body: bytes) -> bytes:
    """One operation of a multi; the row ends with `END`."""
    return struct.pack("!i?i", op, False, -1) + body


END = struct.pack("!i?i", -1, True, -1)


def vector(*paths: str) -> bytes:
    return struct.pack("!i", len(paths)) + b"".join(text(path) for path in paths)
