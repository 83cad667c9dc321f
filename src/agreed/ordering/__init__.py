"""Telling everybody: broadcasts that promise more and more about the order in which messages are delivered.

    machine     what is broadcast and delivered; the shape of all of them
    reliable    everybody or nobody, in any order
    fifo        ... and the messages of one sender in the order in which it sent them
    causal      ... and no message before another that its sender had delivered
    total       everything in one order for everybody, from the log of any protocol of `consensus`; and back

The last step is not a matter of holding messages back for long enough: it is equivalent to consensus
(Chandra and Toueg 1996), and `total` has both reductions.

The first three are machines as those of `consensus`: events in, effects out, no clock, no dice.
"""
from __future__ import annotations

from agreed.ordering.causal import CausalBroadcast
from agreed.ordering.fifo import FifoBroadcast
from agreed.ordering.machine import Broadcast, Effects, Message
from agreed.ordering.reliable import ReliableBroadcast
from agreed.ordering.total import Decisions, Delivered, Published, Publisher, TotalOrder

__all__ = [
    "Broadcast",
    "CausalBroadcast",
    "Decisions",
    "Delivered",
    "Effects",
    "FifoBroadcast",
    "Message",
    "Published",
    "Publisher",
    "ReliableBroadcast",
    "TotalOrder",
]
