"""What every role of Raft shares: the durable state, the effects, and the few verbs all of it is made of.

`RaftState` keeps the promises of this machine, whatever the roles ask of it:

* one vote a term, and term and vote are in every save that could matter (§5.1, §5.2);
* a message that vouches for a save leaves after that save (`promise`).

What it promises of its log is told in `agreed.consensus.logged_machine`, what a role is in
`agreed.consensus.role`.
"""
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

from agreed.consensus import role
from agreed.consensus.logged_machine import LoggedMachine
from agreed.consensus.machine import (
    Ballot,
    Dice,
    Entry,
    SnapshotMark,
)
from agreed.consensus.members import Members, MembersChange
from agreed.consensus.protocol_machine import TimedMachine
from agreed.consensus.quorum import Quorum, votes_under
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    InstallSnapshotReply,
    RequestVoteReply,
)
from agreed.errors import CorruptData
from agreed.types import Identity, Index, Instant, NodeId, Term


class Role(role.Role):
    """The answers of one role; the default to everything is silence."""

    def on_members(self) -> None:
        """Other members are in force."""

    def on_append_entries(self, source: NodeId, message: AppendEntries) -> None: ...

    def on_append_entries_reply(self, source: NodeId, message: AppendEntriesReply) -> None: ...

    def on_request_vote_reply(self, source: NodeId, message: RequestVoteReply) -> None: ...

    def on_install_snapshot_reply(self, source: NodeId, message: InstallSnapshotReply) -> None: ...

    def on_members_change_requested(self, ticket: int, change: MembersChange) -> None: ...


class RaftState(LoggedMachine, TimedMachine):
    role: Role
    config: RaftConfig

    def __init__(
        self,
        me: NodeId,
        members: Members,
        ballot: Ballot,
        mark: SnapshotMark | None,
        entries: Iterable[Entry],
        config: RaftConfig,
        dice: Dice,
        now: Instant,
        identity: Identity = 0,
    ) -> None:
        super().__init__(me, members, ballot, mark, entries, config, dice, now)
        self.identity = identity
        if self.log.last_term > ballot.term:
            raise CorruptData(
                f"the log ends in term {self.log.last_term}, but the ballot knows only term {ballot.term}: "
                "the ballot is always saved with the entries, so one of the two was lost or restored alone"
            )
        self.term: Term = ballot.term
        self.vote: NodeId | None = ballot.vote
        self._take_members(self.log.members)

        # With leases, a node that crashed has forgotten how recently it made the old leader sure of itself.
        if config.lease_reads:
            self.last_heard = now
        self._stickiness_ms = config.election_timeout_ms[0]

    # --- transitions, made by the class that knows all roles ---

    @abstractmethod
    def become_follower(self, term: Term, leader: NodeId | None) -> None: ...

    @abstractmethod
    def campaign(self, *, transfer: bool = False) -> None: ...

    @abstractmethod
    def become_candidate(self, *, transfer: bool) -> None: ...

    @abstractmethod
    def become_leader(self) -> None: ...

    # --- what is known ---

    @property
    def hears_leader(self) -> bool:
        """Whether a vote would disturb a leader that seems alive (§6; thesis 4.2.3).

        With leases this is a promise to the leader, so it holds even when we no longer know who that was.
        """
        if self.leads:
            return True
        recent = self.heard or self.now - self.last_heard < self._stickiness_ms
        return recent and (self.leader is not None or self.config.lease_reads)

    def up_to_date(self, last_index: Index, last_term: Term) -> bool:
        """Whether a log that ends there holds all that ours could have made committed (§5.4.1)."""
        return (last_term, last_index) >= (self.log.last_term, self.log.last_index)

    # --- what is saved ---

    def enter_term(self, term: Term, vote: NodeId | None) -> None:
        """Terms only grow; what was promised in an older one is of no use to anybody (§5.1)."""
        assert term > self.term
        self.term = term
        self.leader = None
        self.promises.clear()
        self._cast(vote)

    def vote_for(self, candidate: NodeId) -> None:
        assert self.vote is None
        self._cast(candidate)

    def _cast(self, vote: NodeId | None) -> None:
        self.vote = vote
        self.save_ballot(Ballot(self.term, vote))

    def append(self, entries: list[Entry]) -> None:
        super().append(entries)
        self._notice_members()

    def truncate(self, index: Index) -> None:
        super().truncate(index)
        self._notice_members()

    def restore(self, mark: SnapshotMark) -> None:
        super().restore(mark)
        self._notice_members()

    def _notice_members(self) -> None:
        members = self.log.members
        if members is not self._members_seen:
            self._take_members(members)
            self.role.on_members()

    def _take_members(self, members: Members) -> None:
        self._members_seen = members
        self.quorum = Quorum(members)
        self.promotable = votes_under(members, self.me, self.identity)
        """Whether we vote, and so may lead.

        We do not where our name stands for another identity: that was our predecessor.  The story: n1 founds
        a cluster on its own, n2 and n3 join, n1 loses its disk and is replaced.  Until the new n1 has got the
        log, all it knows of are the founders, and n1 was the only one: going by the name it would elect
        itself, and acknowledge what the others never hear of.  The same holds for each set in the log from
        the time before it was replaced."""
