"""Every exception of this package, in one tree; each says whether the thing surely did not happen.

`surely_not_done` is what a caller needs in order to decide whether to try again: True means that no
effect was or will ever be made; False means that it may have been made (or may still be).
"""
from __future__ import annotations


class AgreedError(Exception):
    """The root.  `surely_not_done` tells whether the operation certainly had no effect."""

    surely_not_done: bool = False


class ConfigurationError(AgreedError):
    """A knob is unknown, contradictory or out of range; nothing was started."""

    surely_not_done = True


class MalformedInput(AgreedError):
    """Bytes from outside that no correct peer or client would send; the connection is dropped."""

    surely_not_done = True


class CorruptData(AgreedError):
    """What lies on disk is not what was written there; the node refuses to start on it.

    The message names the file, the offset and what an operator can do.
    """

    surely_not_done = True


class DiskFailed(AgreedError):
    """A write or fsync failed: what it was to save may or may not be on disk."""


class WrongIdentity(AgreedError):
    """This data directory belongs to another node or cluster, or was wiped or cloned."""

    surely_not_done = True


class NotLeader(AgreedError):
    """Only the leader can do this; `leader` names it where it is known."""

    surely_not_done = True

    def __init__(self, message: str, leader: str | None = None) -> None:
        super().__init__(message)
        self.leader = leader


class MembershipRefused(AgreedError):
    """A change of members that would be unsafe or makes no sense now; nothing was changed."""

    surely_not_done = True


class ClockSkew(AgreedError):
    """A time from further in the future than clocks may differ: some clock is wrong, and nothing was taken.

    `ahead_ms` is how far it was ahead of the clock that refused it, `bound_ms` how far it may be."""

    surely_not_done = True

    def __init__(self, ahead_ms: int, bound_ms: int) -> None:
        super().__init__(f"a time {ahead_ms} ms ahead of our clock, where {bound_ms} ms are allowed")
        self.ahead_ms = ahead_ms
        self.bound_ms = bound_ms
