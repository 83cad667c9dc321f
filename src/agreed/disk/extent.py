"""Which positions a log has, and of which term each is: a few numbers instead of the log itself.

Terms change seldom, so the term of each position is kept as the list of those where it changes.  The log
needs it in order to know whether it contains the last entry of a received snapshot, (index, term), in which
case what follows that entry stays valid (Raft §7).
"""
from __future__ import annotations

from bisect import bisect_right

from agreed.consensus.machine import Entry
from agreed.types import Index, Term


class Extent:
    """Positions `base_index` + 1 to `last_index`.  The base is the entry before the first one."""

    def __init__(self, base_index: Index, base_term: Term) -> None:
        self.base_index = base_index
        self.last_index = base_index
        self._starts = [base_index]
        self._terms = [base_term]

    def start_after(self, index: Index, term: Term) -> None:
        """Whatever was there is void; the log goes on behind (index, term)."""
        self.__init__(index, term)  # type: ignore[misc]

    def accepts(self, index: Index) -> bool:
        """Whether an entry at `index` leaves no gap."""
        return 0 < index <= self.last_index + 1

    def put(self, entry: Entry) -> None:
        """The entry stands at its index, and whatever stood there and behind it is gone."""
        index = entry.index
        if index <= self.last_index:
            self._cut(index)
        if entry.term != self._terms[-1]:
            self._starts.append(index)
            self._terms.append(entry.term)
        self.last_index = index

    def term_at(self, index: Index) -> Term | None:
        """None where the log has no such position."""
        if not self.base_index <= index <= self.last_index:
            return None
        return self._terms[bisect_right(self._starts, index) - 1]

    @property
    def last_term(self) -> Term:
        return self._terms[-1]

    def _cut(self, index: Index) -> None:
        while self._starts and self._starts[-1] >= index:
            self._starts.pop()
            self._terms.pop()
        if not self._starts:
            # Overwritten below the base: a suffix was replaced that began in a file which is gone by now.
            # Such a file goes only when a snapshot covers all of it, so nobody asks for this term.
            self.base_index = index - 1
            self._starts, self._terms = [index - 1], [0]
        self.last_index = index - 1
