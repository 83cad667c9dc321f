"""The knobs that every protocol has, their defaults and the reasons for them.

Times are milliseconds of the node's own clock.  What must hold between the knobs is checked here, once, so
that no protocol ever has to.  A *leader* is a primary in Viewstamped Replication, a *follower* a backup there
and an acceptor in Multi-Paxos; what a protocol adds or reads into a knob is told in its own `config.py`.
"""
from __future__ import annotations

import msgspec

from agreed.errors import ConfigurationError


class CommonConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Raises ConfigurationError where the knobs contradict each other."""

    heartbeat_ms: int = 100
    """How often a leader that has nothing to say says so, and what was not answered is said again."""

    election_timeout_ms: tuple[int, int] = (500, 1000)
    """A follower that has heard no leader for a random time of this range wants another.  The low end is also
    how long it keeps others from disturbing a leader that it hears, and how long a leader leads without
    hearing a quorum."""

    leader_loss_delay_ms: tuple[int, int] = (20, 150)
    """Instead of the election timeout, when the connection to the leader broke: a killed process is noticed
    through its sockets long before a timeout, and a random wait keeps the survivors from colliding."""

    max_append_bytes: int = 1024 * 1024
    """One message carries entries of at most so many bytes, but always at least one entry."""

    window_messages: int = 64
    window_bytes: int = 8 * 1024 * 1024
    """How many messages with entries, and how many bytes of them, may be on their way to one follower."""

    tail_entries: int = 4096
    tail_bytes: int = 16 * 1024 * 1024
    """How much of what a snapshot contains is kept for followers that lag a little."""

    catching_up_bytes: int = 128 * 1024 * 1024
    """The same for followers that are being sent a snapshot, or have just got one: what they need next stays
    until they are there, as long as it is no more than this."""

    commit_notice_ms: int = 2
    """A commit is told to followers with the next entries, or after this time where none come."""

    spare_delay_ms: int = 0
    """Followers that a quorum can do without are sent entries after this time, several at once (thrift.py);
    0: everybody is sent everything at once."""

    read_timeout_ms: int = 500
    """A read index that could not be had by then has failed."""

    def __post_init__(self) -> None:
        low, high = self.election_timeout_ms
        delay_low, delay_high = self.leader_loss_delay_ms
        if not 0 < self.heartbeat_ms < low <= high:
            raise ConfigurationError(
                f"heartbeat_ms ({self.heartbeat_ms}) must be above 0 and below the election timeout "
                f"({low} to {high} ms), which must be a range"
            )
        if not 0 <= delay_low <= delay_high <= high:
            raise ConfigurationError(
                f"leader_loss_delay_ms ({delay_low}, {delay_high}) must be a range that ends before the "
                f"longest election timeout ({high})"
            )
        self._require_positive("max_append_bytes", "window_messages", "window_bytes", "read_timeout_ms")
        self._require_not_negative(
            "tail_entries", "tail_bytes", "catching_up_bytes", "commit_notice_ms", "spare_delay_ms"
        )

    def _require_positive(self, *names: str) -> None:
        for name in names:
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"{name} must be above 0")

    def _require_not_negative(self, *names: str) -> None:
        for name in names:
            if getattr(self, name) < 0:
                raise ConfigurationError(f"{name} must not be negative")
