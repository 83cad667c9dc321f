"""To lead: begin an epoch, make a quorum's history ours, and only then propose.

    discovery         a quorum says that it follows us: the new epoch is above all they have accepted.  It is
                      durable here before it is named; two lives of ours must not name it twice
    epoch             a quorum accepts it.  If one of them has a more recent history than ours, we give up:
                      what it has may be committed
    synchronization   our history, and an entry of ours after it, is what the epoch begins with; who follows
                      is given it (`broadcast.py`)
    established       a quorum has it: all of it is committed, and from now on we take proposals

The entry of ours says nothing.  It makes truncation durable (`ZabState.replace`), and makes the history with
which the epoch begins end in a zxid of this epoch.

A leader that has not heard a quorum for an election timeout looks for a leader itself, and so do its
followers as soon as they hear of it.
"""
from __future__ import annotations

from enum import Enum

from agreed.consensus.machine import ChunkLoaded, Entry, EntryKind, Proposed
from agreed.consensus.zab.broadcast import Broadcast
from agreed.consensus.zab.learner import Pace
from agreed.consensus.zab.messages import (
    Ack,
    AckEpoch,
    AckNewLeader,
    Ask,
    FollowerInfo,
    LeaderInfo,
    Notification,
    Phase,
    PingReply,
    SnapshotPieceReply,
    Vote,
)
from agreed.consensus.zab.reads import Reads
from agreed.consensus.zab.state import Role, ZabState
from agreed.consensus.zab.synchronization import is_history
from agreed.consensus.zab.transfer import Transfer
from agreed.types import Index, Instant, NodeId, Term

_PAYLOAD = EntryKind.PAYLOAD
_NOTHING = EntryKind.NOTHING


class Stage(Enum):
    DISCOVERY = "discovery"
    EPOCH = "epoch"
    SYNCHRONIZATION = "synchronization"


