"""What a leader knows of one follower, and how fast it may send to it.

    probe      we do not know where its log leaves ours: one append at a time, and a reply before the next
    replicate  its log joins ours: appends go out one after the other, up to a window, without waiting
    snapshot   what it lacks is no longer in our log: it is sent a snapshot in pieces
"""
from __future__ import annotations

from enum import Enum

from agreed.consensus.sending import Receiver
from agreed.types import Identity, Index, Instant, NodeId


class Pace(Enum):
    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


class Progress(Receiver):
    __slots__ = ("identity", "leaving_at", "pace", "waiting")

    def __init__(self, name: NodeId, next_index: Index, now: Instant) -> None:
        super().__init__(name, next_index, now)
        self.identity: Identity | None = None
        """Whose acknowledgements these are; set when it is known."""
        self.pace = Pace.PROBE
        self.waiting = False
        """PROBE: an append is on its way, and says enough until its reply or the next heartbeat."""
        self.leaving_at: Instant | None = None
        """Set once it is no longer a member: until then it is told that it was removed."""

    @property
    def takes_snapshot(self) -> bool:
        return self.pace is Pace.SNAPSHOT

    def probe(self, next_index: Index) -> None:
        assert next_index > self.match
        self.pace = Pace.PROBE
        self.next = next_index
        self._clear()

    def replicate(self) -> None:
        self.pace = Pace.REPLICATE
        self.next = self.match + 1
        self._clear()

    def snapshot(self) -> None:
        self.pace = Pace.SNAPSHOT
        self._clear()

    def _clear(self) -> None:
        self.waiting = False
        self._clear_transfer()
        self._clear_window()
