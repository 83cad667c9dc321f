"""`agreed copy` from and to what speaks ZooKeeper's protocol: a ZooKeeper, or a cluster of this package.

A node is an entry: its path is the name, its data the value.  What a node has beyond that (access list,
versions, times) is not copied, and nodes are made open to everybody, as programs do by default.

**From.**  ZooKeeper cannot be read as it was at one moment.  A watch is set on the whole tree first, then
all nodes are read; what changes meanwhile is seen by the watch and read once more.  So the copy converges to
the source, but a moment in between may be one that the source never had.  Ephemeral nodes belong to a
session that lives at the source, and are counted, not copied.  `/zookeeper` is the server's own.

**To.**  The parents that an entry needs are made, empty, where they are missing.  A node that is to go and
has children stays as an empty parent.
"""
from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence

from agreed.cli.copy_merge import Batch, CannotHold, Change, Counts, Held, Write, digest
from agreed.cli.copy_place import Place
from agreed.client.aio import Session, Watch, connect
from agreed.client.errors import BadVersion, ClientError, NodeExists, NoNode, NotEmpty, Refused, TooLarge
from agreed.client.values import Change as Seen
from agreed.client.values import Create, Delete, Operation, SetData, Stat, WatchKind

TIMEOUT_S = 30.0
AT_ONCE = 64
"""Reads that are on their way at the same time."""

_NOT_EPHEMERAL = (-(2**63), 0)
"""What stands in place of a session's number in a container, and in any lasting node."""

_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\uf8ff\ufff0-\uffff]")


async def session_of(place: Place) -> Session:
    auth = [("digest", f"{place.user}:{place.password}".encode())] if place.user is not None else []
    url = f"zk://{','.join(map(str, place.servers))}{place.root}"
    return await connect(url, request_timeout_s=TIMEOUT_S, auth=auth, ssl=place.tls)


def is_ephemeral(stat: Stat) -> bool:
    """A time to live is kept in the same number, with 0xff in front."""
    owner = stat.ephemeral_owner
    return owner not in _NOT_EPHEMERAL and (owner >> 56) & 0xFF != 0xFF


def path_of(name: bytes, root: str) -> str:
    """Raises `CannotHold` for what is no path of a node."""
    try:
        path = name.decode("utf-8")
    except UnicodeDecodeError:
        raise CannotHold(name, "no path: it is not UTF-8") from None
    parts = path.split("/")[1:]
    if not path.startswith("/") or not all(parts) or "." in parts or ".." in parts:
        raise CannotHold(name, "no path of ZooKeeper: it has to look like /a/b")
    if _FORBIDDEN.search(path):
        raise CannotHold(name, "no path of ZooKeeper: a character that it does not take")
    if f"{root}{path}/".startswith("/zookeeper/"):
        raise CannotHold(name, "below /zookeeper the server keeps its own")
    return path


