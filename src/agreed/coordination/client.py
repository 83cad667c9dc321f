"""What a program holds: one client of a coordination service, and everything by its name.

    async with await agreed.aio.connect("etcd://127.0.0.1:2379/app") as client:
        async with client.lock("orders/42", timeout=30) as held:
            await charge(order, fence=held.token)
        async with client.election("scheduler").lead() as term:
            await serve(term.token)

Names are paths below the root of the URL.  What has one name on two clients is one thing, whichever backend
they use to get there; two different things do not share a name.

`ttl` is how long what a client holds outlives it; `timeout` is how long it waits.  Grants with the client's
own ttl hang on one session.  What is held is given up by `close`, in order, and also by the end of
`async with`.
"""

from __future__ import annotations

import functools
import os
import platform
import ssl as tls
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

from agreed.backends.contract import Backend, Capabilities, Change, Guard, Layout
from agreed.coordination.schemes import factory_of, url_or_environment
from agreed.recipes.barrier import Barrier, DoubleBarrier
from agreed.recipes.cached_subtree import BYTES_MOST, KEYS_MOST, CachedSubtree
from agreed.recipes.cell import Cell
from agreed.recipes.codec import codec_of
from agreed.recipes.config import Config
from agreed.recipes.counter import Counter
from agreed.recipes.election import Election
from agreed.recipes.event import Event
from agreed.recipes.group import Group
from agreed.recipes.ids import IdGenerator
from agreed.recipes.kv import KeyValues
from agreed.recipes.latch import Latch
from agreed.recipes.lock import Lock, ReadWriteLock
from agreed.recipes.log import Log
from agreed.recipes.multilock import MultiLock
from agreed.recipes.queue import Queue
from agreed.recipes.rate_limiter import RateLimiter
from agreed.recipes.registry import Registry
from agreed.recipes.replicated.replica import Replica
from agreed.recipes.semaphore import Semaphore
from agreed.recipes.sessions import Sessions
from agreed.recipes.transactions import Transaction, commit_if, transact

Value = TypeVar("Value")
Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


