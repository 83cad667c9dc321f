"""What a leader knows of one of those who follow it (ZooKeeper's LearnerHandler), and how fast it may send.

    waiting    it has not acknowledged our epoch (in this life): it is sent nothing of the history
    probe      something was lost: one message at a time, and an answer before the next
    stream     messages go out one after the other, up to a window, without waiting
    snapshot   what it lacks is no longer in our log: it is sent a snapshot in pieces

`match` is what it has said to be durable and equal to our history, and never goes back while we lead.  It
counts for commits only from its ACK of NEWLEADER on (`ready`).  The story if it counted before: an entry is
committed because two followers have it that still have the currentEpoch of before; both are asked by a
candidate whose history is of that epoch too and longer, but without the entry.
"""
from __future__ import annotations

from collections import deque
from enum import Enum

from agreed.consensus.machine import SnapshotMark
from agreed.consensus.zab.messages import AckEpoch
from agreed.types import Index, Instant, NodeId


class Pace(Enum):
    WAITING = "waiting"
    PROBE = "probe"
    STREAM = "stream"
    SNAPSHOT = "snapshot"


class Learner:
    __slots__ = (
        "_window",
        "arriving",
        "asked",
        "asked_at",
        "heard_at",
        "in_flight_bytes",
        "informed",
        "loading",
        "match",
        "name",
        "new_leader_at",
        "new_leader_told",
        "next",
        "notice",
        "offset",
        "pace",
        "piece_at",
        "ping",
        "ready",
        "round",
        "sending",
        "stalled",
        "told",
        "truncate",
        "untold_since",
        "waiting",
    )

    def __init__(self, name: NodeId, now: Instant) -> None:
        self.name = name
        self.pace = Pace.WAITING
        self.informed = False
        """It has said that it follows us."""
        self.ready = False
        """It has acknowledged NEWLEADER: what it has counts."""
        self.asked: AckEpoch | None = None
        self.asked_at: Instant = now
        """What it last said its history is, and when."""
        self.match: Index = 0
        self.next: Index = 1
        self.truncate = False
        """It has a suffix that is not ours."""
        self.new_leader_at: Index = 0
        """How long our history was when it began to take it: there its NEWLEADER stands."""
        self.new_leader_told = False
        self.waiting = False
        """PROBE: a message is on its way, and says enough until it is answered."""
        self.notice = False
        """Tell it of the newest commit at the next occasion, even without entries."""
        self.ping = False
        """Ping it at the next occasion."""
        self.told: Index = 0
        """The highest commit index we have sent."""
        self.untold_since: Instant | None = None
        """Since when there is a higher one."""
        self.round = 0
        """The highest ping it has answered."""
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

    @property
    def in_flight(self) -> int:
        return len(self._window)

    @property
    def newest_bytes(self) -> int:
        """Of the message that was sent last: it alone may have gone over the window."""
        return self._window[-1][1] if self._window else 0

    def sent(self, last: Index, size_bytes: int) -> None:
        """Entries up to `last` are on their way: assume the best."""
        self._window.append((last, size_bytes))
        self.in_flight_bytes += size_bytes
        self.next = last + 1

    def tell(self, commit: Index) -> None:
        """It is on its way to be told of this commit."""
        self.told = commit
        self.untold_since = None
        self.notice = False

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

    def _clear(self) -> None:
        self._window.clear()
        self.in_flight_bytes = 0
        self.untold_since = None
        self.waiting = self.loading = self.stalled = False
        self.sending = None
        self.offset = 0

    # --- changes of pace ---

    def wait(self) -> None:
        self.pace = Pace.WAITING
        self._clear()

    def probe(self, next_index: Index) -> None:
        assert next_index > self.match
        self.pace = Pace.PROBE
        self.next = next_index
        self._clear()

    def stream(self, next_index: Index) -> None:
        assert next_index > self.match
        self.pace = Pace.STREAM
        self.next = next_index
        self._clear()

    def snapshot(self) -> None:
        self.pace = Pace.SNAPSHOT
        self._clear()
