"""Small words with one meaning each, shared by every package.

`NodeId` names a member of the cluster, `Identity` the data directory behind that name: a node that
lost its disk comes back with the old name and a new identity, and may not vote in the old one's place.
"""
from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta

NUMBER_MOST = (1 << 63) - 1
"""Above every term and index that a cluster can reach.  What is decoded is held to it, so that one may add to
a number of a peer and still write it down."""

NodeId: TypeAlias = str
"""The name of a node, unique in a cluster: `n1`."""

Identity: TypeAlias = int
"""A random 63-bit number made with a data directory; tells a node from its wiped successor."""

Term: TypeAlias = Annotated[int, Meta(ge=0, le=NUMBER_MOST)]
"""Raft's term (a ballot, view or epoch in the other protocols)."""

Index: TypeAlias = Annotated[int, Meta(ge=0, le=NUMBER_MOST)]
"""A position in the replicated log; the first entry has index 1."""

Revision: TypeAlias = int
"""The one counter of the store: etcd's revision, ZooKeeper's zxid, Consul's index."""

LeaseId: TypeAlias = int
"""A lease: what ZooKeeper and Consul call a session, and etcd a lease."""

Instant: TypeAlias = int
"""Milliseconds of one node's own monotonic clock.  Instants of two nodes are never compared."""

Stamp: TypeAlias = int
"""Milliseconds since 1970, stamped into entries by the leader; never goes back."""
