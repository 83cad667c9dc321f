"""What a primary knows of one backup, and how fast it may send to it.

`match` is what it has said to be durable and equal to our log, and never goes back in our view.  A backup
that has not `joined` is still taking over the view's log; what it says then counts for nothing.
"""
from __future__ import annotations

from agreed.consensus import progress
from agreed.types import Index, Instant, NodeId


class Progress(progress.Progress):
    __slots__ = ("fetching", "joined", "loading_since", "newest_only", "silent", "start_after")

    def __init__(self, name: NodeId, next_index: Index, now: Instant) -> None:
        super().__init__(name, next_index, now)
        self.joined = False
        self.start_after: Index | None = None
        """It is to be sent a StartView with what follows this index."""
        self.silent = False
        """The connection broke: until it is heard again there is nobody to send entries to."""
        self.fetching: Index | None = None
        """It is sent a snapshot, up to this index."""
        self.loading_since: Instant | None = None
        """Our driver is reading a piece of it."""
        self.newest_only = False
        """The snapshot that it began to fetch is gone, or our log no longer follows it: begin anew."""

    def log_follows(self, base_index: Index) -> bool:
        """Whether it may be sent entries of a log that holds those after `base_index`."""
        return not self.silent and self.fetching is None and self.next > base_index

    def resume(self, after: Index, now_last: Index) -> None:
        """It has our log up to `after`, and nothing that was sent behind that counts on arriving."""
        if self.fetching is not None:
            self.arriving = now_last
        self.fetching = self.loading_since = None
        self.silent = False
        self.next = after + 1
        self._clear_window()
        if not self.joined:
            self.start_after = after

    def fetch(self, index: Index) -> None:
        """What it lacks is no longer in our log."""
        self.fetching = index
        self.start_after = None
        self._clear_window()

    def lose(self) -> None:
        self.silent = True
        self.next = self.match + 1
        self.loading_since = None
        self._clear_window()
