"""What was agreed, revision by revision, as found on the node that was first to apply it.

Every other node must find the same there, and every answer to a client must be what the truth says at the
revision in its header.  So each answer is checked on the spot, in time that does not grow with the run.
"""
from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

from agreed.sim.etcd_truth import FlatTruth
from agreed.sim.outcome import Broken
from agreed.store.events import Event, EventKind, Space
from agreed.store.paths import parent_of
from agreed.store.records import Record
from agreed.wire.zookeeper.messages import (
    CheckRequest,
    CreateMode,
    CreateRequest,
    DeleteRequest,
    ErrorCode,
    ExistsRequest,
    GetChildren2Request,
    GetChildrenRequest,
    GetDataRequest,
    MultiReadRequest,
    MultiRequest,
    SetDataRequest,
    SyncRequest,
)
from agreed.wire.zookeeper.replies import ErrorReply

Change = tuple[int, bytes, bytes | None, int]
"""Kind, path, data and version of one event."""

_SEQUENTIAL = {CreateMode.PERSISTENT_SEQUENTIAL, CreateMode.EPHEMERAL_SEQUENTIAL}


def changes(events: list[Event]) -> list[Change]:
    return [(int(e.kind), e.record.key, e.record.value, e.record.version) for e in events]


class Truth:
    def __init__(self) -> None:
        self.revision = 0
        """Up to here all is known."""
        self.by_revision: dict[int, list[Change]] = {}
        self._records: dict[bytes, tuple[list[int], list[Record | None]]] = {}
        """Path -> revisions at which it changed, and what it was from then on."""
        self._children: dict[bytes, tuple[list[int], list[frozenset[bytes]]]] = {}
        self._written: dict[bytes, int] = {}
        """Data that a client wrote -> revision.  No client writes the same data twice."""
        self.flat = FlatTruth()

    def learn(self, revision: int, events: list[Event]) -> None:
        self.revision = revision
        self.by_revision[revision] = changes(events)
        for event in events:
            if event.space is Space.FLAT:
                self.flat.learn(event)
                continue
            record = event.record
            path = record.key
            gone = event.kind == EventKind.DELETED
            self._put(path, revision, None if gone else record)
            if event.kind != EventKind.CHANGED:
                self._put_child(path, revision, gone)
            if record.value and not gone and not path.startswith(b"/zookeeper"):
                first = self._written.setdefault(record.value, revision)
                if first != revision:
                    raise Broken(
                        "done twice", f"{record.value!r} is written at {first} and again at {revision}"
                    )

    def _put(self, path: bytes, revision: int, record: Record | None) -> None:
        revisions, records = self._records.setdefault(path, ([], []))
        revisions.append(revision)
        records.append(record)

    def _put_child(self, path: bytes, revision: int, gone: bool) -> None:
        revisions, sets = self._children.setdefault(parent_of(path), ([], []))
        before = sets[-1] if sets else frozenset[bytes]()
        name = {path.rpartition(b"/")[2]}
        revisions.append(revision)
        sets.append(before - name if gone else before | name)

    # --- looking back -------------------------------------------------------------------------------------

    def record_at(self, path: bytes, revision: int) -> Record | None:
        revisions, records = self._records.get(path, ((), ()))
        position = bisect_right(revisions, revision)
        return records[position - 1] if position else None

    def children_at(self, path: bytes, revision: int) -> frozenset[bytes]:
        revisions, sets = self._children.get(path, ((), ()))
        position = bisect_right(revisions, revision)
        return sets[position - 1] if position else frozenset()

    def written_at(self, data: bytes) -> int | None:
        return self._written.get(data)

    def newest(self) -> Iterator[tuple[bytes, Record | None]]:
        """Each path that ever was, and what it is now."""
        for path, (_, records) in self._records.items():
            yield path, records[-1]

    def next_change(self, path: bytes, kind: str, since: int) -> int | None:
        """The first revision after `since` at which a watch of that kind ("data", "exist", "child") has
        something to tell."""
        found = self._children.get(path) if kind == "child" else self._records.get(path)
        revisions = found[0] if found else []
        position = bisect_right(revisions, since)
        change = revisions[position] if position < len(revisions) else None
        if kind == "child":
            # A child watch also tells of the end of the node itself.
            own = self.next_change(path, "data", since)
            if own is not None and self.record_at(path, own) is None and (change is None or own < change):
                return own
        return change

    # --- answers ------------------------------------------------------------------------------------------

    def check(self, request: object, reply: Any, zxid: int) -> None:
        """Raises `Broken` where this cannot be the answer to that request at this revision."""
        if zxid > self.revision:
            raise Broken("an answer from the future", f"told of revision {zxid}, which nobody has applied")
        problem = (
            self._refused(request, ErrorCode(reply.error), zxid)
            if isinstance(reply, ErrorReply)
            else self._done(request, reply, zxid)
        )
        if problem is not None:
            raise Broken("a false answer", f"{_short(request)} at revision {zxid}: {problem}")

    def _done(self, request: object, reply: Any, zxid: int) -> str | None:
        match request:
            case GetDataRequest(path):
                record = self.record_at(path, zxid)
                if record is None:
                    return f"told {reply.data!r}, but there is no such node"
                if record.value != reply.data or record.version != reply.stat.version:
                    return f"told {reply.data!r}, but it was {record.value!r}"
            case GetChildrenRequest(path) | GetChildren2Request(path):
                if set(reply.children) != self.children_at(path, zxid):
                    return f"told {sorted(reply.children)}, not {sorted(self.children_at(path, zxid))}"
            case ExistsRequest(path):
                record = self.record_at(path, zxid)
                if record is None or record.modify_revision != reply.stat.modified_zxid:
                    return "told that it exists, with another stat than it has"
            case CreateRequest(_, data) if data:
                return self._acknowledged(data, zxid, reply.path)
            case SetDataRequest(path, data) if data:
                return self._acknowledged(data, zxid, path)
            case DeleteRequest(path):
                if self.record_at(path, zxid) is not None:
                    return "told that it was deleted, but it is there"
            case MultiRequest(operations) | MultiReadRequest(operations):
                return self._multi(operations, reply.results, zxid)
            case _:
                pass
        return None

    def _multi(
        self, operations: Sequence[object], results: Sequence[object], zxid: int
    ) -> str | None:
        for operation, result in zip(operations, results, strict=True):
            problem = None
            if not isinstance(result, ErrorReply):
                if not isinstance(operation, CheckRequest):
                    problem = self._done(operation, result, zxid)
            elif result.error not in (ErrorCode.OK, ErrorCode.RUNTIME_INCONSISTENCY):
                problem = self._refused(operation, ErrorCode(result.error), zxid)
            if problem is not None:
                return problem
        return None

    def _acknowledged(self, data: bytes, zxid: int, path: bytes) -> str | None:
        revision = self._written.get(data)
        if revision is None:
            return f"{data!r} was acknowledged and never done"
        record = self.record_at(path, revision)
        if record is None or record.value != data:
            return f"{data!r} was done elsewhere than at {path!r}"
        return None if revision == zxid else f"{data!r} was done at revision {revision}"

    def _refused(self, request: object, error: ErrorCode, zxid: int) -> str | None:
        """None where it may be refused like this."""
        match request:
            case CreateRequest(path, _, _, mode):
                parent = self.record_at(parent_of(path), zxid)
                if error is ErrorCode.NO_NODE:
                    return None if parent is None else "its parent is there"
                if error is ErrorCode.NODE_EXISTS and mode not in _SEQUENTIAL:
                    return None if self.record_at(path, zxid) is not None else "it is not there"
                if error is ErrorCode.NO_CHILDREN_FOR_EPHEMERALS:
                    return None if parent is not None and parent.lease else "its parent is not ephemeral"
            case SyncRequest():
                pass
            case (
                DeleteRequest(path)
                | SetDataRequest(path)
                | CheckRequest(path)
                | GetDataRequest(path)
                | ExistsRequest(path)
                | GetChildrenRequest(path)
                | GetChildren2Request(path)
            ):
                record = self.record_at(path, zxid)
                if error is ErrorCode.NO_NODE:
                    return None if record is None else "it is there"
                if error is ErrorCode.BAD_VERSION and record is not None:
                    version = getattr(request, "version", -1)
                    return None if version not in (-1, record.version) else f"its version is {record.version}"
                if error is ErrorCode.NOT_EMPTY:
                    return None if self.children_at(path, zxid) else "it has no children"
        return f"refused with {error.name}"


def _short(request: object) -> str:
    path = getattr(request, "path", b"")
    return f"{type(request).__name__.removesuffix('Request')} {path.decode()}"
