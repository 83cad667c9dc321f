"""Linearizable reads without writing to the log, on every replica.

A read may be answered from any store that has applied at least what was agreed when the read was asked for.
The primary knows that if (a) all that its view began with is agreed, for until then it does not know how much
of it already was; and (b) no later view has begun.  (b) is proven by a *round*: a number in every Prepare and
Commit; when a quorum has answered a round that began after the read was asked for, none of them had sent a
DoViewChange for a later view before, and no later view began without one of them.

The paper reads at the primary under leases (section 6.3); a round needs no clock.
"""
from __future__ import annotations

from agreed.consensus import reads
from agreed.consensus.vr.messages import ReadIndex, ReadIndexReply


class Reads(reads.LeaderReads):
    reply = ReadIndexReply


class ForwardedReads(reads.ForwardedReads):
    question = ReadIndex
