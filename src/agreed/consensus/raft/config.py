"""The knobs of Raft, their defaults and the reasons for them.

Times are milliseconds of the node's own clock.  What must hold between the knobs is checked here, once, so
that the protocol never has to.  """
from __future__ import annotations

import msgspec

from agreed.errors import ConfigurationError


class RaftConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Raises ConfigurationError where the knobs contradict each other."""

    heartbeat_ms: int = 100
    """How often a leader that has nothing to say says so."""

    election_timeout_ms: tuple[int, int] = (500, 1000)
    """A follower that has heard no leader for a random time of this range campaigns.  The low end is also how
    long it refuses its vote after having heard one, and how long a leader leads without hearing a quorum."""

    leader_loss_delay_ms: tuple[int, int] = (20, 150)
    """Instead of the election timeout, when the connection to the leader broke: a killed process is noticed
    through its sockets long before a timeout, and a random wait keeps the survivors from colliding."""

    max_append_bytes: int = 1024 * 1024
    """One AppendEntries carries at most this, but always at least one entry."""

    window_messages: int = 64
    window_bytes: int = 8 * 1024 * 1024
    """How many AppendEntries, and how many bytes of them, may be on their way to one follower."""

    tail_entries: int = 4096
    tail_bytes: int = 16 * 1024 * 1024
    """How much of what a snapshot contains is kept for followers that lag a little."""

    catching_up_bytes: int = 128 * 1024 * 1024
    """The same for followers that are being sent a snapshot, or have just got one: what they need next stays
    until they are there, as long as it is no more than this."""

    commit_notice_ms: int = 2
    """A commit is told to followers with the next append, or after this time where none comes."""

    spare_delay_ms: int = 0
    """Followers that a quorum can do without are sent entries after this time, several at once (thrift.py);
    0: everybody is sent everything at once."""

    read_timeout_ms: int = 500
    """A read index that could not be had by then has failed."""

    promote_lag_entries: int = 256
    """A learner that lacks more entries than this may not become a voter: until it has them, it would only
    make majorities harder to get."""

    lease_reads: bool = False
    """Answer a leader's reads from a lease instead of asking a quorum.  Linearizable only as long as
    `clock_rate_bound` is true and the driver tells the time before it asks (thesis 6.4.1)."""

    clock_rate_bound: float = 0.01
    """While one node's clock advances by 1, another's advances by at most 1 + this."""

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
        positive = (
            "max_append_bytes", "window_messages", "window_bytes", "read_timeout_ms",
        )  # fmt: skip
        for name in positive:
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"{name} must be above 0")
        never_negative = (
            "tail_entries", "tail_bytes", "catching_up_bytes", "commit_notice_ms", "spare_delay_ms",
            "promote_lag_entries",
        )  # fmt: skip
        for name in never_negative:
            if getattr(self, name) < 0:
                raise ConfigurationError(f"{name} must not be negative")
        if not 0.0 <= self.clock_rate_bound < 1.0:
            raise ConfigurationError("clock_rate_bound must be at least 0 and below 1")

    @property
    def lease_ms(self) -> int:
        """How long a quorum's word keeps other leaders away, measured by the slowest clock allowed."""
        return int(self.election_timeout_ms[0] / (1.0 + self.clock_rate_bound))
