"""Read indexes, held against what was committed when they were asked for.

A stale read index rarely makes a stale answer: somebody must have been told of what is missing, and ask again
just then.  The index itself is wrong each time, so each is looked at (§8; thesis 6.4).
"""
from __future__ import annotations

from collections.abc import Callable

from agreed.consensus.machine import ReadReady
from agreed.replica.reads import Reads
from agreed.sim.outcome import Broken
from agreed.types import Index, NodeId


def watch_reads(name: NodeId, reads: Reads, committed: Callable[[], Index]) -> None:
    """`committed`: the highest index that any node has said to be agreed, at the moment."""
    least: dict[int, Index] = {}
    ask, answered = reads.ask, reads.answered

    def asking() -> int | None:
        ticket = ask()
        if ticket is not None:
            least[ticket] = committed()
        return ticket

    def told(ready: ReadReady) -> None:
        known = least.pop(ready.ticket, 0)
        if ready.index is not None and ready.index < known:
            raise Broken(
                "a stale read index",
                f"{name} may read from {ready.index} on, and {known} was committed when it asked",
            )
        answered(ready)

    setattr(reads, "ask", asking)  # noqa: B010
    setattr(reads, "answered", told)  # noqa: B010
