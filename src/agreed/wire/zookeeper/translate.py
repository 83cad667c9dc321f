"""ZooKeeper's writes in the words of the store, and what came of them in the words of ZooKeeper.

    command_for     request                      -> command for the log, or the error it certainly has
    reply_for       request, result of command   -> the bytes of the reply

Both look at nothing but what they are given: no tree, no session, no clock.  Whether a parent is there, or a
version is the right one, is decided in the store when the command's turn has come, on every node alike.

What differs from a real server, on purpose:

* An operation that can never be valid is answered at once and never reaches the log.  The worst of them is
  createTTL with a mode that has no time to live: a real server logs it, dies of it, and dies again whenever
  it reads its log.  Such an operation *inside* a multi has to go into the log, because a failure before it
  would be the one to report; there it carries a mode that the store refuses.
* createContainer with a sequential mode is refused (-8); a real server makes a container with a number, which
  no client library can ask for.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from agreed.store.commands import Check, Command, Create, Delete, Multi, RevokeLease, SetAcl, SetData
from agreed.store.records import OPEN_ACL
from agreed.store.results import Changed, Created, Done, MultiDone, MultiRefused, Refusal, Result
from agreed.types import LeaseId, Revision
from agreed.wire.zookeeper.codec import write_data
from agreed.wire.zookeeper.errors_map import ERROR_OF
from agreed.wire.zookeeper.messages import (
    CheckRequest,
    CloseSessionRequest,
    CreateMode,
    CreateRequest,
    DeleteRequest,
    ErrorCode,
    MultiRequest,
    Op,
    Request,
    SetAclRequest,
    SetDataRequest,
)
from agreed.wire.zookeeper.reply_codec import (
    create2_reply,
    header_reply,
    multi_error,
    multi_reply,
    multi_result,
    path_reply,
)
from agreed.wire.zookeeper.stat import changed_reply, stat_of

# --- request -> command ----------------------------------------------------------------------------------

_REFUSED_MODE: Final = -1
"""A mode that the store answers with BAD_ARGUMENTS."""

_PLAIN_MODES: Final[dict[int, int]] = {
    CreateMode.PERSISTENT: CreateMode.PERSISTENT,
    CreateMode.EPHEMERAL: CreateMode.EPHEMERAL,
    CreateMode.PERSISTENT_SEQUENTIAL: CreateMode.PERSISTENT_SEQUENTIAL,
    CreateMode.EPHEMERAL_SEQUENTIAL: CreateMode.EPHEMERAL_SEQUENTIAL,
    # Only createContainer makes containers; here a real server makes a node which stays.
    CreateMode.CONTAINER: CreateMode.PERSISTENT,
}

_MODES: Final[dict[int, dict[int, int]]] = {
    Op.CREATE: _PLAIN_MODES,
    Op.CREATE2: _PLAIN_MODES,
    Op.CREATE_CONTAINER: {
        CreateMode.PERSISTENT: CreateMode.CONTAINER,
        CreateMode.EPHEMERAL: CreateMode.CONTAINER,
        CreateMode.CONTAINER: CreateMode.CONTAINER,
    },
    Op.CREATE_TTL: {
        CreateMode.PERSISTENT_WITH_TTL: CreateMode.PERSISTENT_WITH_TTL,
        CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL: CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL,
    },
}
"""Operation -> what the client may say -> what it means.  What is not here is an error (-8)."""

MultiCommand = Create | SetData | Delete | Check


def command_for(lease: LeaseId, request: Request) -> Command | ErrorCode:
    """What a session asks to have written; an `ErrorCode` is the ready answer and nothing is to be logged.

    Takes the requests in `WRITES` (KeyError for others, which are no writes).
    """
    return _COMMANDS[type(request)](lease, request)


def _create(lease: LeaseId, request: CreateRequest) -> Create | ErrorCode:
    mode = _MODES[request.op].get(request.mode)
    if mode is None:
        return ErrorCode.BAD_ARGUMENTS
    acl = request.acl
    return Create(lease, request.path, request.data, None if acl is OPEN_ACL else acl, mode, request.ttl_ms)


def _set_data(lease: LeaseId, request: SetDataRequest) -> SetData:
    return SetData(lease, request.path, request.data, request.version)


def _delete(lease: LeaseId, request: DeleteRequest) -> Delete:
    return Delete(lease, request.path, request.version)


def _set_acl(lease: LeaseId, request: SetAclRequest) -> SetAcl:
    acl = request.acl
    return SetAcl(lease, request.path, None if acl is OPEN_ACL else acl, request.version)


def _multi(lease: LeaseId, request: MultiRequest) -> Multi:
    return Multi(lease, tuple([_in_multi(lease, operation) for operation in request.operations]))


def _in_multi(
    lease: LeaseId, operation: CreateRequest | DeleteRequest | SetDataRequest | CheckRequest
) -> MultiCommand:
    if isinstance(operation, CreateRequest):
        command = _create(lease, operation)
        if isinstance(command, Create):
            return command
        return Create(lease, operation.path, None, None, _REFUSED_MODE)
    if isinstance(operation, SetDataRequest):
        return _set_data(lease, operation)
    if isinstance(operation, DeleteRequest):
        return _delete(lease, operation)
    return Check(lease, operation.path, operation.version)


def _close(lease: LeaseId, request: CloseSessionRequest) -> RevokeLease:
    return RevokeLease(lease)


_COMMANDS: Final[dict[type[Any], Callable[[LeaseId, Any], Command | ErrorCode]]] = {
    CreateRequest: _create,
    SetDataRequest: _set_data,
    DeleteRequest: _delete,
    SetAclRequest: _set_acl,
    MultiRequest: _multi,
    CloseSessionRequest: _close,
}

WRITES: Final = frozenset(_COMMANDS)
"""The requests that go through the log.  (auth and reconfig do so too, but by other ways.)"""


# --- result -> reply -------------------------------------------------------------------------------------


def reply_for(xid: int, request: Request, result: Result, revision: Revision) -> bytes:
    """The whole frame; `revision` is the last one that this node has applied."""
    return _REPLIES[type(result)](xid, request, result, revision)


def _changed(xid: int, request: Request, result: Changed, revision: Revision) -> bytes:
    return changed_reply(xid, revision, result.record, result.children)


def _created(xid: int, request: CreateRequest, result: Created, revision: Revision) -> bytes:
    record = result.record
    if request.op is Op.CREATE:
        return path_reply(xid, revision, record.key)
    return create2_reply(xid, revision, record.key, stat_of(record, 0))


def _done(xid: int, request: Request, result: Done, revision: Revision) -> bytes:
    return header_reply(xid, revision)


def _refused(xid: int, request: Request, result: Refusal, revision: Revision) -> bytes:
    return header_reply(xid, revision, ERROR_OF[result])


def _multi_done(xid: int, request: MultiRequest, result: MultiDone, revision: Revision) -> bytes:
    slots = [_slot(operation, one) for operation, one in zip(request.operations, result.results, strict=True)]
    return multi_reply(xid, revision, slots)


def _slot(
    operation: CreateRequest | DeleteRequest | SetDataRequest | CheckRequest, result: Created | Changed | Done
) -> bytes:
    if isinstance(result, Created):
        path = write_data(result.record.key)
        if isinstance(operation, CreateRequest) and operation.op is Op.CREATE:
            return multi_result(Op.CREATE, path)
        # The results of containers and of nodes with a time to live stand under create2, too.
        return multi_result(Op.CREATE2, path + stat_of(result.record, 0))
    if isinstance(result, Changed):
        return multi_result(Op.SET_DATA, stat_of(result.record, result.children))
    return multi_result(Op.DELETE if isinstance(operation, DeleteRequest) else Op.CHECK, b"")


def _multi_refused(xid: int, request: MultiRequest, result: MultiRefused, revision: Revision) -> bytes:
    """The header says success; each slot says what its operation became: undone, culprit, not tried."""
    after = len(request.operations) - result.position - 1
    slots = [ErrorCode.OK] * result.position
    slots.append(ERROR_OF[result.refusal])
    slots += [ErrorCode.RUNTIME_INCONSISTENCY] * after
    return multi_reply(xid, revision, [multi_error(code) for code in slots])


_REPLIES: Final[dict[type[Any], Callable[[int, Any, Any, Revision], bytes]]] = {
    Changed: _changed,
    Created: _created,
    Done: _done,
    Refusal: _refused,
    MultiDone: _multi_done,
    MultiRefused: _multi_refused,
}
