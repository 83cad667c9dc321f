"""Clocks with one mistake each, of the kind that is made, and the property that refutes it."""
from __future__ import annotations

from collections.abc import Collection
from typing import Any, Self

from agreed.clocks.dotted import Dot, Sibling, Siblings
from agreed.clocks.hybrid import HybridClock, HybridTime
from agreed.clocks.lamport import LamportTime
from agreed.clocks.vector import VectorClock
from agreed.clocks.version import VersionVector
from agreed.errors import ClockSkew


class DeafLamport(LamportTime, frozen=True):
    def receive(self, sent: LamportTime) -> Self:
        return self.tick()


class LamportThatTakesOver(LamportTime, frozen=True):
    """The time of the message, but not later than it."""

    def receive(self, sent: LamportTime) -> Self:
        return type(self)(max(self.counter + 1, sent.counter), self.node)


class LamportWithoutNodes(LamportTime, frozen=True):
    """No total order: two nodes can have the same time."""

    def tick(self) -> Self:
        return type(self)(self.counter + 1, "")

    def receive(self, sent: LamportTime) -> Self:
        return type(self)(max(self.counter, sent.counter) + 1, "")


class DeafVector(VectorClock, frozen=True):
    def receive(self, sent: VersionVector) -> Self:
        return self.tick()


class VectorThatDoesNotCountReceipts(VectorClock, frozen=True):
    """Right for messages to everybody, where sendings alone are counted; wrong for events."""

    def receive(self, sent: VersionVector) -> Self:
        return type(self)(self.node, self.time.merge(sent))


class VectorThatTakesOver(VectorClock, frozen=True):
    def receive(self, sent: VersionVector) -> Self:
        taken_over = VersionVector.of({**dict(self.time.items()), **dict(sent.items())})
        return type(self)(self.node, taken_over).tick()


class VectorOfOneNumber(VectorClock, frozen=True):
    """Lamport's clock in disguise: it finds an order where there is none."""

    def tick(self) -> Self:
        return type(self)(self.node, self.time.increment("everybody"))

    def receive(self, sent: VersionVector) -> Self:
        return type(self)(self.node, self.time.merge(sent).increment("everybody"))


def fifo_only(sender: str, sent: VersionVector, delivered: VersionVector) -> bool:
    return sent.counter(sender) == delivered.counter(sender) + 1


def others_only(sender: str, sent: VersionVector, delivered: VersionVector) -> bool:
    """Forgets that the sender's own messages come one by one: 2 may be delivered before 1."""
    others = [(node, counter) for node, counter in sent.items() if node != sender]
    return all(delivered.counter(node) >= counter for node, counter in others)


def too_patient(sender: str, sent: VersionVector, delivered: VersionVector) -> bool:
    """Waits until it has more than the sender had."""
    return fifo_only(sender, sent, delivered) and delivered.descends(sent)


def merge_by_sum(first: VersionVector, second: VersionVector) -> VersionVector:
    names = {*first.roster.names, *second.roster.names}
    return VersionVector.of({name: first.counter(name) + second.counter(name) for name in names})


def merge_by_newer(first: VersionVector, second: VersionVector) -> VersionVector:
    """The one with the greater sum: as good as last writer wins."""
    return max(first, second, key=lambda each: sum(each.counters()))


def merge_common(first: VersionVector, second: VersionVector) -> VersionVector:
    """Only nodes that both know."""
    return first.merge(second).pruned(set(first.roster.names) & set(second.roster.names))


def prune_the_small(vector: VersionVector, keep: Collection[str]) -> VersionVector:
    """Forgets by number and not by name, as if little were old."""
    return VersionVector.of({node: counter for node, counter in vector.items() if counter > 1})


def prune_upwards(vector: VersionVector, keep: Collection[str]) -> VersionVector:
    """Takes what is forgotten for known."""
    return VersionVector.of({node: counter if node in keep else 9 for node, counter in vector.items()})


def in_order(members: dict[Dot, Sibling[int]]) -> tuple[Sibling[int], ...]:
    return tuple(members[dot] for dot in sorted(members))


class SiblingsByReplica(Siblings[int], frozen=True):
    """A version vector for each replica and no dots: the second of two writers seems to have known the
    first."""

    def put(self, value: int, read: VersionVector, node: str) -> Self:
        known = self.context
        written = Sibling(Dot(node, known.counter(node) + 1), read.merge(known.pruned({node})), value)
        kept = {each.dot: each for each in self.members if not each.dot.known_to(written.past)}
        return type(self)(in_order({**kept, written.dot: written}))


class SiblingsWithDotsUsedTwice(Siblings[int], frozen=True):
    """The next number after what the client has read, not after what is here."""

    def put(self, value: int, read: VersionVector, node: str) -> Self:
        written = Sibling(Dot(node, read.counter(node) + 1), read, value)
        kept = {each.dot: each for each in self.members if not each.dot.known_to(read)}
        return type(self)(in_order({**kept, written.dot: written}))


