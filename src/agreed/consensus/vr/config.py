"""The knobs of Viewstamped Replication, their defaults and the reasons for them.

Those that mean the same as in `agreed.consensus.raft.config` have the same names.  Times are milliseconds of
the node's own clock.  """
from __future__ import annotations

import msgspec

from agreed.errors import ConfigurationError


class VrConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Raises ConfigurationError where the knobs contradict each other."""

    heartbeat_ms: int = 100
    """How often a primary that has nothing to say sends a Commit, and how often anything that was not
    answered is said again."""

    election_timeout_ms: tuple[int, int] = (500, 1000)
    """A replica that has heard no primary for a random time of this range asks for the next view, and one
    whose view change does not come to an end for the one after it.  The low end is also how long a replica
    does not listen to others who ask, and how long a primary leads without hearing a quorum."""

    leader_loss_delay_ms: tuple[int, int] = (20, 150)
    """Instead of it, when the connection to the primary broke."""

    max_append_bytes: int = 1024 * 1024
    """One message carries entries of at most so many bytes, but always at least one entry."""

    window_messages: int = 64
    window_bytes: int = 8 * 1024 * 1024
    """How many Prepares, and how many bytes of them, may be on their way to one backup."""

    tail_entries: int = 4096
    tail_bytes: int = 16 * 1024 * 1024
    """How much of what a snapshot contains is kept for backups that lag a little."""

    catching_up_bytes: int = 128 * 1024 * 1024
    """The same for backups that fetch a snapshot, or have just got one."""

    commit_notice_ms: int = 2
    """A commit is told to backups with the next Prepare, or after this time where none comes."""

    spare_delay_ms: int = 0
    """Backups that a quorum can do without are sent entries after this time, several at once (thrift.py);
    0: everybody is sent everything at once."""

    read_timeout_ms: int = 500
    """A read index that could not be had by then has failed."""

    recovery_without_disk: bool = False
    """Nothing is saved; a replica that comes back asks the others what it knew (section 4.3).  All that is
    agreed is lost when more than f replicas are down or recovering at one time."""

    founding: bool = False
    """Only without a disk: this is the very first start of the cluster, in which nobody has anything to
    recover.  A replica cannot find that out itself: an empty memory looks the same before the first operation
    and after the loss of a million.  Whoever says so at a later start loses what was agreed."""

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
        for name in ("max_append_bytes", "window_messages", "window_bytes", "read_timeout_ms"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"{name} must be above 0")
        never_negative = (
            "tail_entries", "tail_bytes", "catching_up_bytes", "commit_notice_ms", "spare_delay_ms",
        )  # fmt: skip
        for name in never_negative:
            if getattr(self, name) < 0:
                raise ConfigurationError(f"{name} must not be negative")
        if self.founding and not self.recovery_without_disk:
            raise ConfigurationError("founding is said only where recovery_without_disk is on")
