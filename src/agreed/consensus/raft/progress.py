"""What a leader knows of one follower, and how fast it may send to it.

    probe      we do not know where its log leaves ours: one append at a time, and a reply before the next
    replicate  its log joins ours: appends go out one after the other, up to a window, without waiting
    snapshot   what it lacks is no longer in our log: it is sent a snapshot in pieces

`match` is what it has said to be durable and equal to our log, and never goes back while we lead: a late
reply may say less, and taking it at its word would make us count on less than is there, or send what it has
(R12).  """
from __future__ import annotations

from collections import deque
from enum import Enum

from agreed.consensus.machine import SnapshotMark
from agreed.types import Identity, Index, Instant, NodeId


class Pace(Enum):
    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


class Progress:
    __slots__ = (
        "_window",
        "arriving",
        "heard_at",
        "identity",
        "in_flight_bytes",
        "lacks_since",
        "leaving_at",
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
        self.identity: Identity | None = None
        """Whose acknowledgements these are; set when it is known."""
        self.pace = Pace.PROBE
        self.match: Index = 0
        self.next: Index = next_index
        self.waiting = False
        """PROBE: an append is on its way, and says enough until its reply or the next heartbeat."""
        self.notice = False
        """Say something at the next occasion, even without entries."""
        self.lacks_since: Instant | None = None
        """REPLICATE: since when there is an entry that it has not been sent."""
        self.told: Index = 0
        """The highest commit index we have sent."""
        self.untold_since: Instant | None = None
        """Since when there is a higher one."""
        self.round = 0
        """The highest read round it has answered."""
        self.heard_at: Instant = now
        self.leaving_at: Instant | None = None
        """Set once it is no longer a member: until then it is told that it was removed."""
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

    # --- the window of appends in flight ---

    @property
    def in_flight(self) -> int:
        return len(self._window)

    @property
    def newest_bytes(self) -> int:
        """Of the append that was sent last: it alone may have gone over the window."""
        return self._window[-1][1] if self._window else 0

    def sent(self, last: Index, size_bytes: int) -> None:
        """Entries up to `last` are on their way: assume the best."""
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
        if index <= self.match:
            return False
        self.match = index
        window = self._window
        while window and window[0][0] <= index:
            self.in_flight_bytes -= window.popleft()[1]
        if self.next <= index:
            self.next = index + 1
        return True

    def _clear_window(self) -> None:
        self._window.clear()
        self.in_flight_bytes = 0
        self.lacks_since = self.untold_since = None

    # --- changes of pace ---

    def probe(self, next_index: Index) -> None:
        assert next_index > self.match
        self.pace = Pace.PROBE
        self.next = next_index
        self.waiting = False
        self.sending = None
        self._clear_window()

    def replicate(self) -> None:
        self.pace = Pace.REPLICATE
        self.next = self.match + 1
        self.waiting = False
        self.sending = None
        self._clear_window()

    def snapshot(self) -> None:
        self.pace = Pace.SNAPSHOT
        self.sending = None
        self.offset = 0
        self.loading = self.stalled = False
        self._clear_window()
