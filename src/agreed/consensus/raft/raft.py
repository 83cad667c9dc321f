"""Raft (Ongaro and Ousterhout 2014), as one machine: who is asked what, and which term rules.

`Raft` sorts events and messages to the role that answers them; what the answers are is told in `follower.py`,
`candidate.py` and `leader.py`, what they share in `state.py`.  Here is what holds whatever the role:

* a message of a newer term makes us a follower in it, one of an older term is refused or ignored (§5.1), with
  two exceptions that keep a stray node from disturbing a working cluster: a pre-vote changes no term, and a
  request for votes is not even heard while our leader is (§6; thesis 4.2.3, 9.6), unless that leader asked
  for it (thesis 3.10);
* one vote a term, first come first served, for a log at least as complete as ours (§5.2, §5.4.1);
* replies count only from members; requests are answered whoever asks, for the asker may know newer members
  than we do (§6).

Besides the paper: pre-vote, check-quorum, leadership transfer, learners, joint changes of members, read
index and leases, snapshots in resumable pieces, a hint that a peer is lost.  Not here: witnesses, and a
disk that lies.

The driver should say `TimePassed` at `wake` at the latest, and at the start of each turn where it can:
timers run from the last instant it named.  """
from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from agreed.consensus.machine import (
    Ballot,
    Dice,
    Entry,
    FollowerStanding,
    MembersChangeRequested,
    SnapshotMark,
    Standing,
)
from agreed.consensus.members import Members, everybody
from agreed.consensus.raft.candidate import Candidate
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.raft.follower import Follower
from agreed.consensus.raft.leader import Leader
from agreed.consensus.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    InstallSnapshot,
    InstallSnapshotReply,
    ReadIndex,
    ReadIndexReply,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)
from agreed.consensus.raft.reads import ForwardedReads
from agreed.consensus.raft.snapshots import IncomingSnapshot
from agreed.consensus.raft.state import RaftState, Role
from agreed.types import Identity, Instant, NodeId, Term


