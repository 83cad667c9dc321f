"""What a leader knows of one of those who follow it (ZooKeeper's LearnerHandler), and how fast it may send.

    waiting    it has not acknowledged our epoch (in this life): it is sent nothing of the history
    probe      something was lost: one message at a time, and an answer before the next
    stream     messages go out one after the other, up to a window, without waiting
    snapshot   what it lacks is no longer in our log: it is sent a snapshot in pieces

What it has (`match`) counts for commits only from its ACK of NEWLEADER on (`ready`).  The story if it counted
before: an entry is committed because two followers have it that still have the currentEpoch of before; both
are asked by a candidate whose history is of that epoch too and longer, but without the entry.
"""
from __future__ import annotations

from enum import Enum

from agreed.consensus.sending import Receiver
from agreed.consensus.zab.messages import AckEpoch
from agreed.types import Index, Instant, NodeId


class Pace(Enum):
    WAITING = "waiting"
    PROBE = "probe"
    STREAM = "stream"
    SNAPSHOT = "snapshot"


class Learner(Receiver):
    __slots__ = (
        "asked",
        "asked_at",
        "informed",
        "new_leader_at",
        "new_leader_told",
        "pace",
        "ping",
        "ready",
        "truncate",
        "waiting",
    )

    def __init__(self, name: NodeId, now: Instant) -> None:
        super().__init__(name, 1, now)
        self.pace = Pace.WAITING
        self.informed = False
        """It has said that it follows us."""
        self.ready = False
        """It has acknowledged NEWLEADER: what it has counts."""
        self.asked: AckEpoch | None = None
        self.asked_at: Instant = now
        """What it last said its history is, and when."""
        self.truncate = False
        """It has a suffix that is not ours."""
        self.new_leader_at: Index = 0
        """How long our history was when it began to take it: there its NEWLEADER stands."""
        self.new_leader_told = False
        self.waiting = False
        """PROBE: a message is on its way, and says enough until it is answered."""
        self.ping = False
        """Ping it at the next occasion."""

    @property
    def takes_snapshot(self) -> bool:
        return self.pace is Pace.SNAPSHOT

    def tell(self, commit: Index) -> None:
        super().tell(commit)
        self.notice = False

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

    def _clear(self) -> None:
        self.waiting = False
        self._clear_transfer()
        self._clear_window()
