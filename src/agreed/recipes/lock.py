"""A lock that one holds among all who know its name, on every machine.

    lock = Lock(sessions, "orders/42")
    async with lock as held:                    waits as long as it takes
        await charge(order, fence=held.token)
    held = await lock.acquire(timeout=5.0)      AcquireTimeout after five seconds in all
    held = await lock.try_acquire()             None where somebody has it

First come, first served.  `held.token` is larger than that of all who held it before.  The body of `async
with` is cancelled when the lock is lost, and LockLost raised (`holding.py`).

`ttl` is how long the lock outlives us, when nobody hears of us any more; `timeout` is how long we wait.  The
entries are those of kazoo (or, with `layout`, of Curator) on ZooKeeper and of etcd's concurrency package on
etcd: their users and ours exclude one another.

A reader shares it with other readers (`ReadWriteLock`); readers and writers are let in as they came, so that
neither starves.
"""

from __future__ import annotations

from agreed.backends.contract import Kind, Layout, Place
from agreed.errors import ConfigurationError
from agreed.recipes.caller import caller
from agreed.recipes.grant import Grant
from agreed.recipes.obtaining import Holder, Obtainable
from agreed.recipes.sessions import Sessions
from agreed.recipes.waiting import Exclusive, Rule, Shared


class Lock(Obtainable[Grant]):
    """`reentrant`: whoever holds it (a task, or a thread) and asks again has it at once, and gives it back as
    often.  Otherwise he waits for himself, until his `timeout` is over."""

    granted = Grant

    def __init__(
        self,
        sessions: Sessions,
        name: str,
        *,
        timeout: float | None = None,
        ttl: float | None = None,
        value: bytes = b"",
        reentrant: bool = False,
        layout: Layout = Layout.KAZOO,
    ) -> None:
        super().__init__(sessions, name, Exclusive(), timeout=timeout, ttl=ttl, value=value, layout=layout)
        self._reentrant = reentrant
        self._by_caller: dict[object, Grant] = {}

    async def acquire(self, timeout: float | None = None) -> Grant:
        return self._again() or self._remember(await super().acquire(timeout))

    async def try_acquire(self) -> Grant | None:
        again = self._again()
        if again is not None:
            return again
        grant = await super().try_acquire()
        return None if grant is None else self._remember(grant)

    async def holder(self) -> Holder | None:
        return next(iter(await self.holders()), None)

    def _again(self) -> Grant | None:
        grant = self._by_caller.get(caller())
        if grant is None or not grant.held or grant.lost_by_now():
            return None
        grant.taken_again()
        return grant

    def _remember(self, grant: Grant) -> Grant:
        if self._reentrant:
            for who, known in list(self._by_caller.items()):
                if not known.held:
                    del self._by_caller[who]
            self._by_caller[caller()] = grant
        return grant


class ReadOrWriteLock(Obtainable[Grant]):
    """Half of a read-write lock."""

    granted = Grant

    def _rule_of(self, place: Place) -> Rule:
        return Shared() if place.kind is Kind.READER else Exclusive()


class ReadWriteLock:
    """`async with lock.read() as held`, `async with lock.write() as held`; each call makes a lock of its own,
    with the methods of `Lock`.  On ZooKeeper it is kazoo's, or with Layout.CURATOR_READ_WRITE Curator's.

    Raises ConfigurationError for a layout in which others do not see readers."""

    def __init__(
        self,
        sessions: Sessions,
        name: str,
        *,
        ttl: float | None = None,
        value: bytes = b"",
        layout: Layout = Layout.KAZOO,
    ) -> None:
        if layout not in (Layout.KAZOO, Layout.CURATOR_READ_WRITE):
            raise ConfigurationError(f"nobody sees readers in {layout}: take {Layout.CURATOR_READ_WRITE}")
        self.name = name
        self._layout = layout
        self._sessions = sessions
        self._ttl_s = ttl
        self._value = value

    def read(self) -> ReadOrWriteLock:
        return self._part(Shared())

    def write(self) -> ReadOrWriteLock:
        return self._part(Exclusive())

    def _part(self, rule: Rule) -> ReadOrWriteLock:
        return ReadOrWriteLock(
            self._sessions, self.name, rule, ttl=self._ttl_s, value=self._value, layout=self._layout
        )
