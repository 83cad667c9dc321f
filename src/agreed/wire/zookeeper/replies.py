"""What a ZooKeeper server says to its clients: one class per reply, and the event of a watch.

A server seldom makes these: `reply_codec.py` goes from the store to the bytes at once.  They are what a
client reads, and what tests compare.  How fields are to be read is told in `messages.py`; the answer to the
handshake is there, beside its question.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from agreed.store.records import Acl, Credential
from agreed.wire.zookeeper.messages import EventType, KeeperState, Op, Stat


class CreateReply(msgspec.Struct, frozen=True, gc=False):
    """Of create: `path` has the sequence number, where one was asked for."""

    path: bytes


class Create2Reply(msgspec.Struct, frozen=True, gc=False):
    """Of create2, createContainer and createTTL."""

    path: bytes
    stat: Stat


class ExistsReply(msgspec.Struct, frozen=True, gc=False):
    stat: Stat


class GetDataReply(msgspec.Struct, frozen=True, gc=False):
    data: bytes | None
    stat: Stat


class SetDataReply(msgspec.Struct, frozen=True, gc=False):
    stat: Stat


class GetAclReply(msgspec.Struct, frozen=True, gc=False):
    acl: Acl
    stat: Stat


class SetAclReply(msgspec.Struct, frozen=True, gc=False):
    stat: Stat


class GetChildrenReply(msgspec.Struct, frozen=True, gc=False):
    """Names, not paths, in no order that means anything."""

    children: tuple[bytes, ...]


class GetChildren2Reply(msgspec.Struct, frozen=True, gc=False):
    children: tuple[bytes, ...]
    stat: Stat


class SyncReply(msgspec.Struct, frozen=True, gc=False):
    path: bytes


class ReconfigReply(msgspec.Struct, frozen=True, gc=False):
    config: bytes
    stat: Stat


class SaslReply(msgspec.Struct, frozen=True, gc=False):
    token: bytes | None


class GetEphemeralsReply(msgspec.Struct, frozen=True, gc=False):
    paths: tuple[bytes, ...]


class GetAllChildrenNumberReply(msgspec.Struct, frozen=True, gc=False):
    """All descendants, not only direct children."""

    number: int


class AddWatchReply(msgspec.Struct, frozen=True, gc=False):
    """The body repeats the error of the header, which is always 0 where there is a body."""

    error: int = 0


class WhoAmIReply(msgspec.Struct, frozen=True, gc=False):
    """Of a credential only the scheme and the user are shown, never a hash."""

    users: tuple[Credential, ...]


class HeaderReply(msgspec.Struct, frozen=True, gc=False):
    """Done, and there is nothing more to say.  `op` is needed inside a multi, where it stands on the wire."""

    op: Op


class ErrorReply(msgspec.Struct, frozen=True, gc=False):
    """Not done; `error` is an `ErrorCode` or a number a newer server has made up."""

    error: int


MultiResult: TypeAlias = CreateReply | Create2Reply | SetDataReply | HeaderReply | ErrorReply


class MultiReply(msgspec.Struct, frozen=True, gc=False):
    """Of a multi that failed every slot is an `ErrorReply`: 0 before the culprit, -2 after it."""

    results: tuple[MultiResult, ...]


class MultiReadReply(msgspec.Struct, frozen=True, gc=False):
    """Each read fails or succeeds for itself."""

    results: tuple[GetDataReply | GetChildrenReply | ErrorReply, ...]


Reply: TypeAlias = (
    CreateReply
    | Create2Reply
    | ExistsReply
    | GetDataReply
    | SetDataReply
    | GetAclReply
    | SetAclReply
    | GetChildrenReply
    | GetChildren2Reply
    | SyncReply
    | ReconfigReply
    | SaslReply
    | GetEphemeralsReply
    | GetAllChildrenNumberReply
    | AddWatchReply
    | WhoAmIReply
    | HeaderReply
    | ErrorReply
    | MultiReply
    | MultiReadReply
)


class WatchEvent(msgspec.Struct, frozen=True, gc=False):
    """Sent unasked under xid -1."""

    kind: EventType
    path: bytes
    state: KeeperState = KeeperState.SYNC_CONNECTED
