"""What a ZooKeeper client asks and no log has to hear of: answered from this node's own tree.

A read is answered as of the last revision this node has applied, whose number stands in the header.  Whether
that is recent enough (after the session's own writes, after a `sync`, or linearizable) was decided before
anybody came here; this file only looks.

Reads are judged as a real server judges them:

* Nearly nothing is said against a path.  The empty path is the root; one that ends in `/` is just not there.
* To read needs READ; `exists` needs it as well, and getACL READ or ADMIN.  A missing node is told as missing
  to everybody: names are no secret.
* A watch is set only if the read succeeded; `exists` sets one for a node that is not there, too.

`addWatch`, `removeWatches` and `setWatches` ask for no permission: the watch table does, when there is
something to tell.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from agreed.store.access import allowed, hide_digests
from agreed.store.paths import ROOT
from agreed.store.records import ADMIN, OPEN_ACL, READ, Credential, Record
from agreed.store.state import State
from agreed.types import LeaseId
from agreed.wire.zookeeper.codec import write_data, write_paths
from agreed.wire.zookeeper.credentials import shown
from agreed.wire.zookeeper.messages import (
    AddWatchMode,
    AddWatchRequest,
    CheckWatchesRequest,
    ErrorCode,
    ExistsRequest,
    GetAclRequest,
    GetAllChildrenNumberRequest,
    GetChildren2Request,
    GetChildrenRequest,
    GetDataRequest,
    GetEphemeralsRequest,
    MultiReadRequest,
    Op,
    PingRequest,
    RemoveWatchesRequest,
    Request,
    SetWatchesRequest,
    SyncRequest,
    WhoAmIRequest,
)
from agreed.wire.zookeeper.reply_codec import (
    acl_reply,
    get_data_reply,
    header_reply,
    multi_error,
    multi_reply,
    multi_result,
    number_reply,
    path_reply,
    paths_reply,
    stat_reply,
    who_am_i_reply,
)
from agreed.wire.zookeeper.stat import current_stat_of
from agreed.wire.zookeeper.watches import CHILD, DATA, PERSISTENT, RECURSIVE, TooManyWatches, Watches

_NO_CHILDREN: Final[dict[bytes, None]] = {}


class Session(Protocol):
    """Who asks: `id` is that of the connection, for its watches; `lease` that of its ephemeral nodes."""

    @property
    def id(self) -> int: ...

    @property
    def lease(self) -> LeaseId: ...

    @property
    def credentials(self) -> tuple[Credential, ...]: ...


def answer(store: State, watches: Watches, session: Session, xid: int, request: Request) -> bytes:
    """The frames which answer one of the requests in `READS`: the reply, and before it what setWatches found.

    Raises `TooManyWatches` for a setWatches that cannot be done in full: the connection must be closed, or
    its client would rely on watches it does not have.  (For other requests this is an error reply, -125.)
    """
    try:
        return _ANSWERS[type(request)](store, watches, session, xid, request)
    except TooManyWatches:
        if isinstance(request, SetWatchesRequest):
            raise
        return header_reply(xid, store.revision, ErrorCode.QUOTA_EXCEEDED)


def _readable(store: State, session: Session, path: bytes, permission: int = READ) -> Record | ErrorCode:
    record = store.tree.get(path or ROOT)
    if record is None:
        return ErrorCode.NO_NODE
    acl = record.acl
    if acl is OPEN_ACL or allowed(acl, permission, session.credentials):
        return record
    return ErrorCode.NO_AUTH


# --- one node --------------------------------------------------------------------------------------------


def _get_data(store: State, watches: Watches, session: Session, xid: int, request: GetDataRequest) -> bytes:
    record = _readable(store, session, request.path)
    if isinstance(record, ErrorCode):
        return header_reply(xid, store.revision, record)
    if request.watch:
        watches.add(session.id, request.path, DATA)
    return get_data_reply(xid, store.revision, record.value, current_stat_of(record))


def _exists(store: State, watches: Watches, session: Session, xid: int, request: ExistsRequest) -> bytes:
    path = request.path
    if b"\0" in path:
        return header_reply(xid, store.revision, ErrorCode.BAD_ARGUMENTS)
    record = _readable(store, session, path)
    if request.watch and record is not ErrorCode.NO_AUTH:
        watches.add(session.id, path, DATA)
    if isinstance(record, ErrorCode):
        return header_reply(xid, store.revision, record)
    return stat_reply(xid, store.revision, current_stat_of(record))


def _get_children(
    store: State,
    watches: Watches,
    session: Session,
    xid: int,
    request: GetChildrenRequest | GetChildren2Request,
) -> bytes:
    record = _readable(store, session, request.path)
    if isinstance(record, ErrorCode):
        return header_reply(xid, store.revision, record)
    if request.watch:
        watches.add(session.id, request.path, CHILD)
    stat = current_stat_of(record) if isinstance(request, GetChildren2Request) else b""
    return paths_reply(xid, store.revision, record.children or _NO_CHILDREN, stat)


def _get_acl(store: State, watches: Watches, session: Session, xid: int, request: GetAclRequest) -> bytes:
    record = _readable(store, session, request.path, READ | ADMIN)
    if isinstance(record, ErrorCode):
        return header_reply(xid, store.revision, record)
    acl = record.acl if allowed(record.acl, ADMIN, session.credentials) else hide_digests(record.acl)
    return acl_reply(xid, store.revision, acl, current_stat_of(record))


# --- many nodes ------------------------------------------------------------------------------------------


def _multi_read(
    store: State, watches: Watches, session: Session, xid: int, request: MultiReadRequest
) -> bytes:
    """Each read for itself; none of them sets a watch."""
    slots = []
    for read in request.operations:
        record = _readable(store, session, read.path)
        if isinstance(record, ErrorCode):
            slots.append(multi_error(record))
        elif isinstance(read, GetDataRequest):
            slots.append(multi_result(Op.GET_DATA, write_data(record.value) + current_stat_of(record)))
        else:
            slots.append(multi_result(Op.GET_CHILDREN, write_paths(record.children or _NO_CHILDREN)))
    return multi_reply(xid, store.revision, slots)


def _get_all_children_number(
    store: State, watches: Watches, session: Session, xid: int, request: GetAllChildrenNumberRequest
) -> bytes:
    """Descendants of any depth.  Asks for READ on the node alone, as a real server does."""
    record = _readable(store, session, request.path)
    if isinstance(record, ErrorCode):
        return header_reply(xid, store.revision, record)
    return number_reply(xid, store.revision, store.tree.descendants(record.key))


def _get_ephemerals(
    store: State, watches: Watches, session: Session, xid: int, request: GetEphemeralsRequest
) -> bytes:
    """The session's own, without regard to permissions."""
    prefix = b"" if request.prefix.strip() in (b"", ROOT) else request.prefix
    return paths_reply(xid, store.revision, store.leases.ephemerals(session.lease, prefix))


