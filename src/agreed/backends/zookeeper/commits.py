"""A commit: look, plan, ask; look again where somebody was faster; find out what nobody answered.

The first look costs nothing much: it asks the server we are on, which may be behind.  A guard that does not
hold is believed only of a thorough look, which is not; and what else is wrong with the first look makes the
multi fail.

If the connection is lost before the answer came, a thorough look in the same session tells what has become of
it, as far as that can be told (`plans.fate`): what was not done is done now, and what may have been done by
us or by somebody else fails with `maybe`.  By then it cannot be under way any more: a server does what came
on an older connection of a session before what comes on the newer one, or never.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Sequence
from functools import partial
from typing import Final

from agreed.backends.contract import Change, Guard, Put
from agreed.backends.zookeeper.packets import Deadline, ask, error_code, expect, if_there, read
from agreed.backends.zookeeper.plans import Look, Plan, fate, paths_to_look_at, session_of
from agreed.backends.zookeeper.sessions import Making, Sessions, ZooKeeperSession
from agreed.backends.zookeeper.tree import KEPT, Tree, is_bare
from agreed.client.errors import (
    BadArguments,
    ConnectionLost,
    NotEmpty,
    SessionExpired,
    Unanswered,
    error_of,
)
from agreed.client.operations import raise_if_too_large
from agreed.client.values import SessionState
from agreed.errors import AgreedError
from agreed.store.records import Acl
from agreed.wire.zookeeper.messages import (
    DeleteRequest,
    ErrorCode,
    ExistsRequest,
    GetChildren2Request,
    MultiOperation,
    MultiRequest,
    Stat,
    SyncRequest,
)
from agreed.wire.zookeeper.replies import ExistsReply, GetChildren2Reply, MultiReply, SetDataReply

RACED: Final = frozenset(
    {ErrorCode.NO_NODE, ErrorCode.NODE_EXISTS, ErrorCode.BAD_VERSION, ErrorCode.NOT_EMPTY}
)
"""How a multi fails when the look was not true any more."""

PAUSE_S: Final = 0.002
"""After the third time; a random part of it, and of more each time."""


class Commits:
    def __init__(self, tree: Tree, acl: Acl, sessions: Sessions) -> None:
        self._tree = tree
        self._acl = acl
        self._sessions = sessions

    async def commit(
        self, guards: Sequence[Guard], changes: Sequence[Change], deadline: Deadline
    ) -> int | None:
        if len({each.key for each in changes}) < len(changes):
            raise BadArguments("a key is changed twice in one commit")
        given = session_of(changes)
        if given is not None and not isinstance(given, ZooKeeperSession):
            raise BadArguments("the session is one of another backend")
        making = Making(
            self._tree.path(each.key) for each in changes if isinstance(each, Put) and each.session
        )
        if given is not None:
            making.begin(given.making)
        try:
            revision = await self._commit(guards, changes, given, making, deadline)
        except AgreedError as error:
            if error.surely_not_done:
                making.end()
            raise
        making.end()
        return revision

    async def _commit(
        self,
        guards: Sequence[Guard],
        changes: Sequence[Change],
        given: ZooKeeperSession | None,
        making: Making,
        deadline: Deadline,
    ) -> int | None:
        for attempt in itertools.count():
            if attempt > 3:
                await asyncio.sleep(random.random() * PAUSE_S * attempt)
            look_by = partial(
                self._look, guards=guards, changes=changes, deadline=deadline, thorough=attempt > 0
            )
            if given is None:
                session, look = await self._sessions.on_own(look_by, deadline)
            else:
                session, look = await look_by(given)
            plan = Plan(self._tree, look, self._acl)
            try:
                holds = plan.make(guards, changes)
            except NotEmpty as refused:
                if not await self._clear(session, refused.path.encode(), deadline):
                    raise
                continue
            if not holds:
                if look.thorough:
                    return None
                continue
            seen_zxid = session.connection.zxid
            try:
                revision = await self._ask(session, plan.operations, deadline)
            except (ConnectionLost, SessionExpired) as lost:
                after = await self._look_after(session, guards, changes, lost, deadline)
                became = fate(self._tree, changes, look, after, seen_zxid, session.id if making.alone else 0)
                if became is None and lost.maybe:
                    raise
                revision = became or None
            if revision is not None:
                return revision
        raise AssertionError("it counts for ever")

    async def _look(
        self,
        session: ZooKeeperSession,
        guards: Sequence[Guard],
        changes: Sequence[Change],
        deadline: Deadline,
        *,
        thorough: bool,
    ) -> tuple[ZooKeeperSession, Look]:
        paths = paths_to_look_at(self._tree, guards, changes, thorough)
        requests = [ExistsRequest(path, False) for path in paths]
        replies = await read(session.connection, *requests, deadline=deadline, fresh=thorough)
        found: dict[bytes, Stat | None] = {}
        for path, reply in zip(paths, replies, strict=True):
            there = if_there(ExistsReply, reply, path)
            found[path] = None if there is None else there.stat
        return session, Look(found, thorough)

    async def _clear(self, session: ZooKeeperSession, path: bytes, deadline: Deadline) -> bool:
        """Take away the bare nodes below it, which nobody has yet.  False: there are keys as well."""
        [listed] = await read(session.connection, GetChildren2Request(path, False), deadline=deadline)
        there = if_there(GetChildren2Reply, listed, path)
        below = [path + b"/" + name for name in (there.children if there else ()) if name != KEPT.encode()]
        requests = [ExistsRequest(each, False) for each in below]
        replies = await read(session.connection, *requests, deadline=deadline)
        for each, reply in zip(below, replies, strict=True):
            found = if_there(ExistsReply, reply, each)
            if found is not None and not is_bare(found.stat):
                return False
            if not await self._clear(session, each, deadline):
                return False
            await ask(session.connection, DeleteRequest(each, 0), deadline=deadline, repeatable=True)
        return True

    async def _look_after(
        self,
        session: ZooKeeperSession,
        guards: Sequence[Guard],
        changes: Sequence[Change],
        lost: Unanswered,
        deadline: Deadline,
    ) -> Look:
        """Raises `lost` where it cannot be known any more what has become of it."""
        try:
            if session.connection.state is SessionState.EXPIRED:
                session = await self._sessions.own(deadline)
            _, look = await self._look(session, guards, changes, deadline, thorough=True)
        except Unanswered:
            raise lost from None
        return look

    async def _ask(
        self, session: ZooKeeperSession, operations: tuple[MultiOperation, ...], deadline: Deadline
    ) -> int | None:
        """At which zxid it was done; None where the look was not true any more."""
        if not operations:
            [answer] = await ask(session.connection, SyncRequest(b"/"), deadline=deadline, repeatable=True)
            return answer.zxid
        request = MultiRequest(operations)
        first = operations[0].path
        raise_if_too_large(request, first.decode())
        [answer] = await ask(session.connection, request, deadline=deadline)
        results = expect(MultiReply, answer.reply, first).results
        for place, result in enumerate(results):
            code = error_code(result)
            if code in RACED:
                return None
            if code != ErrorCode.OK:  # those before the one that was refused say OK, and it comes next
                raise error_of(code, operations[place].path.decode(), place)
        # The zxid beside an answer may be that of a change which the server did between the two.
        set_ones = (each.stat.modified_zxid for each in results if isinstance(each, SetDataReply))
        return next(set_ones, answer.zxid)
