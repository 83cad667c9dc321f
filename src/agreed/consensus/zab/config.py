"""The knobs of ZAB beside those that every protocol has.

The low end of `election_timeout_ms` is how long a follower waits for a word of its leader, and a leader for a
quorum of its followers, before it looks for another (ZooKeeper's syncLimit).  The high end is how long an
election may take to bear fruit, until the new epoch is accepted (initLimit).
"""
from __future__ import annotations

from agreed.consensus.config import CommonConfig
from agreed.errors import ConfigurationError


class ZabConfig(CommonConfig, frozen=True, kw_only=True):
    """Raises ConfigurationError where the knobs contradict each other."""

    finalize_wait_ms: int = 50
    """How long a quorum's choice waits for a better one.  It does not wait where all voters agree."""

    def __post_init__(self) -> None:
        super().__post_init__()
        high = self.election_timeout_ms[1]
        if not 0 <= self.finalize_wait_ms < high:
            raise ConfigurationError(
                f"finalize_wait_ms ({self.finalize_wait_ms}) must not be negative and must be below the "
                f"longest election timeout ({high})"
            )
