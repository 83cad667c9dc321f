"""To become leader: first ask whether one could win, then ask for the votes (§5.2; thesis 9.6).

A *pre-vote* changes nobody's term: a node that was cut off for a while, and could not win, comes back without
having inflated its term, and does not unseat a leader that everybody else hears.  Only with a quorum of
pre-votes is the term raised and the real vote asked for.

Our own vote counts like any other: once it is durable.  Votes are sets of names, for a doubled reply is one
vote.  """
from __future__ import annotations

from agreed.consensus.raft.messages import RequestVote, RequestVoteReply
from agreed.consensus.raft.state import RaftState, Role
from agreed.types import Instant, NodeId


class Candidate(Role):
    name = "candidate"

    def __init__(self, raft: RaftState, *, pre: bool, transfer: bool = False) -> None:
        self.raft = raft
        self.pre = pre
        self.granted: set[NodeId] = set()
        self.refused: set[NodeId] = set()
        self._transfer = transfer

    def start(self) -> None:
        """Ask everybody who votes, in the present term, or for a pre-vote in the next one."""
        raft = self.raft
        request = RequestVote(
            raft.term + 1 if self.pre else raft.term,
            raft.log.last_index,
            raft.log.last_term,
            self.pre,
            self._transfer,
        )
        for name in raft.quorum.names:
            if name != raft.me:
                # A candidacy vouches for the candidate's own vote; a pre-vote for nothing.
                raft.promise(name, request, 0 if self.pre else raft.ballot_serial)
        self._count_own()

    def _count_own(self) -> None:
        if self.pre or self.raft.ballot_serial <= self.raft.saved_serial:
            self.granted.add(self.raft.me)
            self._decide()

    def on_saved(self) -> None:
        if self.raft.me not in self.granted:
            self._count_own()

    def on_request_vote_reply(self, source: NodeId, message: RequestVoteReply) -> None:
        raft = self.raft
        if message.pre is not self.pre:
            return
        if message.granted:
            # A pre-vote was granted for one term and no other: an old "yes" may come from before the voter
            # heard a leader of the term we are in now.
            if message.term == (raft.term + 1 if self.pre else raft.term):
                self.granted.add(source)
        else:
            self.refused.add(source)
        self._decide()

    def _decide(self) -> None:
        raft = self.raft
        if raft.quorum.has(self.granted):
            if self.pre:
                raft.become_candidate(transfer=self._transfer)
            else:
                raft.become_leader()
        elif raft.quorum.lost(self.refused):
            # Waiting as a follower, and not as a candidate, lets the one who can win have the next word.
            raft.become_follower(raft.term, None)

    def on_time(self, now: Instant) -> None:
        """Nobody won: begin anew, with another random timeout."""
        if now >= self.raft.election_deadline:
            self.raft.campaign()

    def on_pause(self, late_ms: int) -> None:
        self.raft.extend_election()

    def next_wake(self) -> Instant:
        return self.raft.election_deadline
