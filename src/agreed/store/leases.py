"""The one table of leases: what ZooKeeper and Consul call a session, and etcd a lease.

A lease dies as a whole, and every key that hangs on it goes with it, in one revision.  *When* it dies is not
decided here: the leader watches its own clock and puts `ExpireLease` into the log.

A session is a lease with credentials and an owner: the one node through which its client speaks.  When the
client turns up elsewhere (`AttachLease`), the lease gets a new owner and a new `attach_revision`, and two
late arrivals lose their force: a write which the old connection still had in flight, and an expiry which the
leader had decided upon before.  A plain lease (etcd's) has neither.
"""
from __future__ import annotations

from collections.abc import Iterator

import msgspec

from agreed.store.records import Credential
from agreed.types import LeaseId, NodeId, Revision


class Lease(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Immutable but for the two sets of keys, which all versions of a lease share.

    credentials       what its client has proven; None for a plain lease
    owner             the node it is attached to; None for a plain lease
    attach_revision   of a session: when it was granted or last attached.  A plain lease consumes no revision:
                      of it, the number of its grant, so that an expiry which was decided for a lease does not
                      end another one that was given its id since
    tree_keys         paths of the ephemeral keys (a dict for its order; the values mean nothing)
    flat_keys         keys of the flat space that hang on it
    """

    id: LeaseId
    ttl_ms: int
    secret: bytes
    credentials: tuple[Credential, ...] | None
    owner: NodeId | None
    attach_revision: Revision
    tree_keys: dict[bytes, None]
    flat_keys: dict[bytes, None]


class Leases:
    """All living leases, in order of their grant.  `granted` counts the plain ones that ever were."""

    __slots__ = ("granted", "table")

    def __init__(self) -> None:
        self.table: dict[LeaseId, Lease] = {}
        self.granted = 0

    def __len__(self) -> int:
        return len(self.table)

    def __iter__(self) -> Iterator[Lease]:
        return iter(self.table.values())

    def get(self, lease: LeaseId) -> Lease | None:
        return self.table.get(lease)

    def ephemerals(self, lease: LeaseId, prefix: bytes = b"") -> list[bytes]:
        """The ephemeral paths of a session that begin with `prefix` (plain bytes, no path rules), sorted."""
        found = self.table.get(lease)
        if found is None:
            return []
        return sorted(path for path in found.tree_keys if path.startswith(prefix))

    @property
    def ephemerals_count(self) -> int:
        return sum(len(lease.tree_keys) for lease in self)
