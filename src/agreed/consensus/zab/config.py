"""The knobs of ZAB, their defaults and the reasons for them.

Times are milliseconds of the node's own clock.  A knob that means what one of Raft's means has its name.
What must hold between the knobs is checked here, once, so that the protocol never has to.
"""
from __future__ import annotations

import msgspec

from agreed.errors import ConfigurationError


class ZabConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Raises ConfigurationError where the knobs contradict each other."""

    heartbeat_ms: int = 100
    """How often a leader pings, and how often what may be lost is said again in the earlier phases."""

    election_timeout_ms: tuple[int, int] = (500, 1000)
    """The low end: how long a follower waits for a word of its leader, and a leader for a quorum of its
    followers, before it looks for another (syncLimit).  The high end: how long an election may take to bear
    fruit, until the new epoch is accepted (initLimit)."""

    finalize_wait_ms: int = 50
    """How long a quorum's choice waits for a better one.  It does not wait where all voters agree."""

    leader_loss_delay_ms: tuple[int, int] = (20, 150)
    """Instead of the election timeout, when the connection to the leader broke."""

    max_append_bytes: int = 1024 * 1024
    """One message carries at most this much of the history, but always at least one entry."""

    window_messages: int = 64
    window_bytes: int = 8 * 1024 * 1024
    """How many messages with entries, and how many bytes of them, may be on their way to one follower."""

    tail_entries: int = 4096
    tail_bytes: int = 16 * 1024 * 1024
    """How much of what a snapshot contains is kept for followers that lag a little: for them DIFF is
    enough."""

    catching_up_bytes: int = 128 * 1024 * 1024
    """The same for followers that are being sent a snapshot, or have just got one: what they need next stays
    until they are there, as long as it is no more than this."""

    commit_notice_ms: int = 2
    """A commit is told to followers with the next proposal, or after this time where none comes."""

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
        if not 0 <= self.finalize_wait_ms < high:
            raise ConfigurationError(
                f"finalize_wait_ms ({self.finalize_wait_ms}) must not be negative and must be below the "
                f"longest election timeout ({high})"
            )
        for name in ("max_append_bytes", "window_messages", "window_bytes", "read_timeout_ms"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"{name} must be above 0")
        for name in ("tail_entries", "tail_bytes", "catching_up_bytes", "commit_notice_ms"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"{name} must not be negative")
