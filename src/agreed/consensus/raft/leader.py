"""To lead: append what is proposed, send it, and commit what a quorum has saved (§5.3, §5.4).

* Entries go to the followers at once, while our own disk is still busy with them; our own log counts
  towards a quorum only as far as our disk has said so (thesis 10.2.1).
* Only an entry of our own term is committed by counting; the ones before it follow (§5.4.2, figure 8).  So a
  new leader appends an entry that says nothing.
* A leader never changes or removes an entry of its own log.
* A leader that has not heard a quorum for an election timeout steps down: it cannot commit, and whoever is
  told to wait for it waits in vain (thesis 6.2).

What has to be said is said once a turn, in `on_flush`: all proposals of a turn are one append per follower,
and followers at the same point of the log are sent the very same message object, so it may be encoded
once.  """
from __future__ import annotations

from collections import deque

from agreed.consensus.machine import ChunkLoaded, Entry, EntryKind, Proposed
from agreed.consensus.members import MembersChange, everybody
from agreed.consensus.raft.changes import PendingChange
from agreed.consensus.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    InstallSnapshot,
    InstallSnapshotReply,
    TimeoutNow,
)
from agreed.consensus.raft.progress import Pace, Progress
from agreed.consensus.raft.reads import Reads
from agreed.consensus.raft.state import RaftState, Role
from agreed.consensus.sending import OutgoingSnapshots
from agreed.consensus.thrift import LARGE_BYTES, Thrift
from agreed.consensus.transfer import Transfer
from agreed.types import Index, Instant, NodeId

_PAYLOAD = EntryKind.PAYLOAD
_NOTHING = EntryKind.NOTHING
_REPLICATE = Pace.REPLICATE
_PROBE = Pace.PROBE
_SNAPSHOT = Pace.SNAPSHOT


