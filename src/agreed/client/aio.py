"""An asynchronous session: the machine, a socket and a timer.

    async with await agreed.client.aio.connect("agreed://127.0.0.1:2181/app") as session:
        created = await session.create("/jobs/job-", b"...", sequential=True)
        data, stat = await session.get(created.path)
        await session.multi([Check("/lock", 3), SetData("/config", b"new", 7), Delete("/old")])

Any number of tasks may use one session at once: their requests share one connection, are sent in the order in
which they are asked, and all that are asked in one turn of the event loop leave in one packet.

Every method takes `timeout_s`, the time it may take in all, waiting for a connection included (None: the
`request_timeout_s` of the session), and raises what `errors.py` lists.  A task that is cancelled stops
waiting; what it asked for may be done all the same.

A plain read is answered by whichever server the session is on: never older than what this session has
written or read, but perhaps older than what others were told.  `fresh=True` sends `sync` in front of it, in
the same packet: it then sees everything that was acknowledged, to anybody, before it was asked.
"""
from __future__ import annotations

import contextlib
import ssl as tls
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, TypeVar

from agreed.client.driver import Dialer, Driver, OnState, seconds
from agreed.client.errors import (
    ClientError,
    NodeExists,
    NoNode,
    UnknownAnswer,
)
from agreed.client.operations import (
    Paths,
    create_request,
    created,
    error_in,
    multi_request,
    multi_results,
    raise_if_too_large,
)
from agreed.client.url import ClusterUrl, parse
from agreed.client.values import (
    OPEN_ACL,
    Acl,
    Change,
    Children,
    Create,
    Created,
    MultiResult,
    Operation,
    SessionState,
    Stat,
    WatchEvent,
    WatchKind,
    Znode,
)
from agreed.client.watches import Watcher
from agreed.client.watching import Watch
from agreed.wire.zookeeper.messages import (
    AddWatchMode,
    AddWatchRequest,
    AuthRequest,
    CloseSessionRequest,
    DeleteRequest,
    ErrorCode,
    ExistsRequest,
    GetAclRequest,
    GetChildren2Request,
    GetDataRequest,
    MultiReadRequest,
    Request,
    SetAclRequest,
    SetDataRequest,
    SyncRequest,
)
from agreed.wire.zookeeper.replies import (
    ErrorReply,
    ExistsReply,
    GetAclReply,
    GetChildren2Reply,
    GetDataReply,
    MultiReadReply,
    MultiReply,
    SetAclReply,
    SetDataReply,
)

__all__ = ["Session", "Watch", "connect"]

OnEvent = Callable[[WatchEvent], None]
Wanted = TypeVar("Wanted")


async def connect(
    url: str,
    *,
    session_timeout_s: float = 10.0,
    connect_timeout_s: float = 15.0,
    request_timeout_s: float = 15.0,
    auth: Sequence[tuple[str, bytes]] = (),
    ssl: tls.SSLContext | None = None,
) -> Session:
    """A new session with the cluster at `url` (`agreed://host:port,.../path`, see `url.py`).

    session_timeout_s   how long the cluster keeps the session, and what is ephemeral in it, without hearing
                        from us; the servers have bounds for it, `Session.timeout_s` is what they granted
    connect_timeout_s   how long we look for a server that answers
    request_timeout_s   for requests that name no other; long enough for an election by default
    auth                credentials, such as ("digest", b"user:password")

    Raises ConfigurationError for a URL that is none, TimedOut where nobody answers, AuthenticationFailed."""
    session = Session(
        parse(url),
        session_timeout_s=session_timeout_s,
        request_timeout_s=request_timeout_s,
        auth=auth,
        ssl=ssl,
        by_sync=not url.startswith("agreed"),
    )
    try:
        await session.wait_connected(timeout_s=connect_timeout_s)
    except BaseException:
        session.abandon()
        raise
    return session


