"""What comes of a command: a result of its own kind, or a `Refusal` that names the guard which failed.

The names belong to the store; each wire protocol has its own word for them (`wire/*/translate.py`).
"""
from __future__ import annotations

from enum import Enum

import msgspec

from agreed.store.records import Record
from agreed.types import LeaseId, Revision


class Refusal(Enum):
    """Nothing was changed, and this is why.  (Members are compared with `is`.)"""

    BAD_ARGUMENTS = "bad arguments"
    UNSUPPORTED = "unsupported"
    INVALID_ACL = "invalid acl"
    NO_KEY = "no such key"
    NO_PARENT = "no such parent"
    NOT_ALLOWED = "not allowed"
    EXISTS = "exists"
    BAD_VERSION = "bad version"
    NOT_EMPTY = "not empty"
    PARENT_IS_EPHEMERAL = "parent is ephemeral"
    QUOTA_EXCEEDED = "quota exceeded"
    NO_LEASE = "no such lease"
    LEASE_EXISTS = "lease exists"
    WRONG_SECRET = "wrong secret"
    LEASE_MOVED = "lease is attached to another node"
    STALE = "overtaken by a later change"
    COMPACTED = "compacted"
    FUTURE_REVISION = "future revision"
    EMPTY_KEY = "no key is named"
    DUPLICATE_KEY = "one key is written twice"
    NO_SPACE = "no space is left"
    CORRUPT = "members do not agree on what they hold"
    PERMISSION_DENIED = "permission denied"
    AUTH_OLD = "decided under older rules of who may do what"
    AUTH_NOT_ENABLED = "nobody has to say who he is"
    USER_EMPTY = "no user is named"
    USER_EXISTS = "user exists"
    USER_NOT_FOUND = "no such user"
    ROLE_EMPTY = "no role is named"
    ROLE_EXISTS = "role exists"
    ROLE_NOT_FOUND = "no such role"
    ROLE_NOT_GRANTED = "role was not granted to the user"
    PERMISSION_NOT_GRANTED = "permission was not granted to the role"
    ROOT_USER_MISSING = "there is no user root"
    ROOT_ROLE_MISSING = "the user root does not have the role root"
    ROOT_IS_NEEDED = "nobody would be left who may do everything"
    MEMBER_EXISTS = "member exists"
    NO_MEMBER = "no such member"
    PEER_URL_EXISTS = "another member has this address"


class LeaseResult(msgspec.Struct, frozen=True):
    """Of `GrantLease` and `AttachLease`."""

    lease: LeaseId
    ttl_ms: int
    secret: bytes
    attach_revision: Revision


class Created(msgspec.Struct, frozen=True, gc=False):
    """Of `Create`, in a `Multi`: the record tells the path (with its sequence number) and the stat."""

    record: Record


class Changed(msgspec.Struct, frozen=True, gc=False):
    """Of `SetData` and `SetAcl`."""

    record: Record
    children: int
    """Number of children at that moment (the stat of a ZooKeeper reply has it)."""


class Done(Enum):
    """Of commands that have nothing more to tell: `Delete`, `Check`, `RevokeLease`, `Compact`, ..."""

    DONE = "done"


class MultiDone(msgspec.Struct, frozen=True):
    """All operations of a `Multi`, each with its own result."""

    results: tuple[Created | Changed | Done, ...]


class MultiRefused(msgspec.Struct, frozen=True):
    """Operation number `position` (from 0) failed, and nothing was changed."""

    position: int
    refusal: Refusal


class RangeResult(msgspec.Struct, frozen=True):
    records: tuple[Record, ...]
    count: int
    """How many keys lie in the range, beyond any limit."""
    more: bool


class PutResult(msgspec.Struct, frozen=True, gc=False):
    """The key as it was before."""

    previous: Record | None


class DeleteRangeResult(msgspec.Struct, frozen=True):
    """The keys as they were before, in their order."""

    deleted: tuple[Record, ...]


class TransactionResult(msgspec.Struct, frozen=True):
    succeeded: bool
    failed_guard: int | None
    """Number of the first guard that failed, from 0."""
    results: tuple[PutResult | DeleteRangeResult | RangeResult | TransactionResult, ...]


Result = (
    Refusal
    | Done
    | LeaseResult
    | Created
    | Changed
    | MultiDone
    | MultiRefused
    | PutResult
    | DeleteRangeResult
    | TransactionResult
)
