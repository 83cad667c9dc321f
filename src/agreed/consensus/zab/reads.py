"""Linearizable reads without writing to the history (what ZooKeeper's `sync` is for).

A read may be answered from any store that has applied at least what was committed when the read was asked
for.  The leader of an established epoch knows that index, if it still leads: a newer leader may have
committed more.  That it leads is proven by a *round*, a number in every ping.  Who answers a ping has
accepted no newer epoch; if a quorum answers a ping that left after the read was asked for, no newer epoch
had a quorum then. One round serves all reads that wait when it begins, on whichever node they were asked
for.

ZooKeeper's `sync` flushes the channel from the leader and asks no quorum, so a deposed leader can answer it.
"""
from __future__ import annotations

from agreed.consensus import reads
from agreed.consensus.zab.messages import ReadIndex, ReadIndexReply


class Reads(reads.LeaderReads):
    reply = ReadIndexReply


class ForwardedReads(reads.ForwardedReads):
    question = ReadIndex
