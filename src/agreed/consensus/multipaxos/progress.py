"""What a leader knows of one follower, and how fast it may send to it.

    probe      we do not know what it lacks: one Accept at a time, and a reply before the next
    replicate  it holds all that we have sent, or it is on its way: Accepts go out one after the other, up to
    a window snapshot   what it lacks is no longer in our log: it is sent a snapshot in pieces

`match` is what it has said to have durably accepted under our ballot, and never goes back while we lead.
Of `next` that is not so: a follower that restarts may need what it had accepted already.
"""
from __future__ import annotations

from collections import deque
from enum import Enum

from agreed.consensus.machine import SnapshotMark
from agreed.types import Index, Instant, NodeId


class Pace(Enum):
    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


class Progress:
    __slots__ = (
        "_window",
        "arriving",
        "heard_at",
        "in_flight_bytes",
        "lacks_since",
        "loading",
        "match",
        "name",
        "next",
        "notice",
        "offset",
        "pace",
        "piece_at",
        "round",
        "sending",
        "stalled",
        "told",
        "untold_since",
        "waiting",
    )

    def __init__(self, name: NodeId, next_index: Index, now: Instant) -> None:
        self.name = name
        self.pace = Pace.PROBE
        self.match: Index = 0
        self.next: Index = next_index
        self.waiting = False
        """PROBE: an Accept is on its way, and says enough until its reply or the next heartbeat."""
        self.notice = False
        """Say something at the next occasion, even without values."""
        self.lacks_since: Instant | None = None
        """REPLICATE: since when there is a value that it has not been sent."""
        self.told: Index = 0
        """The highest commit index we have sent."""
        self.untold_since: Instant | None = None
        """Since when there is a higher one."""
        self.round = 0
        """The highest read round it has answered."""
        self.heard_at: Instant = now
        self._window: deque[tuple[Index, int]] = deque()
        self.in_flight_bytes = 0
        self.sending: SnapshotMark | None = None
        """SNAPSHOT: which one, once its first piece is loaded."""
        self.offset = 0
        """SNAPSHOT: where the piece on its way begins."""
        self.loading = False
        """SNAPSHOT: our driver is reading that piece."""
        self.stalled = False
        """SNAPSHOT: the piece may be lost; load it again as soon as the follower is heard."""
        self.arriving: Index = 0
        """How long our log was when the follower had its snapshot: once it has come so far, it is no longer
        one that catches up."""
        self.piece_at: Instant = now
        """SNAPSHOT: when that piece was asked for or sent."""

    # --- the window of Accepts in flight ---

    @property
    def in_flight(self) -> int:
        return len(self._window)

    def sent(self, last: Index, size_bytes: int) -> None:
        """Values up to `last` are on their way: assume the best."""
        self._window.append((last, size_bytes))
        self.lacks_since = None
        self.in_flight_bytes += size_bytes
        self.next = last + 1

    def tell(self, commit: Index) -> None:
        """It is on its way to be told of this commit."""
        self.told = commit
        self.untold_since = None

    def matched(self, index: Index) -> bool:
        """It has everything up to here; True where that is news."""
        window = self._window
        while window and window[0][0] <= index:
            self.in_flight_bytes -= window.popleft()[1]
        if index <= self.match:
            return False
        self.match = index
        if self.next <= index:
            self.next = index + 1
        return True

    def _clear_window(self) -> None:
        self._window.clear()
        self.in_flight_bytes = 0
        self.lacks_since = self.untold_since = None

    # --- changes of pace ---

    def probe(self, next_index: Index) -> None:
        self.pace = Pace.PROBE
        self.next = next_index
        self.waiting = False
        self.sending = None
        self._clear_window()

    def replicate(self, held: Index) -> None:
        """It holds all up to here; more is sent as it comes."""
        self.pace = Pace.REPLICATE
        self.next = held + 1
        self.waiting = False
        self.sending = None
        self._clear_window()

    def snapshot(self) -> None:
        self.pace = Pace.SNAPSHOT
        self.sending = None
        self.offset = 0
        self.loading = self.stalled = False
        self._clear_window()
