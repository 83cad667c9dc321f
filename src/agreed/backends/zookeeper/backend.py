"""`agreed.backends.contract.Backend` in ZooKeeper's protocol.

    backend = await zookeeper.connect("zk://host:2181/app")             a ZooKeeper, or a cluster of our own
    backend = ZooKeeperBackend(opener, root="/app", ...)                by any other way to such a session

What ZooKeeper cannot: tell every change since a revision (`history`), delete a key that has others below it,
make keys of two sessions in one commit, tell two lives of one key apart that fit between a look and a multi
(`plans.py`).  A read is linearizable as far as `sync` is: a leader of ZooKeeper that was deposed and does not
know it yet answers `sync` for a moment; one of our own does not.
"""

from __future__ import annotations

import ssl as tls
from collections.abc import AsyncIterator, Sequence
from typing import Final

from agreed.backends.contract import (
    Capabilities,
    Change,
    Changes,
    Entry,
    Event,
    Guard,
    Kind,
    Layout,
    Place,
    Session,
    Standing,
    Subtree,
)
from agreed.backends.errors import Unsupported
from agreed.backends.url import parse
from agreed.backends.zookeeper import lines
from agreed.backends.zookeeper.changes import Hubs, NodeChanges, Only
from agreed.backends.zookeeper.commits import Commits
from agreed.backends.zookeeper.packets import Deadline, if_there, read
from agreed.backends.zookeeper.sessions import Opener, Sessions, ZooKeeperSession
from agreed.backends.zookeeper.standing import StandingInLine
from agreed.backends.zookeeper.subtree import subtree
from agreed.backends.zookeeper.tree import Tree, below, entry_of, is_bare
from agreed.client import aio
from agreed.client.errors import BadArguments, SessionExpired
from agreed.client.url import USUAL_PORT, ClusterUrl
from agreed.errors import ConfigurationError
from agreed.store.records import OPEN_ACL, Acl
from agreed.wire.zookeeper.messages import ExistsRequest, GetChildren2Request, GetDataRequest
from agreed.wire.zookeeper.replies import ExistsReply, GetChildren2Reply, GetDataReply

VALUE_BYTES: Final = 1_000_000
"""A server takes a frame of 1,048,575 bytes, and the value is not all of it."""

CHANGES: Final = 500
"""No limit of the protocol, but of the frame."""

TTL_S: Final = (0.001, 2_147_483.0)
"""What the protocol can say.  The servers have bounds of their own, mostly 4 s and 40 s, and do not tell them
before a session is made; `open_session` raises where they grant another time than was asked for."""

NAMES: Final = {"zk": "ZooKeeper", "zookeeper": "ZooKeeper", "agreed": "agreed"}
"""By the scheme of the URL."""


async def connect(
    url: str,
    *,
    session_timeout_s: float = 10.0,
    connect_timeout_s: float = 15.0,
    request_timeout_s: float = 15.0,
    user: str | None = None,
    password: str | None = None,
    acl: Acl = OPEN_ACL,
    ssl: tls.SSLContext | None = None,
) -> ZooKeeperBackend:
    """`url`: `zk://...` or `agreed://...`, see `agreed.backends.url`; the path is made where it is needed.

    session_timeout_s   of the session on which the backend asks, and which the first `open_session` with the
                        same time is given
    connect_timeout_s   for the first connection of each session
    request_timeout_s   the most that any call takes
    user, password      in the place of those in the URL (ZooKeeper's scheme `digest`)
    acl                 of every node that is made

    Raises ConfigurationError, TimedOut where nobody answers, ServersUnknown, AuthenticationFailed."""
    where = parse(url, tuple(NAMES), USUAL_PORT)
    user = where.user if user is None else user
    password = where.password if password is None else password
    credentials = [] if user is None else [("digest", f"{user}:{password or ''}".encode())]

    context = where.context(ssl)
    records = where.records(context)

    async def open_session(ttl_s: float) -> aio.Session:
        deadline = Deadline(connect_timeout_s)
        if records is not None:
            await records.find(deadline.left_s)
        session = aio.Session(
            ClusterUrl(where.servers, ""),
            session_timeout_s=ttl_s,
            request_timeout_s=request_timeout_s,
            auth=credentials,
            ssl=context,
            dial=None if records is None else records.dialer(),
            by_sync=where.scheme != "agreed",
        )
        try:
            await session.wait_connected(timeout_s=deadline.left_s)
        except BaseException:
            session.abandon()
            raise
        return session

    backend = ZooKeeperBackend(
        open_session,
        root=where.path,
        session_timeout_s=session_timeout_s,
        request_timeout_s=request_timeout_s,
        acl=acl,
        name=NAMES[where.scheme],
    )
    await backend.start()
    return backend


