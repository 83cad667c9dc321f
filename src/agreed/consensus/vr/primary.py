"""To lead a view: number what is proposed, send it, and commit what a quorum has saved (section 4.1).

* Entries go to the backups at once, while our own disk is still busy with them; our own log counts towards a
  quorum only as far as our disk has said so.  But nothing at all leaves before it is durable that this view
  has begun, and with which log: after a crash we would begin it a second time, with another one.
* The view begins with an entry that says nothing.  The paper has none; but by it every log of this view
  differs from every older one just behind what the view began with, so that what does not belong is always
  replaced by something, on the disk too; and the store hears of the new view.
* All that the view began with is agreed once a quorum has it *as a log of this view*, older entries included:
  the next view change compares v' before lengths, so Raft's rule about entries of earlier terms (§5.4.2)
  is not needed.
* A primary that has not heard a quorum for an election timeout steps down.

What has to be said is said once a turn, in `on_flush`; backups at the same point of the log are sent the very
same message object.  """
from __future__ import annotations

from collections import deque

from agreed.consensus.machine import ChunkLoaded, Entry, EntryKind, LoadChunk, Proposed
from agreed.consensus.thrift import LARGE_BYTES, Thrift
from agreed.consensus.vr.messages import (
    Commit,
    DoViewChange,
    GetState,
    Prepare,
    PrepareOk,
    SnapshotPiece,
    StartView,
)
from agreed.consensus.vr.progress import Progress
from agreed.consensus.vr.reads import Reads
from agreed.consensus.vr.state import Role, VrState
from agreed.types import Index, Instant, NodeId, Term

_PAYLOAD = EntryKind.PAYLOAD


