"""What a test holds: a server in this process, its clock, its faults, and what it knows afterwards.

    with agreed.testing.zookeeper() as server:
        client = kazoo.client.KazooClient(server.hosts)
        ...
        server.clock.advance(30)            half a minute passes, at once
        server.faults.lose_reply("create")  the next creation is done, and its connection breaks
        server.assert_no_ephemerals_left()

The server speaks over a socket of loopback, with whatever client; it lives on the thread of this process on
which synchronous clients of ours live as well.  Everything here may be used from any other thread.

Time stands still there (`real_time=True`: it does not).  A session whose client is connected lives for ever,
since its client would renew it; one whose client is gone, or is made silent, ends with the time that a test
lets pass.  Leases of etcd end unless they were kept alive.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from agreed.client import loop_thread
from agreed.embedded.clock import VirtualClock
from agreed.errors import ConfigurationError
from agreed.replica.etcd.watch import WatchService
from agreed.store.ranges import FROM_KEY_ON
from agreed.testing.etcd_leash import WORDS as ETCD_WORDS
from agreed.testing.etcd_leash import status
from agreed.testing.faults import MET_WITHIN_S, Fault, NotMet, Treatment
from agreed.testing.history import ABSENT, OwnHistory
from agreed.testing.leashed_node import LeashedNode
from agreed.testing.locks import Locks
from agreed.testing.zookeeper_leash import WORDS as ZOOKEEPER_WORDS
from agreed.testing.zookeeper_leash import error_code

if TYPE_CHECKING:
    from agreed.check.verdict import Verdict

Wanted = TypeVar("Wanted")

LOOPBACK: Final = "127.0.0.1"

TURNS_TO_HEAR: Final = 3
"""Of the event loop, before time passes: who has gone a moment ago is to be gone."""

POLL_S: Final = 0.002

JUDGE_STEPS: Final = 2_000_000


class NotLinearizable(AssertionError):
    """The text is the judge's; `verdict` has the piece of the history that cannot be."""

    def __init__(self, verdict: Verdict) -> None:
        steps = [step for finding in verdict.findings for step in finding.steps]
        said = f"{verdict.judged}: {verdict.outcome.value} {verdict.reason}"
        super().__init__("\n    ".join([said, *steps]))
        self.verdict = verdict


class Left(AssertionError):
    """Something was left on the server that should not be there; the text says what."""


class Clock:
    """The time of a server."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def advance(self, seconds: float) -> None:
        """So much passes at once; all that becomes due is done, in its order.  Raises ConfigurationError for
        a server in real time."""

        async def pass_by(node: LeashedNode) -> None:
            if node.virtual is None:
                raise ConfigurationError("this server lives in real time")
            for _ in range(TURNS_TO_HEAR):
                await asyncio.sleep(0)
            node.virtual.advance(seconds)

        self._server.thread.run(pass_by(self._server.node))

    @property
    def now_s(self) -> float:
        return self._server.do(lambda node: node.clock.now() / 1000)


class Faults:
    """What can be done to a server.  Those that wait for a request return a `Fault`, which tells whether it
    was met; `key` is matched as file names are ("/orders/*"); it is done to so many requests (`times`)."""

    def __init__(self, server: Server) -> None:
        self._server = server

    # --- to requests --------------------------------------------------------------------------------------

    def drop(self, request: str | None = None, *, key: str | None = None, times: int = 1) -> Fault:
        """It never arrives, and the connection breaks: nothing was done, and the client cannot know."""
        return self._add(Fault(Treatment.DROP, request, key, times))

    def lose_reply(self, request: str | None = None, *, key: str | None = None, times: int = 1) -> Fault:
        """It is done, and the connection breaks instead of the reply: the client cannot know."""
        return self._add(Fault(Treatment.LOSE_REPLY, request, key, times))

    def fail(
        self,
        request: str | None = None,
        *,
        error: str | None = None,
        message: str = "",
        key: str | None = None,
        times: int = 1,
    ) -> Fault:
        """It is answered with an error, and nothing was done.  `error` is a name of the protocol ("NoAuth",
        "OperationTimeout"; of etcd a code of gRPC, "UNAVAILABLE", with a `message`)."""
        problem = self._server.error(error, message)
        return self._add(Fault(Treatment.FAIL, request, key, times, error=problem))

    def delay(
        self,
        request: str | None = None,
        *,
        seconds: float | None = None,
        key: str | None = None,
        times: int = 1,
    ) -> Fault:
        """It waits before the server for so long, by the server's clock, or until `release()`.  On a
        connection of ZooKeeper what comes behind it waits as well."""
        return self._add(Fault(Treatment.DELAY, request, key, times, seconds=seconds))

    def _add(self, fault: Fault) -> Fault:
        server = self._server
        server.do(lambda node: node.pending.add(fault))
        fault.on_release = lambda: server.do(lambda node: node.release(fault))
        return fault

    def clear(self) -> None:
        """Those that still wait are forgotten."""
        self._server.do(lambda node: node.pending.clear())

    # --- to clients ---------------------------------------------------------------------------------------

    def expire(self, session: int | None = None) -> None:
        """It is over now: a session of ZooKeeper, a lease of etcd, by its number; None: the only one."""
        number = self._server.only_session(session)
        self._server.do(lambda node: node.expire(number))

    def silence(self, session: int | None = None) -> None:
        """Its client stays connected and renews nothing any more while time is made to pass, as a process
        that stands still."""
        number = self._server.only_session(session)
        self._server.do(lambda node: node.silent.add(number))

    def disconnect(self) -> None:
        """Every connection breaks; sessions live on, and clients may come back."""
        self._server.do(lambda node: node.drop_clients())

    # --- to the server ------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Connections stay, and nothing is heard or said."""
        self._server.do(lambda node: node.pause())

    def resume(self) -> None:
        self._server.do(lambda node: node.resume())

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        self.pause()
        try:
            yield
        finally:
            self.resume()

    @contextlib.contextmanager
    def unreachable(self) -> Iterator[None]:
        """Connections break, and new ones find nobody; sessions live on meanwhile."""
        self._server.do(lambda node: node.go_away())
        try:
            yield
        finally:
            self._server.do(lambda node: node.come_back())

    @contextlib.contextmanager
    def disk_full(self) -> Iterator[None]:
        """What such a server does then.  An etcd raises its NOSPACE alarm, refuses what takes space and does
        the rest.  A ZooKeeper ends, as a node of ours does: so this is `unreachable`."""
        if not self._server.has_quota:
            with self.unreachable():
                yield
            return
        self._server.do(lambda node: node.fill_quota(True))
        try:
            yield
        finally:
            self._server.do(lambda node: node.fill_quota(False))


