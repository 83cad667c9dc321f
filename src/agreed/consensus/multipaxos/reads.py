"""Linearizable reads that propose nothing.

A read may be answered from any store that has applied at least what was chosen when the read was asked for.
The leader knows which slots are chosen, but only if (a) all that phase 1 told it is chosen, for until then it
does not know what its predecessors chose (P12); and (b) it still leads, for a new leader may have chosen
more.  (b) is proven by a *round*: a number in every Accept; an acceptor that answers it had promised nothing
newer at that moment, and a quorum of such answers to a round that began after the read was asked for leaves
no quorum for anybody else.  One round serves all reads that wait when it begins, on whichever node they were
asked for.
"""
from __future__ import annotations

from agreed.consensus import reads
from agreed.consensus.multipaxos.messages import ReadIndex, ReadIndexReply
from agreed.consensus.multipaxos.state import PaxosState


class Reads(reads.LeaderReads):
    reply = ReadIndexReply

    def __init__(self, paxos: PaxosState) -> None:
        super().__init__(paxos)
        self._paxos = paxos

    def agreed(self) -> int:
        """What is chosen, also where our own disk does not hold it yet."""
        return self._paxos.chosen


class ForwardedReads(reads.ForwardedReads):
    question = ReadIndex
