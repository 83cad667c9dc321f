"""Lamport's clock: one number a node, enough to order all events so that no effect comes before its cause.

(Lamport, "Time, Clocks, and the Ordering of Events in a Distributed System", 1978.)

    on an event of its own      counter := counter + 1
    on sending                  the same, and the message carries the new time
    on receiving a message      counter := max(counter, that of the message) + 1

What holds, of any events a and b:

* The clock condition: if a happens before b, then time(a) < time(b).
* Times are compared by counter, then by the name of the node.  No two events have the same, so this is a
  total order, and it contains happens-before: a story that could have happened just so.

What does not: the converse.  time(a) < time(b) tells only that b did not happen before a; they may be
concurrent, and nothing in the times says so.  (Equal counters do say it, of events of two nodes.)  Who must
tell concurrent from caused needs a counter for each node (`vector`, `version`).
"""
from __future__ import annotations

from typing import Self

import msgspec

from agreed.types import NodeId


class LamportTime(msgspec.Struct, frozen=True, order=True, array_like=True, gc=False):
    """The time of one event, and with it the clock of its node until the next one.

    Counter 0 is the time before the first event."""

    counter: int
    node: NodeId

    def tick(self) -> Self:
        """The time of this node's next event, be it its own or the sending of a message."""
        return type(self)(self.counter + 1, self.node)

    def receive(self, sent: LamportTime) -> Self:
        """The time at which this node receives a message that was sent at `sent`."""
        return type(self)(max(self.counter, sent.counter) + 1, self.node)
