"""The synchronous face of `agreed.coordination.client`; written by `tools/write_synchronous.py`.

Each class has the methods of its namesake: what is awaited there is waited for here, on whichever thread
calls.  Do not change this file; change what it is written from.
"""

from __future__ import annotations

import ssl as tls
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self, cast

from agreed.backends.contract import Capabilities, Change, Guard, Layout
from agreed.client.loop_thread import shared
from agreed.coordination import client
from agreed.coordination.on_the_loop import OnTheLoop
from agreed.coordination.synchronous.barrier import Barrier, DoubleBarrier
from agreed.coordination.synchronous.cached_subtree import CachedSubtree
from agreed.coordination.synchronous.cell import Cell
from agreed.coordination.synchronous.config import Config
from agreed.coordination.synchronous.counter import Counter
from agreed.coordination.synchronous.election import Election
from agreed.coordination.synchronous.event import Event
from agreed.coordination.synchronous.group import Group
from agreed.coordination.synchronous.ids import IdGenerator
from agreed.coordination.synchronous.kv import KeyValues
from agreed.coordination.synchronous.latch import Latch
from agreed.coordination.synchronous.lock import Lock, ReadWriteLock
from agreed.coordination.synchronous.log import Log
from agreed.coordination.synchronous.multilock import MultiLock
from agreed.coordination.synchronous.queue import Queue
from agreed.coordination.synchronous.rate_limiter import RateLimiter
from agreed.coordination.synchronous.registry import Registry
from agreed.coordination.synchronous.replica import Replica
from agreed.coordination.synchronous.semaphore import Semaphore
from agreed.coordination.synchronous.transactions import Transaction
from agreed.coordination.transacting import Transacting
from agreed.recipes.codec import Value