class Leading(Role):
    name = "leader"

    def __init__(self, zab: ZabState) -> None:
        self.zab = zab
        self.stage = Stage.DISCOVERY
        self.reads = Reads(zab)
        self.broadcast = Broadcast(zab, self.reads)
        self.transfer = Transfer(zab, self.broadcast.learners)
        self.accepted: dict[NodeId, Term] = {zab.me: zab.term}
        """acceptedEpoch of those who follow us, ourselves included."""
        self._acks: dict[NodeId, AckEpoch] = {}
        self._beat_at: Instant = zab.now + zab.config.heartbeat_ms
        self._deadline: Instant = zab.now + zab.config.election_timeout_ms[1]
        """When the epoch must have been accepted."""

    def start(self) -> None:
        zab = self.zab
        zab.arm(self._beat_at)
        for name in zab.peers:
            zab.send(name, self._notification())
        self._choose_epoch()

    def _notification(self) -> Notification:
        zab = self.zab
        phase = Phase.ESTABLISHED if zab.leads else Phase.LEADING
        return Notification(zab.term, zab.round, phase, zab.own_vote())

    # --- election: who still looks ---

    def on_notification(self, source: NodeId, message: Notification) -> None:
        zab = self.zab
        if message.phase is Phase.ESTABLISHED:
            if message.term > zab.term:
                zab.look()  # a quorum has left us
            elif not zab.leads:
                zab.follow(source)
        elif source in self.broadcast.learners and (zab.leads or message.phase is Phase.LOOKING):
            zab.send(source, self._notification())

    # --- discovery ---

    def on_follower_info(self, source: NodeId, message: FollowerInfo) -> None:
        zab = self.zab
        learner = self.broadcast.heard(source)
        if learner is None:
            return
        learner.informed = True
        learner.asked = None  # it follows us anew: what it says next of its history is news
        if self.stage is Stage.DISCOVERY:
            self.accepted[source] = message.term
            self._choose_epoch()
        elif message.term > zab.term or (message.term == zab.term and message.vote != zab.me):
            zab.look()  # it can never join this epoch: the next one must be above what it has accepted
        else:
            self._tell_epoch(source)

    def _choose_epoch(self) -> None:
        zab = self.zab
        if self.stage is Stage.DISCOVERY and zab.quorum.has(self.accepted):
            self.stage = Stage.EPOCH
            zab.accept_epoch(self.next_epoch(), zab.me)
            for name in self.accepted:
                if name != zab.me:
                    self._tell_epoch(name)

    def next_epoch(self) -> Term:
        """Above all that a quorum has accepted, so that the old leaders' epochs are closed to it."""
        return max(self.accepted.values()) + 1

    def _tell_epoch(self, name: NodeId) -> None:
        self.zab.promise(name, LeaderInfo(self.zab.term), self.zab.ballot_serial)

    def on_ack_epoch(self, source: NodeId, message: AckEpoch) -> None:
        zab = self.zab
        learner = self.broadcast.heard(source)
        if learner is None or not is_history(message.history) or message.settled > zab.term:
            return
        if self.stage is Stage.SYNCHRONIZATION:
            self.broadcast.synchronize(learner, message)
            return
        if self.stage is Stage.DISCOVERY:
            return  # of an epoch that we gave up: it says nothing of the one that we are about to name
        last_term, last_index = message.history[0]
        theirs = Vote(message.settled, last_term, last_index, False, source)
        if source in zab.quorum.names and zab.rank(theirs) > zab.rank(zab.own_vote()):
            zab.look()
            return
        self._acks[source] = message
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        """A quorum takes nothing of an older epoch any more, so our history has all that ever was
        committed."""
        zab = self.zab
        own = {zab.me} if zab.ballot_serial <= zab.saved_serial else set()
        if self.stage is not Stage.EPOCH or not zab.quorum.has(own | self._acks.keys()):
            return
        self.stage = Stage.SYNCHRONIZATION
        zab.settle()
        self.broadcast.began_at = zab.log.last_index + 1
        zab.append([Entry(self.broadcast.began_at, zab.term, _NOTHING, b"")])
        for name, ack in self._acks.items():
            self.broadcast.synchronize(self.broadcast.learners[name], ack)

    def on_saved(self) -> None:
        self._begin_epoch()
        if self.stage is Stage.SYNCHRONIZATION:
            self.broadcast.on_saved()

    # --- what followers say: see broadcast.py ---

    def on_ack_new_leader(self, source: NodeId, message: AckNewLeader) -> None:
        if self.stage is Stage.SYNCHRONIZATION:
            self.broadcast.on_ack_new_leader(source, message)

    def on_ack(self, source: NodeId, message: Ack) -> None:
        if self.stage is Stage.SYNCHRONIZATION:
            self.broadcast.on_ack(source, message.index)
            self.transfer.on_progress(source)

    def on_ask(self, source: NodeId, message: Ask) -> None:
        if self.stage is Stage.SYNCHRONIZATION:
            self.broadcast.on_ask(source, message)

    def on_ping_reply(self, source: NodeId, message: PingReply) -> None:
        if self.stage is Stage.SYNCHRONIZATION:
            self.broadcast.on_ping_reply(source, message)
            self.transfer.on_progress(source)

    def on_snapshot_piece_reply(self, source: NodeId, message: SnapshotPieceReply) -> None:
        learner = self.broadcast.heard(source)
        if learner is not None:
            self.broadcast.snapshots.on_reply(learner, message)

    def on_chunk_loaded(self, event: ChunkLoaded) -> None:
        learner = self.broadcast.learners.get(event.target)
        if learner is not None:
            self.broadcast.snapshots.on_chunk_loaded(learner, event)

    # --- proposals, reads, transfer ---

    def on_proposed(self, event: Proposed) -> None:
        zab = self.zab
        if not zab.leads or self.transfer.target is not None:
            return  # while leadership is handed over, or the target never catches up
        index = zab.log.last_index + 1
        zab.append([Entry(index, zab.term, _PAYLOAD, event.payload)])
        for name in event.waiting:
            self.broadcast.wait_for(index, name)

    def on_read_requested(self, ticket: int) -> None:
        self.reads.request(None, ticket)

    def on_read_index(self, source: NodeId, context: int) -> None:
        if source in self.broadcast.learners:
            self.reads.request(source, context)

    def on_transfer_requested(self, target: NodeId | None) -> None:
        self.transfer.begin(target)

    def on_flush(self) -> None:
        if self.stage is Stage.SYNCHRONIZATION:
            self.broadcast.flush()

    # --- time ---

    def on_time(self, now: Instant) -> None:
        zab = self.zab
        if not self._hears_quorum(now) or (self.stage is not Stage.SYNCHRONIZATION and now >= self._deadline):
            zab.look()
            return
        if now >= self._beat_at:
            self._beat(now)
        self.broadcast.on_time(now)
        self.reads.on_time(now)
        self.transfer.on_time(now)

    def _beat(self, now: Instant) -> None:
        self._beat_at = now + self.zab.config.heartbeat_ms
        if self.stage is Stage.DISCOVERY:
            return
        for learner in self.broadcast.followers:
            if learner.pace is not Pace.WAITING:
                self.broadcast.beat(learner, now)
            elif learner.informed:
                # It, or the answer, may be lost; or the answer waits for a quorum of them, and then this is
                # our sign of life.
                self._tell_epoch(learner.name)
        self.reads.next_round()

    def _hears_quorum(self, now: Instant) -> bool:
        patience = self.zab.config.election_timeout_ms[0]
        self.broadcast.own.heard_at = now
        heard = {
            name
            for name, learner in self.broadcast.learners.items()
            if now - learner.heard_at < patience
        }  # fmt: skip
        heard.add(self.zab.me)
        return self.zab.quorum.has(heard)

    def on_pause(self, late_ms: int) -> None:
        for learner in self.broadcast.followers:
            learner.heard_at += late_ms
        self._deadline += late_ms

    def next_wake(self) -> Instant:
        deadlines = [
            self._beat_at, self.broadcast.next_wake(), self.transfer.deadline, self.reads.next_deadline(),
        ]  # fmt: skip
        return min(deadline for deadline in deadlines if deadline is not None)

    def on_peer_lost(self, peer: NodeId) -> None:
        self.broadcast.on_peer_lost(peer)

    def on_leave(self) -> None:
        self.reads.fail()

    def needed_after(self) -> Index | None:
        return self.broadcast.needed_after()
