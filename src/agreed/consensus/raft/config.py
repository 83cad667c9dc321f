"""The knobs of Raft beside those that every protocol has.

The low end of `election_timeout_ms` is how long a follower refuses its vote after having heard a leader
(thesis 4.2.3, 6.4.1).
"""
from __future__ import annotations

from agreed.consensus.config import CommonConfig
from agreed.errors import ConfigurationError


class RaftConfig(CommonConfig, frozen=True, kw_only=True):
    """Raises ConfigurationError where the knobs contradict each other."""

    promote_lag_entries: int = 256
    """A learner that lacks more entries than this may not become a voter: until it has them, it would only
    make majorities harder to get."""

    lease_reads: bool = False
    """Answer a leader's reads from a lease instead of asking a quorum.  Linearizable only as long as
    `clock_rate_bound` is true and the driver tells the time before it asks (thesis 6.4.1)."""

    clock_rate_bound: float = 0.01
    """While one node's clock advances by 1, another's advances by at most 1 + this."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_not_negative("promote_lag_entries")
        if not 0.0 <= self.clock_rate_bound < 1.0:
            raise ConfigurationError("clock_rate_bound must be at least 0 and below 1")

    @property
    def lease_ms(self) -> int:
        """How long a quorum's word keeps other leaders away, measured by the slowest clock allowed."""
        return int(self.election_timeout_ms[0] / (1.0 + self.clock_rate_bound))
