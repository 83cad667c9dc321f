"""All that is below a node, level by level: the values of one level, then what stands below those.

It begins with a sync, so nothing that was acknowledged before is missed; the rest is asked on the same
session, which never sees an older state than it has seen.  There is no moment at which all of it was so:
ZooKeeper reads node by node.  Whoever watches while he reads hears of what has changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from agreed.backends.contract import Entry, Subtree
from agreed.backends.errors import TooMuchBelow
from agreed.backends.zookeeper.packets import Deadline, ask, expect, if_there, read
from agreed.backends.zookeeper.sessions import ZooKeeperSession
from agreed.backends.zookeeper.tree import Tree, below, entry_of, is_bare
from agreed.wire.zookeeper.messages import GetChildren2Request, GetDataRequest, SyncRequest
from agreed.wire.zookeeper.replies import GetChildren2Reply, GetDataReply

AT_ONCE: Final = 64
"""Values that are on their way at the same time, each of them one that may be too much."""


async def subtree(
    session: ZooKeeperSession, tree: Tree, key: str, most: int, most_bytes: int, deadline: Deadline
) -> Subtree:
    """See `contract.Backend.subtree`."""
    walk = _Walk(session, tree, key, most, most_bytes, deadline)
    [synced] = await ask(session.connection, SyncRequest(b"/"), deadline=deadline, repeatable=True)
    expect(object, synced.reply, b"/")
    revision = session.connection.zxid
    level = [key]
    while level:
        level = await walk.names(await walk.values(level))
    return Subtree(revision, tuple(sorted(walk.entries, key=lambda entry: entry.key)))


class _Walk:
    def __init__(
        self,
        session: ZooKeeperSession,
        tree: Tree,
        key: str,
        most: int,
        most_bytes: int,
        deadline: Deadline,
    ) -> None:
        self.entries: list[Entry] = []
        self._connection = session.connection
        self._tree = tree
        self._key = key
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._deadline = deadline

    async def values(self, keys: Sequence[str]) -> list[str]:
        """Which of them have something below them."""
        parents: list[str] = []
        for start in range(0, len(keys), AT_ONCE):
            piece = keys[start : start + AT_ONCE]
            requests = [GetDataRequest(self._tree.directory(key), False) for key in piece]
            replies = await read(self._connection, *requests, deadline=self._deadline, fresh=False)
            for key, request, reply in zip(piece, requests, replies, strict=True):
                there = if_there(GetDataReply, reply, request.path)
                if there is not None:
                    self._take(key, there)
                    parents += [key] if there.stat.children else []
        return parents

    def _take(self, key: str, there: GetDataReply) -> None:
        if not key or is_bare(there.stat):
            return
        entry = entry_of(key, there.data or b"", there.stat)
        self.entries.append(entry)
        self._bytes += len(key) + len(entry.value)
        if len(self.entries) > self._most or self._bytes > self._most_bytes:
            raise TooMuchBelow(self._key, self._most, self._most_bytes)

    async def names(self, parents: Sequence[str]) -> list[str]:
        """The keys directly below them."""
        requests = [GetChildren2Request(self._tree.directory(key), False) for key in parents]
        replies = await read(self._connection, *requests, deadline=self._deadline, fresh=False)
        found: list[str] = []
        for key, request, reply in zip(parents, requests, replies, strict=True):
            listed = if_there(GetChildren2Reply, reply, request.path)
            for raw in () if listed is None else listed.children:
                name = raw.decode("utf-8", "replace")
                if not self._tree.is_hidden(key, name):
                    found.append(below(key, name))
        return found
