"""Version vectors: a counter for each node, which says how much of each node's past is known.

(Parker et al. 1983 for versions of a file; Fidge 1988 and Mattern 1989 for events, see `vector`.)

A vector V is a function from nodes to numbers; who is not mentioned has 0.  Read it as the set of all n-th
updates of each node k with n <= V[k].  Then

    V.increment(k)    one more update of k
    V.merge(W)        the union: the greater number for each node
    V.compare(W)      BEFORE: a proper subset; AFTER: a proper superset; EQUAL; CONCURRENT: neither

What holds: vectors form a lattice (`merge` is its join: commutative, associative, idempotent, the least
vector that descends from both), and if each update is counted by the node that made it, V descends from W
if and only if every update in W is in V.

What does not: that sets with gaps have a vector.  Whoever has the third update of a node but not the second
must keep it aside (`dotted`, and the holding back of messages in `vector`).  And vectors of *nodes* do not
tell apart two clients who wrote through the same node (`dotted` again).

The price is a number for each node that ever wrote: no fewer can do it in general (Charron-Bost 1991).
`pruned` lowers it and says what that costs.

How it is done.  The names are a tuple in ascending order (`Roster`), which vectors share.  The counters are
63 bits each, in lanes of 64 bits of one integer; the top bit of each lane is free.  With all of those set
in V, the subtraction V - W borrows from no neighbour, and leaves the bit standing exactly where V's counter
is not smaller.  So a comparison or a merge is a few operations of the interpreter on one number, for three
nodes or ten thousand.  Vectors with different names go a longer way, a name at a time.
"""
from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from operator import ge

import msgspec

from agreed.clocks.order import Causality
from agreed.types import NUMBER_MOST, NodeId

COUNTER_MOST = NUMBER_MOST
"""63 bits: what fits into a lane below its free bit."""

LANE_BITS = 64
LANE_BYTES = 8
COUNTER_BITS = 63
NAME_BYTES_MOST = 255

GLANCE = 32
"""So many lanes are looked at first: if two large vectors are concurrent, these mostly show it."""
GLANCE_LANES = (1 << GLANCE * LANE_BITS) - 1
GLANCE_GUARDS = int.from_bytes(b"\0\0\0\0\0\0\0\x80" * GLANCE, "little")


class Roster:
    """The nodes that a vector mentions, ascending, each once.  Vectors that come from each other share
    one."""

    def __init__(self, names: tuple[NodeId, ...]) -> None:
        self.names = names

    @cached_property
    def lane(self) -> dict[NodeId, int]:
        """Where each node's counter lies."""
        return {name: place for place, name in enumerate(self.names)}

    @cached_property
    def guards(self) -> int:
        """The free bit of every lane."""
        return int.from_bytes(b"\0\0\0\0\0\0\0\x80" * len(self.names), "little")

    @cached_property
    def encoded(self) -> bytes:
        """How many, the length of each, and the names (`encoding`).

        Raises ValueError for a name that is not of 1 to 255 bytes in UTF-8."""
        names = [name.encode() for name in self.names]
        if not all(1 <= len(name) <= NAME_BYTES_MOST for name in names):
            raise ValueError(f"the name of a node has 1 to {NAME_BYTES_MOST} bytes")
        return b"".join((varint(len(names)), bytes(map(len, names)), *names))

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Roster) and self.names == other.names)

    def __hash__(self) -> int:
        return hash(self.names)

    def __repr__(self) -> str:
        return f"Roster({self.names!r})"


NOBODY = Roster(())


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last have their top bit set (LEB128)."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


