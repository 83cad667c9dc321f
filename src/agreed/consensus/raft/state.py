"""What every role of Raft shares: the durable state, the effects, and the few verbs all of it is made of.

`RaftState` keeps the promises of this machine, whatever the roles ask of it:

* one vote a term, and term and vote are in every save that could matter (§5.1, §5.2);
* what is committed is never truncated, and the commit index never goes back (§5.3, §5.4.3);
* a message that vouches for a save leaves after that save (`promise`);
* what counts as durable here (`saved`) is what the disk has said, less what was overwritten since.

A role (`Role`) is an object that lives as long as the node has that role, and owns what makes sense only in
it: votes, progress, reads.  Silence is every role's answer to what it has no method for: such a message
answers a question that is no longer asked.  """
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from agreed.consensus.log import Log
from agreed.consensus.machine import (
    Answer,
    Ballot,
    ChunkLoaded,
    Dice,
    Effects,
    Entry,
    Proposed,
    ReadReady,
    Save,
    Send,
    SnapshotMark,
)
from agreed.consensus.members import Members, MembersChange, everybody
from agreed.consensus.promises import Promises
from agreed.consensus.quorum import Quorum
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    InstallSnapshotReply,
    RequestVoteReply,
)
from agreed.errors import CorruptData
from agreed.types import Identity, Index, Instant, NodeId, Term

LONG_AGO = -(1 << 60)
"""Before every instant a driver can name."""


class Role:
    """The answers of one role; the default to everything is silence."""

    name = "none"

    def on_time(self, now: Instant) -> None:
        """`now` is at or after the instant we asked for."""

    def on_pause(self, late_ms: int) -> None:
        """We were told the time this much too late.  Whatever others said meanwhile may still wait to be
        read, so the silence is ours, not theirs."""

    def next_wake(self) -> Instant | None:
        """When `on_time` should be called next."""
        return None

    def on_flush(self) -> None:
        """The effects are about to be taken: say what is still to be said."""

    def on_saved(self) -> None:
        """`saved` or `saved_serial` has advanced."""

    def on_members(self) -> None:
        """Other members are in force."""

    def on_leave(self) -> None:
        """The role ends: nobody may be left waiting."""

    def needed_after(self) -> Index | None:
        """Who is catching up needs the log after this index, though a snapshot contains it."""
        return None

    def on_append_entries(self, source: NodeId, message: AppendEntries) -> None: ...

    def on_append_entries_reply(self, source: NodeId, message: AppendEntriesReply) -> None: ...

    def on_request_vote_reply(self, source: NodeId, message: RequestVoteReply) -> None: ...

    def on_install_snapshot_reply(self, source: NodeId, message: InstallSnapshotReply) -> None: ...

    def on_chunk_loaded(self, event: ChunkLoaded) -> None: ...

    def on_proposed(self, event: Proposed) -> None: ...

    def on_peer_lost(self, peer: NodeId) -> None: ...

    def on_transfer_requested(self, target: NodeId | None) -> None: ...

    def on_read_requested(self, ticket: int) -> None: ...

    def on_read_index(self, source: NodeId, context: int) -> None: ...

    def on_read_index_reply(self, source: NodeId, context: int, index: Index | None) -> None: ...

    def on_members_change_requested(self, ticket: int, change: MembersChange) -> None: ...


