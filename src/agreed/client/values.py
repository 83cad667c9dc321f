"""What is asked of a session and what it answers, as values.

Paths are text, begin with a slash, and are relative to the path of the URL.  Data is bytes; null data, which
some clients write, is read as empty.  `Stat` has the eleven numbers of a node in ZooKeeper's order; zxids are
revisions of the store, times are milliseconds since 1970.
"""
from __future__ import annotations

from enum import Enum
from typing import NamedTuple, TypeAlias

import msgspec

from agreed.store.records import OPEN_ACL, Acl, Permission
from agreed.wire.zookeeper.messages import Stat

__all__ = [
    "OPEN_ACL",
    "Acl",
    "Change",
    "Check",
    "Children",
    "Create",
    "Created",
    "Delete",
    "MultiResult",
    "Operation",
    "Permission",
    "SessionState",
    "SetData",
    "Stat",
    "WatchEvent",
    "WatchKind",
    "Znode",
]


class SessionState(Enum):
    """What the program knows of its session.

    CONNECTING      before the first connection: there is no session yet
    CONNECTED       a server answers
    SUSPENDED       no server answers at present.  The session may be over already, and nobody here can know:
                    whoever relies on it (holds a lock) asks `remaining_s()`
    EXPIRED         the cluster has said that it is over; final
    CLOSED          this program has ended it; final
    """

    CONNECTING = "connecting"
    CONNECTED = "connected"
    SUSPENDED = "suspended"
    EXPIRED = "expired"
    CLOSED = "closed"

    @property
    def final(self) -> bool:
        return self in (SessionState.EXPIRED, SessionState.CLOSED)


class Created(NamedTuple):
    """`path` has its number where a sequential node was asked for."""

    path: str
    stat: Stat


class Znode(NamedTuple):
    data: bytes
    stat: Stat


class Children(NamedTuple):
    """The names (not paths) directly below, sorted, and the stat of the parent."""

    names: tuple[str, ...]
    stat: Stat


class Change(Enum):
    """What a watch has seen.

    GAP     only of persistent watches: the connection was lost and is there again, and what changed meanwhile
            is not told by anybody; look at all of it
    ENDED   the session is over, and so is the watch
    """

    CREATED = "created"
    DELETED = "deleted"
    DATA = "data"
    CHILDREN = "children"
    GAP = "gap"
    ENDED = "ended"


class WatchEvent(NamedTuple):
    """Something happened at `path` (of GAP and ENDED: the watched path)."""

    change: Change
    path: str


class WatchKind(Enum):
    """Of watches that stay: of one node and the coming and going of its children, or of all below it."""

    PERSISTENT = "persistent"
    RECURSIVE = "recursive"


# --- the operations of a multi ----------------------------------------------------------------------------


class Create(msgspec.Struct, frozen=True, kw_only=True):
    """See `Session.create`."""

    path: str
    data: bytes = b""
    ephemeral: bool = False
    sequential: bool = False
    container: bool = False
    ttl_ms: int | None = None
    acl: Acl = OPEN_ACL


class SetData(msgspec.Struct, frozen=True):
    """See `Session.set`."""

    path: str
    data: bytes
    version: int = -1


class Delete(msgspec.Struct, frozen=True):
    path: str
    version: int = -1


class Check(msgspec.Struct, frozen=True):
    """Refuses the whole multi with `BadVersion` or `NoNode` where it is not at this version (-1: there)."""

    path: str
    version: int = -1


Operation: TypeAlias = Create | SetData | Delete | Check

MultiResult: TypeAlias = Created | str | Stat | None
"""Of a `Create` (the bare path where the server does not tell the stat: a ZooKeeper before 3.9 does not in a
multi), of a `SetData`, of the others."""