class Session:
    """One session; made by `connect`.  Must be used on the event loop on which it was made."""

    def __init__(
        self,
        url: ClusterUrl,
        *,
        session_timeout_s: float,
        request_timeout_s: float,
        auth: Sequence[tuple[str, bytes]] = (),
        ssl: tls.SSLContext | None = None,
        dial: Dialer | None = None,
        by_sync: bool = False,
        alone: bool = False,
    ) -> None:
        self.request_timeout_s = request_timeout_s
        self._paths = Paths(url.root)
        self.driver = Driver(
            url.servers,
            session_timeout_s=session_timeout_s,
            credentials=[AuthRequest(0, scheme, secret) for scheme, secret in auth],
            ssl=ssl,
            saw=self._saw,
            dial=dial,
            by_sync=by_sync,
            alone=alone,
        )
        """For who says several things in one packet: requests of the wire, with whole paths."""
        self._machine = self.driver.machine

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- the session ------------------------------------------------------------------------------------

    @property
    def state(self) -> SessionState:
        return self._machine.state

    @property
    def id(self) -> int:
        """The session's number in the cluster (`Stat.ephemeral_owner`); 0 before the first connection."""
        return self._machine.session_id

    @property
    def timeout_s(self) -> float:
        """What the cluster granted."""
        return self._machine.timeout_s

    @property
    def zxid(self) -> int:
        """The newest change of which this session has heard."""
        return self._machine.last_zxid

    @property
    def root(self) -> str:
        """What stands before every path; "" for nothing."""
        return self._paths.root

    def remaining_s(self) -> float:
        """For so many seconds this session surely lives, as far as clocks run at about the same rate; 0 where
        that is not known.  Whoever holds a lock by it stops what the lock protects before that is over.
        (`certainty.py` tells what this rests on.)"""
        return self._machine.remaining_s(seconds()) if self.driver.is_ours else 0.0

    def on_state(self, callback: OnState) -> Callable[[], None]:
        """`callback(state)` at every change of `state`, on the event loop.  Returns what takes it off."""
        return self.driver.on_state(callback)

    async def wait_connected(self, timeout_s: float | None = None) -> None:
        """Raises TimedOut, and what the end of the session was, if it ends."""
        await self.driver.connected(timeout_s)

    async def close(self, timeout_s: float = 2.0) -> None:
        """End the session: what is ephemeral goes, and whoever waits for an answer gets `SessionClosed`.
        Where no server can be told within the time, the session runs out by itself.  Raises nothing."""
        if not self.state.final:
            with contextlib.suppress(ClientError):
                await self.driver.ask(CloseSessionRequest(), timeout_s=timeout_s)
        self.abandon()

    def abandon(self) -> None:
        """Stop, without a word to the cluster: the session, and what is ephemeral in it, lives on there for
        its timeout."""
        self.driver.abandon()

    # --- writes -----------------------------------------------------------------------------------------

    async def create(
        self,
        path: str,
        data: bytes = b"",
        *,
        ephemeral: bool = False,
        sequential: bool = False,
        container: bool = False,
        ttl_ms: int | None = None,
        acl: Acl = OPEN_ACL,
        timeout_s: float | None = None,
    ) -> Created:
        """Make a node.

        ephemeral   it goes with this session
        sequential  ten digits are put behind `path`, a number that grows with every child of the parent;
                    with "/q/job-" also where nobody knows afterwards whether it was done: put something of
                    your own into the name or the data
        container   it goes some time after its last child has gone
        ttl_ms      it goes after so long without a change, if it has no children

        Raises NodeExists, NoNode (of the parent), NoChildrenForEphemerals, TooLarge, ..."""
        wish = Create(
            path=path, data=data, ephemeral=ephemeral, sequential=sequential, container=container,
            ttl_ms=ttl_ms, acl=acl,
        )  # fmt: skip
        reply = await self._answer(path, create_request(self._paths, wish), timeout_s=timeout_s)
        return created(self._paths, reply, path)

    async def ensure_path(self, path: str, *, timeout_s: float | None = None) -> None:
        """Make this node and those above it, the root of the URL included, as far as they are not there."""
        whole = Paths("")
        full = self._paths.wire(path).decode()
        ends_at = seconds() + (self.request_timeout_s if timeout_s is None else timeout_s)
        missing: list[str] = []
        while full not in ("", "/"):
            try:
                wish = create_request(whole, Create(path=full))
                await self._answer(full, wish, timeout_s=ends_at - seconds(), repeatable=True)
            except NodeExists:
                pass
            except NoNode:
                missing.append(full)
                full = full.rpartition("/")[0]
                continue
            if not missing:
                return
            full = missing.pop()

    async def set(
        self, path: str, data: bytes, version: int = -1, *, timeout_s: float | None = None
    ) -> Stat:
        """Raises NoNode, BadVersion (`version` -1: whichever), TooLarge, ..."""
        request = SetDataRequest(self._paths.wire(path), data, version)
        return (await self._expect(SetDataReply, path, request, timeout_s=timeout_s)).stat

    async def delete(self, path: str, version: int = -1, *, timeout_s: float | None = None) -> None:
        """Raises NoNode, BadVersion, NotEmpty, ..."""
        await self._answer(path, DeleteRequest(self._paths.wire(path), version), timeout_s=timeout_s)

    async def multi(
        self, operations: Sequence[Operation], *, timeout_s: float | None = None
    ) -> tuple[MultiResult, ...]:
        """All of them at one zxid, or none.  One result for each.  Raises what the first that was refused
        would raise alone, with its place in `index`."""
        if not operations:
            return ()
        request = multi_request(self._paths, operations)
        reply = await self._expect(MultiReply, operations[0].path, request, timeout_s=timeout_s)
        return multi_results(self._paths, operations, reply)

    async def set_acl(
        self, path: str, acl: Acl, version: int = -1, *, timeout_s: float | None = None
    ) -> Stat:
        """`version` is that of the list (`Stat.acl_version`)."""
        request = SetAclRequest(self._paths.wire(path), acl, version)
        return (await self._expect(SetAclReply, path, request, timeout_s=timeout_s)).stat

    # --- reads ------------------------------------------------------------------------------------------

    async def get(
        self,
        path: str,
        *,
        watch: OnEvent | None = None,
        fresh: bool = False,
        timeout_s: float | None = None,
    ) -> Znode:
        """Raises NoNode, and then sets no watch.  `watch` is called once, at the next change or deletion."""
        request = GetDataRequest(self._paths.wire(path), watch is not None)
        reply = await self._expect(
            GetDataReply, path, request, timeout_s=timeout_s, watcher=watch, fresh=fresh, repeatable=True
        )
        return Znode(reply.data or b"", reply.stat)

    async def exists(
        self,
        path: str,
        *,
        watch: OnEvent | None = None,
        fresh: bool = False,
        timeout_s: float | None = None,
    ) -> Stat | None:
        """`watch` is called once, at the next creation, change or deletion."""
        request = ExistsRequest(self._paths.wire(path), watch is not None)
        try:
            reply = await self._expect(
                ExistsReply, path, request, timeout_s=timeout_s, watcher=watch, fresh=fresh, repeatable=True
            )
        except NoNode:
            return None
        return reply.stat

    async def children(
        self,
        path: str,
        *,
        watch: OnEvent | None = None,
        fresh: bool = False,
        timeout_s: float | None = None,
    ) -> Children:
        """Raises NoNode.  `watch` is called once, when a child comes or goes or the node is deleted."""
        request = GetChildren2Request(self._paths.wire(path), watch is not None)
        reply = await self._expect(
            GetChildren2Reply, path, request, timeout_s=timeout_s, watcher=watch, fresh=fresh, repeatable=True
        )
        names = sorted(name.decode("utf-8", "replace") for name in reply.children)
        return Children(tuple(names), reply.stat)

    async def get_many(
        self, paths: Sequence[str], *, fresh: bool = False, timeout_s: float | None = None
    ) -> list[Znode | None]:
        """All as they are at one moment; None for what is not there.  ZooKeeper has this since 3.6."""
        if not paths:
            return []
        request = MultiReadRequest(tuple(GetDataRequest(self._paths.wire(path), False) for path in paths))
        reply = await self._expect(
            MultiReadReply, paths[0], request, timeout_s=timeout_s, fresh=fresh, repeatable=True
        )
        found: list[Znode | None] = []
        for path, result in zip(paths, reply.results, strict=True):
            if isinstance(result, GetDataReply):
                found.append(Znode(result.data or b"", result.stat))
            elif isinstance(result, ErrorReply) and result.error == ErrorCode.NO_NODE:
                found.append(None)
            else:
                raise UnknownAnswer(path, result.error if isinstance(result, ErrorReply) else 0)
        return found

    async def sync(self, path: str = "/", *, timeout_s: float | None = None) -> None:
        """From here on this session's reads see everything that was acknowledged, to anybody, before."""
        await self._answer(path, SyncRequest(self._paths.wire(path)), timeout_s=timeout_s, repeatable=True)

    async def get_acl(self, path: str, *, timeout_s: float | None = None) -> tuple[Acl, Stat]:
        request = GetAclRequest(self._paths.wire(path))
        reply = await self._expect(GetAclReply, path, request, timeout_s=timeout_s, repeatable=True)
        return reply.acl, reply.stat

    async def watch(
        self, path: str, kind: WatchKind = WatchKind.PERSISTENT, *, timeout_s: float | None = None
    ) -> Watch:
        """A watch that stays, also where there is nothing yet.  What changes after this returned is seen."""
        watch = Watch(path, kind, self._stop_watching)
        persistent = kind is WatchKind.PERSISTENT
        mode = AddWatchMode.PERSISTENT if persistent else AddWatchMode.PERSISTENT_RECURSIVE
        request = AddWatchRequest(self._paths.wire(path), mode)
        await self._answer(path, request, timeout_s=timeout_s, watcher=watch, repeatable=True)
        return watch

    def _stop_watching(self, watch: Watch) -> None:
        self.driver.stop_watching(watch, self._paths.wire(watch.path), watch.kind)

    def add_auth(self, scheme: str, secret: bytes) -> None:
        """One more credential, for the requests that follow.  A server that does not take it ends the
        session: the requests fail with AuthenticationFailed."""
        self.driver.prove(AuthRequest(0, scheme, secret))

    # --- one request ------------------------------------------------------------------------------------

    async def _expect(
        self,
        kind: type[Wanted],
        path: str,
        request: Request,
        *,
        timeout_s: float | None,
        watcher: OnEvent | None = None,
        fresh: bool = False,
        repeatable: bool = False,
    ) -> Wanted:
        reply = await self._answer(
            path, request, timeout_s=timeout_s, watcher=watcher, fresh=fresh, repeatable=repeatable
        )
        if not isinstance(reply, kind):
            raise UnknownAnswer(path, 0)
        return reply

    async def _answer(
        self,
        path: str,
        request: Request,
        *,
        timeout_s: float | None,
        watcher: OnEvent | None = None,
        fresh: bool = False,
        repeatable: bool = False,
    ) -> object:
        """The reply to `request`.  Raises what stands in it, and where it did not come."""
        raise_if_too_large(request, path)
        requests = (SyncRequest(self._paths.wire(path)), request) if fresh else (request,)
        answers = await self.driver.ask(
            *requests,
            timeout_s=self.request_timeout_s if timeout_s is None else timeout_s,
            watcher=watcher,
            repeatable=repeatable,
        )
        for answer in answers:
            error = error_in(answer, path)
            if error is not None:
                raise error
        return answers[-1].reply

    def _saw(self, watcher: Watcher, change: Change, path: bytes) -> None:
        assert callable(watcher)
        watcher(WatchEvent(change, self._paths.told(path)))