class Client(Transacting[client.Client]):
    """Made by `connect`.  Recipes are made at once and ask nobody before they are used."""

    @property
    def identity(self) -> str:
        return self.asynchronous.identity

    @property
    def capabilities(self) -> Capabilities:
        return self.asynchronous.capabilities

    def close(self) -> None:
        """Give up what is held, end the sessions and the connections."""
        self._wait_for(self.asynchronous.close())

    def lock(
        self,
        name: str,
        *,
        timeout: float | None = None,
        ttl: float | None = None,
        value: bytes | None = None,
        reentrant: bool = False,
        layout: Layout = Layout.KAZOO,
    ) -> Lock:
        """One at a time (`recipes.lock`).  `layout` is for ZooKeeper: whose locks it excludes."""
        return cast(
            "Lock",
            self._call(
                self.asynchronous.lock,
                name,
                timeout=timeout,
                ttl=ttl,
                value=value,
                reentrant=reentrant,
                layout=layout,
            ),
        )

    def read_write_lock(
        self, name: str, *, ttl: float | None = None, layout: Layout = Layout.KAZOO
    ) -> ReadWriteLock:
        """Many readers or one writer (`recipes.lock`); `layout` is KAZOO or CURATOR_READ_WRITE."""
        return cast(
            "ReadWriteLock", self._call(self.asynchronous.read_write_lock, name, ttl=ttl, layout=layout)
        )

    def semaphore(
        self, name: str, permits: int, *, timeout: float | None = None, ttl: float | None = None
    ) -> Semaphore:
        """So many at a time (`recipes.semaphore`)."""
        return cast(
            "Semaphore", self._call(self.asynchronous.semaphore, name, permits, timeout=timeout, ttl=ttl)
        )

    def election(
        self,
        name: str,
        *,
        value: bytes | None = None,
        ttl: float | None = None,
        layout: Layout = Layout.KAZOO,
    ) -> Election:
        """One leader (`recipes.election`); `value` is what others see of it."""
        return cast(
            "Election", self._call(self.asynchronous.election, name, value=value, ttl=ttl, layout=layout)
        )

    def multilock(
        self, names: Iterable[str], *, timeout: float | None = None, ttl: float | None = None
    ) -> MultiLock:
        """Several locks, all or none (`recipes.multilock`)."""
        return cast("MultiLock", self._call(self.asynchronous.multilock, names, timeout=timeout, ttl=ttl))

    def queue(
        self, name: str, kind: type[Value], *, most: int | None = None, ttl: float | None = None
    ) -> Queue[Value]:
        """Jobs that are each done by one (`recipes.queue`); `most`: no more than so many at once."""
        return cast("Queue[Value]", self._call(self.asynchronous.queue, name, kind, most=most, ttl=ttl))

    def log(self, name: str, kind: type[Value]) -> Log[Value]:
        """What everybody reads in one order (`recipes.log`)."""
        return cast("Log[Value]", self._call(self.asynchronous.log, name, kind))

    def group(self, name: str, *, ttl: float | None = None) -> Group:
        """Who is there, and work divided among them (`recipes.group`, `recipes.assignment`)."""
        return cast("Group", self._call(self.asynchronous.group, name, ttl=ttl))

    def registry(self, root: str = "services") -> Registry:
        """Where services can be reached (`recipes.registry`)."""
        return cast("Registry", self._call(self.asynchronous.registry, root))

    def barrier(self, name: str, parties: int, *, ttl: float | None = None) -> Barrier:
        """All go on together, once all have come (`recipes.barrier`)."""
        return cast("Barrier", self._call(self.asynchronous.barrier, name, parties, ttl=ttl))

    def double_barrier(
        self, name: str, parties: int, *, timeout: float | None = None, ttl: float | None = None
    ) -> DoubleBarrier:
        """All go in together, and out together (`recipes.barrier`)."""
        return cast(
            "DoubleBarrier",
            self._call(self.asynchronous.double_barrier, name, parties, timeout=timeout, ttl=ttl),
        )

    def latch(self, name: str, count: int) -> Latch:
        """So many things have happened (`recipes.latch`)."""
        return cast("Latch", self._call(self.asynchronous.latch, name, count))

    def event(self, name: str) -> Event:
        """Something has happened (`recipes.event`)."""
        return cast("Event", self._call(self.asynchronous.event, name))

    def counter(self, name: str) -> Counter:
        """A number that each addition changes once (`recipes.counter`)."""
        return cast("Counter", self._call(self.asynchronous.counter, name))

    def ids(self, name: str, *, block: int = 100) -> IdGenerator:
        """Numbers that are given once (`recipes.ids`)."""
        return cast("IdGenerator", self._call(self.asynchronous.ids, name, block=block))

    def cell(self, name: str, kind: type[Value]) -> Cell[Value]:
        """A typed value with a version (`recipes.cell`)."""
        return cast("Cell[Value]", self._call(self.asynchronous.cell, name, kind))

    def config(self, name: str, kind: type[Value], *, default: Value) -> Config[Value]:
        """A typed value whose newest state is at hand (`recipes.config`)."""
        return cast("Config[Value]", self._call(self.asynchronous.config, name, kind, default=default))

    def subtree(self, name: str, *, most: int = 10000, most_bytes: int = 67108864) -> CachedSubtree:
        """A copy of all below a name, at hand and followed (`recipes.cached_subtree`)."""
        return cast(
            "CachedSubtree", self._call(self.asynchronous.subtree, name, most=most, most_bytes=most_bytes)
        )

    def rate_limiter(
        self, name: str, permits: int, period_s: float, *, burst: int | None = None
    ) -> RateLimiter:
        """So many in so much time (`recipes.rate_limiter`)."""
        return cast(
            "RateLimiter", self._call(self.asynchronous.rate_limiter, name, permits, period_s, burst=burst)
        )

    def replicated(
        self, kind: type[Value], name: str, *, compatible: int | None = None, timeout: float | None = None
    ) -> Replica[Value]:
        """An object of which every client has a copy (`recipes.replicated.replica`).  `kind`: its class, as
        `agreed.replicated` has it.  `compatible`: the oldest version of the class that others run.
        `timeout`: how long each call may take in all."""
        return cast(
            "Replica[Value]",
            self._call(self.asynchronous.replicated, kind, name, compatible=compatible, timeout=timeout),
        )

    @property
    def kv(self) -> KeyValues:
        """Keys and values (`recipes.kv`)."""
        return cast("KeyValues", self._synchronous(self.asynchronous.kv))

    def txn(self, when: Sequence[Guard], then: Sequence[Change]) -> int | None:
        """All of `then` if all of `when` holds (`backends.contract`): the revision, or None."""
        return cast("int | None", self._wait_for(self.asynchronous.txn(when, then)))

    def transaction(self) -> Transaction:
        """One attempt, by hand (`recipes.transactions`)."""
        return cast("Transaction", self._call(self.asynchronous.transaction))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


OnTheLoop.FACES[client.Client] = Client


def connect(
    url: str | None = None,
    *,
    ttl: float = 10.0,
    identity: str | None = None,
    connect_timeout: float = 15.0,
    request_timeout: float = 15.0,
    user: str | None = None,
    password: str | None = None,
    ssl: tls.SSLContext | None = None,
) -> Client:
    """A client of the service at `url` (`schemes.py` lists what there is; None: `AGREED_URL`).

    ttl                 how long the service keeps what this client holds, without hearing from it
    identity            what others see of its locks and of its leadership; "host:process" by default
    connect_timeout     how long a server is looked for
    request_timeout     how long one request may take; long enough for an election by default
    user, password      where the service asks for them; they may stand in the URL as well
    ssl                 for TLS with more than the usual authorities

    Raises ConfigurationError for a URL that is none, TimedOut where nobody answers."""
    return Client(
        shared().run(
            client.connect(
                url,
                ttl=ttl,
                identity=identity,
                connect_timeout=connect_timeout,
                request_timeout=request_timeout,
                user=user,
                password=password,
                ssl=ssl,
            )
        )
    )
