"""The tree space: znodes.  A dict from path to record, and what follows from it.

    records     every znode by its path; in the order in which they were made, so that a parent stands before
    its
                children.  Snapshots are written and read in this order.
    idle        which containers and keys with a time to live might be removed (`candidates`), without a look
    at
                all the others
    quotas      what is used below the paths that have a quota

This file keeps the tree; what a command must meet before it may change it stands in `tree_commands.py`.
"""
from __future__ import annotations

from typing import Final, cast

from sortedcontainers import SortedSet

from agreed.store.commands import RemoveIdle
from agreed.store.paths import ROOT, name_of
from agreed.store.quota import Quotas
from agreed.store.records import CONTAINER, OPEN_ACL, READ, Acl, Permission, Record
from agreed.types import Stamp

ZOOKEEPER: Final = b"/zookeeper"
QUOTA: Final = b"/zookeeper/quota"
CONFIGURATION: Final = b"/zookeeper/config"
UNDELETABLE: Final = frozenset({ROOT, ZOOKEEPER, QUOTA, CONFIGURATION})

_INTERNED_MOST: Final = 65_536


class Tree:
    """All znodes.  Read with `get`; changed by commands only."""

    __slots__ = ("data_bytes", "deferred", "emptied", "expiring", "interned", "quotas", "records")

    def __init__(self) -> None:
        self.records: dict[bytes, Record] = {}
        self.quotas = Quotas(self)
        self.expiring: SortedSet[tuple[Stamp, bytes]] = SortedSet()
        """(last moment of its time to live, path) of the keys that have one."""
        self.emptied: dict[bytes, None] = {}
        """The containers that had children and have none."""
        self.interned: dict[Acl, Acl] = {OPEN_ACL: OPEN_ACL}
        self.data_bytes = 0
        """About how many bytes the paths and the data of clients have: for monitors, who must not wait for a
        walk over a million records.  Not part of the state that nodes compare."""
        self.deferred: list[bytes] | None = None
        """Within a `Multi`: the deleted paths, whose places in `records` are kept (as None) until it is
        over."""

    def __len__(self) -> int:
        return len(self.records)

    # --- reads ------------------------------------------------------------------------------------

    def get(self, path: bytes) -> Record | None:
        """The znode at `path`; what is not a valid path is just not there."""
        return self.records.get(path)

    def children(self, path: bytes) -> list[bytes]:
        """The names of the direct children, the oldest first."""
        record = self.records.get(path)
        return list(record.children) if record is not None and record.children else []

    def descendants(self, path: bytes) -> int:
        """How many keys there are below `path`, at any depth."""
        if path == ROOT:
            return len(self.records) - 1
        return max(self.weigh(path)[0] - 1, 0)

    def weigh(self, path: bytes) -> tuple[int, int]:
        """The number of keys of the subtree at `path`, itself included, and of the bytes of their data."""
        count = size = 0
        waiting = [path]
        while waiting:
            here = waiting.pop()
            record = self.records.get(here)
            if record is None:
                continue
            count += 1
            size += len(record.value) if record.value is not None else 0
            if record.children:
                below = ROOT if here == ROOT else here + b"/"
                waiting.extend(below + name for name in record.children)
        return count, size

    def idle(self, stamp_ms: Stamp, limit: int = 1000) -> list[RemoveIdle]:
        """At most `limit` removals which would be granted if they were applied at `stamp_ms`."""
        found: list[RemoveIdle] = []
        for deadline, path in self.expiring:
            if deadline >= stamp_ms or len(found) >= limit:
                break
            record = self.records[path]
            if not record.children:
                found.append(RemoveIdle(path, record.modify_revision, record.children_revision))
        for path in self.emptied:
            if len(found) >= limit:
                break
            record = self.records[path]
            found.append(RemoveIdle(path, record.modify_revision, record.children_revision))
        return found

    # --- keeping what follows from the records ----------------------------------------------------

    def intern(self, acl: Acl) -> Acl:
        """One object for equal lists.  `OPEN_ACL` is always the one object which `is` is asked for."""
        known = self.interned.get(acl)
        if known is not None:
            return known
        if len(self.interned) >= _INTERNED_MOST:
            # Lists that are no longer in use are not counted one by one; now and then all are forgotten.
            # Records keep theirs, and nothing but memory depends on equal lists being one object.
            self.interned = {OPEN_ACL: OPEN_ACL}
        self.interned[acl] = acl
        return acl

    def drop(self, path: bytes) -> None:
        """Takes a record out; within a `Multi` its place is kept."""
        if self.deferred is None:
            del self.records[path]
        else:
            cast("dict[bytes, None]", self.records)[path] = None
            self.deferred.append(path)

    def note_idle(self, record: Record) -> None:
        """`record`, which has flags, is in the tree with these times and this number of children."""
        if record.flags > 0:
            self.expiring.add((record.modified_ms + record.flags, record.key))
        elif record.flags == CONTAINER:
            if record.children_created != 0 and not record.children:
                self.emptied[record.key] = None
            else:
                self.emptied.pop(record.key, None)

    def forget_idle(self, record: Record) -> None:
        """`record`, which has flags, is no longer in the tree (or not with these times)."""
        if record.flags > 0:
            self.expiring.discard((record.modified_ms + record.flags, record.key))
        else:
            self.emptied.pop(record.key, None)


def first_tree() -> Tree:
    """The tree of a new cluster, which is that of a new ZooKeeper."""
    tree = Tree()
    readable: Acl = (Permission(READ, "world", "anyone"),)

    def put(path: bytes, acl: Acl, version: int, children: dict[bytes, None] | None) -> None:
        tree.records[path] = Record(
            path, b"", 0, 0, 0, 0, 0, version, 0, version, 0, 0, tree.intern(acl), children
        )

    # These four were never created by a transaction: their parents' counters of created children stay 0, and
    # a new root therefore has the children version -1, as recorded from a real server.
    put(ROOT, OPEN_ACL, 0, {name_of(ZOOKEEPER): None})
    put(ZOOKEEPER, OPEN_ACL, 0, {name_of(QUOTA): None, name_of(CONFIGURATION): None})
    put(QUOTA, OPEN_ACL, 0, None)
    put(CONFIGURATION, readable, -1, None)
    return tree


def children_version(record: Record, children: int) -> int:
    """What ZooKeeper shows as cversion: it counts creations and deletions, while the record counts
    creations."""
    return signed_32_bits(2 * record.children_created - children)


def signed_32_bits(number: int) -> int:
    """Counters of ZooKeeper are Java's ints: after 2147483647 comes -2147483648."""
    return (number + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