class Server:
    """One server of either kind.  Made by `zookeeper()` and `etcd()`."""

    scheme: ClassVar[str]
    words: ClassVar[frozenset[str]]
    has_quota: ClassVar[bool] = False

    def __init__(self, *, real_time: bool = False, port: int = 0) -> None:
        """`port`: 0 is a free one.  Raises ConfigurationError where it is taken."""
        self.thread = loop_thread.shared()
        self.history = OwnHistory()
        """For what a test builds on the server (`history.py`)."""
        self._locks = Locks()
        self.clock = Clock(self)
        self.faults = Faults(self)

        async def start() -> tuple[LeashedNode, str]:
            node = LeashedNode(self.words, clock=None if real_time else VirtualClock())
            node.on_change.append(self._locks.changed)
            return node, await self._listen(node, f"{LOOPBACK}:{port}")

        self.node, self.address = self.thread.run(start())
        """`node` belongs to another thread (`do`); `address` is host:port."""

    async def _listen(self, node: LeashedNode, address: str) -> str:
        raise NotImplementedError

    def error(self, name: str | None, message: str) -> object:
        """What `faults.fail` answers."""
        raise NotImplementedError

    def do(self, what: Callable[[LeashedNode], Wanted]) -> Wanted:
        """With the node, on its own thread."""

        async def done() -> Wanted:
            return what(self.node)

        return self.thread.run(done())

    # --- where it is --------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """For `agreed.connect`."""
        return f"{self.scheme}://{self.address}"

    @property
    def hosts(self) -> str:
        """What a ZooKeeper client is given to connect to: the same as `address`."""
        return self.address

    @property
    def host(self) -> str:
        return self.address.rpartition(":")[0]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    # --- its life -----------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Empty, without clients and faults, and at the same address.  Sessions of before are not known any
        more.  Its clock goes on from where it stands."""
        self.do(lambda node: node.reset())
        self._locks.clear()
        self.history.clear()

    def close(self) -> None:
        self.do(lambda node: node.close())

    # --- what it knows ------------------------------------------------------------------------------------

    def contents(self) -> dict[str, bytes | None]:
        """All keys and their values."""
        raise NotImplementedError

    def sessions(self) -> list[int]:
        """Of ZooKeeper the sessions, of etcd the leases."""
        return self.do(lambda node: [lease.id for lease in node.replica.store.leases])

    def only_session(self, session: int | None) -> int:
        """Raises ConfigurationError where it is not known, or none is said and there is not just one."""
        known = self.sessions()
        if session is None and len(known) == 1:
            return known[0]
        if session is None or session not in known:
            asked = "there is not just one session" if session is None else f"no session is {session:#x}"
            raise ConfigurationError(f"{asked}: {[f'{each:#x}' for each in known]}")
        return session

    def inside(self, name: str, who: str | None = None) -> contextlib.AbstractContextManager[None]:
        """Around what the lock `name` protects (`locks.py`)."""
        return self._locks.inside(name, who)

    # --- assertions: each raises an AssertionError that says what it found --------------------------------

    def assert_no_leaked_watches(self, within_s: float = 2.0) -> None:
        """Nobody who is connected watches anything any more.  Clients do not wait until the server has heard
        that they stop watching: for so long that may take."""
        deadline = time.monotonic() + within_s
        while left := self.watched():
            if time.monotonic() >= deadline:
                raise Left(f"still watched: {', '.join(left)}")
            time.sleep(POLL_S)

    def watched(self) -> list[str]:
        """The keys that are watched, once for each watch."""
        raise NotImplementedError

    def wait_until_watched(self, key: str, timeout_s: float = MET_WITHIN_S) -> None:
        """So that what comes next is seen by whoever waits for it in another thread.  Raises NotMet."""
        deadline = time.monotonic() + timeout_s
        while key not in self.watched():
            if time.monotonic() > deadline:
                raise NotMet(f"nobody watches {key}, after {timeout_s:g} s")
            time.sleep(POLL_S)

    def assert_no_ephemerals_left(self) -> None:
        """No key is there that would go with a session or a lease."""

        def look(node: LeashedNode) -> list[str]:
            leases = node.replica.store.leases
            keys = [key for lease in leases for key in (*lease.tree_keys, *lease.flat_keys)]
            return [key.decode(errors="replace") for key in keys]

        if left := self.do(look):
            raise Left(f"still there: {', '.join(sorted(left))}")

    def assert_lock_never_shared(self, name: str) -> None:
        """Of those who were `inside` of it; `name` as the lock is called on the server ("/locks/orders")."""
        self._locks.assert_never_shared(name)

    def assert_linearizable(self, model: str | None = None, *, initial: object = None) -> None:
        """The test's own history (`history.operation`) by one of the models of `agreed.check`; without a
        model: what clients asked this server, and what they were answered.  Raises NotLinearizable (also
        where the judge cannot tell) and NoHistory."""
        # The judge is loaded when it is needed: a test's first server is waited for.
        from agreed.check.linearizable import linearizable
        from agreed.check.models import MODELS
        from agreed.check.models.register import Register
        from agreed.check.verdict import Budget

        if model is None:
            recorded = self.do(lambda node: node.recorder.history())
            verdict = linearizable(recorded, Register(ABSENT), Budget(steps=JUDGE_STEPS))
        elif model in MODELS:
            judged = self.history.history()
            verdict = linearizable(judged, MODELS[model](initial), Budget(steps=JUDGE_STEPS))
        else:
            raise ConfigurationError(f"no model is called {model!r}: {', '.join(sorted(MODELS))}")
        if not verdict.holds:
            raise NotLinearizable(verdict)


class ZooKeeperServer(Server):
    scheme = "zk"
    words = frozenset(ZOOKEEPER_WORDS.values())

    async def _listen(self, node: LeashedNode, address: str) -> str:
        return await node.listen_to_zookeeper(address)

    def error(self, name: str | None, message: str) -> object:
        return error_code(name or "OPERATION_TIMEOUT")

    def contents(self) -> dict[str, bytes | None]:
        """Without what every ZooKeeper has."""

        def look(node: LeashedNode) -> dict[str, bytes | None]:
            records = node.replica.store.tree.records
            return {
                path.decode(errors="replace"): record.value
                for path, record in sorted(records.items())
                if path != b"/" and not path.startswith(b"/zookeeper")
            }

        return self.do(look)

    def watched(self) -> list[str]:
        def look(node: LeashedNode) -> list[str]:
            watches = node.replica.zookeeper.watches
            return [
                path.decode(errors="replace") for path, watchers in watches.by_path() for _ in list(watchers)
            ]

        return sorted(self.do(look))


class EtcdServer(Server):
    scheme = "etcd"
    words = frozenset(ETCD_WORDS.values())
    has_quota = True

    async def _listen(self, node: LeashedNode, address: str) -> str:
        return await node.listen_to_etcd(address)

    def error(self, name: str | None, message: str) -> object:
        return status(name or "UNAVAILABLE", message or "etcdserver: request timed out")

    def contents(self) -> dict[str, bytes | None]:
        def look(node: LeashedNode) -> dict[str, bytes | None]:
            found = node.replica.store.flat.history.range(b"", FROM_KEY_ON)
            return {record.key.decode(errors="replace"): record.value for record in found}

        return self.do(look)

    def watched(self) -> list[str]:
        def look(node: LeashedNode) -> list[str]:
            services = node.replica.etcd.services
            watching = next(each for each in services if isinstance(each, WatchService))
            return [key.decode(errors="replace") for key in watching.watched_keys()]

        return sorted(self.do(look))


@contextlib.contextmanager
def zookeeper(*, real_time: bool = False) -> Iterator[ZooKeeperServer]:
    """A server for clients of ZooKeeper, until the end of the context."""
    server = ZooKeeperServer(real_time=real_time)
    try:
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def etcd(*, real_time: bool = False) -> Iterator[EtcdServer]:
    """A server for clients of etcd, until the end of the context."""
    server = EtcdServer(real_time=real_time)
    try:
        yield server
    finally:
        server.close()