class RaftState(ABC):
    """Attributes without an underscore are read by the roles; they are written by the methods here, except
    for the timers (`heard`, `restart_timer`)."""

    role: Role

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
        self.me = me
        self.identity = identity
        self.config = config
        self.dice = dice
        self.now = now
        self.wake: Instant | None = None
        if mark is None or mark.index == 0:
            mark = SnapshotMark(0, 0, members)
        self.log = Log(mark, entries)
        if self.log.last_term > ballot.term:
            raise CorruptData(
                f"the log ends in term {self.log.last_term}, but the ballot knows only term {ballot.term}: "
                "the ballot is always saved with the entries, so one of the two was lost or restored alone"
            )
        self.term: Term = ballot.term
        self.vote: NodeId | None = ballot.vote
        self.ballot = ballot
        self.commit: Index = mark.index
        self.leader: NodeId | None = None
        self.leads = False
        self._take_members(self.log.members)

        self.serial = 0
        """Of the newest save, taken or not."""
        self.saved_serial = 0
        self.ballot_serial = 0
        """Of the save from which on the present term and vote are durable."""
        self.saved: Index = self.log.last_index
        """Up to here our log is durable."""
        self.saving: dict[int, Index] = {}
        """Saves under way: serial -> up to where the log is durable once it is done."""
        self.promises = Promises()
        self.effects = Effects()

        low = config.election_timeout_ms[0]
        self._stickiness_ms = low
        self.heard = False
        """A leader of this term has spoken since time last passed."""
        self.restart_timer = False
        """The election timer begins anew when time next passes."""
        # With leases, a node that crashed has forgotten how recently it made the old leader sure of itself.
        self.last_heard: Instant = now if config.lease_reads else LONG_AGO
        self.election_timeout_ms = low
        self.election_deadline: Instant = now

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
    def members(self) -> Members:
        """The members in force: those of the newest set in the log, committed or not."""
        return self.log.members

    @property
    def promotable(self) -> bool:
        """Whether we vote, and so may lead.

        We do not where our name stands for another identity: that was our predecessor.  The story: n1 founds
        a cluster on its own, n2 and n3 join, n1 loses its disk and is replaced.  Until the new n1 has got the
        log, all it knows of are the founders, and n1 was the only one: going by the name it would elect
        itself, and acknowledge what the others never hear of.  The same holds for each set in the log from
        the time before it was replaced."""
        return self._promotable

    @property
    def commit_saved(self) -> Index:
        """Up to here our log is both durable and every present leader's."""
        return min(self.commit, self.saved)

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

    # --- timers ---

    def arm(self, instant: Instant) -> None:
        """Ask for `TimePassed` at this instant at the latest; being woken too early costs nothing."""
        if self.wake is None or instant < self.wake:
            self.wake = instant

    def reset_election(self) -> None:
        """A new random timeout, from now on; splits of votes end because the dice differ (§5.2)."""
        low, high = self.config.election_timeout_ms
        self.election_timeout_ms = self.dice.between(low, high)
        self.election_deadline = self.now + self.election_timeout_ms
        if self.promotable:
            self.arm(self.election_deadline)

    def extend_election(self) -> None:
        """After a pause of our own: hear first what has come in."""
        self.election_deadline = max(self.election_deadline, self.now + self.config.heartbeat_ms)

    # --- what leaves ---

    def send(self, target: NodeId, message: object) -> None:
        self.effects.send.append(Send(target, message))

    def promise(self, target: NodeId, message: object, serial: int) -> None:
        """Send once the save `serial` is durable."""
        if serial <= self.saved_serial:
            self.effects.send.append(Send(target, message))
        else:
            self.promises.hold(serial, Send(target, message))

    def read_ready(self, ticket: int, index: Index | None) -> None:
        self.effects.reads.append(ReadReady(ticket, index))

    def answer(self, ticket: int, refusal: str | None) -> None:
        self.effects.answers.append(Answer(ticket, refusal))

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
        self.ballot = Ballot(self.term, vote)
        self._save([])
        self.ballot_serial = self.serial

    def append(self, entries: list[Entry]) -> None:
        self.log.append(entries)
        self._save(entries)
        self._notice_members()

    def truncate(self, index: Index) -> None:
        """Take back what was never committed.  What is durable beyond it no longer counts, and a save of it
        that is still under way will not make it count (the ABA problem)."""
        assert index > self.commit, "what is committed is never taken back"
        self.log.truncate(index)
        self._forget_saved(index - 1)
        self._notice_members()

    def restore(self, mark: SnapshotMark) -> None:
        """The store, the disk and the log are now this snapshot."""
        assert mark.index > self.commit
        self.log.restore(mark)
        self.commit = mark.index
        self.saved = mark.index
        self.saving = dict.fromkeys(self.saving, mark.index)
        self._notice_members()

    def _forget_saved(self, last: Index) -> None:
        self.saved = min(self.saved, last)
        for serial, upto in self.saving.items():
            if upto > last:
                self.saving[serial] = last

    def _save(self, entries: list[Entry]) -> None:
        """All that is saved in one turn is one save."""
        save = self.effects.save
        if save is None:
            self.serial += 1
            self.effects.save = Save(self.serial, self.ballot, entries.copy())
        else:
            save.ballot = self.ballot
            if entries:
                pending, first = save.entries, entries[0].index
                while pending and pending[-1].index >= first:
                    pending.pop()
                pending += entries
        self.saving[self.serial] = self.log.last_index

    def on_saved_serial(self, serial: int) -> None:
        """The disk is done with this save, and so with all before it."""
        saving = self.saving
        if serial not in saving or (self.effects.save is not None and serial == self.effects.save.serial):
            return
        for earlier in list(saving):
            if earlier > serial:
                break
            upto = saving.pop(earlier)
            if upto > self.saved:
                self.saved = upto
        self.saved_serial = serial
        self.effects.send += self.promises.release(serial)

    def _notice_members(self) -> None:
        members = self.log.members
        if members is not self._members_seen:
            self._take_members(members)
            self.role.on_members()

    def _take_members(self, members: Members) -> None:
        self._members_seen = members
        self.quorum = Quorum(members)
        holder = everybody(members).get(self.me)
        ours = holder is not None and (not self.identity or holder.identity in (0, self.identity))
        self._promotable = ours and self.me in self.quorum.names

    # --- what is agreed ---

    def commit_to(self, index: Index) -> None:
        """All up to `index` is agreed forever."""
        assert self.commit < index <= self.log.last_index
        self.effects.commit += self.log.between(self.commit + 1, index)
        self.commit = index

