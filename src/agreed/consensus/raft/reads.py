"""Linearizable reads without writing to the log (§8; thesis 6.4).

A read may be answered from any store that has applied at least what was committed when the read was asked
for.  The leader knows its own commit index, but only if (a) it has committed something in its term, for
until then it does not know what its predecessors committed; and (b) it still leads, for a new leader may
have committed more.  (b) is proven by a *round*: a number in every append; the reply of a quorum to a round
that began after the read was asked for.  One round serves all reads that wait when it begins, on whichever
node they were asked for.

With leases, a quorum's reply to a round also means that none of them will vote for another within an election
timeout of its own clock, so until then (less what clocks may differ) no round is needed.  A leader that has
told another to campaign has given that up for the rest of its term: the message may arrive at any time.
"""
from __future__ import annotations

from collections import deque

from agreed.consensus import reads
from agreed.consensus.protocol_machine import LONG_AGO
from agreed.consensus.raft.messages import ReadIndex, ReadIndexReply
from agreed.consensus.raft.state import RaftState
from agreed.types import Instant, NodeId


class Reads(reads.LeaderReads):
    """With a lease, as an option, the answer needs no round."""

    reply = ReadIndexReply

    def __init__(self, raft: RaftState) -> None:
        super().__init__(raft)
        self._raft = raft
        self._began: deque[tuple[int, Instant]] = deque()
        """With leases: rounds that a quorum has not answered, and when they began."""
        self._lease_until: Instant = LONG_AGO
        self._lease_given_up = False

    def leased(self, now: Instant) -> bool:
        """Whether nobody else can lead at this instant of our clock."""
        return now < self._lease_until

    def ask(self, asker: NodeId | None, ticket: int, *, ready: bool) -> None:
        """Answered by the lease, or else by a round.  `ready`: something was committed in our term."""
        if ready and self.leased(self._raft.now):
            self._reply(asker, ticket, self._raft.commit)
        else:
            self.request(asker, ticket)

    def next_round(self) -> int:
        number = super().next_round()
        if self._raft.config.lease_reads and not self._lease_given_up:
            self._began.append((number, self._raft.now))
        return number

    def answered(self, round_number: int) -> None:
        super().answered(round_number)
        began = self._began
        while began and began[0][0] <= round_number:
            _, instant = began.popleft()
            self._lease_until = max(self._lease_until, instant + self._raft.config.lease_ms)

    def give_up_lease(self) -> None:
        self._lease_given_up = True
        self._lease_until = LONG_AGO
        self._began.clear()


class ForwardedReads(reads.ForwardedReads):
    question = ReadIndex
