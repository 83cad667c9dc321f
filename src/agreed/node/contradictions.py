"""What a configuration must not say at once, each with the sentence that tells the operator.

Only what can be seen in the values themselves: whether a port is free or a file readable is found out by
whoever opens it.
"""
from __future__ import annotations

from typing import TYPE_CHECKING

from agreed.consensus import protocols

if TYPE_CHECKING:
    from agreed.node.config import Config


def contradictions(config: Config) -> list[tuple[bool, str]]:
    """Each as (is it so?, what is wrong)."""
    shortest, longest = config.session_timeout_ms
    low, _ = config.election_timeout_ms
    return [
        (
            config.name not in config.peers,
            f"name: {config.name!r} is not among the peers ({', '.join(config.peers)})",
        ),
        (config.join and len(config.peers) < 2, "join: peers must name the members of the cluster as well"),
        (
            config.lease_reads and config.consensus != protocols.RAFT,
            f"lease_reads: only with raft, not with {config.consensus}",
        ),
        (shortest > longest, f"min_session_timeout_ms: {shortest} is more than the maximum, {longest}"),
        (
            config.heartbeat_ms * 3 > low,
            f"heartbeat_ms: {config.heartbeat_ms} ms does not allow for a lost heartbeat or two before the "
            f"election timeout ({low} ms); at most a third of it",
        ),
        (
            (config.tls_certificate is None) != (config.tls_key is None),
            "tls_certificate, tls_key: one without the other",
        ),
        (
            len({each is None for each in config.peer_tls}) > 1,
            "peer_tls_certificate, peer_tls_key, peer_tls_ca: all of them or none",
        ),
        (
            config.zookeeper_tls is not None and config.tls_certificate is None,
            "zookeeper_tls: needs tls_certificate and tls_key",
        ),
        (
            config.etcd_tls is not None and config.tls_certificate is None,
            "etcd_tls: needs tls_certificate and tls_key",
        ),
        (
            config.atomic_databases is not None and config.zookeeper is None,
            "atomic_databases: needs zookeeper, by which this node is asked as any client would",
        ),
        (
            config.super_digest is not None and ":" not in config.super_digest,
            "super_digest: not of the form user:base64(sha1(user:password))",
        ),
    ]
