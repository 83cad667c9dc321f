"""Causal broadcast: no message is delivered before another that its sender had delivered when it sent it.

(Birman, Schiper and Stephenson 1991.)  Each message says how many messages of every node its sender had
delivered; `clocks.vector.deliverable` holds it back until as many are delivered here.  FIFO is the part of
this that concerns one sender.

What it gives: replicas of a memory that apply writes as they are delivered are causally consistent (CM: every
client sees an order of its own that keeps all causes before their effects), and nobody waits for anybody.

What it does not: one order for all.  Two writes of which neither sender had heard of the other are applied
in one order here and in the other there, for ever.  Where that matters, the writes must go through one log,
which is consensus.
"""
from __future__ import annotations

from agreed.clocks.vector import deliverable
from agreed.clocks.version import VersionVector
from agreed.ordering.machine import Message
from agreed.ordering.reliable import ReliableBroadcast


class CausalBroadcast(ReliableBroadcast):
    """One node's part."""

    def _stamp(self) -> VersionVector:
        return self.delivered.increment(self.node)

    def _may_be_delivered(self, message: Message) -> bool:
        return deliverable(message.origin, message.sent, self.delivered)
