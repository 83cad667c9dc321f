"""The knobs of Multi-Paxos beside those that every protocol has.

The low end of `election_timeout_ms` is how long an acceptor tells others that its leader is alive.  Paxos
itself needs no such thing: anybody may begin phase 1 at any time, but who always does ends nobody's duel.
"""
from __future__ import annotations

from agreed.consensus.config import CommonConfig


class MultiPaxosConfig(CommonConfig, frozen=True, kw_only=True):
    """Raises ConfigurationError where the knobs contradict each other."""

    reordered_entries: int = 1024
    """How many slots beyond the end of its log an acceptor takes a value.  The slots between are written down
    as empty, so that without a bound one late message could fill a disk."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_not_negative("reordered_entries")
