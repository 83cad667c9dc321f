"""Hybrid logical clocks: times that respect causality and stay close to the time of day.

(Kulkarni, Demirbas, Madappa, Avva and Leone, "Logical Physical Clocks", 2014; l and c of the paper are
`wall_ms` and `logical` here.)

    on an event of its own, or on sending     l := max(l, wall)
    on receiving a message with (l', c')      l := max(l, l', wall)
    in either case                            c := one above the c of those that had that l, else 0

What holds, of any events e and f, if clocks of all nodes are within a bound of each other:

* If e happens before f, then time(e) < time(f).
* l(e) is the greatest wall clock that any event has seen up to and including e.  So it is never below the
  node's own clock, and above it by no more than the bound.
* c(e) is the number of steps of the longest chain of events with that same l that ends in e.  It stays small.
* Hence all events with l up to some instant are a consistent cut: what they had heard of is among them.

What does not: the converse of the first, as with Lamport's.  Nor does l(e) < l(f) say that e was earlier in
the real world, if the difference is within the bound.

The bound.  One node whose clock is an hour ahead takes everybody's l with it, and it stays there after that
clock is set right.  So `receive` refuses what comes from too far ahead with `ClockSkew`, which says by how
much; the clock is as it was (it is a value), the message must be dropped, and an operator must hear of it.
Nothing is refused for being old: that is what slow messages look like.  A node whose *own* clock was set
back goes on from the time it had (`ahead_ms` says how far that is ahead); if that is more than the bound,
others refuse what it sends until its clock has caught up.
"""
from __future__ import annotations

from typing import Self

import msgspec

from agreed.errors import ClockSkew, MalformedInput
from agreed.types import Stamp

LOGICAL_BITS = 16
LOGICAL_MOST = (1 << LOGICAL_BITS) - 1
WALL_MOST = (1 << 48) - 1
"""Until the year 10889."""
TIME_BYTES = 8


class HybridTime(msgspec.Struct, frozen=True, order=True, array_like=True, gc=False):
    """The time of one event.  Events of two nodes can have the same: the name of the node decides where an
    order of all is needed."""

    wall_ms: Stamp = 0
    logical: int = 0

    def next(self) -> HybridTime:
        """The least time after it.  Of one millisecond there are 65,536; then the next one is begun, which
        is the only way in which l gets ahead of every clock."""
        if self.logical < LOGICAL_MOST:
            return HybridTime(self.wall_ms, self.logical + 1)
        return HybridTime(self.wall_ms + 1, 0)

    def encode(self) -> bytes:
        """Eight bytes, 48 bits and 16, that are in the same order as the times.  Raises ValueError after the
        year 10889."""
        if not (0 <= self.wall_ms <= WALL_MOST and 0 <= self.logical <= LOGICAL_MOST):
            raise ValueError(f"{self} does not fit into eight bytes")
        return (self.wall_ms << LOGICAL_BITS | self.logical).to_bytes(TIME_BYTES, "big")

    @staticmethod
    def decode(data: bytes) -> HybridTime:
        """Raises MalformedInput for anything but eight bytes."""
        if len(data) != TIME_BYTES:
            raise MalformedInput(f"a hybrid time has {TIME_BYTES} bytes, not {len(data)}")
        number = int.from_bytes(data, "big")
        return HybridTime(number >> LOGICAL_BITS, number & LOGICAL_MOST)


class HybridClock(msgspec.Struct, frozen=True, gc=False):
    """The clock of one node; `time` is that of its last event.  `bound_ms`: how far ahead of our own clock
    another may be."""

    bound_ms: int
    time: HybridTime = HybridTime()

    def tick(self, wall_ms: Stamp) -> Self:
        """After an event of its own, or the sending of a message, when the clock on the wall said
        `wall_ms`."""
        return type(self)(self.bound_ms, self._later(wall_ms, self.time))

    def receive(self, sent: HybridTime, wall_ms: Stamp) -> Self:
        """After the receipt of a message that was sent at `sent`.  Raises ClockSkew if that is further ahead
        than the bound."""
        ahead_ms = sent.wall_ms - wall_ms
        if ahead_ms > self.bound_ms:
            raise ClockSkew(ahead_ms, self.bound_ms)
        return type(self)(self.bound_ms, self._later(wall_ms, max(self.time, sent)))

    def ahead_ms(self, wall_ms: Stamp) -> int:
        """By how much it is ahead of the clock on the wall: for operators."""
        return max(0, self.time.wall_ms - wall_ms)

    def _later(self, wall_ms: Stamp, heard: HybridTime) -> HybridTime:
        return HybridTime(wall_ms, 0) if wall_ms > heard.wall_ms else heard.next()
