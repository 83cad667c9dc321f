"""What each refusal of the store is called in ZooKeeper.

The store's names say more than the protocol can: a missing node and a missing parent are both "no node".
Refusals which no ZooKeeper request can meet (those of the flat space, of etcd's users and members) still have
a code, so that a mistake of ours reaches the client as a failed request and not as a dead server.
"""
from __future__ import annotations

from agreed.store.results import Refusal
from agreed.wire.zookeeper.messages import ErrorCode

_OF_THE_TREE: dict[Refusal, ErrorCode] = {
    Refusal.BAD_ARGUMENTS: ErrorCode.BAD_ARGUMENTS,
    Refusal.UNSUPPORTED: ErrorCode.UNIMPLEMENTED,
    Refusal.INVALID_ACL: ErrorCode.INVALID_ACL,
    Refusal.NO_KEY: ErrorCode.NO_NODE,
    Refusal.NO_PARENT: ErrorCode.NO_NODE,
    Refusal.NOT_ALLOWED: ErrorCode.NO_AUTH,
    Refusal.EXISTS: ErrorCode.NODE_EXISTS,
    Refusal.BAD_VERSION: ErrorCode.BAD_VERSION,
    Refusal.NOT_EMPTY: ErrorCode.NOT_EMPTY,
    Refusal.PARENT_IS_EPHEMERAL: ErrorCode.NO_CHILDREN_FOR_EPHEMERALS,
    Refusal.QUOTA_EXCEEDED: ErrorCode.QUOTA_EXCEEDED,
    Refusal.NO_LEASE: ErrorCode.SESSION_EXPIRED,
    Refusal.LEASE_EXISTS: ErrorCode.SESSION_EXPIRED,
    Refusal.WRONG_SECRET: ErrorCode.SESSION_EXPIRED,
    Refusal.LEASE_MOVED: ErrorCode.SESSION_MOVED,
}
"""`SESSION_EXPIRED` and `SESSION_MOVED` are for the log: the connection is closed without a reply."""

ERROR_OF: dict[Refusal, ErrorCode] = {
    refusal: _OF_THE_TREE.get(refusal, ErrorCode.SYSTEM_ERROR) for refusal in Refusal
}
