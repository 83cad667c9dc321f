"""What a leader knows of one other node, whatever the protocol: what it has, and what is on its way to it.

`match` is what it has said to be durable and equal to ours, and never goes back while we lead: a late reply
may say less, and taking it at its word would make us count on less than is there, or send what it has (R12).
`next` is what it is sent next, on the assumption that all before arrives.

Messages go out one after the other without waiting for replies, up to a window.  What is in the window is
remembered as the last index of each message and its size.
"""
from __future__ import annotations

from collections import deque

from agreed.types import Index, Instant, NodeId


class Progress:
    __slots__ = (
        "_window",
        "arriving",
        "heard_at",
        "in_flight_bytes",
        "lacks_since",
        "match",
        "name",
        "next",
        "notice",
        "round",
        "told",
        "untold_since",
    )

    def __init__(self, name: NodeId, next_index: Index, now: Instant) -> None:
        self.name = name
        self.match: Index = 0
        self.next: Index = next_index
        self.notice = False
        """Say something at the next occasion, even without entries."""
        self.lacks_since: Instant | None = None
        """Since when there is an entry that it has not been sent, though it could be."""
        self.told: Index = 0
        """The highest commit index we have sent."""
        self.untold_since: Instant | None = None
        """Since when there is a higher one."""
        self.round = 0
        """The highest read round it has answered."""
        self.heard_at: Instant = now
        self.arriving: Index = 0
        """How long our log was when it had its snapshot: once it has come so far, it is no longer one that
        catches up."""
        self._window: deque[tuple[Index, int]] = deque()
        self.in_flight_bytes = 0

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
        self.lacks_since = None
        self.next = last + 1

    def tell(self, commit: Index) -> None:
        """It is on its way to be told of this commit."""
        self.told = commit
        self.untold_since = None

    def arrived(self, index: Index) -> None:
        """It has received everything up to here."""
        window = self._window
        while window and window[0][0] <= index:
            self.in_flight_bytes -= window.popleft()[1]
        if self.next <= index:
            self.next = index + 1

    def matched(self, index: Index) -> bool:
        """It vouches for everything up to here; True where that is news."""
        self.arrived(index)
        if index <= self.match:
            return False
        self.match = index
        return True

    def _clear_window(self) -> None:
        """Nothing that was sent counts on arriving."""
        self._window.clear()
        self.in_flight_bytes = 0
        self.lacks_since = self.untold_since = None