class VersionVector(msgspec.Struct, frozen=True, gc=False, repr_omit_defaults=True):
    """Made by `of`, `increment`, `merge`, `pruned` and `encoding.decode`.  Mentions no node with counter 0,
    so that two vectors are the same function if and only if they are equal.  Hashable."""

    roster: Roster = NOBODY
    lanes: int = 0

    @staticmethod
    def of(counters: Mapping[NodeId, int]) -> VersionVector:
        """Raises ValueError for counters below 0 or above `COUNTER_MOST`."""
        if not all(0 <= counter <= COUNTER_MOST for counter in counters.values()):
            raise ValueError(f"a counter is from 0 to {COUNTER_MOST}")
        return _packed({name: counter for name, counter in counters.items() if counter})

    def counter(self, node: NodeId) -> int:
        """How many updates of this node are known."""
        lane = self.roster.lane.get(node)
        return 0 if lane is None else (self.lanes >> lane * LANE_BITS) & COUNTER_MOST

    def counters(self) -> tuple[int, ...]:
        """In the order of `roster.names`; all are above 0."""
        size = len(self.roster.names)
        return struct.unpack(f"<{size}Q", self.lanes.to_bytes(size * LANE_BYTES, "little"))

    def items(self) -> Iterator[tuple[NodeId, int]]:
        return zip(self.roster.names, self.counters(), strict=True)

    def __len__(self) -> int:
        """How many nodes it mentions."""
        return len(self.roster.names)

    def increment(self, node: NodeId) -> VersionVector:
        """Raises OverflowError where the counter is at its end (2^63 - 1)."""
        lane = self.roster.lane.get(node)
        if lane is None:
            return _packed({**dict(self.items()), node: 1})
        if self.counter(node) == COUNTER_MOST:
            raise OverflowError(f"the counter of {node} is at its end")
        return VersionVector(self.roster, self.lanes + (1 << lane * LANE_BITS))

    def merge(self, other: VersionVector) -> VersionVector:
        """Everything that either knows."""
        roster = self.roster
        if roster is not other.roster and roster != other.roster:
            return _merged_by_name(self, other)
        mine, theirs, guards = self.lanes, other.lanes, roster.guards
        not_smaller = ((mine | guards) - theirs) & guards
        if not_smaller == guards:
            return self
        # A lane where ours is not smaller becomes 63 ones, any other 63 zeros.
        ours = not_smaller - (not_smaller >> COUNTER_BITS)
        return VersionVector(roster, theirs ^ ((mine ^ theirs) & ours))

    def descends(self, other: VersionVector) -> bool:
        """Whether it knows everything that the other knows: AFTER or EQUAL."""
        roster = self.roster
        if roster is not other.roster and roster != other.roster:
            return _descends_by_name(self, other)
        guards = roster.guards
        return ((self.lanes | guards) - other.lanes) & guards == guards

    def compare(self, other: VersionVector) -> Causality:
        """What this one is to the other."""
        if len(self.roster.names) > GLANCE and self.roster is other.roster and _at_a_glance(self, other):
            return Causality.CONCURRENT
        if self.descends(other):
            # No vector mentions a counter of 0, so those that know the same are equal values.
            return Causality.EQUAL if self == other else Causality.AFTER
        return Causality.BEFORE if other.descends(self) else Causality.CONCURRENT

    def pruned(self, keep: Collection[NodeId]) -> VersionVector:
        """Only what is known of these nodes.  The price:

        * If all vectors that are ever compared have the same counter for a node (it left long ago, and
          everybody knows all it did), and all forget it, then no comparison changes its answer.
        * Else what was forgotten counts as never seen.  Where a pruned vector descends from another, the
          whole one did.  But it may have become smaller than one with which it was concurrent, and whoever
          then keeps the greater of two loses an update; and it may have become concurrent with one from
          which it descended, which brings back what was overwritten.
        """
        return _packed({name: counter for name, counter in self.items() if name in keep})


def happens_before(first: VersionVector, second: VersionVector) -> bool:
    """Whether everything the first knows the second knows as well, and more."""
    return first != second and second.descends(first)


def concurrent(first: VersionVector, second: VersionVector) -> bool:
    """Whether each knows something that the other does not."""
    return not first.descends(second) and not second.descends(first)


def packed(roster: Roster, counters: Collection[int]) -> VersionVector:
    """With these counters, each from 1 to `COUNTER_MOST`, in the order of the names."""
    return VersionVector(roster, int.from_bytes(struct.pack(f"<{len(counters)}Q", *counters), "little"))


def _packed(counters: Mapping[NodeId, int]) -> VersionVector:
    """Of counters above 0."""
    names = tuple(sorted(counters))
    return packed(Roster(names), list(map(counters.__getitem__, names)))


def _at_a_glance(first: VersionVector, second: VersionVector) -> bool:
    """Whether the first few lanes of vectors of the same nodes show that they are concurrent."""
    few, others = first.lanes & GLANCE_LANES, second.lanes & GLANCE_LANES
    guards = GLANCE_GUARDS
    return ((few | guards) - others) & guards != guards != ((others | guards) - few) & guards


def _merged_by_name(first: VersionVector, second: VersionVector) -> VersionVector:
    if len(first) < len(second):
        first, second = second, first
    counters = dict(zip(first.roster.names, first.counters(), strict=True))
    for name, counter in zip(second.roster.names, second.counters(), strict=True):
        if counter > counters.get(name, 0):
            counters[name] = counter
    if len(counters) == len(first):
        return packed(first.roster, counters.values())  # Nobody is new: the names are those of the first.
    return _packed(counters)


def _descends_by_name(first: VersionVector, second: VersionVector) -> bool:
    lane = first.roster.lane
    if not lane.keys() >= second.roster.lane.keys():
        return False
    counters = first.counters()
    known = [counters[lane[name]] for name in second.roster.names]
    return all(map(ge, known, second.counters()))
