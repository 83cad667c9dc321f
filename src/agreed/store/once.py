"""Each command takes effect once, though a node sends it until it sees it applied.

A node numbers its commands 1, 2, 3, ... anew in each of its lives (`FIRST_NUMBER`).  When a leader dies, its
node cannot know whether the last batches were agreed upon; it sends them again, in order.  The table
remembers of each node the number which comes next, and tells how much of a batch has been done before.

The story that would go wrong without it: a client creates a sequential key, the leader replicates the entry
and dies before it says so; the node repeats the request with the new leader, and the client owns two keys.

And without the gap rule: batch 1 is lost with a leader and batch 2 reaches the next one first.  If 2 were
done, the repeated 1 would look like something from the past.  So 2 is skipped until 1 has come; the node
repeats both.
"""
from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from agreed.store.commands import Batch
from agreed.types import NodeId

FIRST_NUMBER: Final = 1
"""The number of the first command of each life."""


class Verdict(Enum):
    FRESH = "nothing of it was done before"
    REPEATED = "what is skipped was done before; its results were given then"
    GAP = "all skipped: an earlier batch is missing, the node must send from there"
    EARLIER_LIFE = "all skipped: the node has started anew since"


class Admission(NamedTuple):
    """The first `skip` commands of the batch must not be executed, for the reason `verdict` gives."""

    skip: int
    verdict: Verdict


class Life(NamedTuple):
    """The newest life that was seen of a node, and the number of its command that comes next."""

    life: int
    next: int


class Once:
    """Which commands of which node have been done, as one number per node."""

    __slots__ = ("table",)

    def __init__(self) -> None:
        self.table: dict[NodeId, Life] = {}

    def judge(self, batch: Batch) -> Admission:
        """What is to be done with a batch."""
        size = len(batch.commands)
        known = self.table.get(batch.origin)
        if known is None or batch.life > known.life:
            following = FIRST_NUMBER
        elif batch.life < known.life:
            return Admission(size, Verdict.EARLIER_LIFE)
        else:
            following = known.next
        if batch.first > following:
            return Admission(size, Verdict.GAP)
        skip = min(following - batch.first, size)
        return Admission(skip, Verdict.REPEATED if skip else Verdict.FRESH)

    def admit(self, batch: Batch) -> int:
        """How many of its first commands must not be executed; takes note that the others are."""
        skip = self.judge(batch).skip
        known = self.table.get(batch.origin)
        if skip < len(batch.commands):
            self.table[batch.origin] = Life(batch.life, batch.first + len(batch.commands))
        elif known is None or batch.life > known.life:
            # Nothing of it is done, but from now on nothing of an earlier life is either.
            self.table[batch.origin] = Life(batch.life, FIRST_NUMBER)
        return skip

    def last(self, origin: NodeId, life: int) -> int:
        """The number of the last command that was done of this life of this node, 0 if none was."""
        known = self.table.get(origin)
        return known.next - 1 if known is not None and known.life == life else FIRST_NUMBER - 1
