"""Viewstamped Replication Revisited (Liskov and Cowling 2012), as one machine: who is asked, which view
rules.

`Viewstamped` sorts events and messages to the role that answers them; the roles tell the protocol.  Here is
what holds whatever the role:

* messages of the normal case count only in their own view and from its primary; one of a newer view makes us
  leave ours and join it, one of an older view is ignored;
* a DoViewChange for a newer view tells its primary that a quorum wants it, so it changes too;
* a replica that is recovering answers nobody.

An entry's term is the view in which its operation was first given its number.  The log has no gaps.  A view
is never led twice: a primary that comes back from a crash is a backup of nobody, and asks for the next view.
So does the primary of view 0 at the very first start, since it cannot tell the two apart; the first view that
is led is the first.

Besides the paper: wishes (`wishes.py`), suffixes of logs instead of logs, snapshots in resumable pieces, read
index, handing over.  Members do not change: that is Raft's here.  Learners are sent nothing.

The driver should say `TimePassed` at `wake` at the latest, and at the start of each turn where it can.  """
from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from agreed.consensus.machine import (
    Ballot,
    Dice,
    Entry,
    FollowerStanding,
    PeerLost,
    Received,
    SnapshotMark,
    Standing,
)
from agreed.consensus.members import Members
from agreed.consensus.vr.backup import Backup
from agreed.consensus.vr.changing import Changing, is_plausible
from agreed.consensus.vr.config import VrConfig
from agreed.consensus.vr.messages import (
    Commit,
    DoViewChange,
    GetState,
    NewState,
    Prepare,
    PrepareOk,
    ReadIndex,
    ReadIndexReply,
    Recovery,
    RecoveryResponse,
    SnapshotPiece,
    StartView,
    StartViewChange,
)
from agreed.consensus.vr.primary import Primary
from agreed.consensus.vr.progress import Progress
from agreed.consensus.vr.reads import ForwardedReads
from agreed.consensus.vr.recovering import Recovering
from agreed.consensus.vr.snapshots import IncomingSnapshot
from agreed.consensus.vr.state import Role, VrState, is_sound
from agreed.consensus.vr.wishes import Wishes
from agreed.types import Identity, Index, Instant, NodeId, Term

STATIC_MEMBERS = "members cannot be changed with Viewstamped Replication: membership change is Raft's"


