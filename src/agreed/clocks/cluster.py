"""The cluster's clock: one time for all nodes, which moves as the log moves.

A store that is the same on every node can read no clock: each would read another time.  So the leader
stamps its time of day into every payload it proposes, and every store's clock stands where the stamps of
the log have brought it.

What holds: the clock is a function of the log alone, so all nodes have the same at the same entry, also
after a restart from a snapshot; and it never goes back, though a new leader's clock may be behind the last
one's.

What does not: that it is right.  It is never ahead of the furthest clock of any leader so far, and it
stands still while nothing is written.  So it dates what is stored (creation, modification), and nothing
that must be on time rests on it: leases are counted by the leader's own monotonic clock, and end by a
command.

This is `HybridTime` without a second number: entries are in one order already, so equal stamps do no harm.
`store.Store.begin` moves it; `replica.proposals` stamps.
"""
from __future__ import annotations

from agreed.types import Stamp


def advanced(clock_ms: Stamp, stamp_ms: Stamp) -> Stamp:
    """The cluster's clock after an entry with this stamp."""
    return stamp_ms if stamp_ms > clock_ms else clock_ms
