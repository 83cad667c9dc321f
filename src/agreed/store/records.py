"""The record of a key: a superset of what ZooKeeper, etcd and Consul keep of theirs.

Records are immutable: a change makes a new one and puts it in the old one's place.  So a snapshot is a list
of references taken in one go and written at leisure, a feed keeps what was true at a revision, and a failed
transaction is undone by putting the old records back.  They are not tracked by the garbage collector
(`gc=False`, no field can reach back to its record), so that a million of them cost it nothing.
"""
from __future__ import annotations

from typing import NamedTuple

import msgspec

from agreed.types import LeaseId, Revision, Stamp


class Permission(NamedTuple):
    """One line of an access list: what `scheme:id` may do (READ 1, WRITE 2, CREATE 4, DELETE 8, ADMIN 16)."""

    permissions: int
    scheme: str
    id: str


class Credential(NamedTuple):
    """Who a session has proven to be: `digest`, `user:base64(sha1(user:password))`; `ip`, `127.0.0.1`; ..."""

    scheme: str
    id: str


Acl = tuple[Permission, ...]

READ, WRITE, CREATE, DELETE, ADMIN, ALL = 1, 2, 4, 8, 16, 31

OPEN_ACL: Acl = (Permission(ALL, "world", "anyone"),)
"""Anyone may do anything.  One object everywhere, so that the common check is `is OPEN_ACL`."""


class Record(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One key as of one revision.

    key                 the whole path or key
    value               None is ZooKeeper's null data, which is not the same as empty
    create_revision     czxid; etcd's create_revision; Consul's CreateIndex
    modify_revision     mzxid; mod_revision; ModifyIndex
    children_revision   pzxid: the last creation or deletion of a direct child (tree only)
    created_ms          ctime
    modified_ms         mtime
    version             tree: 0 at creation, +1 a set;  flat: 1 at creation
    children_created    how many children were ever created here; the next sequence number.  ZooKeeper's
                        cversion is 2 * children_created - number of children (tree only)
    acl_version         aversion (tree only)
    lease               the lease with which this key goes (ephemeralOwner), or 0
    flags               tree: 0, CONTAINER, or the time to live in ms (> 0);  flat: Consul's flags
    acl                 an interned tuple of permissions
    children            the names of the direct children, in order of creation, or None where there never was
                        one.
                        The one mutable field: shared by all versions of a record, true of the newest only
    """

    key: bytes
    value: bytes | None
    create_revision: Revision
    modify_revision: Revision
    children_revision: Revision
    created_ms: Stamp
    modified_ms: Stamp
    version: int
    children_created: int
    acl_version: int
    lease: LeaseId
    flags: int
    acl: Acl
    children: dict[bytes, None] | None


CONTAINER = -1
"""`Record.flags` of a container: it is removed some time after its last child went."""
