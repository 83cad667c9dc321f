"""ZAB as one machine: who is asked what, and which epoch rules.

`Zab` sorts events and messages to the role that answers them; what the answers are is told in `looking.py`,
`following.py` and `leading.py`, what they share in `state.py`.  Here is what holds whatever the role:

* what a leader says is taken only in the epoch that we accepted from it, and not before it has named that
  epoch since we follow it;
* who speaks in an epoch that we have left behind is told of ours, so that it looks for a leader itself;
* what a follower says counts only in the epoch that we lead.

Besides the protocol of ZooKeeper: a leader appoints its successor, linearizable reads are confirmed by a
quorum, snapshots travel in resumable pieces, messages may be lost or overtake each other.  Not here: change
of members, which is Raft's; the whole request processing of ZooKeeper, which is the store's.

The driver should say `TimePassed` at `wake` at the latest, and at the start of each turn where it can:
timers run from the last instant it named.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from agreed.consensus.machine import (
    Answer,
    Ballot,
    ChunkLoaded,
    ChunkSaved,
    Dice,
    Effects,
    Entry,
    Event,
    FollowerStanding,
    MembersChangeRequested,
    PeerLost,
    Proposed,
    ReadRequested,
    Received,
    Saved,
    SnapshotInstalled,
    SnapshotMark,
    SnapshotRejected,
    SnapshotTaken,
    Standing,
    TimePassed,
    TransferRequested,
)
from agreed.consensus.members import Members
from agreed.consensus.zab.config import ZabConfig
from agreed.consensus.zab.following import Following
from agreed.consensus.zab.leading import Leading
from agreed.consensus.zab.looking import Looking
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
    ReadIndex,
    ReadIndexReply,
    SnapshotPiece,
    SnapshotPieceReply,
    UpToDate,
)
from agreed.consensus.zab.reads import ForwardedReads
from agreed.consensus.zab.snapshots import IncomingSnapshot
from agreed.consensus.zab.state import Role, ZabState
from agreed.types import Identity, Index, Instant, NodeId

STATIC_MEMBERS = "ZAB has the members it began with: to change them, run the cluster on Raft"
"""What `MembersChangeRequested` is told."""

LeaderWord = Diff | SnapshotPiece | NewLeader | UpToDate | Proposal | Commit | Ping
FollowerWord = AckEpoch | AckNewLeader | Ack | Ask | PingReply | SnapshotPieceReply


class Zab(ZabState):
    """A member of a ZAB cluster; see `agreed.consensus.machine` for how to drive it.

    `members` are those it was told of at its first start; a snapshot `mark` (index 0 or None: there is none)
    knows better.  `ballot`, `mark` and `entries` are what lies on disk; entries that the snapshot contains
    may be among them.  `identity` is that of the data directory, by which a node tells itself from one that
    had its name before; with 0 the name is enough.  Raises CorruptData where they do not fit together.
    """

    looking_role: ClassVar[type[Looking]] = Looking
    following_role: ClassVar[type[Following]] = Following
    leading_role: ClassVar[type[Leading]] = Leading

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
        super().__init__(me, members, ballot, mark, entries, config, dice, now, identity)
        self.forwarded = ForwardedReads(self)
        self.incoming = IncomingSnapshot(self)
        self.role: Role = self.looking_role(self)  # begins when time first passes
        self._events: dict[type, Callable[[Any], None]] = {
            TimePassed: self._on_time_passed,
            Received: self._on_received,
            PeerLost: self._on_peer_lost,
            Proposed: self._on_proposed,
            Saved: self._on_saved,
            ReadRequested: self._on_read_requested,
            MembersChangeRequested: self._on_members_change_requested,
            TransferRequested: self._on_transfer_requested,
            SnapshotTaken: self._on_snapshot_taken,
            ChunkLoaded: self._on_chunk_loaded,
            ChunkSaved: self._on_chunk_saved,
            SnapshotInstalled: self._on_snapshot_installed,
            SnapshotRejected: self._on_snapshot_rejected,
        }

    # --- the machine ---

    def step(self, event: Event) -> None:
        """Something happened.  Never raises for what a peer or a disk may do."""
        self._events[type(event)](event)

    def take(self) -> Effects:
        """Everything the outside should now do."""
        self.role.on_flush()
        self.forwarded.forward()
        effects = self.effects
        self.effects = Effects()
        return effects

    def snapshot_mark(self, index: Index) -> SnapshotMark:
        """The mark of a snapshot of a store that has applied exactly the entries up to `index`.

        `index` is committed, and not before what our log still holds.
        """
        term = self.log.term(index)
        assert term is not None
        assert index <= self.commit
        return SnapshotMark(index, term, self.log.members_at(index))

    @property
    def last_index(self) -> Index:
        return self.log.last_index

    @property
    def last_term(self) -> int:
        return self.log.last_term

    @property
    def installing(self) -> bool:
        return self.incoming.busy

    def standing(self) -> Standing:
        followers = tuple(
            FollowerStanding(learner.name, learner.match, learner.pace.value, learner.heard_at)
            for learner in (self.role.broadcast.followers if isinstance(self.role, Leading) else ())
        )
        # Who was elected but is not established yet does what nobody can rely on.
        role = Looking.name if isinstance(self.role, Leading) and not self.leads else self.role.name
        return Standing(role, self.log.base_index + 1, self.log.last_index, followers)

    # --- transitions ---

    def look(self, appointed: NodeId | None = None) -> None:
        """Look for a leader; `appointed` is whom we name, if it was us until now."""
        looking = self.looking_role(self, appointed)
        self._change_role(looking)
        looking.start()

    def follow(self, leader: NodeId) -> None:
        if leader not in self.peers:
            return
        following = self.following_role(self, leader)
        self._change_role(following)
        following.start()

    def lead(self) -> None:
        """We are elected; whether we lead, discovery and synchronization will show."""
        assert isinstance(self.role, Looking)
        ready = self.role.ready_to_follow
        leading = self.leading_role(self)
        self._change_role(leading)
        leading.start()
        for name, info in ready.items():
            self._on_received(Received(name, info))

    def _change_role(self, role: Role) -> None:
        was, self.role = self.role, role
        self.leads = False
        was.on_leave()
        self.know_leader(None)

    def know_leader(self, leader: NodeId | None) -> None:
        self.forwarded.fail_asked()
        self.leader = leader

    def established(self) -> None:
        """A quorum has what our epoch begins with."""
        assert isinstance(self.role, Leading)
        self.leads = True
        self.leader = self.me
        for ticket in self.forwarded.take_queued():
            self.role.on_read_requested(ticket)

    # --- events ---

    def _on_time_passed(self, event: TimePassed) -> None:
        now = event.now
        if now < self.now:
            return
        self.now = now
        self.role.on_clock(now)
        if self.wake is None or now < self.wake:
            return
        late_ms, self.wake = now - self.wake, None
        if late_ms > self.config.heartbeat_ms:
            self.role.on_pause(late_ms)
        self.role.on_time(now)
        self.forwarded.on_time(now)
        for instant in (self.role.next_wake(), self.forwarded.next_deadline()):
            if instant is not None:
                self.arm(instant)

    def _on_received(self, event: Received) -> None:
        source, message = event.source, event.message
        match message:
            case Proposal() | Commit() | Ping() | Diff() | SnapshotPiece() | NewLeader() | UpToDate():
                self._on_leader_word(source, message)
            case Ack() | PingReply() | AckEpoch() | AckNewLeader() | Ask() | SnapshotPieceReply():
                if message.term == self.term and isinstance(self.role, Leading):
                    self._on_follower_word(self.role, source, message)
            case ReadIndex():
                self._on_read_index(source, message)
            case ReadIndexReply():
                self.forwarded.on_reply(source, message)
            case Notification():
                self.role.on_notification(source, message)
            case FollowerInfo():
                self.role.on_follower_info(source, message)
            case LeaderInfo():
                self.role.on_leader_info(source, message)

    def _on_leader_word(self, source: NodeId, message: LeaderWord) -> None:
        role = self.role
        if not isinstance(role, Following) or role.source != source:
            self._on_stranger(source, message)
            return
        if not role.accepted:
            return  # until it names its epoch to us, this may have been said long ago
        if message.term != self.term or self.vote != source:
            if message.term > self.term or self.vote != source:
                role.missed_epoch()
            return
        role.heard = True
        match message:
            case Proposal():
                role.on_proposal(message)
            case Commit():
                role.on_commit(message)
            case Ping():
                role.on_ping(message)
            case Diff():
                role.on_diff(message)
            case NewLeader():
                role.on_new_leader(message)
            case UpToDate():
                role.on_up_to_date(message)
            case SnapshotPiece():
                self.incoming.on_piece(source, message)

    def _on_stranger(self, source: NodeId, message: LeaderWord) -> None:
        """Whom we do not follow speaks as a leader."""
        if not isinstance(message, Ping):
            return
        if message.term < self.term or (message.term == self.term and self.vote != source):
            # It was cut off, or we can never join its epoch: it must look for a leader, or for a newer epoch.
            self.promise(source, FollowerInfo(self.term, self.vote), self.ballot_serial)
        elif message.established and not isinstance(self.role, Following):
            self.follow(source)

    def _on_follower_word(self, leading: Leading, source: NodeId, message: FollowerWord) -> None:
        match message:
            case Ack():
                leading.on_ack(source, message)
            case PingReply():
                leading.on_ping_reply(source, message)
            case AckEpoch():
                leading.on_ack_epoch(source, message)
            case AckNewLeader():
                leading.on_ack_new_leader(source, message)
            case Ask():
                leading.on_ask(source, message)
            case SnapshotPieceReply():
                leading.on_snapshot_piece_reply(source, message)

    def _on_peer_lost(self, event: PeerLost) -> None:
        self.role.on_peer_lost(event.peer)

    def _on_proposed(self, event: Proposed) -> None:
        self.role.on_proposed(event)

    def _on_saved(self, event: Saved) -> None:
        self.on_saved_serial(event.serial)
        self.role.on_saved()
        self.incoming.hand_over()

    def _on_read_requested(self, event: ReadRequested) -> None:
        if self.leads:
            self.role.on_read_requested(event.ticket)
        else:
            self.forwarded.request(event.ticket)

    def _on_read_index(self, source: NodeId, message: ReadIndex) -> None:
        if self.leads:
            self.role.on_read_index(source, message.context)
        else:
            self.send(source, ReadIndexReply(message.context, None))

    def _on_members_change_requested(self, event: MembersChangeRequested) -> None:
        self.effects.answers.append(Answer(event.ticket, STATIC_MEMBERS))

    def _on_transfer_requested(self, event: TransferRequested) -> None:
        self.role.on_transfer_requested(event.target)

    def _on_snapshot_taken(self, event: SnapshotTaken) -> None:
        if event.mark.index <= self.commit:
            config = self.config
            needed_after, needed_bytes = self.role.needed_after(), config.catching_up_bytes
            self.log.compact(event.mark, config.tail_entries, config.tail_bytes, needed_after, needed_bytes)

    def _on_chunk_loaded(self, event: ChunkLoaded) -> None:
        self.role.on_chunk_loaded(event)

    def _on_chunk_saved(self, event: ChunkSaved) -> None:
        self.incoming.on_chunk_saved(event)

    def _on_snapshot_installed(self, event: SnapshotInstalled) -> None:
        if self.incoming.on_installed(event) and isinstance(self.role, Following):
            self.role.installed()

    def _on_snapshot_rejected(self, event: SnapshotRejected) -> None:
        self.incoming.on_rejected(event)
