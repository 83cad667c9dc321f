"""What a replica is told at its start and never changes: the numbers behind its behaviour towards clients.

`node/config.py` has the knobs, their units and reasons; this is their pure part.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from agreed.types import Stamp


class Signer(Protocol):
    """Tokens that tell by themselves who shows them, for as long as they say."""

    def sign(self, user: str, auth_revision: int, wall_ms: Stamp) -> str | None:
        """None where only the public key is known."""

    def verify(self, token: str, wall_ms: Stamp) -> tuple[str, int] | None:
        """The user, and under which rules he was recognized; None for what nobody has signed, or too long
        ago."""


ETCD_MESSAGE_EXTRA_BYTES = 512 * 1024
"""What a message of etcd's protocol may have beyond the largest request that is taken, as in etcd."""


class Settings(msgspec.Struct, frozen=True):
    tick_ms: int = 2_000
    session_timeout_ms: tuple[int, int] = (4_000, 40_000)
    """The least and the most a client may ask for."""
    max_frame_bytes: int = 1_048_575
    four_letter_words: frozenset[str] = frozenset()
    read_only_mode: bool = False
    linearizable_reads: bool = False
    super_digest: str | None = None
    sasl_users: dict[str, str] = msgspec.field(default_factory=dict)
    snapshot_entries: int = 200_000
    """Commands between checkpoints."""
    sweep_every_ms: int = 60_000
    """How often the leader looks for empty containers and keys whose time to live is over."""
    snapshot_bytes: int = 64 * 1024 * 1024
    """Bytes of log between checkpoints."""
    proposals_under_way: int = 4
    """How many entries the leader has under way before it lets the next batch grow, where they are large."""
    large_proposal_bytes: int = 6 * 1024
    """Below this (some thirty small writes) a batch waits until nothing is under way.  An entry costs three
    nodes a message, a sync and a reply whatever is in it; of fifty clients that wait for each other's turns,
    three small entries under way at a time cost more than they gain (measured: 30 % of throughput where
    clients are spread over the nodes)."""
    leaderless_grace_ms: int = 2_500
    """How long clients are kept while nobody leads: longer than an ordinary election, so that a change of
    leader costs them a moment and not their connections; short enough that a minority says so soon."""
    client_port: int | None = None
    secure_client_port: int | None = None
    peer_port: int = 0
    max_connections_per_ip: int = 0
    server_number: int = 1
    cluster: int = 0
    """The identity of the cluster."""
    watch_progress_ms: int = 600_000
    """How long a watcher of an etcd client that wants to know hears nothing before it is told that there was
    nothing; up to a tenth more, so that not all are told at once."""
    etcd_client_urls: tuple[str, ...] | None = None
    """Where this node tells etcd's clients to connect; None where it does not serve any."""
    etcd_quota_bytes: int = 2 * 1024 * 1024 * 1024
    """How many bytes the keys of etcd's clients and their history may take, before only deletions and
    compactions are taken; 0: without limit."""
    etcd_max_request_bytes: int = 1_572_864
    etcd_max_txn_ops: int = 128
    etcd_bcrypt_cost: int = 10
    etcd_token_ttl_ms: int = 300_000
    """How long a login of an etcd client is good for without being used."""
    etcd_jwt: Signer | None = None
    """Who makes and reads the tokens of etcd clients where these are JSON web tokens."""
    etcd_auto_compaction_mode: str = "periodic"
    etcd_auto_compaction_retention: int = 0
    """Milliseconds of history to keep (periodic), or revisions (revision); 0: all of it."""
    watch_backlog_bytes: int = 1024 * 1024
    """How much a watching client may leave unread; then it is told nothing more until it has read, and after
    that what it has missed."""
    znode_view: bool = False
    """Whether etcd's clients may read the tree under `/.znodes` (`store/znode_view.py`)."""

    @property
    def etcd_max_message_bytes(self) -> int:
        return self.etcd_max_request_bytes + ETCD_MESSAGE_EXTRA_BYTES