async def connect(
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
    where = url_or_environment(url)
    backend = await factory_of(where)(
        where,
        session_timeout_s=ttl,
        connect_timeout_s=connect_timeout,
        request_timeout_s=request_timeout,
        user=user,
        password=password,
        ssl=ssl,
    )
    return Client(backend, ttl=ttl, identity=identity or f"{platform.node()}:{os.getpid()}")


class Client:
    """Made by `connect`.  Recipes are made at once and ask nobody before they are used."""

    def __init__(self, backend: Backend, *, ttl: float, identity: str) -> None:
        self.backend = backend
        self.identity = identity
        self._sessions = Sessions(backend, ttl)
        self._name = identity.encode()

    @property
    def capabilities(self) -> Capabilities:
        return self.backend.capabilities

    async def close(self) -> None:
        """Give up what is held, end the sessions and the connections."""
        await self._sessions.close()
        await self.backend.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

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
        return Lock(
            self._sessions,
            name,
            timeout=timeout,
            ttl=ttl,
            value=self._name if value is None else value,
            reentrant=reentrant,
            layout=layout,
        )

    def read_write_lock(
        self, name: str, *, ttl: float | None = None, layout: Layout = Layout.KAZOO
    ) -> ReadWriteLock:
        """Many readers or one writer (`recipes.lock`); `layout` is KAZOO or CURATOR_READ_WRITE."""
        return ReadWriteLock(self._sessions, name, ttl=ttl, value=self._name, layout=layout)

    def semaphore(
        self, name: str, permits: int, *, timeout: float | None = None, ttl: float | None = None
    ) -> Semaphore:
        """So many at a time (`recipes.semaphore`)."""
        return Semaphore(self._sessions, name, permits, timeout=timeout, ttl=ttl, value=self._name)

    def election(
        self,
        name: str,
        *,
        value: bytes | None = None,
        ttl: float | None = None,
        layout: Layout = Layout.KAZOO,
    ) -> Election:
        """One leader (`recipes.election`); `value` is what others see of it."""
        return Election(
            self._sessions, name, value=self._name if value is None else value, ttl=ttl, layout=layout
        )

    def multilock(
        self, names: Iterable[str], *, timeout: float | None = None, ttl: float | None = None
    ) -> MultiLock:
        """Several locks, all or none (`recipes.multilock`)."""
        return MultiLock(self._sessions, names, timeout=timeout, ttl=ttl, value=self._name)

    def queue(
        self, name: str, kind: type[Value], *, most: int | None = None, ttl: float | None = None
    ) -> Queue[Value]:
        """Jobs that are each done by one (`recipes.queue`); `most`: no more than so many at once."""
        return Queue(self._sessions, name, codec_of(kind), most=most, ttl=ttl, value=self._name)

    def log(self, name: str, kind: type[Value]) -> Log[Value]:
        """What everybody reads in one order (`recipes.log`)."""
        return Log(self._sessions, name, codec_of(kind))

    def group(self, name: str, *, ttl: float | None = None) -> Group:
        """Who is there, and work divided among them (`recipes.group`, `recipes.assignment`)."""
        return Group(self._sessions, name, ttl=ttl)

    def registry(self, root: str = "services") -> Registry:
        """Where services can be reached (`recipes.registry`)."""
        return Registry(self._sessions, root)

    def barrier(self, name: str, parties: int, *, ttl: float | None = None) -> Barrier:
        """All go on together, once all have come (`recipes.barrier`)."""
        return Barrier(self._sessions, name, parties, ttl=ttl)

    def double_barrier(
        self, name: str, parties: int, *, timeout: float | None = None, ttl: float | None = None
    ) -> DoubleBarrier:
        """All go in together, and out together (`recipes.barrier`)."""
        return DoubleBarrier(self._sessions, name, parties, timeout=timeout, ttl=ttl)

    def latch(self, name: str, count: int) -> Latch:
        """So many things have happened (`recipes.latch`)."""
        return Latch(self._sessions, name, count)

    def event(self, name: str) -> Event:
        """Something has happened (`recipes.event`)."""
        return Event(self._sessions, name)

    def counter(self, name: str) -> Counter:
        """A number that each addition changes once (`recipes.counter`)."""
        return Counter(self._sessions, name)

    def ids(self, name: str, *, block: int = 100) -> IdGenerator:
        """Numbers that are given once (`recipes.ids`)."""
        return IdGenerator(self._sessions, name, block=block)

    def cell(self, name: str, kind: type[Value]) -> Cell[Value]:
        """A typed value with a version (`recipes.cell`)."""
        return Cell(self._sessions, name, kind)

    def config(self, name: str, kind: type[Value], *, default: Value) -> Config[Value]:
        """A typed value whose newest state is at hand (`recipes.config`)."""
        return Config(self._sessions, name, kind, default=default)

    def subtree(
        self, name: str, *, most: int = KEYS_MOST, most_bytes: int = BYTES_MOST
    ) -> CachedSubtree:
        """A copy of all below a name, at hand and followed (`recipes.cached_subtree`)."""
        return CachedSubtree(self._sessions, name, most=most, most_bytes=most_bytes)

    def rate_limiter(
        self, name: str, permits: int, period_s: float, *, burst: int | None = None
    ) -> RateLimiter:
        """So many in so much time (`recipes.rate_limiter`)."""
        return RateLimiter(self._sessions, name, permits, period_s, burst=burst)

    def replicated(
        self,
        kind: type[Value],
        name: str,
        *,
        compatible: int | None = None,
        timeout: float | None = None,
    ) -> Replica[Value]:
        """An object of which every client has a copy (`recipes.replicated.replica`).  `kind`: its class, as
        `agreed.replicated` has it.  `compatible`: the oldest version of the class that others run.
        `timeout`: how long each call may take in all."""
        return Replica(self._sessions, name, kind, compatible=compatible, timeout=timeout)

    @property
    def kv(self) -> KeyValues:
        """Keys and values (`recipes.kv`)."""
        return KeyValues(self._sessions)

    # --- transactions -----------------------------------------------------------------------------------

    async def txn(self, when: Sequence[Guard], then: Sequence[Change]) -> int | None:
        """All of `then` if all of `when` holds (`backends.contract`): the revision, or None."""
        return await commit_if(self._sessions, when, then)

    def transaction(self) -> Transaction:
        """One attempt, by hand (`recipes.transactions`)."""
        return Transaction(self._sessions)

    async def transact(
        self, work: Callable[[Transaction], Awaitable[Result]], *, timeout: float | None = None
    ) -> Result:
        """Run it until what it read was still so when it was committed (`recipes.transactions`).  Returns
        what it returned then; raises TransactionTimeout."""
        return await transact(self._sessions, work, timeout=timeout)

    def transactional(
        self, work: Callable[Concatenate[Transaction, Arguments], Awaitable[Result]]
    ) -> Callable[Arguments, Awaitable[Result]]:
        """A decorator: calling it makes a transaction of it, whose first argument is the transaction."""

        @functools.wraps(work)
        async def whole(*arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
            return await self.transact(lambda transaction: work(transaction, *arguments, **named))

        return whole
