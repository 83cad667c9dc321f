"""Dotted version vectors: the values of one key that replicas hold, when clients write through any of them.

(Preguiça, Baquero, Almeida, Fonte and Gonçalves 2010; "dotted version vectors: logical clocks for optimistic
replication".)

Vectors with an entry for each *replica* are small, but two clients who read the same and both write through
one replica get vectors n1:1 and n1:2, as if the second had known the first; one of the two writes is lost
without a word.  Vectors with an entry for each *client* grow for ever.  A dotted one tells the write itself
from what it knew:

    dot     (replica, number): this very write.  No two writes have the same.
    past    a version vector: what its client had read

What holds, of any writes a and b: b knew a if and only if dot(a) is in past(b); this is one look-up,
whatever the number of replicas.  And for what a replica holds (`Siblings`): whatever the order in which it
heard of writes and of other replicas, its siblings are exactly those of the writes it has heard of that
none of the others knew.  So nothing is lost, nothing that was overwritten comes back, and replicas that
have heard of the same hold the same.

What does not hold: that siblings are ever fewer without somebody who reads them all and writes one value
with what it has read.  Nor does it hold if siblings are passed on one by one: they go *together*, because
`context` rounds up (it has everything of a replica up to the newest dot, and the rest was either here or
overwritten).
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Self, TypeVar

import msgspec

from agreed.clocks.version import VersionVector
from agreed.types import NodeId

Value = TypeVar("Value")


class Dot(msgspec.Struct, frozen=True, order=True, array_like=True, gc=False):
    """The `counter`-th write that came in through this replica, from 1 on."""

    node: NodeId
    counter: int

    def known_to(self, past: VersionVector) -> bool:
        return past.counter(self.node) >= self.counter


class Sibling(msgspec.Struct, Generic[Value], frozen=True):
    """One write: its name, its value, and what its client had read."""

    dot: Dot
    past: VersionVector
    value: Value

    def knew(self, other: Sibling[Value]) -> bool:
        """Whether it overwrites the other."""
        return other.dot.known_to(self.past)


class Siblings(msgspec.Struct, Generic[Value], frozen=True):
    """What a replica holds of one key: writes of which none knew another, by dot.  Empty at first."""

    members: tuple[Sibling[Value], ...] = ()

    @property
    def values(self) -> tuple[Value, ...]:
        return tuple(each.value for each in self.members)

    @property
    def context(self) -> VersionVector:
        """What a client that reads this knows then, and gives back when it writes."""
        known = VersionVector()
        for each in self.members:
            known = known.merge(each.past).merge(VersionVector.of({each.dot.node: each.dot.counter}))
        return known

    def put(self, value: Value, read: VersionVector, node: NodeId) -> Self:
        """A client that has read `read` (the context it was given; empty: nothing) writes through this
        replica, which is called `node`."""
        # Counted over what is here as well: the client may have read nothing, and a dot must be new.
        counter = max(self.context.counter(node), read.counter(node)) + 1
        written = Sibling(Dot(node, counter), read, value)
        kept = [each for each in self.members if not each.dot.known_to(read)]
        return type(self)(_in_order(kept, [written]))

    def merge(self, other: Siblings[Value]) -> Self:
        """What two replicas hold together.  Commutative, associative, idempotent: messages may be lost,
        doubled and overtake each other."""
        mine = [each for each in self.members if not any(newer.knew(each) for newer in other.members)]
        theirs = [each for each in other.members if not any(newer.knew(each) for newer in self.members)]
        return type(self)(_in_order(mine, theirs))


def _in_order(*parts: Iterable[Sibling[Value]]) -> tuple[Sibling[Value], ...]:
    found = {each.dot: each for part in parts for each in part}
    return tuple(found[dot] for dot in sorted(found))