class ZooKeeperBackend:
    """`name`, `durable` and `shared` are what its `capabilities` say.  Must be used on one event loop."""

    def __init__(
        self,
        opener: Opener,
        *,
        root: str = "",
        session_timeout_s: float = 10.0,
        request_timeout_s: float = 15.0,
        acl: Acl = OPEN_ACL,
        name: str = "ZooKeeper",
        durable: bool = True,
        shared: bool = True,
    ) -> None:
        self.request_timeout_s = request_timeout_s
        self.capabilities = Capabilities(
            name=name,
            durable=durable,
            shared=shared,
            history=False,
            deletes_parents=False,
            value_bytes=VALUE_BYTES,
            changes=CHANGES,
            ttl_s=TTL_S,
        )
        self._tree = Tree(root)
        self._sessions = Sessions(opener, session_timeout_s)
        self._commits = Commits(self._tree, acl, self._sessions)
        self._standing = StandingInLine(self._tree, acl)
        self._hubs = Hubs(self._sessions, self._deadline)
        self._departures: dict[ZooKeeperSession, Hubs] = {}
        """Of those before us in lines: who stands there by another session has a connection of his own."""

    async def start(self) -> None:
        """Connect now and not with the first call, to hear what is wrong."""
        await self._sessions.own()

    def _deadline(self) -> Deadline:
        return Deadline(self.request_timeout_s)

    async def get(self, key: str) -> Entry | None:
        path, deadline = self._tree.path(key), self._deadline()

        async def look(session: ZooKeeperSession) -> Entry | None:
            [reply] = await read(session.connection, GetDataRequest(path, False), deadline=deadline)
            return self._entry(key, if_there(GetDataReply, reply, path))

        return await self._sessions.on_own(look, deadline)

    @staticmethod
    def _entry(key: str, there: GetDataReply | None) -> Entry | None:
        if there is None or is_bare(there.stat):
            return None
        return entry_of(key, there.data or b"", there.stat)

    async def entries(self, directory: str) -> list[Entry]:
        deadline = self._deadline()

        async def look(session: ZooKeeperSession) -> list[Entry]:
            keys = await self._keys_below(session, directory, deadline)
            paths = [self._tree.path(key) for key in keys]
            requests = [GetDataRequest(path, False) for path in paths]
            replies = await read(session.connection, *requests, deadline=deadline, fresh=False)
            found = (
                self._entry(key, if_there(GetDataReply, reply, path))
                for key, path, reply in zip(keys, paths, replies, strict=True)
            )
            return [entry for entry in found if entry is not None]

        return await self._sessions.on_own(look, deadline)

    async def names(self, directory: str) -> list[str]:
        """A bare node without children, which nobody has taken away yet, is no parent and not among them; one
        whose children are all of that kind still is."""
        deadline = self._deadline()

        async def look(session: ZooKeeperSession) -> list[str]:
            keys = await self._keys_below(session, directory, deadline)
            paths = [self._tree.path(key) for key in keys]
            requests = [ExistsRequest(path, False) for path in paths]
            replies = await read(session.connection, *requests, deadline=deadline, fresh=False)
            stats = (if_there(ExistsReply, reply, path) for path, reply in zip(paths, replies, strict=True))
            return [
                key.rpartition("/")[2]
                for key, there in zip(keys, stats, strict=True)
                if there is not None and (there.stat.children or not is_bare(there.stat))
            ]

        return await self._sessions.on_own(look, deadline)

    async def subtree(self, key: str, *, most: int, most_bytes: int) -> Subtree:
        self._tree.directory(key)
        deadline = self._deadline()

        async def look(session: ZooKeeperSession) -> Subtree:
            return await subtree(session, self._tree, key, most, most_bytes, deadline)

        return await self._sessions.on_own(look, deadline)

    async def _keys_below(self, session: ZooKeeperSession, directory: str, deadline: Deadline) -> list[str]:
        names = await self._children(session, directory, deadline)
        shown = (name for name in sorted(names) if not self._tree.is_hidden(directory, name))
        return [below(directory, name) for name in shown]

    async def _children(
        self, session: ZooKeeperSession, directory: str, deadline: Deadline, *, fresh: bool = True
    ) -> list[str]:
        path = self._tree.directory(directory)
        request = GetChildren2Request(path, False)
        [reply] = await read(session.connection, request, deadline=deadline, fresh=fresh)
        there = if_there(GetChildren2Reply, reply, path)
        return [] if there is None else [name.decode("utf-8", "replace") for name in there.children]

    async def commit(self, guards: Sequence[Guard], changes: Sequence[Change]) -> int | None:
        return await self._commits.commit(guards, changes, self._deadline())

    async def enter(
        self, directory: str, session: Session, mark: str, value: bytes, kind: Kind, layout: Layout
    ) -> Standing:
        return await self._standing.enter(
            directory, ours(session), mark, value, kind, layout, self._deadline()
        )

    async def leave(self, directory: str, session: Session, mark: str) -> None:
        await self._standing.leave(directory, ours(session), mark, self._deadline())

    async def line(self, directory: str, layout: Layout) -> tuple[Place, ...]:
        deadline = self._deadline()

        async def look(session: ZooKeeperSession) -> tuple[Place, ...]:
            return lines.places(directory, layout, await self._children(session, directory, deadline))

        return await self._sessions.on_own(look, deadline)

    async def line_before(
        self, directory: str, layout: Layout, mine: Entry, session: Session
    ) -> tuple[Place, ...]:
        """Who has made a node sees it, and all that was before it, whichever server he is on later."""
        names = await self._children(ours(session), directory, self._deadline(), fresh=False)
        return lines.up_to(mine.key, lines.places(directory, layout, names))

    async def until_gone(self, place: Place, mine: Entry, session: Session) -> None:
        """By the connection on which one came: what it has shown once is never again "not there yet"."""
        standing = ours(session)
        hubs = self._departures_of(standing)
        async with NodeChanges(hubs, self._tree.path(place.key), below=False) as changes:
            while not changes.gone:
                await changes.wait()
                if standing.ended:
                    raise SessionExpired("the session ended while it stood in line", maybe=False)

    def _departures_of(self, session: ZooKeeperSession) -> Hubs:
        hubs = self._departures.get(session)
        if hubs is None:
            hubs = self._departures[session] = Hubs(Only(session), self._deadline)

            def forget() -> None:
                self._departures.pop(session, None)

            session.on_end(forget)
        return hubs

    def changes(self, key: str, *, below: bool) -> Changes:
        path = self._tree.directory(key) if below else self._tree.path(key)
        return NodeChanges(self._hubs, path, below=below, tree=self._tree)

    def history(self, key: str, *, below: bool, since: int | None) -> AsyncIterator[Event]:
        raise Unsupported("ZooKeeper does not keep what was changed, only what is there")

    async def open_session(self, ttl_s: float) -> ZooKeeperSession:
        low, high = self.capabilities.ttl_s
        if not low <= ttl_s <= high:
            raise ConfigurationError(f"a session of {ttl_s:g} s: it is to be between {low:g} and {high:g} s")
        return await self._sessions.open(ttl_s)

    async def close(self) -> None:
        await self._sessions.close()


def ours(session: Session) -> ZooKeeperSession:
    if not isinstance(session, ZooKeeperSession):
        raise BadArguments("the session is one of another backend")
    return session
