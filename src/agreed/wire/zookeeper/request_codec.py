"""Requests between bytes and messages, both ways.

A server reads requests by a table, `DECODERS`: operation code -> function.  Each function gets

    buffer      a chunk of bytes in which this and other frames lie
    position    where the body of the request goes on *after its first int*
    end         where the frame ends
    first       that first int of the body: nearly every body begins with a path, so the connection has read
                the length of the path together with the header, in one call of `struct`

and gives the request and where its record ended (a multi is a row of such records).  `first` is not to be
trusted before `end` is looked at: the body may be shorter than an int, and then `first` comes from the next
frame.  A function which does not want it goes back by four bytes.

Bytes behind the last field are ignored, as ZooKeeper does; newer clients may have something to add.
The functions for the frequent requests are written out and not composed: they are the inner loop of a server.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final, TypeAlias, TypeVar

from agreed.errors import MalformedInput
from agreed.store.records import OPEN_ACL
from agreed.wire.zookeeper.codec import (
    MULTI_END,
    MULTI_HEADER,
    NULL,
    OPEN_ACL_BYTES,
    Reader,
    pack_int,
    pack_long,
    unpack_int,
    write_acl,
    write_data,
    write_paths,
    write_text,
)
from agreed.wire.zookeeper.messages import (
    AddWatchMode,
    AddWatchRequest,
    AuthRequest,
    CheckRequest,
    CheckWatchesRequest,
    CloseSessionRequest,
    ConnectRequest,
    CreateRequest,
    DeleteRequest,
    ExistsRequest,
    GetAclRequest,
    GetAllChildrenNumberRequest,
    GetChildren2Request,
    GetChildrenRequest,
    GetDataRequest,
    GetEphemeralsRequest,
    MultiReadRequest,
    MultiRequest,
    Op,
    PingRequest,
    ReconfigRequest,
    RemoveWatchesRequest,
    Request,
    SaslRequest,
    SetAclRequest,
    SetDataRequest,
    SetWatchesRequest,
    SyncRequest,
    WatcherType,
    WhoAmIRequest,
)

Decoder: TypeAlias = Callable[[bytes, int, int, int], tuple[Any, int]]
Member = TypeVar("Member", bound=IntEnum)

_CONNECT = struct.Struct(">iqiq")
_REQUEST_HEADER = struct.Struct(">iii")
_PATH_AND_BOOLEAN = struct.Struct(">?")

_TOO_SHORT: Final = "a request ends in the middle of a value"


# --- reading: the frequent ones --------------------------------------------------------------------------


def _decode_path_and_watch(kind: type[Any]) -> Decoder:
    """getData, exists, getChildren, getChildren2."""

    def decode(buffer: bytes, position: int, end: int, first: int) -> tuple[Any, int]:
        path_end = position + first
        if first < 0 or path_end >= end:
            raise MalformedInput(_TOO_SHORT)
        return kind(buffer[position:path_end], buffer[path_end] != 0), path_end + 1

    return decode


def _decode_path_and_version(kind: type[Any]) -> Decoder:
    """delete, check."""

    def decode(buffer: bytes, position: int, end: int, first: int) -> tuple[Any, int]:
        path_end = position + first
        if first < 0 or path_end + 4 > end:
            raise MalformedInput(_TOO_SHORT)
        return kind(buffer[position:path_end], unpack_int(buffer, path_end)[0]), path_end + 4

    return decode


def _decode_path(kind: type[Any]) -> Decoder:
    """sync, getACL, getAllChildrenNumber."""

    def decode(buffer: bytes, position: int, end: int, first: int) -> tuple[Any, int]:
        path_end = position + first
        if first < 0 or path_end > end:
            raise MalformedInput(_TOO_SHORT)
        return kind(buffer[position:path_end]), path_end

    return decode


def _decode_constant(request: Request) -> Decoder:
    """ping, whoAmI: there is no body."""

    def decode(buffer: bytes, position: int, end: int, first: int) -> tuple[Any, int]:
        return request, end

    return decode


def _decode_set_data(buffer: bytes, position: int, end: int, first: int) -> tuple[SetDataRequest, int]:
    path_end = position + first
    data_at = path_end + 4
    if first < 0 or data_at > end:
        raise MalformedInput(_TOO_SHORT)
    size = unpack_int(buffer, path_end)[0]
    if size >= 0:
        data_end = data_at + size
        data = buffer[data_at:data_end]
    elif size == -1:
        data_end = data_at
        data = None
    else:
        raise MalformedInput(f"data says that it has {size} bytes")
    if data_end + 4 > end:
        raise MalformedInput(_TOO_SHORT)
    return SetDataRequest(buffer[position:path_end], data, unpack_int(buffer, data_end)[0]), data_end + 4


def _decode_create_as(op: Op) -> Decoder:
    has_ttl = op is Op.CREATE_TTL

    def decode(buffer: bytes, position: int, end: int, first: int) -> tuple[CreateRequest, int]:
        path_end = position + first
        data_at = path_end + 4
        if first < 0 or data_at > end:
            raise MalformedInput(_TOO_SHORT)
        size = unpack_int(buffer, path_end)[0]
        if size >= 0:
            acl_at = data_at + size
            data = buffer[data_at:acl_at]
        elif size == -1:
            acl_at = data_at
            data = None
        else:
            raise MalformedInput(f"data says that it has {size} bytes")
        if buffer.startswith(OPEN_ACL_BYTES, acl_at):
            acl = OPEN_ACL
            mode_at = acl_at + len(OPEN_ACL_BYTES)
        else:
            reader = Reader(buffer, acl_at, end)
            acl = reader.acl()
            mode_at = reader.position
        if mode_at + 4 > end:
            raise MalformedInput(_TOO_SHORT)
        mode = unpack_int(buffer, mode_at)[0]
        if not has_ttl:
            return CreateRequest(buffer[position:path_end], data, acl, mode, 0, op), mode_at + 4
        ttl_ms = Reader(buffer, mode_at + 4, end).long()
        return CreateRequest(buffer[position:path_end], data, acl, mode, ttl_ms, op), mode_at + 12

    return decode


# --- reading: the rest -----------------------------------------------------------------------------------


def _decode_by(read: Callable[[Reader], Any]) -> Decoder:
    """The decoder of a request whose fields are taken from a reader one by one."""

    def decode(buffer: bytes, position: int, end: int, first: int) -> tuple[Any, int]:
        reader = Reader(buffer, position - 4, end)
        return read(reader), reader.position

    return decode


def _read_member(reader: Reader, members: type[Member]) -> Member:
    try:
        return members(reader.integer())
    except ValueError as wrong:
        raise MalformedInput(str(wrong)) from None


def _read_set_watches(reader: Reader) -> SetWatchesRequest:
    return SetWatchesRequest(reader.long(), reader.paths(), reader.paths(), reader.paths())


def _read_set_watches2(reader: Reader) -> SetWatchesRequest:
    zxid = reader.long()
    data, exist, child, persistent, recursive = [reader.paths() for _ in range(5)]
    return SetWatchesRequest(zxid, data, exist, child, persistent, recursive, Op.SET_WATCHES2)


def _decode_operations(kind: type[Any], allowed: dict[int, Decoder]) -> Decoder:
    """multi, multiRead: every operation has a small header, and one with `done` set ends the row."""

    def decode(buffer: bytes, position: int, end: int, first: int) -> tuple[Any, int]:
        position -= 4
        operations: list[Any] = []
        while True:
            body = position + MULTI_HEADER.size
            if body > end:
                raise MalformedInput(_TOO_SHORT)
            op, done, _ = MULTI_HEADER.unpack_from(buffer, position)
            if done:
                return kind(tuple(operations)), body
            decoder = allowed.get(op)
            if decoder is None:
                raise MalformedInput(f"operation {op} may not stand in a {kind.__name__}")
            if body + 4 > end:
                raise MalformedInput(_TOO_SHORT)
            operation, position = decoder(buffer, body + 4, end, unpack_int(buffer, body)[0])
            operations.append(operation)

    return decode


_IN_MULTI: dict[int, Decoder] = {
    Op.CREATE: _decode_create_as(Op.CREATE),
    Op.CREATE2: _decode_create_as(Op.CREATE2),
    Op.CREATE_CONTAINER: _decode_create_as(Op.CREATE_CONTAINER),
    Op.CREATE_TTL: _decode_create_as(Op.CREATE_TTL),
    Op.DELETE: _decode_path_and_version(DeleteRequest),
    Op.SET_DATA: _decode_set_data,
    Op.CHECK: _decode_path_and_version(CheckRequest),
}

_IN_MULTI_READ: dict[int, Decoder] = {
    Op.GET_DATA: _decode_path_and_watch(GetDataRequest),
    Op.GET_CHILDREN: _decode_path_and_watch(GetChildrenRequest),
}

DECODERS: Final[dict[int, Decoder]] = {
    **{op: decoder for op, decoder in _IN_MULTI.items() if op != Op.CHECK},
    **_IN_MULTI_READ,
    Op.EXISTS: _decode_path_and_watch(ExistsRequest),
    Op.GET_CHILDREN2: _decode_path_and_watch(GetChildren2Request),
    Op.GET_ACL: _decode_path(GetAclRequest),
    Op.SYNC: _decode_path(SyncRequest),
    Op.GET_ALL_CHILDREN_NUMBER: _decode_path(GetAllChildrenNumberRequest),
    Op.PING: _decode_constant(PingRequest()),
    Op.WHO_AM_I: _decode_constant(WhoAmIRequest()),
    Op.MULTI: _decode_operations(MultiRequest, _IN_MULTI),
    Op.MULTI_READ: _decode_operations(MultiReadRequest, _IN_MULTI_READ),
    Op.SET_ACL: _decode_by(lambda r: SetAclRequest(r.path(), r.acl(), r.integer())),
    Op.RECONFIG: _decode_by(lambda r: ReconfigRequest(r.text(), r.text(), r.text(), r.long())),
    Op.CHECK_WATCHES: _decode_by(lambda r: CheckWatchesRequest(r.path(), _read_member(r, WatcherType))),
    Op.REMOVE_WATCHES: _decode_by(lambda r: RemoveWatchesRequest(r.path(), _read_member(r, WatcherType))),
    Op.ADD_WATCH: _decode_by(lambda r: AddWatchRequest(r.path(), _read_member(r, AddWatchMode))),
    Op.AUTH: _decode_by(lambda r: AuthRequest(r.integer(), r.text(), r.data() or b"")),
    Op.SASL: _decode_by(lambda r: SaslRequest(r.data() or b"")),
    Op.GET_EPHEMERALS: _decode_by(lambda r: GetEphemeralsRequest(r.data() or b"")),
    Op.SET_WATCHES: _decode_by(_read_set_watches),
    Op.SET_WATCHES2: _decode_by(_read_set_watches2),
}
"""Every operation that a client may send and that leaves the connection open.  `closeSession` is the one
request which is not here (`connection.py` knows it).  Nor is `deleteContainer`, which ZooKeeper takes from
anybody without asking for permissions: a hole and not a feature.  Nor is `check` outside of a multi."""


def decode_connect(buffer: bytes, position: int, end: int) -> ConnectRequest:
    """The frame of the handshake, without its length.  Raises `MalformedInput`."""
    if end - position < _CONNECT.size:
        raise MalformedInput("a handshake ends in the middle of a value")
    version, last_zxid_seen, timeout_ms, session_id = _CONNECT.unpack_from(buffer, position)
    reader = Reader(buffer, position + _CONNECT.size, end)
    password = reader.data() or b""
    read_only = reader.boolean() if reader.position < end else None
    return ConnectRequest(version, last_zxid_seen, timeout_ms, session_id, password, read_only)


# --- writing ---------------------------------------------------------------------------------------------


def _write_create(request: CreateRequest) -> bytes:
    body = write_data(request.path) + write_data(request.data) + write_acl(request.acl)
    body += pack_int(request.mode)
    return body + pack_long(request.ttl_ms) if request.op is Op.CREATE_TTL else body


def _write_path(request: Any) -> bytes:
    return write_data(request.path)


def _write_path_and_watch(request: Any) -> bytes:
    return write_data(request.path) + _PATH_AND_BOOLEAN.pack(request.watch)


def _write_path_and_version(request: Any) -> bytes:
    return write_data(request.path) + pack_int(request.version)


def _write_path_and_kind(request: CheckWatchesRequest | RemoveWatchesRequest) -> bytes:
    return write_data(request.path) + pack_int(request.kind)


def _write_set_watches(request: SetWatchesRequest) -> bytes:
    lists = [request.data, request.exist, request.child]
    if request.op is Op.SET_WATCHES2:
        lists += [request.persistent, request.persistent_recursive]
    return pack_long(request.relative_zxid) + b"".join([write_paths(paths) for paths in lists])


def _write_operations(request: MultiRequest | MultiReadRequest) -> bytes:
    parts = []
    for operation in request.operations:
        op, write = _ENCODERS[type(operation)]
        op = getattr(operation, "op", op)
        parts.append(MULTI_HEADER.pack(op, False, -1) + write(operation))
    return b"".join(parts) + MULTI_END


def _write_reconfig(request: ReconfigRequest) -> bytes:
    """What is not given goes as null: a ZooKeeper server would read an empty list as a list."""
    texts = [request.joining, request.leaving, request.new_members]
    return b"".join([write_text(text) if text else NULL for text in texts]) + pack_long(request.from_config)


def _write_nothing(request: Any) -> bytes:
    return b""


_ENCODERS: dict[type[Any], tuple[Op, Callable[[Any], bytes]]] = {
    CreateRequest: (Op.CREATE, _write_create),
    DeleteRequest: (Op.DELETE, _write_path_and_version),
    ExistsRequest: (Op.EXISTS, _write_path_and_watch),
    GetDataRequest: (Op.GET_DATA, _write_path_and_watch),
    SetDataRequest: (
        Op.SET_DATA,
        lambda q: write_data(q.path) + write_data(q.data) + pack_int(q.version),
    ),
    GetAclRequest: (Op.GET_ACL, _write_path),
    SetAclRequest: (Op.SET_ACL, lambda q: write_data(q.path) + write_acl(q.acl) + pack_int(q.version)),
    GetChildrenRequest: (Op.GET_CHILDREN, _write_path_and_watch),
    GetChildren2Request: (Op.GET_CHILDREN2, _write_path_and_watch),
    SyncRequest: (Op.SYNC, _write_path),
    PingRequest: (Op.PING, _write_nothing),
    CheckRequest: (Op.CHECK, _write_path_and_version),
    MultiRequest: (Op.MULTI, _write_operations),
    MultiReadRequest: (Op.MULTI_READ, _write_operations),
    ReconfigRequest: (Op.RECONFIG, _write_reconfig),
    CheckWatchesRequest: (Op.CHECK_WATCHES, _write_path_and_kind),
    RemoveWatchesRequest: (Op.REMOVE_WATCHES, _write_path_and_kind),
    AuthRequest: (
        Op.AUTH,
        lambda q: pack_int(q.auth_type) + write_text(q.scheme) + write_data(q.auth),
    ),
    SetWatchesRequest: (Op.SET_WATCHES, _write_set_watches),
    SaslRequest: (Op.SASL, lambda q: write_data(q.token)),
    GetEphemeralsRequest: (Op.GET_EPHEMERALS, lambda q: write_data(q.prefix)),
    GetAllChildrenNumberRequest: (Op.GET_ALL_CHILDREN_NUMBER, _write_path),
    AddWatchRequest: (Op.ADD_WATCH, lambda q: write_data(q.path) + pack_int(q.mode)),
    WhoAmIRequest: (Op.WHO_AM_I, _write_nothing),
    CloseSessionRequest: (Op.CLOSE_SESSION, _write_nothing),
}


def op_of(request: Request) -> Op:
    """The operation code under which a request is sent."""
    op: Op = getattr(request, "op", _ENCODERS[type(request)][0])
    return op


def encode_request(xid: int, request: Request) -> bytes:
    """A whole frame, with its length."""
    op, write = _ENCODERS[type(request)]
    body = write(request)
    return _REQUEST_HEADER.pack(8 + len(body), xid, getattr(request, "op", op)) + body


def encode_connect(request: ConnectRequest) -> bytes:
    """A whole frame, with its length."""
    body = _CONNECT.pack(
        request.protocol_version, request.last_zxid_seen, request.timeout_ms, request.session_id
    ) + write_data(request.password)
    if request.read_only is not None:
        body += _PATH_AND_BOOLEAN.pack(request.read_only)
    return pack_int(len(body)) + body