class Primary(Role):
    name = "primary"
    normal = True

    def __init__(self, vr: VrState) -> None:
        self.vr = vr
        self.began_at: Index = vr.log.last_index + 1
        self.own = Progress(vr.me, self.began_at, vr.now)
        self.backups = [Progress(name, self.began_at, vr.now) for name in vr.others]
        self.progress: dict[NodeId, Progress] = {backup.name: backup for backup in self.backups}
        self.progress[vr.me] = self.own
        self.reads = Reads(vr)
        self.transfer_until: Instant | None = None
        """Until then we wait for the view to which we hand over."""
        self._waiting: deque[tuple[Index, NodeId]] = deque()
        """Backups whose clients wait for the commit of an index."""
        self._beat_at: Instant = vr.now
        self._notice_at: Instant | None = None
        self.thrift = Thrift(vr.me, vr.config.spare_delay_ms)
        self.thrift.choose(self.backups, vr.quorum)
        self._spare_due_at: Instant | None = None
        """When somebody is to be sent what it lacks and was not sent at once."""
        self._shared: Prepare | None = None
        self._shared_bytes = 0

    def start(self, told: dict[NodeId, DoViewChange]) -> None:
        vr = self.vr
        vr.settle()
        vr.append([Entry(self.began_at, vr.view, EntryKind.NOTHING, b"")])
        self.own.joined = True
        self.own.matched(vr.saved)
        for backup in self.backups:
            backup.start_after = self._common(told.get(backup.name))
        self._beat_at = vr.now + vr.config.heartbeat_ms
        vr.arm(self._beat_at)
        if not vr.durable:
            self._advance()

    def _common(self, message: DoViewChange | None) -> Index:
        """Up to where a backup probably has our log: if it has not, it will say so."""
        log = self.vr.log
        if message is not None:
            if log.term(message.last_index) == message.last_term:
                return message.last_index
            if log.base_index <= message.commit < self.began_at:
                return message.commit
        return self.began_at - 1

    @property
    def settled(self) -> bool:
        """Whether all that our view began with is agreed, so that our commit number is the cluster's."""
        return self.vr.commit >= self.began_at

    # --- requests ---

    def on_proposed(self, event: Proposed) -> None:
        vr = self.vr
        if self.transfer_until is not None:
            return  # whoever comes next would have to carry it over
        index = vr.log.last_index + 1
        vr.append([Entry(index, vr.view, _PAYLOAD, event.payload)])
        for name in event.waiting:
            self._waiting.append((index, name))
        if not vr.durable:
            self.on_saved()

    def on_read_requested(self, ticket: int) -> None:
        self.reads.request(None, ticket)

    def on_read_index(self, source: NodeId, context: int) -> None:
        self.reads.request(source, context)

    def on_transfer_requested(self, target: NodeId | None) -> None:
        """Ask for the next view in which it is the target's turn.  Nobody dead: the view changes before it is
        known whether its primary answers."""
        vr = self.vr
        patience = vr.config.election_timeout_ms[0]
        able = [b for b in self.backups if b.joined and not b.silent and vr.now - b.heard_at < patience]
        if target is None:
            best = max(able, key=lambda backup: (backup.match, backup.heard_at), default=None)
            target = best.name if best is not None else None
        if self.transfer_until is not None or target not in {backup.name for backup in able}:
            return
        view = vr.view + 1
        while vr.primary_of(view) != target:
            view += 1
        self.transfer_until = vr.now + patience
        vr.arm(self.transfer_until)
        vr.wish(view)

    def listens_to(self, source: NodeId, present: Term) -> bool:
        return present > self.vr.view

    def on_stray(self, source: NodeId, wished: Term) -> None:
        self.progress[source].notice = True

    # --- what the turn has to say ---

    def on_flush(self) -> None:
        vr = self.vr
        if self.reads.begin_round(ready=self.settled):
            for backup in self.backups:
                backup.notice = True
            self._rounds_answered()
        if not vr.ballot_saved:
            return
        last, commit = vr.log.last_index, vr.commit
        self._shared = None
        for backup in self.backups:
            lacks = backup.next <= last and self._is_due(backup)
            if backup.notice or lacks or backup.start_after is not None:
                self._tell(backup, last)
            if backup.told < commit and backup.fetching is None and backup.lacks_since is None:
                self._notice_later(backup)

    def _notice_later(self, backup: Progress) -> None:
        """It has not been told of the newest commit; the next Prepare will, or a Commit."""
        vr = self.vr
        if backup.untold_since is None:
            backup.untold_since = vr.now
        notice_at = backup.untold_since + vr.config.commit_notice_ms
        if self._notice_at is None or notice_at < self._notice_at:
            self._notice_at = notice_at
            vr.arm(notice_at)

    def _is_due(self, backup: Progress) -> bool:
        """Whether it is sent what it lacks now, and not with what comes next."""
        if not backup.joined or self.thrift.is_prompt(backup.name):
            return True
        vr = self.vr
        if not backup.log_follows(vr.log.base_index):
            return False
        due_at = self.thrift.due_at(backup, vr.now)
        large = len(vr.log.entry(vr.log.last_index).payload) >= LARGE_BYTES
        if large or vr.now >= due_at or any(name == backup.name for _, name in self._waiting):
            return True
        vr.arm(due_at)
        if self._spare_due_at is None or due_at < self._spare_due_at:
            self._spare_due_at = due_at
        return False

    def _tell(self, backup: Progress, last: Index) -> None:
        """Send what it lacks and may be sent, or at least a word if one is due."""
        vr = self.vr
        log, config, shared = vr.log, vr.config, self._shared
        if backup.start_after is not None:
            self._start_view(backup, backup.start_after)
        while (
            backup.log_follows(log.base_index)
            and backup.next <= last
            and backup.in_flight < config.window_messages
            and backup.in_flight_bytes < config.window_bytes
        ):
            if shared is None or shared.entries[0].index != backup.next or shared.round != self.reads.round:
                entries, self._shared_bytes = log.batch(backup.next, config.max_append_bytes)
                self._shared = shared = Prepare(vr.view, vr.commit, self.reads.round, entries)
            vr.send(backup.name, shared)
            backup.sent(shared.entries[-1].index, self._shared_bytes)
            backup.tell(vr.commit)
            backup.notice = False
        if backup.notice:
            backup.notice = False
            # Whom we cannot send what it lacks has to ask for it, and may have to ask again.
            upto = backup.next - 1 if backup.log_follows(log.base_index) else last
            vr.send(backup.name, Commit(vr.view, vr.commit, self.reads.round, upto))
            backup.tell(vr.commit)

    def _start_view(self, backup: Progress, after: Index) -> None:
        vr = self.vr
        log = vr.log
        backup.start_after = None
        after_term = log.term(after)
        if after_term is None:  # a snapshot has been taken since
            backup.next = log.last_index + 1
            backup.notice = True
            return
        entries: list[Entry] = []
        size = 0
        if after < log.last_index:
            entries, size = log.batch(after + 1, vr.config.max_append_bytes)
        vr.send(
            backup.name,
            StartView(vr.view, self.began_at, after, after_term, vr.commit, self.reads.round, entries),
        )
        backup.sent(after + len(entries), size)
        backup.tell(vr.commit)
        backup.notice = False

    # --- what backups answer ---

    def on_prepare_ok(self, source: NodeId, message: PrepareOk) -> None:
        backup, vr = self.progress[source], self.vr
        if not 0 <= message.match <= vr.log.last_index or message.round > self.reads.round:
            return  # nobody can have more of our log than there is
        backup.heard_at = vr.now
        backup.silent = False
        if message.round > backup.round:
            backup.round = message.round
            self._rounds_answered()
        if not message.joined:
            backup.arrived(message.match)
            return
        backup.joined = True
        if backup.matched(message.match) and message.match > vr.commit:
            self._advance()
            if self.thrift.committed_by(source):
                self.thrift.choose(self.backups, vr.quorum)

    def on_get_state(self, source: NodeId, message: GetState) -> None:
        backup, vr = self.progress[source], self.vr
        after = message.after
        if not 0 <= after <= vr.log.last_index:
            return
        backup.heard_at = vr.now
        if after >= vr.log.base_index:
            backup.resume(after, vr.log.last_index)
            return
        patience = vr.config.election_timeout_ms[0]
        if backup.loading_since is not None and vr.now - backup.loading_since < patience:
            return
        if backup.fetching is None:
            backup.fetch(vr.log.mark.index)
        backup.loading_since = vr.now
        # The story: it has fetched a part, was away for long, and our log was cut meanwhile.  The old
        # snapshot may still be there, but it would never be followed by our log.
        if backup.newest_only or message.snapshot < vr.log.base_index:
            vr.effects.load_chunks.append(LoadChunk(source, 0))
        else:
            vr.effects.load_chunks.append(LoadChunk(source, max(message.offset, 0), message.snapshot))

    def on_chunk_loaded(self, event: ChunkLoaded) -> None:
        backup, vr = self.progress.get(event.target), self.vr
        if backup is None or backup.loading_since is None:
            return
        backup.loading_since = None
        if event.mark is None or event.mark.index < vr.log.base_index:
            backup.newest_only = True
            return  # it will ask again
        backup.newest_only = False
        backup.fetching = event.mark.index
        vr.send(backup.name, SnapshotPiece(vr.view, event.mark, event.offset, event.data, event.done))

    def _advance(self) -> None:
        """The highest index a quorum vouches for, once it has all that the view began with."""
        vr = self.vr
        index = vr.quorum.agreed({name: backup.match for name, backup in self.progress.items()})
        if index <= vr.commit or index < self.began_at:
            return
        vr.commit_to(index)
        waiting = self._waiting
        while waiting and waiting[0][0] <= index:
            self.progress[waiting.popleft()[1]].notice = True

    def _rounds_answered(self) -> None:
        self.own.round = self.reads.round
        self.reads.answered(
            self.vr.quorum.agreed({name: backup.round for name, backup in self.progress.items()})
        )

    def on_saved(self) -> None:
        if self.own.matched(self.vr.saved) and self.own.match > self.vr.commit:
            self._advance()

    # --- time ---

    def on_time(self, now: Instant) -> None:
        vr = self.vr
        if not self._hears_quorum(now):
            vr.step_down()
            return
        if now >= self._beat_at:
            self._beat_at = now + vr.config.heartbeat_ms
            self.reads.next_round()
            for backup in self.backups:
                backup.notice = True
        if self._notice_at is not None and now >= self._notice_at:
            self._notice_at = None
            untold_before = now - vr.config.commit_notice_ms
            for backup in self.backups:
                if backup.untold_since is not None and backup.untold_since <= untold_before:
                    backup.notice = True
        if self.transfer_until is not None and now >= self.transfer_until:
            self.transfer_until = None
            vr.withdraw_wish()
        self.reads.on_time(now)

    def _hears_quorum(self, now: Instant) -> bool:
        patience = self.vr.config.election_timeout_ms[0]
        self.own.heard_at = now
        return self.vr.quorum.has(
            {name for name, backup in self.progress.items() if now - backup.heard_at < patience}
        )

    def on_pause(self, late_ms: int) -> None:
        for backup in self.backups:
            backup.heard_at += late_ms

    def next_wake(self) -> Instant:
        if self._spare_due_at is not None and self._spare_due_at <= self.vr.now:
            self._spare_due_at = None
        deadlines = [
            self._beat_at, self._notice_at, self._spare_due_at,
            self.transfer_until, self.reads.next_deadline(),
        ]  # fmt: skip
        return min(deadline for deadline in deadlines if deadline is not None)

    def on_peer_lost(self, peer: NodeId) -> None:
        backup = self.progress.get(peer)
        if backup is not None and backup is not self.own:
            backup.lose()
            self.thrift.choose([other for other in self.backups if other is not backup], self.vr.quorum)

    def on_leave(self) -> None:
        self.reads.fail()

    # --- snapshots ---

    def needed_after(self) -> Index | None:
        """The story: a transfer takes longer than the time to our next snapshot.  Were the log cut then, the
        entries behind the one that is being sent would be gone, and the backup would be sent the newer one
        instead, from its beginning, and so on for as long as there is something to write."""
        vr = self.vr
        needed: list[Index] = []
        for backup in self.backups:
            if vr.now - backup.heard_at >= vr.config.election_timeout_ms[1]:
                continue
            if backup.fetching is not None:
                needed.append(backup.fetching)
            elif backup.match < backup.arriving:
                needed.append(backup.next - 1 if not backup.joined else backup.match)
        return min((index for index in needed if index >= vr.log.base_index), default=None)
