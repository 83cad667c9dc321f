"""To enter a line, and to leave it: what was perhaps done is found again by the mark in the name.

To enter is one packet: make a node with a number, list the directory.  The list is as of a moment after that
node was made, so who came before is in it, for as long as he is there.  If the connection is lost, the packet
is said again: should the first have been done as well, then the list shows two with our mark, and the later
one is taken away again.  So there is nothing to be remembered between two attempts, nor between two calls.

That no creation is still under way when the list is read rests on the order of one session: what a server
was told on an older connection is done before what comes on the newer one, or never.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from agreed.backends.contract import Entry, Kind, Layout, Standing
from agreed.backends.zookeeper import lines
from agreed.backends.zookeeper.packets import Deadline, ask, error_code, expect, if_there, read
from agreed.backends.zookeeper.sessions import ZooKeeperSession
from agreed.backends.zookeeper.tree import Tree, above, below, entry_of
from agreed.client.errors import (
    ConnectionLost,
    SessionClosed,
    SessionExpired,
    TimedOut,
    UnknownAnswer,
    error_of,
)
from agreed.client.operations import raise_if_too_large
from agreed.store.records import Acl
from agreed.wire.zookeeper.messages import (
    CreateMode,
    CreateRequest,
    DeleteRequest,
    ErrorCode,
    GetChildren2Request,
    GetDataRequest,
    Op,
    Stat,
)
from agreed.wire.zookeeper.replies import Create2Reply, GetChildren2Reply, GetDataReply

ANY_VERSION: Final = -1


class StandingInLine:
    def __init__(self, tree: Tree, acl: Acl) -> None:
        self._tree = tree
        self._acl = acl

    async def enter(
        self,
        directory: str,
        session: ZooKeeperSession,
        mark: str,
        value: bytes,
        kind: Kind,
        layout: Layout,
        deadline: Deadline,
    ) -> Standing:
        session.names.pop((directory, mark), None)
        wish = below(directory, lines.prefix(layout, kind, mark))
        create = CreateRequest(
            self._tree.path(wish), value, self._acl, CreateMode.EPHEMERAL_SEQUENTIAL, 0, Op.CREATE2
        )
        listing = GetChildren2Request(self._tree.directory(directory), False)
        raise_if_too_large(create, wish)
        perhaps_stands = False
        while True:
            try:
                answers = await ask(session.connection, create, listing, deadline=deadline)
            except ConnectionLost as lost:
                perhaps_stands |= lost.maybe
                continue
            except TimedOut as late:
                raise TimedOut("not entered in time", maybe=late.maybe or perhaps_stands) from None
            made, listed = (answer.reply for answer in answers)
            if error_code(made) == ErrorCode.NO_NODE:
                await self._make_parents(session, directory, deadline)
                continue
            stat = expect(Create2Reply, made, create.path).stat
            names = _names(expect(GetChildren2Reply, listed, listing.path))
            ours = lines.marked(names, mark)
            mine = await self._mine(directory, session, layout, value, stat, ours, deadline)
            if mine is not None:
                name = mine.key.rpartition("/")[2]
                session.names[directory, mark] = name
                if len(ours) > 1:
                    names = [each for each in names if each == name or each not in ours]
                return Standing(mine, lines.places(directory, layout, names))

    async def _mine(
        self,
        directory: str,
        session: ZooKeeperSession,
        layout: Layout,
        value: bytes,
        made: Stat,
        names: Iterable[str],
        deadline: Deadline,
    ) -> Entry | None:
        """The first of those with our mark; the others are taken away.  None: somebody has deleted it."""
        found = (lines.contender(layout, name) for name in names)
        ours = lines.in_order(each for each in found if each is not None)
        if not ours:
            return None
        first, *others = ours
        key = below(directory, first.name)
        if not others:
            return entry_of(key, value, made)
        for other in others:
            await self._delete(session, below(directory, other.name), deadline)
        path = self._tree.path(key)
        [reply] = await read(session.connection, GetDataRequest(path, False), deadline=deadline)
        there = if_there(GetDataReply, reply, path)
        return None if there is None else entry_of(key, there.data or b"", there.stat)

    async def _make_parents(self, session: ZooKeeperSession, directory: str, deadline: Deadline) -> None:
        """Containers, as far as they are not there; that may be said twice."""
        path = self._tree.directory(directory)
        if path == b"/":
            raise UnknownAnswer("/", ErrorCode.NO_NODE)
        requests = [
            CreateRequest(each, b"", self._acl, CreateMode.CONTAINER, 0, Op.CREATE_CONTAINER)
            for each in (*reversed(list(above(path))), path)
        ]
        answers = await ask(session.connection, *requests, deadline=deadline, repeatable=True)
        codes = [error_code(answer.reply) for answer in answers]
        if codes[-1] in (ErrorCode.OK, ErrorCode.NODE_EXISTS):
            return
        # The first that is more than "it is there" says why the last could not be made.  Where none does, a
        # container above has gone in this moment.
        refused = [
            code for code in codes if code not in (ErrorCode.OK, ErrorCode.NODE_EXISTS, ErrorCode.NO_NODE)
        ]
        if refused:
            raise error_of(refused[0], directory)

    async def leave(self, directory: str, session: ZooKeeperSession, mark: str, deadline: Deadline) -> None:
        name = session.names.pop((directory, mark), None)
        try:
            if name is not None:
                await self._delete(session, below(directory, name), deadline)
                return
            for each in lines.marked(await self._listed(session, directory, deadline), mark):
                await self._delete(session, below(directory, each), deadline)
        except (SessionExpired, SessionClosed):
            return

    async def _listed(self, session: ZooKeeperSession, directory: str, deadline: Deadline) -> list[str]:
        path = self._tree.directory(directory)
        [reply] = await read(session.connection, GetChildren2Request(path, False), deadline=deadline)
        there = if_there(GetChildren2Reply, reply, path)
        return [] if there is None else _names(there)

    async def _delete(self, session: ZooKeeperSession, key: str, deadline: Deadline) -> None:
        """Until it is certain; its name is never used again, so that may be said twice."""
        path = self._tree.path(key)
        request = DeleteRequest(path, ANY_VERSION)
        [answer] = await ask(session.connection, request, deadline=deadline, repeatable=True)
        if_there(object, answer.reply, path)


def _names(listed: GetChildren2Reply) -> list[str]:
    return [name.decode("utf-8", "replace") for name in listed.children]
