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

from collections.abc import Iterable
from typing import ClassVar

from agreed.consensus.machine import (
    Ballot,
    Dice,
    Entry,
    FollowerStanding,
    Received,
    SnapshotInstalled,
    SnapshotMark,
    Standing,
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
from agreed.types import Identity, Instant, NodeId

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
    incoming: IncomingSnapshot
    read_index_reply = ReadIndexReply
    members_refusal = STATIC_MEMBERS

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

    # --- the machine ---

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

    def _on_clock(self, now: Instant) -> None:
        self.role.on_clock(now)

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
                self._on_read_index_reply(source, message)
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

    def _on_snapshot_installed(self, event: SnapshotInstalled) -> None:
        if self.incoming.on_installed(event) and isinstance(self.role, Following):
            self.role.installed()