class Leader(Role):
    name = "leader"

    def __init__(self, raft: RaftState) -> None:
        self.raft = raft
        self.own = Progress(raft.me, raft.log.last_index + 1, raft.now)
        self.progress: dict[NodeId, Progress] = {raft.me: self.own}
        self.followers: list[Progress] = []
        self.reads = Reads(raft)
        self.transfer = Transfer(raft, TimeoutNow)
        self.change = PendingChange(raft)
        self.snapshots = OutgoingSnapshots(raft, InstallSnapshot)
        self.term_began_at: Index = raft.log.last_index + 1
        self._waiting: deque[tuple[Index, NodeId]] = deque()
        """Followers whose clients wait for the commit of an index."""
        self._beat_at: Instant = raft.now
        self._notice_at: Instant | None = None
        self._shared_bytes = 0
        self.thrift = Thrift(raft.me, raft.config.spare_delay_ms)
        self._spare_due_at: Instant | None = None
        """When somebody is to be sent what it lacks and was not sent at once."""

    def start(self) -> None:
        raft = self.raft
        self._adopt_members()
        self.own.matched(raft.saved)
        raft.append([Entry(self.term_began_at, raft.term, _NOTHING, b"")])
        self._beat_at = raft.now + raft.config.heartbeat_ms
        raft.arm(self._beat_at)
        for follower in self.followers:
            follower.notice = True

    @property
    def settled(self) -> bool:
        """Whether something of our own term is committed, so that our commit index is the cluster's."""
        return self.raft.commit >= self.term_began_at

    # --- proposals ---

    def on_proposed(self, event: Proposed) -> None:
        raft = self.raft
        if self.transfer.target is not None:
            return  # or the target never catches up
        index = raft.log.last_index + 1
        raft.append([Entry(index, raft.term, _PAYLOAD, event.payload)])
        for name in event.waiting:
            self._waiting.append((index, name))

    def on_members_change_requested(self, ticket: int, change: MembersChange) -> None:
        if self.transfer.target is not None:
            self.raft.answer(ticket, "leadership is being handed over: try again at the new leader")
            return
        self.change.request(ticket, change, self.progress, settled=self.settled)

    def on_read_requested(self, ticket: int) -> None:
        self.reads.ask(None, ticket, ready=self.settled)

    def on_read_index(self, source: NodeId, context: int) -> None:
        if source in self.progress:
            self.reads.ask(source, context, ready=self.settled)

    def on_transfer_requested(self, target: NodeId | None) -> None:
        if self.transfer.begin(target, self.progress):
            self.reads.give_up_lease()

    # --- what the turn has to say ---

    def on_flush(self) -> None:
        raft = self.raft
        if self.reads.begin_round(ready=self.settled):
            for follower in self.followers:
                follower.notice = True
            self._rounds_answered()
        last, commit = raft.log.last_index, raft.commit
        shared: AppendEntries | None = None
        for follower in self.followers:
            if follower.notice or (follower.next <= last and self._is_due(follower)):
                shared = self._tell(follower, last, shared)
            if follower.told < commit and follower.pace is _REPLICATE and follower.lacks_since is None:
                self._notice_later(follower)

    def _notice_later(self, follower: Progress) -> None:
        """It has not been told of the newest commit; the next append will, or a notice."""
        raft = self.raft
        if follower.untold_since is None:
            follower.untold_since = raft.now
        notice_at = follower.untold_since + raft.config.commit_notice_ms
        if self._notice_at is None or notice_at < self._notice_at:
            self._notice_at = notice_at
            raft.arm(notice_at)

    def _is_due(self, follower: Progress) -> bool:
        """Whether it is sent what it lacks now, and not with what comes next."""
        if follower.pace is not _REPLICATE or self.thrift.is_prompt(follower.name):
            return True
        raft = self.raft
        if follower.next <= raft.log.base_index:
            return True  # there is nothing to wait for: it needs a snapshot
        due_at = self.thrift.due_at(follower, raft.now)
        large = len(raft.log.entry(raft.log.last_index).payload) >= LARGE_BYTES
        if large or raft.now >= due_at or any(name == follower.name for _, name in self._waiting):
            return True
        raft.arm(due_at)
        if self._spare_due_at is None or due_at < self._spare_due_at:
            self._spare_due_at = due_at
        return False

    def _tell(self, follower: Progress, last: Index, shared: AppendEntries | None) -> AppendEntries | None:
        """Send what it lacks and may be sent, or at least a word if one is due."""
        raft = self.raft
        log, config = raft.log, raft.config
        while follower.next <= last and self._may_send(follower):
            prev = follower.next - 1
            prev_term = log.term(prev)
            if prev_term is None:
                self.snapshots.begin(follower)
                break
            if shared is None or shared.prev_index != prev or shared.round != self.reads.round:
                entries, size = log.batch(follower.next, config.max_append_bytes)
                shared = AppendEntries(raft.term, prev, prev_term, raft.commit, self.reads.round, entries)
                self._shared_bytes = size
            raft.send(follower.name, shared)
            if follower.pace is _PROBE:
                follower.waiting = True
            else:
                follower.sent(prev + len(shared.entries), self._shared_bytes)
            follower.tell(raft.commit)
            follower.notice = False
        if follower.notice:
            self._notice(follower)
        return shared

    def _may_send(self, follower: Progress) -> bool:
        pace = follower.pace
        if pace is _REPLICATE:
            config = self.raft.config
            return (
                follower.in_flight < config.window_messages and follower.in_flight_bytes < config.window_bytes
            )
        return pace is _PROBE and not follower.waiting

    def _notice(self, follower: Progress) -> None:
        """No entries: we still lead, this is committed, answer this round."""
        raft = self.raft
        follower.notice = False
        prev = follower.next - 1
        prev_term = raft.log.term(prev)
        if prev_term is None and follower.pace is not _SNAPSHOT:
            # What was on its way to it is no longer in our log; if it was lost, we could not send it again.
            self.snapshots.begin(follower)
        if follower.pace is _SNAPSHOT or prev_term is None:
            prev = prev_term = 0
        raft.send(
            follower.name, AppendEntries(raft.term, prev, prev_term, raft.commit, self.reads.round, [])
        )
        if follower.pace is _REPLICATE:
            follower.tell(raft.commit)

    # --- what followers answer ---

    def on_append_entries_reply(self, source: NodeId, message: AppendEntriesReply) -> None:
        follower = self.progress.get(source)
        raft = self.raft
        if follower is None or follower is self.own:
            return
        if message.match > raft.log.last_index or message.round > self.reads.round:
            return  # nobody can have more of our log than there is
        follower.heard_at = raft.now
        advanced = follower.matched(message.match)
        if message.rejected:
            self._back_up(follower, message)
        elif follower.pace is _SNAPSHOT:
            self._heard_installing(follower)
        elif follower.pace is _PROBE and message.match >= follower.next - 1:
            follower.replicate()  # its log joined ours where we tried
        if message.round > follower.round:
            follower.round = message.round
            self._rounds_answered()
        if advanced and message.match > raft.commit:
            self._advance()
            if self.thrift.committed_by(source):
                self.thrift.choose(self.followers, raft.quorum)
        if self.transfer.target == source:
            self.transfer.on_progress(follower)

    def _heard_installing(self, follower: Progress) -> None:
        """It has what our log no longer holds, from a snapshot or after all; or it still needs the pieces."""
        if follower.match >= max(self.raft.log.base_index, 1):
            follower.replicate()
            follower.arriving = self.raft.log.last_index
        else:
            self.snapshots.heard(follower)

    def _back_up(self, follower: Progress, message: AppendEntriesReply) -> None:
        """It lacks what we assumed, or has something else: try further back, a whole term at a time
        (§5.3)."""
        rejected = message.rejected
        if follower.pace is _SNAPSHOT or rejected <= follower.match:
            return  # late: it has been answered better since
        if follower.pace is _PROBE and rejected != follower.next - 1:
            return
        log = self.raft.log
        candidate = message.conflict_index
        if message.conflict_term:
            # Our entries of its term or older are the only ones that can be equal to its own up to there.
            candidate = min(log.last_up_to_term(message.conflict_term), rejected - 1) + 1
        follower.probe(max(follower.match + 1, min(candidate, rejected)))

    def _advance(self) -> None:
        """The highest index a quorum has saved, if it is of our own term (§5.4.2)."""
        raft = self.raft
        index = raft.quorum.agreed({name: follower.match for name, follower in self.progress.items()})
        if index <= raft.commit or raft.log.term(index) != raft.term:
            return
        raft.commit_to(index)
        waiting = self._waiting
        while waiting and waiting[0][0] <= index:
            follower = self.progress.get(waiting.popleft()[1])
            if follower is not None:
                follower.notice = True
        self.change.on_commit(settled=self.settled)
        if not raft.promotable and raft.log.members_index <= index:
            self._retire()

    def _rounds_answered(self) -> None:
        self.own.round = self.reads.round
        self.reads.answered(
            self.raft.quorum.agreed({name: follower.round for name, follower in self.progress.items()})
        )

    def on_saved(self) -> None:
        if self.own.matched(self.raft.saved) and self.own.match > self.raft.commit:
            self._advance()

    # --- members ---

    def on_members(self) -> None:
        self._adopt_members()
        # A set without the slowest voter may agree on what the old one did not.
        if self.own.match > self.raft.commit:
            self._advance()

    def _adopt_members(self) -> None:
        raft = self.raft
        known = everybody(raft.members)
        for name, member in known.items():
            follower = self.progress.get(name)
            if follower is None or follower.identity not in (member.identity, None):
                # A new holder of an old name has nothing of what the old one acknowledged.
                follower = Progress(name, raft.log.last_index + 1, raft.now)
                self.progress[name] = follower
            follower.identity = member.identity
            follower.leaving_at = None
        for name, follower in self.progress.items():
            if name not in known and follower.leaving_at is None:
                follower.leaving_at = raft.now + raft.config.election_timeout_ms[1]
        self.followers = [follower for follower in self.progress.values() if follower is not self.own]
        self.thrift.choose(self.followers, raft.quorum)

    def _forget_left(self, now: Instant) -> None:
        """Who was removed is sent the log until it knows, or for a while; then it is on its own."""
        for follower in self.followers:
            until = follower.leaving_at
            known = follower.match >= self.raft.log.members_index and follower.told >= follower.match
            if until is not None and (now >= until or known):
                del self.progress[follower.name]
        self.followers = [follower for follower in self.progress.values() if follower is not self.own]

    def _retire(self) -> None:
        """We have committed a set in which we do not vote: say so, name a successor, and follow (§6)."""
        raft = self.raft
        for follower in self.followers:
            follower.notice = True
        self.on_flush()
        voters = [self.progress[name] for name in raft.quorum.names]
        best = max(voters, key=lambda follower: (follower.match, follower.heard_at))
        if best.match == raft.log.last_index:
            raft.send(best.name, TimeoutNow(raft.term))
        raft.become_follower(raft.term, None)

    # --- time ---

    def on_time(self, now: Instant) -> None:
        raft = self.raft
        if not self._hears_quorum(now):
            raft.become_follower(raft.term, None)
            return
        if now >= self._beat_at:
            self._beat(now)
        if self._notice_at is not None and now >= self._notice_at:
            self._notice_at = None
            untold_before = now - raft.config.commit_notice_ms
            for follower in self.followers:
                if follower.untold_since is not None and follower.untold_since <= untold_before:
                    follower.notice = True
        self.transfer.on_time(now)
        self.reads.on_time(now)

    def _beat(self, now: Instant) -> None:
        raft = self.raft
        self._beat_at = now + raft.config.heartbeat_ms
        self.reads.next_round()
        self._forget_left(now)
        for follower in self.followers:
            follower.notice = True
            self.snapshots.on_beat(follower, now)
        self.transfer.remind(self.progress)

    def _hears_quorum(self, now: Instant) -> bool:
        patience = self.raft.config.election_timeout_ms[0]
        self.own.heard_at = now
        return self.raft.quorum.has(
            {name for name, follower in self.progress.items() if now - follower.heard_at < patience}
        )

    def on_pause(self, late_ms: int) -> None:
        for follower in self.followers:
            follower.heard_at += late_ms

    def next_wake(self) -> Instant:
        if self._spare_due_at is not None and self._spare_due_at <= self.raft.now:
            self._spare_due_at = None
        deadlines = [
            self._beat_at, self._notice_at, self._spare_due_at,
            self.transfer.deadline, self.reads.next_deadline(),
        ]  # fmt: skip
        return min(deadline for deadline in deadlines if deadline is not None)

    def on_peer_lost(self, peer: NodeId) -> None:
        follower = self.progress.get(peer)
        if follower is None or follower is self.own:
            return
        if follower.pace is _SNAPSHOT:
            follower.stalled = True
        else:
            follower.probe(follower.match + 1)
            follower.waiting = True  # until the next heartbeat is answered there is nobody to send to
            self.thrift.choose([other for other in self.followers if other is not follower], self.raft.quorum)

    def on_leave(self) -> None:
        self.reads.fail()
        self.change.abandon()

    # --- snapshots ---

    def needed_after(self) -> Index | None:
        """The story: a transfer takes longer than the time to our next snapshot.  Were the log cut then, the
        entries behind the one that is being sent would be gone, and the follower would be sent the newer one
        instead, from its beginning, and so on for as long as there is something to write."""
        raft = self.raft
        needed: list[Index] = []
        for follower in self.followers:
            if raft.now - follower.heard_at >= raft.config.election_timeout_ms[1]:
                continue
            if follower.pace is _SNAPSHOT:
                needed.append((follower.sending or raft.log.mark).index)
            elif follower.match < follower.arriving:
                needed.append(follower.match)
        return min((index for index in needed if index >= raft.log.base_index), default=None)

    def on_install_snapshot_reply(self, source: NodeId, message: InstallSnapshotReply) -> None:
        follower = self.progress.get(source)
        if follower is not None and follower is not self.own:
            follower.heard_at = self.raft.now
            self.snapshots.on_reply(follower, message)

    def on_chunk_loaded(self, event: ChunkLoaded) -> None:
        follower = self.progress.get(event.target)
        if follower is not None:
            self.snapshots.on_chunk_loaded(follower, event)
