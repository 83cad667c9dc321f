"""Multi-Paxos as one machine: who is asked what, and which ballot rules (Lamport, "The Part-Time Parliament"
1998, "Paxos Made Simple" 2001; Chandra, Griesemer and Redstone, "Paxos Made Live" 2007).

Every slot of the log is a Paxos of its own; what they share is the ballot.  So one phase 1 serves all slots
that will ever be proposed under it, and from then on a value costs one phase 2: Accept, save, Accepted.

`MultiPaxos` sorts events and messages to the role that answers them; what the answers are is told in
`follower.py`, `candidate.py` and `leader.py`, what they share in `state.py`.  Here is what holds whatever the
role:

* a ballot above ours is promised by whoever hears of it in a Prepare or an Accept, and saved before anything
  is said under it (P1, P4); what comes under a lower one is refused with a Nack, so that a deposed proposer
  learns of it;
* an acceptor answers Prepare with everything it has accepted, whatever it thinks is chosen;
* after a restart nothing is chosen but what a snapshot contains, or a save says: that a value is accepted
  here says nothing;
* replies count only from voters.

Besides the papers: a canvass before phase 1, a leader that steps down without a quorum, transfer of
leadership, read index, snapshots in resumable pieces, a hint that a peer is lost.  Not here: leases, changes
of members, and acceptors that lost their disk (the driver tells those by their identity and does not let them
in).

The driver should say `TimePassed` at `wake` at the latest, and at the start of each turn where it can: timers
run from the last instant it named.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from agreed.consensus.log import size_bytes
from agreed.consensus.machine import (
    Ballot,
    Dice,
    Effects,
    Entry,
    FollowerStanding,
    SnapshotMark,
    Standing,
)
from agreed.consensus.members import Members
from agreed.consensus.multipaxos.candidate import Candidate, Preparing
from agreed.consensus.multipaxos.config import MultiPaxosConfig
from agreed.consensus.multipaxos.follower import Follower
from agreed.consensus.multipaxos.leader import Leader
from agreed.consensus.multipaxos.messages import (
    Accept,
    Acceptance,
    Accepted,
    Canvass,
    CanvassReply,
    InstallSnapshot,
    InstallSnapshotReply,
    Nack,
    Prepare,
    Promise,
    ReadIndex,
    ReadIndexReply,
    TimeoutNow,
)
from agreed.consensus.multipaxos.reads import ForwardedReads
from agreed.consensus.multipaxos.snapshots import IncomingSnapshot
from agreed.consensus.multipaxos.state import PaxosState, Role
from agreed.types import Identity, Index, Instant, NodeId, Term

MEMBERS_ARE_FIXED = "the members of a Multi-Paxos cluster are fixed: changes of members are Raft's"


class MultiPaxos(PaxosState):
    """A member of a Multi-Paxos cluster; see `agreed.consensus.machine` for how to drive it.

    `members` are fixed (a snapshot `mark` repeats them; index 0 or None: there is none).  `ballot`, `mark`
    and `entries` are what lies on disk; entries that the snapshot contains may be among them.  `identity` is
    that of the data directory, by which a node tells itself from one that had its name before; with 0 the
    name is enough.  Raises CorruptData where they do not fit together, ConfigurationError for more than 64
    members.
    """

    follower_role: ClassVar[type[Follower]] = Follower
    candidate_role: ClassVar[type[Candidate]] = Candidate
    preparing_role: ClassVar[type[Preparing]] = Preparing
    leader_role: ClassVar[type[Leader]] = Leader
    incoming: IncomingSnapshot
    read_index_reply = ReadIndexReply
    members_refusal = MEMBERS_ARE_FIXED

    def __init__(
        self,
        me: NodeId,
        members: Members,
        ballot: Ballot,
        mark: SnapshotMark | None,
        entries: Iterable[Entry],
        config: MultiPaxosConfig,
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
            Canvass: self._on_canvass,
            CanvassReply: self._on_canvass_reply,
            Prepare: self._on_prepare,
            Promise: self._on_promise,
            Accept: self._on_accept,
            Accepted: self._on_accepted,
            Nack: self._on_nack,
            InstallSnapshot: self._on_install_snapshot,
            InstallSnapshotReply: self._on_install_snapshot_reply,
            TimeoutNow: self._on_timeout_now,
            ReadIndex: self._on_read_index,
            ReadIndexReply: self._on_read_index_reply,
        }

    # --- the machine ---

    def take(self) -> Effects:
        """Everything the outside should now do."""
        self.role.on_flush()
        self.forwarded.forward()
        self.finish_save()
        effects = self.effects
        self.effects = Effects()
        return effects

    def snapshot_mark(self, index: Index) -> SnapshotMark:
        """The mark of a snapshot of a store that has applied exactly the entries up to `index`, which is
        committed and not before what our log still holds.  Its term is that of the value: the same on every
        node."""
        term = self.slots.term(index)
        assert term is not None
        assert index <= self.commit
        return SnapshotMark(index, term, self.members)

    @property
    def last_term(self) -> Term:
        """Of the value there; 0 where the last slot is empty."""
        return self.slots.term(self.slots.last_index) or 0

    def standing(self) -> Standing:
        followers = tuple(
            FollowerStanding(follower.name, follower.match, follower.pace.value, follower.heard_at)
            for follower in (self.role.followers if isinstance(self.role, Leader) else ())
        )
        return Standing(self.role.name, self.slots.base_index + 1, self.slots.last_index, followers)

    # --- transitions ---

    def become_follower(self, ballot: Term, leader: NodeId | None) -> None:
        """Under this ballot, of this leader if it is known."""
        was, newer = self.role, ballot > self.term
        if newer:
            self.enter(ballot)
            self.forwarded.fail_asked()
        self.leads = False
        if newer or not isinstance(was, Follower):
            self.role = self.follower_role(self)
            was.on_leave()
        if not isinstance(was, Follower):
            self.reset_election()
        self._follow(leader)

    def campaign(self, *, transfer: bool = False) -> None:
        """See whether there is need of a leader, or begin at once where the old one has seen to that."""
        if self.incoming.busy:
            self.reset_election()
        elif transfer:
            self.become_candidate(self.term)
        else:
            self._begin_candidacy(self.candidate_role(self))

    def become_candidate(self, above: Term) -> None:
        """Take a ballot of our own above this one and above all we have promised (P7, P8)."""
        self.enter(self.ballots.after(max(self.term, above)))
        self._begin_candidacy(self.preparing_role(self))

    def _begin_candidacy(self, candidate: Candidate | Preparing) -> None:
        self.forwarded.fail_asked()
        self.leader = None
        self.role = candidate
        self.reset_election()
        candidate.start()

    def become_leader(self) -> None:
        preparing = self.role
        assert isinstance(preparing, Preparing)
        assert not self.incoming.busy
        leader = self.leader_role(self)
        self.role, self.leader, self.leads = leader, self.me, True
        leader.start(preparing.values(), preparing.chosen)
        for ticket in self.forwarded.take_queued():
            leader.on_read_requested(ticket)

    # --- messages: the rules about ballots ---

    def _refuse(self, source: NodeId) -> None:
        self.promise(source, Nack(self.term), self.ballot_serial)

    def _accept_leader(self, source: NodeId, ballot: Term) -> bool:
        """Whether this comes from the owner of the newest ballot we know; a newer one is promised by it (P3,
        P4)."""
        if ballot == self.term and source == self.leader:
            self.heard = True
            return True
        if ballot < self.term:
            self._refuse(source)
            return False
        if self.ballots.owner(ballot) != source or source == self.me:
            return False
        if ballot > self.term or not isinstance(self.role, Follower):
            self.become_follower(ballot, source)
        else:
            self._follow(source)
        self.heard = True
        return True

    def _on_canvass(self, source: NodeId, message: Canvass) -> None:
        """Could it lead, and is there need?  Nothing changes here whatever we say."""
        granted = not self.hears_leader and self.slots.base_index <= message.chosen
        self.promise(source, CanvassReply(message.ballot, self.term, granted), self.ballot_serial)

    def _on_canvass_reply(self, source: NodeId, message: CanvassReply) -> None:
        if source in self.quorum.names:
            self.role.on_canvass_reply(source, message)

    def _on_prepare(self, source: NodeId, message: Prepare) -> None:
        """Phase 1b.  Who lacks slots that we have forgotten is not answered: it needs a snapshot, and others
        lead."""
        if message.ballot < self.term:
            self._refuse(source)
            return
        if self.ballots.owner(message.ballot) != source or source == self.me:
            return
        if message.ballot > self.term:
            self.become_follower(message.ballot, None)
            self.reset_election()
            self.restart_timer = True
        if message.first > self.slots.base_index:
            self.promise(source, self._promise_from(message.first), self.ballot_serial)

    def _promise_from(self, first: Index) -> Promise:
        slots = self.slots
        last = max(slots.last_index, first - 1)
        accepted: list[Acceptance] = []
        upto, size = last, 0
        for index in range(first, last + 1):
            value = slots.value(index)
            if value is None:
                continue
            size += size_bytes(value)
            if accepted and size > self.config.max_append_bytes:
                upto = index - 1
                break
            accepted.append(Acceptance(slots.ballot(index), value))
        return Promise(self.term, first, upto, last, min(self.chosen, last), accepted)

    def _on_promise(self, source: NodeId, message: Promise) -> None:
        if message.ballot == self.term and source in self.quorum.names:
            self.role.on_promise(source, message)

    def _on_accept(self, source: NodeId, message: Accept) -> None:
        if not self._accept_leader(source, message.ballot):
            return
        if self.incoming.busy:
            reply = Accepted(self.term, message.round, self.durable, self.held)
            self.promise(source, reply, self.ballot_serial)
            return
        self.role.on_accept(source, message)

    def _on_accepted(self, source: NodeId, message: Accepted) -> None:
        if message.ballot == self.term:
            self.role.on_accepted(source, message)

    def _on_nack(self, source: NodeId, message: Nack) -> None:
        """Somebody has promised a newer ballot: under ours nothing more can be had of it."""
        if message.ballot > self.term and source in self.names:
            self.become_follower(message.ballot, None)

    def _on_install_snapshot(self, source: NodeId, message: InstallSnapshot) -> None:
        if self._accept_leader(source, message.ballot):
            self.incoming.on_install_snapshot(source, message)

    def _on_install_snapshot_reply(self, source: NodeId, message: InstallSnapshotReply) -> None:
        if message.ballot == self.term:
            self.role.on_install_snapshot_reply(source, message)

    def _on_timeout_now(self, source: NodeId, message: TimeoutNow) -> None:
        if message.ballot == self.term and self.promotable and not self.leads and source == self.leader:
            self.campaign(transfer=True)


