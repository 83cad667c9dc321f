"""FIFO broadcast: the messages of one sender are delivered in the order in which it sent them.

A message waits until it is the next of its sender.  Nothing is promised between senders: an answer may be
delivered before its question, if they are of two nodes (`causal`).

It does not wait for ever: a sender that does not crash sends the missing one too, and one that crashed before
anybody heard of it never sent it as far as anybody can tell; then what came after it is delivered nowhere.
"""
from __future__ import annotations

from agreed.ordering.machine import Message
from agreed.ordering.reliable import ReliableBroadcast


class FifoBroadcast(ReliableBroadcast):
    """One node's part."""

    def _may_be_delivered(self, message: Message) -> bool:
        return message.number == self.delivered.counter(message.origin) + 1