class ZookeeperSource:
    def __init__(self, place: Place, prefix: bytes, counts: Counts) -> None:
        self._place = place
        self._prefix = prefix.decode("utf-8", "surrogateescape")
        self._counts = counts
        self._session: Session | None = None
        self._watch: Watch | None = None
        self._seen: dict[str, bytes] = {}
        self._ephemeral: set[str] = set()

    def close(self) -> None:
        if self._session is not None:
            self._session.abandon()

    async def scan(self, *, watched: bool) -> AsyncIterator[Batch]:
        """Everything, parents before their children.  `watched`: `follow` is to come."""
        session = self._session = await session_of(self._place)
        if watched:
            self._watch = await session.watch("/", WatchKind.RECURSIVE)
        async for batch in self._look_at_all(session):
            yield batch

    async def follow(self) -> AsyncIterator[Batch]:
        """Every change since `scan` began, for ever."""
        while True:
            assert self._session is not None
            assert self._watch is not None
            async for batch in self._watched(self._session, self._watch):
                yield batch
            # The session has ended: what has changed since is found by looking at everything.
            self._session.abandon()
            self._session = await session_of(self._place)
            self._watch = await self._session.watch("/", WatchKind.RECURSIVE)
            async for batch in self._look_again(self._session):
                yield batch

    async def _watched(self, session: Session, watch: Watch) -> AsyncIterator[Batch]:
        while True:
            event = await watch.next()
            changed: dict[str, None] = {}
            while True:
                if event.change is Seen.ENDED:
                    return
                if event.change is Seen.GAP:
                    async for batch in self._look_again(session):
                        yield batch
                elif event.change is not Seen.CHILDREN:
                    changed[event.path] = None
                try:
                    event = await watch.next(0)
                except TimeoutError:
                    break
            paths = [path for path in changed if self._is_ours(path)]
            if changes := self._changes(await self._read(session, paths)):
                yield Batch(changes)

    async def _look_again(self, session: Session) -> AsyncIterator[Batch]:
        before = set(self._seen)
        there: set[str] = set()
        async for batch in self._look_at_all(session, there):
            yield batch
        gone = sorted(before - there, reverse=True)
        if gone:
            yield Batch(self._changes([(path, None) for path in gone]))

    async def _look_at_all(
        self, session: Session, there: set[str] | None = None
    ) -> AsyncIterator[Batch]:
        level = ["/"]
        while level:
            below: list[str] = []
            for at in range(0, len(level), AT_ONCE):
                some = level[at : at + AT_ONCE]
                children = await asyncio.gather(*[self._children(session, path) for path in some])
                for path, names in zip(some, children, strict=True):
                    below += [f"{path.rstrip('/')}/{name}" for name in names if self._is_user(path, name)]
            for at in range(0, len(below), AT_ONCE):
                wanted = [path for path in below[at : at + AT_ONCE] if self._is_ours(path)]
                found = await self._read(session, wanted)
                if there is not None:
                    there |= {path for path, value in found if value is not None}
                if changes := self._changes(found):
                    yield Batch(changes)
            level = below

    async def _children(self, session: Session, path: str) -> tuple[str, ...]:
        try:
            return (await session.children(path)).names
        except NoNode:
            return ()

    def _is_user(self, parent: str, name: str) -> bool:
        return (parent, name, self._place.root) != ("/", "zookeeper", "")

    def _is_ours(self, path: str) -> bool:
        own = not self._place.root and (path == "/zookeeper" or path.startswith("/zookeeper/"))
        return path != "/" and not own and path.startswith(self._prefix)

    async def _read(self, session: Session, paths: Sequence[str]) -> list[tuple[str, bytes | None]]:
        found: list[tuple[str, bytes | None]] = []
        for at in range(0, len(paths), AT_ONCE):
            found += await asyncio.gather(*[self._value(session, path) for path in paths[at : at + AT_ONCE]])
        return found

    async def _value(self, session: Session, path: str) -> tuple[str, bytes | None]:
        try:
            node = await session.get(path)
        except NoNode:
            return path, None
        if is_ephemeral(node.stat):
            self._ephemeral.add(path)
            self._counts.ephemeral = len(self._ephemeral)
            return path, None
        return path, node.data

    def _changes(self, found: Sequence[tuple[str, bytes | None]]) -> list[Change]:
        """Parents are made before their children, and go after them."""
        made, gone = [], []
        for path, value in sorted(found):
            name = path.encode("utf-8", "surrogateescape")
            before = self._seen.get(path)
            if value is not None:
                if digest(value) != before:
                    made.append(Change(name, value, before))
                    self._seen[path] = digest(value)
            elif before is not None:
                gone.append(Change(name, None, before))
                del self._seen[path]
        return gone[::-1] + made


