"""What a replica is told at its start and never changes: the numbers behind its behaviour towards clients.

`node/config.py` has the knobs, their units and reasons; this is their pure part.
"""

from __future__ import annotations

import msgspec


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
