"""To hear that something may have changed: one `Hub` for each path that anybody watches.

    below       a persistent recursive watch (ZooKeeper 3.6): set once, it tells of all that follows
    else        a watch that is used up by one event, set by looking whether the node is there
    below, where the server knows no persistent watches: such a watch on every node there is

A hub counts what it is told; whoever waits remembers up to where he has counted.  A lost connection that was
found again, a new session and a watch that was not there for a while count as well: something may have
changed.

A used-up watch is set again at once, before anybody who was woken can ask anything: requests of one
connection keep their order, so what he reads then is as of a moment after the watch was set, and nothing is
missed between the two.  After a deletion it is not set before somebody waits once more, and that one is told
to look again: mostly nobody does, for who waited for a place in line to go has what he wanted, and a watch
on a name that never comes again would stay with the server for as long as the session.

A server before 3.9 keeps one kind of watch for each path of a connection (ZOOKEEPER-4466), so while a path is
watched with all below it, those who watch it alone hear by the same watch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Protocol, Self

from agreed.backends.contract import Touched
from agreed.backends.zookeeper import lines
from agreed.backends.zookeeper.packets import Deadline, ask, error_code, expect
from agreed.backends.zookeeper.sessions import ZooKeeperSession
from agreed.backends.zookeeper.tree import Tree
from agreed.client import aio
from agreed.client.errors import ClientError, NotSupported
from agreed.client.values import Change, WatchEvent, WatchKind
from agreed.wire.zookeeper.messages import (
    AddWatchMode,
    AddWatchRequest,
    ErrorCode,
    ExistsRequest,
    GetChildren2Request,
    GetDataRequest,
)
from agreed.wire.zookeeper.replies import GetChildren2Reply

TOUCHED_MOST: Final = 1000
"""Whoever does not ask what was touched is not to have a list of all that ever was."""


class Hub:
    """Itself the watcher of its path; called with what was seen."""

    def __init__(self, hubs: Hubs, path: bytes) -> None:
        self.path = path
        self.here = 0
        self.below = 0
        """How often this path, or anything below it, may have changed."""
        self.listeners: set[NodeChanges] = set()
        self._hubs = hubs
        self._name = path.decode()
        self._armed_on: aio.Session | None = None
        self._stays = False
        self.gone = False
        """The node was not there when we heard of it last."""
        self._is_gone = False  # for good: there is nothing to hear of, and no watch
        self._arming: asyncio.Task[None] | None = None
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def wants_below(self) -> bool:
        return any(each.below for each in self.listeners)

    @property
    def zxid(self) -> int:
        """Whatever was changed up to it has been told: a server sends what a watch sees before anything from
        which one could know of it."""
        return 0 if self._armed_on is None else self._armed_on.zxid

    # --- what is told ------------------------------------------------------------------------------------

    def __call__(self, event: WatchEvent) -> None:
        at_path = event.path == self._name
        if event.change is Change.ENDED or not self._stays:
            self._armed_on = None
        if event.change is Change.CHILDREN and not self.wants_below:
            at_path = False
        if at_path:
            self.gone = event.change is Change.DELETED
        at_one_node = self._stays and event.change in (Change.CREATED, Change.DATA, Change.DELETED)
        self._count(
            here=at_path or event.change in (Change.GAP, Change.ENDED),
            node=event.path if at_one_node else None,
        )
        if not self.listeners:
            self._hubs.forget(self)
        elif self._armed_on is None and event.change in (Change.CREATED, Change.DATA, Change.CHILDREN):
            self._arming = asyncio.get_running_loop().create_task(self._arm_again())

    def _count(self, *, here: bool, node: str | None = None) -> None:
        """`node`: at which path, where nothing else can have changed."""
        self.below += 1
        self.here += here
        for listener in self.listeners:
            listener.touch(node)
        for each in self._waiting:
            if not each.done():
                each.set_result(None)

    async def told(self) -> None:
        """Returns when something is told, or at once where nobody would."""
        if self._arming is not None:
            await asyncio.wait([self._arming])
        if self._armed_on is None or self._armed_on.state.final:
            await self.arm(blind=True)
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            await waiter
        finally:
            self._waiting.discard(waiter)

    # --- watches -----------------------------------------------------------------------------------------

    async def _arm_again(self) -> None:
        """Up to the request to the server nothing is waited for here."""
        try:
            await self.arm(blind=False)
        except ClientError:
            self._armed_on = None  # whoever waits tries again, and hears why it does not work
        finally:
            self._arming = None

    async def arm(self, *, blind: bool) -> None:
        """From here on, what changes is told.  `blind`: it was not for a while, which counts as a change."""
        deadline = self._hubs.deadline()
        session = (await self._hubs.sessions.own(deadline)).connection
        if self._armed_on is session and (self._stays or not self.wants_below):
            return
        counted = self.below
        if not self.wants_below:
            self._stays = False
            await self._watch_node(session, deadline)
        elif not await self._watch_for_good(session, deadline):
            await self._watch_each(session, deadline)
        if self._stays or counted == self.below:
            # Else the one event for which that watch was good has come already.
            self._armed_on = None if session.state.final else session
        if blind:
            self._count(here=True)

    async def _watch_node(self, session: aio.Session, deadline: Deadline) -> None:
        if lines.never_comes_again(self._name.rpartition("/")[2]):
            request: GetDataRequest | ExistsRequest = GetDataRequest(
                self.path, True
            )  # no watch where none is
        else:
            request = ExistsRequest(self.path, True)
        [answer] = await ask(session, request, deadline=deadline, repeatable=True, watcher=self)
        self.gone = error_code(answer.reply) == ErrorCode.NO_NODE
        self._is_gone = self.gone and isinstance(request, GetDataRequest)
        if not self.gone:
            expect(object, answer.reply, self.path)

    async def _watch_for_good(self, session: aio.Session, deadline: Deadline) -> bool:
        """False: this server cannot."""
        if self._hubs.one_by_one:
            return False
        request = AddWatchRequest(self.path, AddWatchMode.PERSISTENT_RECURSIVE)
        [answer] = await ask(session, request, deadline=deadline, repeatable=True, watcher=self)
        try:
            expect(object, answer.reply, self.path)
        except NotSupported:
            self._hubs.one_by_one = True
            return False
        self._stays = True
        return True

    async def _watch_each(self, session: aio.Session, deadline: Deadline) -> None:
        """Level by level: what is made below a node after its children were listed is told by that list."""
        self._stays = False
        level: Sequence[bytes] = [self.path]
        while level:
            requests = [
                each
                for path in level
                for each in (ExistsRequest(path, True), GetChildren2Request(path, True))
            ]
            answers = await ask(session, *requests, deadline=deadline, repeatable=True, watcher=self)
            following = []
            for path, answer in zip(level, answers[1::2], strict=True):
                if error_code(answer.reply) != ErrorCode.NO_NODE:
                    listed = expect(GetChildren2Reply, answer.reply, path)
                    following += [path.rstrip(b"/") + b"/" + name for name in listed.children]
            level = following

    def left(self) -> None:
        """One listener fewer."""
        if self._stays and not self.wants_below:
            if self._armed_on is not None:
                self._armed_on.driver.stop_watching(self, self.path, WatchKind.RECURSIVE)
            self._armed_on = None
            self._stays = False
            self._count(here=True)  # those who watch this path alone need another watch
        if not self.listeners and (self._armed_on is None or self._is_gone):
            self._hubs.forget(self)


class Source(Protocol):
    """Where the connection comes from on which watches are set."""

    async def own(self, deadline: Deadline | None = None) -> ZooKeeperSession: ...


class Only:
    """This session and no other."""

    def __init__(self, session: ZooKeeperSession) -> None:
        self._session = session

    async def own(self, deadline: Deadline | None = None) -> ZooKeeperSession:
        return self._session


class Hubs:
    """`one_by_one`: the server knows no persistent watches."""

    def __init__(self, sessions: Source, deadline: Callable[[], Deadline]) -> None:
        self.sessions = sessions
        self.deadline = deadline
        self.one_by_one = False
        self._hubs: dict[bytes, Hub] = {}

    def at(self, path: bytes) -> Hub:
        hub = self._hubs.get(path)
        if hub is None:
            hub = self._hubs[path] = Hub(self, path)
        return hub

    def forget(self, hub: Hub) -> None:
        if self._hubs.get(hub.path) is hub:
            del self._hubs[hub.path]


class NodeChanges:
    """`agreed.backends.contract.Changes`."""

    """`tree`: for who asks what was touched."""

    def __init__(self, hubs: Hubs, path: bytes, *, below: bool, tree: Tree | None = None) -> None:
        self.below = below
        self._hubs = hubs
        self._path = path
        self._tree = tree
        self._hub: Hub | None = None
        self._counted = 0
        self._touched: set[str] | None = set()

    async def __aenter__(self) -> Self:
        hub = self._hub = self._hubs.at(self._path)
        hub.listeners.add(self)
        try:
            await hub.arm(blind=len(hub.listeners) > 1)
        except BaseException:
            self._close()
            raise
        self._counted = self._count()
        self._touched = set()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._hub is not None:
            self._hub.listeners.discard(self)
            self._hub.left()
            self._hub = None

    def _count(self) -> int:
        assert self._hub is not None, "it is to be entered first, and not after it was left"
        return self._hub.below if self.below else self._hub.here

    @property
    def gone(self) -> bool:
        """Of one path: it was not there when that was heard of last."""
        assert self._hub is not None, "it is to be entered first, and not after it was left"
        return self._hub.gone

    def touch(self, node: str | None) -> None:
        if node is None or self._tree is None or self._touched is None or len(self._touched) >= TOUCHED_MOST:
            self._touched = None
            return
        key = self._tree.key(node)
        if key is not None:
            self._touched.add(key)

    def touched(self) -> Touched:
        touched, self._touched = self._touched, set()
        revision = 0 if self._hub is None else self._hub.zxid
        return Touched(revision, None if touched is None else frozenset(touched))

    async def wait(self, timeout_s: float | None = None) -> bool:
        try:
            async with asyncio.timeout(timeout_s) as limit:
                while self._count() == self._counted:
                    assert self._hub is not None
                    await self._hub.told()
        except TimeoutError:
            if not limit.expired():
                raise
            return False
        self._counted = self._count()
        return True
