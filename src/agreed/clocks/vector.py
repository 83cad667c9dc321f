"""Vector clocks: version vectors on events and messages, which tell exactly what happened before what.

(Fidge 1988, Mattern 1989; the test of delivery is that of Birman, Schiper and Stephenson 1991.)

    on an event of its own, or on sending     V := V.increment(self); a message carries V
    on receiving a message with W             V := V.merge(W).increment(self)

What holds, of any two different events a and b: a happens before b if and only if V(a) < V(b).  Both ways;
so they are concurrent if and only if their vectors are.  Nothing is lost, and that has its price: a number
for each node (`version`).

What does not hold: that a *caused* b.  A node that heard of a and then did something unrelated carries a in
its vector all the same, and everybody who hears of it waits for a.

Messages to everybody.  If only sendings are counted, and a message carries what its sender had delivered
(with itself), then `deliverable` says whether everything that happened before its sending has been
delivered here.  Who delivers only such messages delivers in causal order: if the sending of m happened
before that of m', nobody delivers m' first.  And nothing waits without need: a message that is held back
has a predecessor that is still missing.  What does not hold is a total order: two nodes may deliver
concurrent messages in different orders, and for one order of all there must be consensus.
"""
from __future__ import annotations

from typing import Self

import msgspec

from agreed.clocks.version import VersionVector
from agreed.types import NodeId


class VectorClock(msgspec.Struct, frozen=True, gc=False):
    """The clock of one node; `time` is that of its last event."""

    node: NodeId
    time: VersionVector = VersionVector()

    def tick(self) -> Self:
        """After this node's next event, be it its own or the sending of a message."""
        return type(self)(self.node, self.time.increment(self.node))

    def receive(self, sent: VersionVector) -> Self:
        """After the receipt of a message that was sent at `sent`."""
        return type(self)(self.node, self.time.merge(sent).increment(self.node))


def deliverable(sender: NodeId, sent: VersionVector, delivered: VersionVector) -> bool:
    """Whether the message is the next of its sender, and all that its sender had delivered before is
    delivered here.  `sent` counts messages, this one included."""
    with_it = delivered.increment(sender)
    return sent.counter(sender) == with_it.counter(sender) and with_it.descends(sent)
