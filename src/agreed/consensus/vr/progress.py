"""What a primary knows of one backup, and how fast it may send to it.

`match` is what it has said to be durable and equal to our log, and never goes back in our view.  A backup
that has not `joined` is still taking over the view's log; what it says then counts for nothing.
"""
from __future__ import annotations

from collections import deque

from agreed.types import Index, Instant, NodeId


class Progress:
    __slots__ = (
        "_window",
        "arriving",
        "fetching",
        "heard_at",
        "in_flight_bytes",
        "joined",
        "lacks_since",
        "loading_since",
        "match",
        "name",
        "newest_only",
        "next",
        "notice",
        "round",
        "silent",
        "start_after",
        "told",
        "untold_since",
    )

    def __init__(self, name: NodeId, next_index: Index, now: Instant) -> None:
        self.name = name
        self.match: Index = 0
        self.next: Index = next_index
        self.joined = False
        self.start_after: Index | None = None
        """It is to be sent a StartView with what follows this index."""
        self.silent = False
        """The connection broke: until it is heard again there is nobody to send entries to."""
        self.notice = False
        """Say something at the next occasion, even without entries."""
        self.lacks_since: Instant | None = None
        """Since when there is an entry that it has not been sent, though it could be."""
        self.told: Index = 0
        """The highest commit number we have sent."""
        self.untold_since: Instant | None = None
        """Since when there is a higher one."""
        self.round = 0
        """The highest read round it has answered."""
        self.heard_at: Instant = now
        self.fetching: Index | None = None
        """It is sent a snapshot, up to this index."""
        self.loading_since: Instant | None = None
        """Our driver is reading a piece of it."""
        self.newest_only = False
        """The snapshot that it began to fetch is gone, or our log no longer follows it: begin anew."""
        self.arriving: Index = 0
        """How long our log was when it had its snapshot: once it has come so far, it has caught up."""
        self._window: deque[tuple[Index, int]] = deque()
        self.in_flight_bytes = 0

    @property
    def in_flight(self) -> int:
        return len(self._window)

    @property
    def newest_bytes(self) -> int:
        return self._window[-1][1] if self._window else 0

    def log_follows(self, base_index: Index) -> bool:
        """Whether it may be sent entries of a log that holds those after `base_index`."""
        return not self.silent and self.fetching is None and self.next > base_index

    def sent(self, last: Index, size_bytes: int) -> None:
        """Entries up to `last` are on their way: assume the best."""
        self._window.append((last, size_bytes))
        self.in_flight_bytes += size_bytes
        self.lacks_since = None
        self.next = last + 1

    def tell(self, commit: Index) -> None:
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

    def resume(self, after: Index, now_last: Index) -> None:
        """It has our log up to `after`, and nothing that was sent behind that counts on arriving."""
        if self.fetching is not None:
            self.arriving = now_last
        self.fetching = self.loading_since = None
        self.silent = False
        self.next = after + 1
        self._forget_window()
        if not self.joined:
            self.start_after = after

    def fetch(self, index: Index) -> None:
        """What it lacks is no longer in our log."""
        self.fetching = index
        self.start_after = None
        self._forget_window()

    def lose(self) -> None:
        self.silent = True
        self.next = self.match + 1
        self.loading_since = None
        self._forget_window()

    def _forget_window(self) -> None:
        self._window.clear()
        self.in_flight_bytes = 0
        self.lacks_since = self.untold_since = None
