"""What a ZooKeeper 3.9 client says to its server: the numbers of the protocol, and one class per request.

What the server answers stands in `replies.py`.  The bytes of these messages are made and read in
`request_codec.py` and `reply_codec.py`, their order on a connection is kept by `connection.py`, and what they
mean to the store is said in `translate.py` and `reads.py`.

How the fields are to be read:

* A path is `bytes`, the UTF-8 as it was received and not checked.  Where a path must be, null is no path:
  such a request arrives as `Malformed`, which is also how a ZooKeeper server answers it (-5).
* Data is `bytes`, or None for null data, which is not the same as empty data.
* A null list is read as an empty one.  A null scheme, id or prefix is read as the empty string, because
  some clients (kazoo) write every empty string as null.
* Numbers which have names in the protocol but may be anything on the wire stay plain integers where the
  server has to judge them in its turn (the mode of a creation); where every wrong value has the same answer,
  -5, the codec has already judged and the field is an enumeration.
* One class may serve several operations that ask the same thing in the same form; then `op` tells which it
  was, because the answers differ (create answers a path, create2 a path and a stat).

All classes are frozen and none can reach back to itself, so the garbage collector need not track them.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, TypeAlias

import msgspec

from agreed.store.records import Acl


class Op(IntEnum):
    """The operation codes of ZooKeeper 3.9."""

    NOTIFICATION = 0
    CREATE = 1
    DELETE = 2
    EXISTS = 3
    GET_DATA = 4
    SET_DATA = 5
    GET_ACL = 6
    SET_ACL = 7
    GET_CHILDREN = 8
    SYNC = 9
    PING = 11
    GET_CHILDREN2 = 12
    CHECK = 13
    MULTI = 14
    CREATE2 = 15
    RECONFIG = 16
    CHECK_WATCHES = 17
    REMOVE_WATCHES = 18
    CREATE_CONTAINER = 19
    DELETE_CONTAINER = 20
    CREATE_TTL = 21
    MULTI_READ = 22
    AUTH = 100
    SET_WATCHES = 101
    SASL = 102
    GET_EPHEMERALS = 103
    GET_ALL_CHILDREN_NUMBER = 104
    SET_WATCHES2 = 105
    ADD_WATCH = 106
    WHO_AM_I = 107
    CREATE_SESSION = -10
    CLOSE_SESSION = -11
    ERROR = -1


class ErrorCode(IntEnum):
    """What stands in the header of a reply; 0 is success (in a failed multi: undone with the rest)."""

    OK = 0
    SYSTEM_ERROR = -1
    RUNTIME_INCONSISTENCY = -2
    DATA_INCONSISTENCY = -3
    CONNECTION_LOSS = -4
    MARSHALLING_ERROR = -5
    UNIMPLEMENTED = -6
    OPERATION_TIMEOUT = -7
    BAD_ARGUMENTS = -8
    UNKNOWN_SESSION = -12
    NEW_CONFIG_NO_QUORUM = -13
    RECONFIG_IN_PROGRESS = -14
    API_ERROR = -100
    NO_NODE = -101
    NO_AUTH = -102
    BAD_VERSION = -103
    NO_CHILDREN_FOR_EPHEMERALS = -108
    NODE_EXISTS = -110
    NOT_EMPTY = -111
    SESSION_EXPIRED = -112
    INVALID_CALLBACK = -113
    INVALID_ACL = -114
    AUTH_FAILED = -115
    CLOSING = -116
    NOTHING = -117
    SESSION_MOVED = -118
    NOT_READ_ONLY = -119
    EPHEMERAL_ON_LOCAL_SESSION = -120
    NO_WATCHER = -121
    REQUEST_TIMEOUT = -122
    RECONFIG_DISABLED = -123
    SESSION_CLOSED_REQUIRE_SASL_AUTH = -124
    QUOTA_EXCEEDED = -125
    THROTTLED = -127


class EventType(IntEnum):
    """What a watch has seen.  The `REMOVED` kinds are made up by clients and never sent."""

    NONE = -1
    NODE_CREATED = 1
    NODE_DELETED = 2
    NODE_DATA_CHANGED = 3
    NODE_CHILDREN_CHANGED = 4
    DATA_WATCH_REMOVED = 5
    CHILD_WATCH_REMOVED = 6
    PERSISTENT_WATCH_REMOVED = 7


class KeeperState(IntEnum):
    """The state of the connection in a watch event; a server only ever sends `SYNC_CONNECTED`."""

    UNKNOWN = -1
    DISCONNECTED = 0
    NO_SYNC = 1
    SYNC_CONNECTED = 3
    AUTH_FAILED = 4
    CONNECTED_READ_ONLY = 5
    SASL_AUTHENTICATED = 6
    CLOSED = 7
    EXPIRED = -112


class WatcherType(IntEnum):
    """Which registrations `CheckWatchesRequest` and `RemoveWatchesRequest` speak of."""

    CHILDREN = 1
    DATA = 2
    ANY = 3
    PERSISTENT = 4
    PERSISTENT_RECURSIVE = 5


class AddWatchMode(IntEnum):
    PERSISTENT = 0
    PERSISTENT_RECURSIVE = 1


class CreateMode(IntEnum):
    """The `mode` (flags) of a creation."""

    PERSISTENT = 0
    EPHEMERAL = 1
    PERSISTENT_SEQUENTIAL = 2
    EPHEMERAL_SEQUENTIAL = 3
    CONTAINER = 4
    PERSISTENT_WITH_TTL = 5
    PERSISTENT_SEQUENTIAL_WITH_TTL = 6


XID_EVENT = -1
XID_PING = -2
XID_AUTH = -4
XID_SET_WATCHES = -8
"""Transaction ids with a meaning of their own; a client numbers its other requests from 1."""


class Stat(NamedTuple):
    """The eleven numbers about a node, in the order of the wire (`codec.pack_stat` takes them so).

    Times are milliseconds since 1970; `*_zxid` are revisions; `ephemeral_owner` is a session id or 0;
    `children_version` is 2 * children ever created - children now; `data_length` of null data is 0.
    """

    created_zxid: int
    modified_zxid: int
    created_ms: int
    modified_ms: int
    version: int
    children_version: int
    acl_version: int
    ephemeral_owner: int
    data_length: int
    children: int
    children_zxid: int


# --- the handshake, and what is no request of a session --------------------------------------------------


class ConnectRequest(msgspec.Struct, frozen=True, gc=False):
    """The first frame of a connection.  `session_id` 0 asks for a new session, else for that one again.

    `read_only` None: the client is too old to have the byte, and the answer must not have it either."""

    protocol_version: int
    last_zxid_seen: int
    timeout_ms: int
    session_id: int
    password: bytes
    read_only: bool | None


class ConnectResponse(msgspec.Struct, frozen=True, gc=False):
    """`timeout_ms` 0 (with session 0 and sixteen zero bytes): the session is gone or the password wrong."""

    protocol_version: int
    timeout_ms: int
    session_id: int
    password: bytes
    read_only: bool | None


class FourLetterWord(msgspec.Struct, frozen=True, gc=False):
    """A question of an operator in plain text (`ruok`); the server answers in text and closes."""

    word: bytes


class Malformed(msgspec.Struct, frozen=True, gc=False):
    """A known operation whose body cannot be read: answered with -5, the connection stays usable."""

    op: int


class UnknownOperation(msgspec.Struct, frozen=True, gc=False):
    """An operation that is not served: answered with -6 under zxid -1, then the connection is closed."""

    op: int


# --- requests --------------------------------------------------------------------------------------------


class CreateRequest(msgspec.Struct, frozen=True, gc=False):
    """`op`: CREATE, CREATE2, CREATE_CONTAINER or CREATE_TTL; `ttl_ms` belongs to the last (0 elsewhere).

    `acl` is `records.OPEN_ACL` itself where it is the usual one."""

    path: bytes
    data: bytes | None
    acl: Acl
    mode: int
    ttl_ms: int = 0
    op: Op = Op.CREATE


class DeleteRequest(msgspec.Struct, frozen=True, gc=False):
    path: bytes
    version: int


class ExistsRequest(msgspec.Struct, frozen=True, gc=False):
    path: bytes
    watch: bool


class GetDataRequest(msgspec.Struct, frozen=True, gc=False):
    path: bytes
    watch: bool


class SetDataRequest(msgspec.Struct, frozen=True, gc=False):
    path: bytes
    data: bytes | None
    version: int


class GetAclRequest(msgspec.Struct, frozen=True, gc=False):
    path: bytes


class SetAclRequest(msgspec.Struct, frozen=True, gc=False):
    path: bytes
    acl: Acl
    version: int


class GetChildrenRequest(msgspec.Struct, frozen=True, gc=False):
    path: bytes
    watch: bool


class GetChildren2Request(msgspec.Struct, frozen=True, gc=False):
    """The same question; the answer has the stat of the parent too."""

    path: bytes
    watch: bool


class SyncRequest(msgspec.Struct, frozen=True, gc=False):
    path: bytes


class PingRequest(msgspec.Struct, frozen=True, gc=False):
    """Sent with xid -2, answered under it."""


class CheckRequest(msgspec.Struct, frozen=True, gc=False):
    """Only inside a multi; alone it is an `UnknownOperation`."""

    path: bytes
    version: int


MultiOperation: TypeAlias = CreateRequest | DeleteRequest | SetDataRequest | CheckRequest


class MultiRequest(msgspec.Struct, frozen=True, gc=False):
    operations: tuple[MultiOperation, ...]


class MultiReadRequest(msgspec.Struct, frozen=True, gc=False):
    """The `watch` of its operations is to be ignored."""

    operations: tuple[GetDataRequest | GetChildrenRequest, ...]


class ReconfigRequest(msgspec.Struct, frozen=True, gc=False):
    """Either `joining` and `leaving` or `new_members` (see `config_text.py`); empty where not given.

    `from_config` is the version of the configuration that is to be replaced, -1: any."""

    joining: str
    leaving: str
    new_members: str
    from_config: int


class CheckWatchesRequest(msgspec.Struct, frozen=True, gc=False):
    path: bytes
    kind: WatcherType


class RemoveWatchesRequest(msgspec.Struct, frozen=True, gc=False):
    path: bytes
    kind: WatcherType


class AuthRequest(msgspec.Struct, frozen=True, gc=False):
    """`auth_type` is always 0 and means nothing; `auth` is what the scheme makes of it."""

    auth_type: int
    scheme: str
    auth: bytes


class SetWatchesRequest(msgspec.Struct, frozen=True, gc=False):
    """Re-arm after a reconnect.  `op`: SET_WATCHES, or SET_WATCHES2 which alone has the last two lists."""

    relative_zxid: int
    data: tuple[bytes, ...]
    exist: tuple[bytes, ...]
    child: tuple[bytes, ...]
    persistent: tuple[bytes, ...] = ()
    persistent_recursive: tuple[bytes, ...] = ()
    op: Op = Op.SET_WATCHES


class SaslRequest(msgspec.Struct, frozen=True, gc=False):
    token: bytes


class GetEphemeralsRequest(msgspec.Struct, frozen=True, gc=False):
    """`prefix` is compared as a plain string; empty or `/`: all of the session."""

    prefix: bytes


class GetAllChildrenNumberRequest(msgspec.Struct, frozen=True, gc=False):
    path: bytes


class AddWatchRequest(msgspec.Struct, frozen=True, gc=False):
    path: bytes
    mode: AddWatchMode


class WhoAmIRequest(msgspec.Struct, frozen=True, gc=False):
    pass


class CloseSessionRequest(msgspec.Struct, frozen=True, gc=False):
    pass


Request: TypeAlias = (
    CreateRequest
    | DeleteRequest
    | ExistsRequest
    | GetDataRequest
    | SetDataRequest
    | GetAclRequest
    | SetAclRequest
    | GetChildrenRequest
    | GetChildren2Request
    | SyncRequest
    | PingRequest
    | MultiRequest
    | MultiReadRequest
    | ReconfigRequest
    | CheckWatchesRequest
    | RemoveWatchesRequest
    | AuthRequest
    | SetWatchesRequest
    | SaslRequest
    | GetEphemeralsRequest
    | GetAllChildrenNumberRequest
    | AddWatchRequest
    | WhoAmIRequest
    | CloseSessionRequest
)
"""What a client may ask within a session."""

Incoming: TypeAlias = Request | ConnectRequest | FourLetterWord | Malformed | UnknownOperation
"""What a server may find in the bytes of a client."""
