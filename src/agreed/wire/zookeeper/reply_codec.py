"""Replies between messages and bytes, both ways.

A server answers thousands of requests in a turn, so it does not build a message for each: the functions
`*_reply` make a whole frame at once from what the store has at hand.  `encode_reply` does the same from a
message (`messages.py`) for whoever has one; `decode_reply` is the client's side.

`zxid` in a header is the last revision which this server had applied when it answered, not the revision of
the request; clients keep the highest and refuse servers that have not seen it.  A reply with an error has
no body (the failure of a SASL exchange is the one exception).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from typing import Any, Final, TypeAlias

from agreed.errors import MalformedInput
from agreed.store.records import Acl, Credential
from agreed.wire.zookeeper.codec import (
    MULTI_END,
    MULTI_HEADER,
    STAT_BYTES,
    STAT_FIELDS,
    Reader,
    pack_int,
    pack_stat,
    write_acl,
    write_credentials,
    write_data,
    write_paths,
)
from agreed.wire.zookeeper.messages import (
    XID_EVENT,
    ConnectResponse,
    ErrorCode,
    EventType,
    KeeperState,
    Op,
)
from agreed.wire.zookeeper.replies import (
    AddWatchReply,
    Create2Reply,
    CreateReply,
    ErrorReply,
    ExistsReply,
    GetAclReply,
    GetAllChildrenNumberReply,
    GetChildren2Reply,
    GetChildrenReply,
    GetDataReply,
    GetEphemeralsReply,
    HeaderReply,
    MultiReadReply,
    MultiReply,
    MultiResult,
    ReconfigReply,
    Reply,
    SaslReply,
    SetAclReply,
    SetDataReply,
    SyncReply,
    WatchEvent,
    WhoAmIReply,
)

_HEADER_BYTES: Final = 16
_HEADER = struct.Struct(">iiqi")
_HEADER_AND_SIZE = struct.Struct(">iiqii")
_EVENT = struct.Struct(">iiqiiii")
_CONNECT_RESPONSE = struct.Struct(">iiq")

STAT_REPLY_LENGTH: Final = _HEADER_BYTES + STAT_BYTES
pack_stat_reply = struct.Struct(f">iiqi{STAT_FIELDS}").pack
"""A whole `stat_reply` from `STAT_REPLY_LENGTH`, xid, zxid, 0 and the eleven numbers of the stat."""

_header = _HEADER.pack
_header_and_size = _HEADER_AND_SIZE.pack


# --- a server's side, frame by frame ---------------------------------------------------------------------


def header_reply(xid: int, zxid: int, error: int = 0) -> bytes:
    """Done (delete, ping, setWatches, ...) or, with `error`, not done."""
    return _header(_HEADER_BYTES, xid, zxid, error)


def body_reply(xid: int, zxid: int, body: bytes) -> bytes:
    """Any body that was made before."""
    return _header(_HEADER_BYTES + len(body), xid, zxid, 0) + body


def stat_reply(xid: int, zxid: int, stat: bytes) -> bytes:
    """Of exists, setData, setACL; `stat` from `codec.pack_stat`."""
    return _header(_HEADER_BYTES + STAT_BYTES, xid, zxid, 0) + stat


def get_data_reply(xid: int, zxid: int, data: bytes | None, stat: bytes) -> bytes:
    """Also of reconfig."""
    if data is None:
        return _header_and_size(_HEADER_BYTES + 4 + STAT_BYTES, xid, zxid, 0, -1) + stat
    size = len(data)
    return _header_and_size(_HEADER_BYTES + 4 + STAT_BYTES + size, xid, zxid, 0, size) + data + stat


@lru_cache(maxsize=1024)
def get_data_packer(size: int) -> Callable[..., bytes]:
    """A function that makes the whole getData reply for data of `size` bytes in one call:

        packer(GET_DATA_REPLY_BYTES + size, xid, zxid, 0, size, data, *eleven numbers of the stat)

    Twice as fast as a packed stat put behind the data, where the numbers come straight from a record."""
    return struct.Struct(f">iiqii{size}sqqqqiiiqiiq").pack


GET_DATA_REPLY_BYTES: Final = _HEADER_BYTES + 4 + STAT_BYTES
"""The length, as it stands at the head of the frame, of a getData reply for empty data."""


def path_reply(xid: int, zxid: int, path: bytes) -> bytes:
    """Of create and sync."""
    size = len(path)
    return _header_and_size(_HEADER_BYTES + 4 + size, xid, zxid, 0, size) + path


def create2_reply(xid: int, zxid: int, path: bytes, stat: bytes) -> bytes:
    """Of create2, createContainer, createTTL."""
    size = len(path)
    return _header_and_size(_HEADER_BYTES + 4 + STAT_BYTES + size, xid, zxid, 0, size) + path + stat


def paths_reply(xid: int, zxid: int, paths: Collection[bytes], stat: bytes = b"") -> bytes:
    """Of getChildren, getEphemerals and, with a stat, getChildren2."""
    return body_reply(xid, zxid, write_paths(paths) + stat)


def acl_reply(xid: int, zxid: int, acl: Acl, stat: bytes) -> bytes:
    return body_reply(xid, zxid, write_acl(acl) + stat)


def number_reply(xid: int, zxid: int, number: int) -> bytes:
    """Of getAllChildrenNumber, and of addWatch with 0."""
    return _header_and_size(_HEADER_BYTES + 4, xid, zxid, 0, number)


def sasl_reply(xid: int, token: bytes | None) -> bytes:
    return body_reply(xid, 0, write_data(token))


def sasl_failure(xid: int) -> bytes:
    """The only reply that has an error and a body: a null token.  The server closes after it."""
    return _header_and_size(_HEADER_BYTES + 4, xid, 0, ErrorCode.AUTH_FAILED, -1)


def multi_reply(xid: int, zxid: int, results: Iterable[bytes]) -> bytes:
    """Of multi and multiRead; `results` from `multi_result` and `multi_error`."""
    return body_reply(xid, zxid, b"".join(results) + MULTI_END)


def multi_result(op: int, body: bytes) -> bytes:
    """`op`: CREATE (a path), CREATE2 (path and stat; also for containers and ttl), SET_DATA (a stat),
    DELETE and CHECK (nothing), GET_DATA, GET_CHILDREN."""
    return MULTI_HEADER.pack(op, False, 0) + body


def multi_error(error: int) -> bytes:
    return MULTI_HEADER.pack(Op.ERROR, False, error) + pack_int(error)


def watch_event(zxid: int, kind: int, path: bytes) -> bytes:
    """`zxid`: the revision that caused it; -1 for what setWatches has found out."""
    size = len(path)
    head = _EVENT.pack(_HEADER_BYTES + 12 + size, XID_EVENT, zxid, 0, kind, KeeperState.SYNC_CONNECTED, size)
    return head + path


def encode_connect_response(response: ConnectResponse) -> bytes:
    """The answer to the handshake, which has no header.  `read_only` None leaves its byte out."""
    body = _CONNECT_RESPONSE.pack(response.protocol_version, response.timeout_ms, response.session_id)
    body += write_data(response.password)
    if response.read_only is not None:
        body += b"\x01" if response.read_only else b"\x00"
    return pack_int(len(body)) + body


# --- the same from messages ------------------------------------------------------------------------------


def _write_result(result: MultiResult | GetDataReply | GetChildrenReply) -> bytes:
    if isinstance(result, ErrorReply):
        return multi_error(result.error)
    if isinstance(result, HeaderReply):
        return multi_result(result.op, b"")
    return multi_result(_RESULT_OPS[type(result)], _BODY_WRITERS[type(result)](result))


_RESULT_OPS: Final[dict[type[Any], Op]] = {
    CreateReply: Op.CREATE,
    Create2Reply: Op.CREATE2,
    SetDataReply: Op.SET_DATA,
    GetDataReply: Op.GET_DATA,
    GetChildrenReply: Op.GET_CHILDREN,
}

_BODY_WRITERS: Final[dict[type[Any], Callable[[Any], bytes]]] = {
    CreateReply: lambda r: write_data(r.path),
    Create2Reply: lambda r: write_data(r.path) + pack_stat(*r.stat),
    ExistsReply: lambda r: pack_stat(*r.stat),
    GetDataReply: lambda r: write_data(r.data) + pack_stat(*r.stat),
    SetDataReply: lambda r: pack_stat(*r.stat),
    GetAclReply: lambda r: write_acl(r.acl) + pack_stat(*r.stat),
    SetAclReply: lambda r: pack_stat(*r.stat),
    GetChildrenReply: lambda r: write_paths(r.children),
    GetChildren2Reply: lambda r: write_paths(r.children) + pack_stat(*r.stat),
    SyncReply: lambda r: write_data(r.path),
    ReconfigReply: lambda r: write_data(r.config) + pack_stat(*r.stat),
    SaslReply: lambda r: write_data(r.token),
    GetEphemeralsReply: lambda r: write_paths(r.paths),
    GetAllChildrenNumberReply: lambda r: pack_int(r.number),
    AddWatchReply: lambda r: pack_int(r.error),
    WhoAmIReply: lambda r: write_credentials(r.users),
    HeaderReply: lambda r: b"",
    MultiReply: lambda r: b"".join([_write_result(result) for result in r.results]) + MULTI_END,
    MultiReadReply: lambda r: b"".join([_write_result(result) for result in r.results]) + MULTI_END,
}


def encode_reply(xid: int, zxid: int, reply: Reply) -> bytes:
    """A whole frame, with its length."""
    if isinstance(reply, ErrorReply):
        return header_reply(xid, zxid, reply.error)
    return body_reply(xid, zxid, _BODY_WRITERS[type(reply)](reply))


def who_am_i_reply(xid: int, zxid: int, users: Collection[Credential]) -> bytes:
    return body_reply(xid, zxid, write_credentials(users))


# --- a client's side -------------------------------------------------------------------------------------

_BodyReader: TypeAlias = Callable[[Reader], Any]


def _read_results(kinds: dict[int, _BodyReader], reader: Reader) -> tuple[Any, ...]:
    results: list[Any] = []
    while True:
        op, done, error = reader.integer(), reader.boolean(), reader.integer()
        if done:
            return tuple(results)
        if op == Op.ERROR:
            # The header says it already; the body is what old clients look at.
            results.append(ErrorReply(reader.integer()))
            continue
        read = kinds.get(op)
        if read is None or error:
            raise MalformedInput(f"a multi has a result of operation {op} with error {error}")
        results.append(read(reader))


_RESULT_READERS: Final[dict[int, _BodyReader]] = {
    Op.CREATE: lambda r: CreateReply(r.path()),
    Op.CREATE2: lambda r: Create2Reply(r.path(), r.stat()),
    Op.SET_DATA: lambda r: SetDataReply(r.stat()),
    Op.DELETE: lambda r: HeaderReply(Op.DELETE),
    Op.CHECK: lambda r: HeaderReply(Op.CHECK),
}

_READ_RESULT_READERS: Final[dict[int, _BodyReader]] = {
    Op.GET_DATA: lambda r: GetDataReply(r.data(), r.stat()),
    Op.GET_CHILDREN: lambda r: GetChildrenReply(r.paths()),
}

_HEADER_ONLY: Final = (
    Op.DELETE,
    Op.PING,
    Op.CHECK_WATCHES,
    Op.REMOVE_WATCHES,
    Op.AUTH,
    Op.SET_WATCHES,
    Op.SET_WATCHES2,
    Op.CLOSE_SESSION,
)


def _read_header_only(op: Op) -> _BodyReader:
    reply = HeaderReply(op)
    return lambda r: reply


_BODY_READERS: Final[dict[int, _BodyReader]] = {
    **{op: _read_header_only(op) for op in _HEADER_ONLY},
    Op.CREATE: _RESULT_READERS[Op.CREATE],
    Op.CREATE2: _RESULT_READERS[Op.CREATE2],
    Op.CREATE_CONTAINER: _RESULT_READERS[Op.CREATE2],
    Op.CREATE_TTL: _RESULT_READERS[Op.CREATE2],
    Op.EXISTS: lambda r: ExistsReply(r.stat()),
    Op.GET_DATA: _READ_RESULT_READERS[Op.GET_DATA],
    Op.SET_DATA: _RESULT_READERS[Op.SET_DATA],
    Op.GET_ACL: lambda r: GetAclReply(r.acl(), r.stat()),
    Op.SET_ACL: lambda r: SetAclReply(r.stat()),
    Op.GET_CHILDREN: _READ_RESULT_READERS[Op.GET_CHILDREN],
    Op.GET_CHILDREN2: lambda r: GetChildren2Reply(r.paths(), r.stat()),
    Op.SYNC: lambda r: SyncReply(r.path()),
    Op.RECONFIG: lambda r: ReconfigReply(r.data() or b"", r.stat()),
    Op.SASL: lambda r: SaslReply(r.data()),
    Op.GET_EPHEMERALS: lambda r: GetEphemeralsReply(r.paths()),
    Op.GET_ALL_CHILDREN_NUMBER: lambda r: GetAllChildrenNumberReply(r.integer()),
    Op.ADD_WATCH: lambda r: AddWatchReply(r.integer()),
    Op.WHO_AM_I: lambda r: WhoAmIReply(r.credentials()),
    Op.MULTI: lambda r: MultiReply(_read_results(_RESULT_READERS, r)),
    Op.MULTI_READ: lambda r: MultiReadReply(_read_results(_READ_RESULT_READERS, r)),
}


def decode_reply_header(reader: Reader) -> tuple[int, int, int]:
    """(xid, zxid, error) at the start of every frame but the first."""
    return reader.integer(), reader.long(), reader.integer()


def decode_reply(op: int, error: int, reader: Reader) -> Reply:
    """What follows the header of a reply to a request of kind `op`.  Raises `MalformedInput`."""
    if error:
        return ErrorReply(error)
    reply: Reply = _BODY_READERS[op](reader)
    return reply


def decode_watch_event(reader: Reader) -> WatchEvent:
    """What follows a header with xid -1.  Raises `MalformedInput`."""
    kind, state, path = reader.integer(), reader.integer(), reader.data() or b""
    try:
        return WatchEvent(EventType(kind), path, KeeperState(state))
    except ValueError as wrong:
        raise MalformedInput(str(wrong)) from None


def decode_connect_response(reader: Reader) -> ConnectResponse:
    """The first frame that a server sends.  Raises `MalformedInput`."""
    version, timeout_ms, session_id, password = (
        reader.integer(),
        reader.integer(),
        reader.long(),
        reader.data(),
    )
    read_only = reader.boolean() if reader.position < reader.end else None
    return ConnectResponse(version, timeout_ms, session_id, password or b"", read_only)
