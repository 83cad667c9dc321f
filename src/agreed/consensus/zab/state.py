"""What every role of ZAB shares: the durable state, the effects, and the few verbs all of it is made of.

Durable are acceptedEpoch (`term`), from whom it was accepted (`vote`), currentEpoch (`settled`), and the
history (`log`).  `ZabState` keeps these promises, whatever the roles ask of it:

* epochs only grow, an epoch is accepted from one leader only, and currentEpoch is never above acceptedEpoch;
* what is committed is never truncated, and the commit index never goes back;
* a message that vouches for a save leaves after that save (`promise`);
* what counts as durable here (`saved`) is what the disk has said, less what was overwritten since.

ZooKeeper keeps the two epochs in files beside the log, and the order in which the three are written was the
cause of lost commits more than once.  Here one save carries both epochs and entries and is done as a whole,
so "the history, then currentEpoch" needs no order; it needs that currentEpoch is set in no *earlier* save
than the last entry of the history it speaks of.

A role (`Role`) is an object that lives as long as the node has that role, and owns what makes sense only in
it: votes, what followers have acknowledged, what the leader has said of commits.  Nothing of it outlives an
election.  Silence is every role's answer to what it has no method for.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from agreed.consensus.log import Log
from agreed.consensus.machine import (
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
from agreed.consensus.members import Members, everybody
from agreed.consensus.promises import Promises
from agreed.consensus.quorum import Quorum
from agreed.consensus.zab.config import ZabConfig
from agreed.consensus.zab.messages import (
    Ack,
    AckEpoch,
    AckNewLeader,
    Ask,
    Commit,
    Diff,
    FollowerInfo,
    LeaderInfo,
    NewLeader,
    Notification,
    Ping,
    PingReply,
    Proposal,
    SnapshotPieceReply,
    UpToDate,
    Vote,
)
from agreed.errors import CorruptData
from agreed.types import Identity, Index, Instant, NodeId, Term


class Role:
    """The answers of one role; the default to everything is silence."""

    name = "none"

    def on_clock(self, now: Instant) -> None:
        """Time has passed, whether or not we asked to be told."""

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

    def on_leave(self) -> None:
        """The role ends: nobody may be left waiting."""

    def needed_after(self) -> Index | None:
        """Who is catching up needs the log after this index, though a snapshot contains it."""
        return None

    def on_notification(self, source: NodeId, message: Notification) -> None: ...

    def on_follower_info(self, source: NodeId, message: FollowerInfo) -> None: ...

    def on_leader_info(self, source: NodeId, message: LeaderInfo) -> None: ...

    def on_ack_epoch(self, source: NodeId, message: AckEpoch) -> None: ...

    def on_diff(self, message: Diff) -> None: ...

    def on_new_leader(self, message: NewLeader) -> None: ...

    def on_ack_new_leader(self, source: NodeId, message: AckNewLeader) -> None: ...

    def on_up_to_date(self, message: UpToDate) -> None: ...

    def on_proposal(self, message: Proposal) -> None: ...

    def on_ack(self, source: NodeId, message: Ack) -> None: ...

    def on_commit(self, message: Commit) -> None: ...

    def on_ask(self, source: NodeId, message: Ask) -> None: ...

    def on_ping(self, message: Ping) -> None: ...

    def on_ping_reply(self, source: NodeId, message: PingReply) -> None: ...

    def on_snapshot_piece_reply(self, source: NodeId, message: SnapshotPieceReply) -> None: ...

    def on_chunk_loaded(self, event: ChunkLoaded) -> None: ...

    def on_proposed(self, event: Proposed) -> None: ...

    def on_peer_lost(self, peer: NodeId) -> None: ...

    def on_transfer_requested(self, target: NodeId | None) -> None: ...

    def on_read_requested(self, ticket: int) -> None: ...

    def on_read_index(self, source: NodeId, context: int) -> None: ...


class ZabState(ABC):
    """Attributes without an underscore are read by the roles, and written by the methods here."""

    role: Role

    def __init__(
        self,
        me: NodeId,
        members: Members,
        ballot: Ballot,
        mark: SnapshotMark | None,
        entries: Iterable[Entry],
        config: ZabConfig,
        dice: Dice,
        now: Instant,
        identity: Identity = 0,
    ) -> None:
        self.me = me
        self.config = config
        self.dice = dice
        self.now = now
        self.wake: Instant | None = now
        if mark is None or mark.index == 0:
            mark = SnapshotMark(0, 0, members)
        self.log = Log(mark, entries)
        if max(self.log.last_term, ballot.settled) > ballot.term:
            raise CorruptData(
                f"the log ends in epoch {self.log.last_term} and was settled in {ballot.settled}, but the "
                f"ballot knows only epoch {ballot.term}: the ballot is always saved with the entries, so one "
                "of the two was lost or restored alone"
            )
        self.term: Term = ballot.term
        self.vote: NodeId | None = ballot.vote
        self.settled: Term = ballot.settled
        self.ballot = ballot
        self.commit: Index = mark.index
        self.leader: NodeId | None = None
        self.leads = False
        self.round = 0
        """Of the last election we took part in; lost in a crash, for nothing rests on it."""
        self._set_members(self.log.members, identity)

        self.serial = 0
        """Of the newest save, taken or not."""
        self.saved_serial = 0
        self.ballot_serial = 0
        """Of the save from which on the present epochs are durable."""
        self.saved: Index = self.log.last_index
        """Up to here our log is durable."""
        self.saving: dict[int, Index] = {}
        """Saves under way: serial -> up to where the log is durable once it is done."""
        self.promises = Promises()
        self.effects = Effects()

    def _set_members(self, members: Members, identity: Identity) -> None:
        """They never change here; to change them is Raft's."""
        self.quorum = Quorum(members)
        self.peers = tuple(name for name in everybody(members) if name != self.me)
        holder = everybody(members).get(self.me)
        ours = holder is not None and (not identity or holder.identity in (0, identity))
        self.promotable = ours and self.me in self.quorum.names
        """Whether we vote, and so may lead; not where our name stands for another identity."""

    # --- transitions, made by the class that knows all roles ---

    @abstractmethod
    def look(self, appointed: NodeId | None = None) -> None: ...

    @abstractmethod
    def follow(self, leader: NodeId) -> None: ...

    @abstractmethod
    def lead(self) -> None: ...

    @abstractmethod
    def know_leader(self, leader: NodeId | None) -> None: ...

    @abstractmethod
    def established(self) -> None: ...

    @property
    @abstractmethod
    def installing(self) -> bool:
        """A whole snapshot is here: the log stands still until it is installed or rejected."""

    # --- what is known ---

    @property
    def members(self) -> Members:
        return self.log.members

    def rank(self, vote: Vote) -> tuple[int, ...]:
        """How recent a history is: currentEpoch first, then the zxid, which is an epoch first.

        An entry of a newer epoch may stand in the shorter history, and the longer one may be what a leader
        without a quorum wrote all alone."""
        return (vote.settled, vote.last_term, vote.last_index)

    def own_vote(self) -> Vote:
        return Vote(self.settled, self.log.last_term, self.log.last_index, False, self.me)

    # --- timers ---

    def arm(self, instant: Instant) -> None:
        """Ask for `TimePassed` at this instant at the latest; being woken too early costs nothing."""
        if self.wake is None or instant < self.wake:
            self.wake = instant

    # --- what leaves ---

    def send(self, target: NodeId, message: object) -> None:
        self.effects.send.append(Send(target, message))

    def promise(self, target: NodeId, message: object, serial: int) -> None:
        """Send once the save `serial` is durable.  What vouches for a state says all that an earlier such
        message said that still waits for the same save."""
        if serial <= self.saved_serial:
            self.effects.send.append(Send(target, message))
        else:
            self.promises.hold_last(serial, Send(target, message))

    def read_ready(self, ticket: int, index: Index | None) -> None:
        self.effects.reads.append(ReadReady(ticket, index))

    # --- what is saved ---

    def accept_epoch(self, term: Term, leader: NodeId) -> None:
        """acceptedEpoch: from now on nothing of an older epoch is taken, and this one from nobody else.

        What was promised in an older one is of no use to anybody."""
        assert term > self.term
        self.term, self.vote = term, leader
        self.promises.clear()
        self._save_ballot()

    def settle(self) -> None:
        """currentEpoch: our history is that with which the accepted epoch begins."""
        self.settled = self.term
        self._save_ballot()

    def _save_ballot(self) -> None:
        self.ballot = Ballot(self.term, self.vote, self.settled)
        self._save([])
        self.ballot_serial = self.serial

    def append(self, entries: list[Entry]) -> None:
        self.log.append(entries)
        self._save(entries)

    def replace(self, entries: list[Entry]) -> None:
        """TRUNC: these take the place of what stands at the first one's index and after it.

        A log is only ever shortened by writing something else there, in the same save.  The story with a
        truncation of its own: it is done in memory, the node says that its history is the leader's, crashes,
        and comes back with the old suffix.  What is durable beyond no longer counts, and a save of it that is
        still under way will not make it count (the ABA problem)."""
        index = entries[0].index
        assert index > self.commit, "what is committed is never taken back"
        self.log.truncate(index)
        self._forget_saved(index - 1)
        self.append(entries)

    def restore(self, mark: SnapshotMark) -> None:
        """The store, the disk and the log are now this snapshot."""
        assert mark.index > self.commit
        self.log.restore(mark)
        self.commit = mark.index
        self.saved = mark.index
        self.saving = dict.fromkeys(self.saving, mark.index)

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

    # --- what is agreed ---

    def commit_to(self, index: Index) -> None:
        """All up to `index` is agreed forever; delivered in the order of the zxids."""
        assert self.commit < index <= self.log.last_index
        self.effects.commit += self.log.between(self.commit + 1, index)
        self.commit = index