class Viewstamped(VrState):
    """A replica; see `agreed.consensus.machine` for how to drive it.

    `members` are all replicas, for ever; a snapshot `mark` knows the same.  `ballot`, `mark` and `entries`
    are what lies on disk.  Without a disk (`config.recovery_without_disk`) the ballot is ignored, and it
    begins by recovering unless `config.founding`; a snapshot that is there is used, since what it holds is
    agreed. Raises CorruptData where they do not fit together.  """

    backup_role: ClassVar[type[Backup]] = Backup
    primary_role: ClassVar[type[Primary]] = Primary
    changing_role: ClassVar[type[Changing]] = Changing
    recovering_role: ClassVar[type[Recovering]] = Recovering
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
        config: VrConfig,
        dice: Dice,
        now: Instant,
        identity: Identity = 0,
    ) -> None:
        if config.recovery_without_disk:
            entries = ()
        super().__init__(me, members, ballot, mark, entries, config, dice, now, identity)
        self.forwarded = ForwardedReads(self)
        self.incoming = IncomingSnapshot(self)
        self.wishes = Wishes(self)
        self.role: Role = Role()
        self._messages = {
            StartViewChange: self.wishes.on_start_view_change,
            DoViewChange: self._on_do_view_change,
            StartView: self._on_start_view,
            Prepare: self._on_prepare,
            PrepareOk: self._on_prepare_ok,
            Commit: self._on_commit,
            GetState: self._on_get_state,
            NewState: self._on_new_state,
            SnapshotPiece: self._on_snapshot_piece,
            Recovery: self._on_recovery,
            RecoveryResponse: lambda source, message: self.role.on_recovery_response(source, message),
            ReadIndex: self._on_read_index,
            ReadIndexReply: self._on_read_index_reply,
        }
        if self.promotable:
            self._begin()

    def _begin(self) -> None:
        """The first role of a life."""
        self.reset_election()
        if not self.durable and not self.config.founding:
            recovering = self.recovering_role(self)
            self.role = recovering
            recovering.start()
        elif self.settled < self.view:
            changing = self.changing_role(self)
            self.role = changing
            changing.start()
        else:
            self.role = self.backup_role(self)
            if self.primary_of(self.view) == self.me:
                # What we had numbered and not yet saved, somebody else may have; nobody else leads this view.
                self.election_deadline = self.wake = self.now

    # --- the machine ---

    def standing(self) -> Standing:
        followers = tuple(
            FollowerStanding(backup.name, backup.match, _pace(backup), backup.heard_at)
            for backup in (self.role.backups if isinstance(self.role, Primary) else ())
        )
        return Standing(self.role.name, self.log.base_index + 1, self.log.last_index, followers)

    @property
    def installing(self) -> bool:
        return self.incoming.busy

    @property
    def snapshot_held(self) -> tuple[Index, int]:
        return self.incoming.held

    # --- transitions ---

    def _take_role(self, role: Role) -> None:
        was, self.role = self.role, role
        self.leads = isinstance(role, Primary)
        was.on_leave()

    def enter_view(self, view: Term) -> None:
        super().enter_view(view)
        self.wishes.on_view()
        self.forwarded.fail_asked()

    def change_view(self, view: Term) -> None:
        """A quorum wants it: leave the present view for good."""
        self.enter_view(view)
        changing = self.changing_role(self)
        self._take_role(changing)
        self.reset_election()
        changing.start()

    def _join(self, view: Term) -> None:
        """It runs already."""
        self.enter_view(view)
        self._take_role(self.changing_role(self))
        self.reset_election()

    def become_backup(self) -> None:
        self._take_role(self.backup_role(self))
        self.reset_election()

    def become_primary(self, told: dict[NodeId, DoViewChange]) -> None:
        assert self.primary_of(self.view) == self.me
        assert not self.installing
        primary = self.primary_role(self)
        self._take_role(primary)
        self.leader = self.me
        primary.start(told)
        for ticket in self.forwarded.take_queued():
            primary.on_read_requested(ticket)

    def step_down(self) -> None:
        """The primary is silent, or hears nobody: ask for another view."""
        self.leader, self.heard = None, False
        self.forwarded.fail_asked()
        if self.leads:
            self._take_role(self.backup_role(self))
        self.reset_election()
        self.wishes.lose_patience()

    def wish(self, view: Term) -> None:
        self.wishes.wish(view)

    def withdraw_wish(self) -> None:
        self.wishes.withdraw()

    # --- events ---

    def _on_wake(self, now: Instant) -> None:
        self.role.on_time(now)
        self.wishes.on_time(now)
        self.forwarded.on_time(now)
        deadlines = (self.role.next_wake(), self.wishes.next_wake(), self.forwarded.next_deadline())
        for instant in deadlines:
            if instant is not None:
                self.arm(instant)

    def _on_peer_lost(self, event: PeerLost) -> None:
        if event.peer != self.me:
            self.lost.add(event.peer)
            super()._on_peer_lost(event)

    def _on_received(self, event: Received) -> None:
        handler = self._messages.get(type(event.message))
        source = event.source
        if handler is not None and source in self.names and source != self.me:
            if self.lost:
                self.lost.discard(source)
            handler(source, event.message)

    # --- messages: the rules about views ---

    def _accept_primary(self, source: NodeId, view: Term) -> bool:
        """Whether this comes from the primary of our view; a newer view becomes ours."""
        if view < self.view or source != self.primary_of(view):
            return False
        if isinstance(self.role, Recovering):
            if view > self.view and self.role.source is not None:
                self.role.start()  # what we were told was true of a view that is over
            if source != self.role.source:
                return False
        elif view > self.view:
            self._join(view)
        if self.leader is None:
            self.forwarded.fail_asked()
            self.leader = source
            if not self.role.normal:
                # The view has begun.  What the disk held back, so that it may begin, comes too late, and
                # would speak of a log that is about to become this primary's.
                self.promises.clear()
        self.heard = True
        self.wishes.withdraw()
        return True

    def _on_prepare(self, source: NodeId, message: Prepare) -> None:
        entries = message.entries
        if not entries or not is_sound(entries, entries[0].index - 1, message.view):
            return
        if self._accept_primary(source, message.view):
            self.role.on_prepare(source, message)

    def _on_commit(self, source: NodeId, message: Commit) -> None:
        if self._accept_primary(source, message.view):
            self.role.on_commit(source, message)

    def _on_start_view(self, source: NodeId, message: StartView) -> None:
        if self._accept_primary(source, message.view):
            self.role.on_start_view(source, message)

    def _on_prepare_ok(self, source: NodeId, message: PrepareOk) -> None:
        if message.view == self.view:
            self.role.on_prepare_ok(source, message)

    def _on_do_view_change(self, source: NodeId, message: DoViewChange) -> None:
        if self.primary_of(message.view) != self.me or isinstance(self.role, Recovering):
            return
        if not is_plausible(message, len(self.crashes)):
            return
        if message.view > self.view:
            self.change_view(message.view)
        if message.view == self.view:
            self.role.on_do_view_change(source, message)

    def _on_get_state(self, source: NodeId, message: GetState) -> None:
        if message.view == self.view:
            self.role.on_get_state(source, message)

    def _on_new_state(self, source: NodeId, message: NewState) -> None:
        if message.view == self.view:
            self.role.on_new_state(source, message)

    def _on_snapshot_piece(self, source: NodeId, message: SnapshotPiece) -> None:
        if message.view == self.view:
            self.incoming.on_piece(source, message)

    def _on_recovery(self, source: NodeId, message: Recovery) -> None:
        """Only those in normal status answer (section 4.3)."""
        if not self.role.normal or self.durable or message.counter < 0:
            return
        position = self.names.index(source)
        self.crashes[position] = max(self.crashes[position], message.counter)
        last = self.log.last_index if self.leads else 0
        answer = RecoveryResponse(message.nonce, message.counter, self.view, last, tuple(self.crashes))
        self.send(source, answer)





def _pace(backup: Progress) -> str:
    if backup.fetching is not None:
        return "snapshot"
    return "replicate" if backup.joined else "joining"