class Raft(RaftState):
    """A member of a Raft cluster; see `agreed.consensus.machine` for how to drive it.

    `members` are those it was told of at its first start; a snapshot `mark` (index 0 or None: there is none)
    and the entries of the log know better.  `ballot`, `mark` and `entries` are what lies on disk; entries
    that the snapshot contains may be among them.  `identity` is that of the data directory, by which a node
    tells itself from one that had its name before; with 0 the name is enough.  Raises CorruptData where they
    do not fit together.  """

    follower_role: ClassVar[type[Follower]] = Follower
    candidate_role: ClassVar[type[Candidate]] = Candidate
    leader_role: ClassVar[type[Leader]] = Leader
    incoming: IncomingSnapshot
    read_index_reply = ReadIndexReply

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
        super().__init__(me, members, ballot, mark, entries, config, dice, now, identity)
        self.forwarded = ForwardedReads(self)
        self.incoming = IncomingSnapshot(self)
        self.role: Role = self.follower_role(self)
        self.reset_election()
        if self.promotable and self.quorum.has({me}):
            # Nobody else can lead, so there is nobody to wait for.
            self.election_deadline = self.wake = now
        self._messages = {
            RequestVote: self._on_request_vote,
            RequestVoteReply: self._on_request_vote_reply,
            AppendEntries: self._on_append_entries,
            AppendEntriesReply: self._on_append_entries_reply,
            InstallSnapshot: self._on_install_snapshot,
            InstallSnapshotReply: self._on_install_snapshot_reply,
            TimeoutNow: self._on_timeout_now,
            ReadIndex: self._on_read_index,
            ReadIndexReply: self._on_read_index_reply,
        }

    # --- the machine ---

    def standing(self) -> Standing:
        followers = tuple(
            FollowerStanding(follower.name, follower.match, follower.pace.value, follower.heard_at)
            for follower in (self.role.progress.values() if isinstance(self.role, Leader) else ())
            if follower.name != self.me
        )
        return Standing(self.role.name, self.log.base_index + 1, self.log.last_index, followers)

    # --- transitions ---

    def become_follower(self, term: Term, leader: NodeId | None) -> None:
        """In this term, of this leader if it is known."""
        was, newer = self.role, term > self.term
        if newer:
            self.enter_term(term, None)
            self.forwarded.fail_asked()
        self.leads = False
        if newer or not isinstance(was, Follower):
            self.role = self.follower_role(self)
            was.on_leave()
        if not isinstance(was, Follower):
            self.reset_election()
        self._follow(leader)

    def campaign(self, *, transfer: bool = False) -> None:
        """See whether we could win, or at once where the old leader has seen to that (thesis 3.10)."""
        if self.incoming.busy:
            self.reset_election()
            return
        if transfer:
            self.become_candidate(transfer=True)
            return
        self._begin_candidacy(self.candidate_role(self, pre=True))

    def become_candidate(self, *, transfer: bool) -> None:
        """Raise the term and ask for the votes, our own first (§5.2)."""
        self.enter_term(self.term + 1, self.me)
        self._begin_candidacy(self.candidate_role(self, pre=False, transfer=transfer))

    def _begin_candidacy(self, candidate: Candidate) -> None:
        self.forwarded.fail_asked()
        self.leader = None
        self.role = candidate
        self.reset_election()
        candidate.start()

    def become_leader(self) -> None:
        assert isinstance(self.role, Candidate)
        assert not self.incoming.busy
        leader = self.leader_role(self)
        self.role, self.leader, self.leads = leader, self.me, True
        leader.start()
        for ticket in self.forwarded.take_queued():
            leader.on_read_requested(ticket)

    # --- events ---

    def _on_members_change_requested(self, event: MembersChangeRequested) -> None:
        if self.leads:
            self.role.on_members_change_requested(event.ticket, event.change)
        else:
            self.answer(event.ticket, "this node does not lead")

    # --- messages: the rules about terms ---

    def _accept_leader(self, source: NodeId, term: Term) -> bool:
        """Whether this comes from the leader of our term; a newer term becomes ours (§5.1, §5.2)."""
        if term < self.term:
            # A leader that was cut off learns of the newer term from us, and so does one that a candidate
            # with a newer term would otherwise keep refusing.
            reply = AppendEntriesReply(self.term, 0, 0)
            self.promise(source, reply, self.ballot_serial)
            return False
        if term > self.term or not isinstance(self.role, Follower):
            if term == self.term and self.leads:
                return False  # two leaders in a term cannot be; whoever this is, it is not a leader
            self.become_follower(term, source)
        elif self.leader is None:
            self._follow(source)
        elif self.leader != source:
            return False
        self.heard = True
        return True

    def _accept_reply(self, source: NodeId, term: Term) -> bool:
        """Whether this answers something we asked in this term (§5.1)."""
        if term == self.term:
            return True
        if term > self.term and source in everybody(self.members):
            self.become_follower(term, None)
        return False

    def _on_append_entries(self, source: NodeId, message: AppendEntries) -> None:
        if not self._accept_leader(source, message.term):
            return
        if self.incoming.busy:
            reply = AppendEntriesReply(self.term, message.round, self.commit_saved)
            self.promise(source, reply, self.ballot_serial)
            return
        self.role.on_append_entries(source, message)

    def _on_append_entries_reply(self, source: NodeId, message: AppendEntriesReply) -> None:
        if message.term == self.term or self._accept_reply(source, message.term):
            self.role.on_append_entries_reply(source, message)

    def _on_install_snapshot(self, source: NodeId, message: InstallSnapshot) -> None:
        if self._accept_leader(source, message.term):
            self.incoming.on_install_snapshot(source, message)

    def _on_install_snapshot_reply(self, source: NodeId, message: InstallSnapshotReply) -> None:
        if self._accept_reply(source, message.term):
            self.role.on_install_snapshot_reply(source, message)

    def _on_request_vote(self, source: NodeId, message: RequestVote) -> None:
        if message.pre:
            self._on_pre_vote(source, message)
            return
        if message.term > self.term:
            if self.hears_leader and not message.transfer:
                return  # nor is its term taken on, or a removed node could unseat a leader for ever
            self.become_follower(message.term, None)
        granted = (
            message.term == self.term
            and (self.vote == source or (self.vote is None and self.leader is None))
            and self.up_to_date(message.last_index, message.last_term)
        )
        if granted:
            if self.vote is None:
                self.vote_for(source)
            self.reset_election()
            self.restart_timer = True
        self.promise(source, RequestVoteReply(self.term, granted), self.ballot_serial)

    def _on_pre_vote(self, source: NodeId, message: RequestVote) -> None:
        """Would we vote for it in that term?  Nothing changes here whatever we say (thesis 9.6)."""
        granted = (
            message.term > self.term
            and not self.hears_leader
            and self.up_to_date(message.last_index, message.last_term)
        )
        self.send(source, RequestVoteReply(message.term if granted else self.term, granted, True))

    def _on_request_vote_reply(self, source: NodeId, message: RequestVoteReply) -> None:
        if message.pre and message.granted:
            # It carries the term that was asked for, which is nobody's yet.
            if message.term == self.term + 1:
                self.role.on_request_vote_reply(source, message)
        elif self._accept_reply(source, message.term):
            self.role.on_request_vote_reply(source, message)

    def _on_timeout_now(self, source: NodeId, message: TimeoutNow) -> None:
        if message.term == self.term and self.promotable and not self.leads and source == self.leader:
            self.campaign(transfer=True)