class SiblingsThatComeBack(Siblings[int], frozen=True):
    """A union, and what was overwritten is there again."""

    def merge(self, other: Siblings[int]) -> Self:
        return type(self)(in_order({each.dot: each for each in (*self.members, *other.members)}))


class LastWriterWins(Siblings[int], frozen=True):
    def merge(self, other: Siblings[int]) -> Self:
        members = (*self.members, *other.members)
        return type(self)(members and (max(members, key=lambda each: (each.dot.counter, each.dot.node)),))


class DeafHybrid(HybridClock, frozen=True):
    def receive(self, sent: HybridTime, wall_ms: int) -> Self:
        return self.tick(wall_ms)


class HybridByTheWall(HybridClock, frozen=True):
    """The time of day and a counter: as good as the clocks are."""

    def _later(self, wall_ms: int, heard: HybridTime) -> HybridTime:
        return HybridTime(wall_ms, heard.logical + 1 if heard.wall_ms == wall_ms else 0)


class HybridThatNeverForgets(HybridClock, frozen=True):
    """c is not set back: right in order, and it grows for ever."""

    def _later(self, wall_ms: int, heard: HybridTime) -> HybridTime:
        return HybridTime(max(wall_ms, heard.wall_ms), heard.logical + 1)


class HybridThatRunsAhead(HybridClock, frozen=True):
    """Lamport's clock on milliseconds: right in order, and away from the time of day with every event."""

    def _later(self, wall_ms: int, heard: HybridTime) -> HybridTime:
        return HybridTime(max(wall_ms, heard.wall_ms + 1))


class HybridWithoutBound(HybridClock, frozen=True):
    def receive(self, sent: HybridTime, wall_ms: int) -> Self:
        return type(self)(self.bound_ms, self._later(wall_ms, max(self.time, sent)))


class HybridThatComparesWithItself(HybridClock, frozen=True):
    """The bound is held against the clock's own time: a wrong one may take it along step by step."""

    def receive(self, sent: HybridTime, wall_ms: int) -> Self:
        return super().receive(sent, max(wall_ms, self.time.wall_ms))


class HybridThatRefusesTheOld(HybridClock, frozen=True):
    def receive(self, sent: HybridTime, wall_ms: int) -> Self:
        if sent.wall_ms < wall_ms - self.bound_ms:
            raise ClockSkew(sent.wall_ms - wall_ms, self.bound_ms)
        return super().receive(sent, wall_ms)


def cluster_as_stamped(clock_ms: int, stamp_ms: int) -> int:
    """A new leader's clock sets everybody's back."""
    return stamp_ms


def cluster_that_ticks(clock_ms: int, stamp_ms: int) -> int:
    """Always forward: ahead of every leader's clock."""
    return max(clock_ms + 1, stamp_ms)


def cluster_by_steps(clock_ms: int, stamp_ms: int) -> int:
    """No more than a second at a time."""
    return max(clock_ms, min(stamp_ms, clock_ms + 1_000))


LAMPORT = "lamport: a total order that contains happens-before"
VECTOR = "vector: happens-before, exactly"
DELIVERY = "vector: causal delivery, exactly"
VERSION = "version: as the sets of updates known"
PRUNING = "version: what pruning costs"
DOTTED = "dotted: siblings are what nobody knew"
HYBRID = "hybrid: contains happens-before"
CLOSE = "hybrid: close to the wall, and c is small"
CUT = "hybrid: every instant is a consistent cut"
BOUND = "hybrid: nobody is taken along by a wrong clock"
CLUSTER = "cluster: the same for all, never back"

MUTANTS: list[tuple[str, Any]] = [
    (LAMPORT, DeafLamport),
    (LAMPORT, LamportThatTakesOver),
    (LAMPORT, LamportWithoutNodes),
    (VECTOR, DeafVector),
    (VECTOR, VectorThatDoesNotCountReceipts),
    (VECTOR, VectorThatTakesOver),
    (VECTOR, VectorOfOneNumber),
    (DELIVERY, fifo_only),
    (DELIVERY, others_only),
    (DELIVERY, too_patient),
    (VERSION, merge_by_sum),
    (VERSION, merge_by_newer),
    (VERSION, merge_common),
    (PRUNING, prune_the_small),
    (PRUNING, prune_upwards),
    (DOTTED, SiblingsByReplica),
    (DOTTED, SiblingsWithDotsUsedTwice),
    (DOTTED, SiblingsThatComeBack),
    (DOTTED, LastWriterWins),
    (HYBRID, DeafHybrid),
    (HYBRID, HybridByTheWall),
    (CLOSE, HybridThatNeverForgets),
    (CLOSE, HybridThatRunsAhead),
    (CUT, DeafHybrid),
    (CUT, HybridByTheWall),
    (BOUND, HybridWithoutBound),
    (BOUND, HybridThatComparesWithItself),
    (BOUND, HybridThatRefusesTheOld),
    (CLUSTER, cluster_as_stamped),
    (CLUSTER, cluster_that_ticks),
    (CLUSTER, cluster_by_steps),
]