# --- watches ---------------------------------------------------------------------------------------------


def _add_watch(store: State, watches: Watches, session: Session, xid: int, request: AddWatchRequest) -> bytes:
    kind = RECURSIVE if request.mode is AddWatchMode.PERSISTENT_RECURSIVE else PERSISTENT
    watches.add(session.id, request.path, kind)
    return number_reply(xid, store.revision, 0)


def _check_watches(
    store: State, watches: Watches, session: Session, xid: int, request: CheckWatchesRequest
) -> bytes:
    there = watches.holds(session.id, request.path, request.kind)
    return header_reply(xid, store.revision, ErrorCode.OK if there else ErrorCode.NO_WATCHER)


def _remove_watches(
    store: State, watches: Watches, session: Session, xid: int, request: RemoveWatchesRequest
) -> bytes:
    removed = watches.remove(session.id, request.path, request.kind)
    return header_reply(xid, store.revision, ErrorCode.OK if removed else ErrorCode.NO_WATCHER)


def _set_watches(
    store: State, watches: Watches, session: Session, xid: int, request: SetWatchesRequest
) -> bytes:
    missed = watches.rearm(session.id, request, store.tree.get)
    return b"".join(missed) + header_reply(xid, store.revision)


# --- no node at all --------------------------------------------------------------------------------------


def _who_am_i(store: State, watches: Watches, session: Session, xid: int, request: WhoAmIRequest) -> bytes:
    return who_am_i_reply(xid, store.revision, shown(session.credentials))


def _ping(store: State, watches: Watches, session: Session, xid: int, request: PingRequest) -> bytes:
    return header_reply(xid, store.revision)


def _sync(store: State, watches: Watches, session: Session, xid: int, request: SyncRequest) -> bytes:
    """What makes it a sync has happened before: this node has caught up.  The path need not exist."""
    return path_reply(xid, store.revision, request.path)


_ANSWERS: Final[dict[type[Any], Callable[[State, Watches, Session, int, Any], bytes]]] = {
    GetDataRequest: _get_data,
    ExistsRequest: _exists,
    GetChildrenRequest: _get_children,
    GetChildren2Request: _get_children,
    GetAclRequest: _get_acl,
    MultiReadRequest: _multi_read,
    GetAllChildrenNumberRequest: _get_all_children_number,
    GetEphemeralsRequest: _get_ephemerals,
    AddWatchRequest: _add_watch,
    CheckWatchesRequest: _check_watches,
    RemoveWatchesRequest: _remove_watches,
    SetWatchesRequest: _set_watches,
    WhoAmIRequest: _who_am_i,
    PingRequest: _ping,
    SyncRequest: _sync,
}

READS: Final = frozenset(_ANSWERS)
"""The requests which `answer` takes; `translate.WRITES` are the others (but for auth, sasl and reconfig)."""