class ZookeeperTarget:
    def __init__(self, place: Place) -> None:
        self._place = place
        self._session: Session | None = None
        self._there: set[str] = {"/", ""}
        self._made: dict[str, int] = {}
        """Parents that are there only because something below them is, with their version."""

    async def open(self) -> None:
        self._session = await session_of(self._place)
        await self._session.ensure_path("/")

    @property
    def session(self) -> Session:
        assert self._session is not None
        return self._session

    def close(self) -> None:
        if self._session is not None:
            self._session.abandon()

    async def stay(self) -> None:
        return

    def check(self, change: Change) -> None:
        path_of(change.name, self._place.root)
        if change.lease:
            raise CannotHold(change.name, "it hangs on a lease, and nobody here could hold a session for it")

    def hangs_on(self, lease: int, held: Held) -> bool:
        return held.lease == lease

    async def read(self, names: Sequence[bytes]) -> dict[bytes, Held]:
        found: dict[bytes, Held] = {}

        async def look(name: bytes) -> None:
            path = path_of(name, self._place.root)
            try:
                node = await self.session.get(path, fresh=True)
            except NoNode:
                return
            if path not in self._made or node.data:
                session = node.stat.ephemeral_owner if is_ephemeral(node.stat) else 0
                found[name] = Held(node.data, node.stat.version, session)

        for at in range(0, len(names), AT_ONCE):
            await asyncio.gather(*[look(name) for name in names[at : at + AT_ONCE]])
        return found

    async def write(self, writes: Sequence[Write]) -> bool:
        operations: list[Operation] = []
        for write in writes:
            path = path_of(write.change.name, self._place.root)
            if write.change.wanted is not None:
                await self._make_parents(path)
            operations.append(self._operation(write, path))
        try:
            await self.session.multi(operations)
        except (BadVersion, NodeExists, NoNode):
            return False
        except (NotEmpty, TooLarge, Refused) as error:
            return await self._one_by_one(writes, operations, error)
        except ClientError as error:
            if error.surely_not_done:
                raise
            # It may have been done: what is there is looked at once more.
            return False
        for write, operation in zip(writes, operations, strict=True):
            self._made.pop(operation.path, None)
            if write.change.wanted is None:
                self._there.discard(operation.path)
            else:
                self._there.add(operation.path)
        return True

    def _operation(self, write: Write, path: str) -> Operation:
        if write.change.wanted is None:
            return Delete(path, write.over.token if write.over is not None else -1)
        if write.over is not None:
            return SetData(path, write.change.wanted, write.over.token)
        if path in self._made:
            return SetData(path, write.change.wanted, self._made[path])
        return Create(path=path, data=write.change.wanted)

    async def _one_by_one(
        self, writes: Sequence[Write], operations: Sequence[Operation], error: ClientError
    ) -> bool:
        """One of them cannot be; which one is found by trying each."""
        if len(writes) > 1:
            return all([await self.write([write]) for write in writes])
        [write], [operation] = writes, operations
        if isinstance(error, NotEmpty):
            return await self._emptied(operation.path, write)
        raise CannotHold(write.change.name, f"{type(error).__name__}: {error}") from error

    async def _emptied(self, path: str, write: Write) -> bool:
        """It is a parent of others: what it held goes, and it stays."""
        try:
            stat = await self.session.set(path, b"", write.over.token if write.over is not None else -1)
        except (BadVersion, NoNode):
            return False
        self._made[path] = stat.version
        return True

    async def _make_parents(self, path: str) -> None:
        missing: list[str] = []
        parent = path.rpartition("/")[0]
        while parent not in self._there:
            missing.append(parent)
            parent = parent.rpartition("/")[0]
        for each in reversed(missing):
            try:
                await self.session.create(each)
            except NodeExists:
                pass
            else:
                self._made[each] = 0
            self._there.add(each)

    async def names(self, prefix: bytes) -> AsyncIterator[list[bytes]]:
        """Children before their parents."""
        source = ZookeeperSource(self._place, prefix, Counts())
        found = [change.name async for batch in source.scan(watched=False) for change in batch.changes]
        source.close()
        yield sorted(found, reverse=True)
