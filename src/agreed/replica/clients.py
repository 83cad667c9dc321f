"""One connection of a client, as the replica sees it: who it is, and what it still waits for.

Replies of a connection leave in the order of its requests, and a read sees exactly the writes which that
connection asked for before it.  So each connection has a queue of requests that cannot be answered yet; each
has a `Gate`:

    WRITE        opens never: the result of the command takes the request out of the queue
    READ         open always: it only waits for what stands before it
    a barrier    opens when a read index is confirmed and applied (`reads.py`)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from agreed.replica.etcd.waiting import CommandTicket
from agreed.store.records import Credential
from agreed.store.results import Result
from agreed.types import Instant, LeaseId
from agreed.wire.zookeeper.connection import ServerConnection
from agreed.wire.zookeeper.sasl import DigestMd5Server


class Gate:
    """Whether a queued request may be answered once it stands at the head."""

    __slots__ = ("is_open",)

    def __init__(self, is_open: bool) -> None:
        self.is_open = is_open


WRITE = Gate(False)
READ = Gate(True)


class Client:
    """`lease` is the session, 0 before the handshake; `ready` while requests may be looked at as they come;
    `closed` once nothing may be written to it any more."""

    __slots__ = (
        "address",
        "certificate",
        "closed",
        "closing",
        "connection",
        "credentials",
        "heard_at",
        "id",
        "last_operation",
        "last_xid",
        "lease",
        "opened_at",
        "out",
        "out_bytes",
        "paused",
        "port",
        "queue",
        "read_only",
        "ready",
        "received",
        "sasl",
        "sent",
        "ttl_ms",
    )

    def __init__(
        self,
        identifier: int,
        address: str,
        port: int,
        certificate: str | None,
        connection: ServerConnection,
        now: Instant,
    ) -> None:
        self.id = identifier
        self.address = address
        self.port = port
        self.certificate = certificate
        self.connection = connection
        self.opened_at = now
        self.heard_at = now
        self.lease: LeaseId = 0
        self.ttl_ms = 0
        self.credentials: tuple[Credential, ...] = ()
        self.sasl: DigestMd5Server | None = None
        """An exchange under way."""
        self.read_only = False
        self.ready = False
        self.queue: deque[tuple[int, Any, Gate]] = deque()
        self.out: list[bytes] = []
        self.out_bytes = 0
        self.received = 0
        self.sent = 0
        self.last_xid = 0
        self.last_operation: object = None
        self.paused = False
        self.closing = False
        self.closed = False


class Errand:
    """A command of the replica itself; takes the place of a client among the tickets.

    `done` is called with its result; with None where it was applied, and the result is lost: a snapshot came
    here instead of it."""

    __slots__ = ("closed", "done")

    def __init__(self, done: Callable[[Result | None], None] | None = None) -> None:
        self.closed = True
        self.done = done

    def lost(self) -> None:
        if self.done is not None:
            self.done(None)


Ticket = Client | Errand | CommandTicket
