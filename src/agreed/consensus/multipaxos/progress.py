"""What a leader knows of one follower, and how fast it may send to it.

    probe      we do not know what it lacks: one Accept at a time, and a reply before the next
    replicate  it holds all that we have sent, or it is on its way: Accepts go out one after the other, up to
               a window
    snapshot   what it lacks is no longer in our log: it is sent a snapshot in pieces

`match` is what it has said to have durably accepted under our ballot.  `next` may be lower: a follower that
restarts may need what it had accepted already.
"""
from __future__ import annotations

from enum import Enum

from agreed.consensus.sending import Receiver
from agreed.types import Index, Instant, NodeId


class Pace(Enum):
    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


class Progress(Receiver):
    __slots__ = ("pace", "waiting")

    def __init__(self, name: NodeId, next_index: Index, now: Instant) -> None:
        super().__init__(name, next_index, now)
        self.pace = Pace.PROBE
        self.waiting = False
        """PROBE: an Accept is on its way, and says enough until its reply or the next heartbeat."""

    @property
    def takes_snapshot(self) -> bool:
        return self.pace is Pace.SNAPSHOT

    def probe(self, next_index: Index) -> None:
        self.pace = Pace.PROBE
        self.next = next_index
        self._clear()

    def replicate(self, held: Index) -> None:
        """It holds all up to here; more is sent as it comes."""
        self.pace = Pace.REPLICATE
        self.next = held + 1
        self._clear()

    def snapshot(self) -> None:
        self.pace = Pace.SNAPSHOT
        self._clear()

    def _clear(self) -> None:
        self.waiting = False
        self._clear_transfer()
        self._clear_window()
