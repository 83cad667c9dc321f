"""To lead: phase 2 for one slot after the other, many of them under way at once.

* A leader begins with what phase 1 has told it: those values, no-ops for the holes, and one no-op of its own
  behind them, all under its own ballot.
* A slot is chosen when a quorum has accepted it under *this* ballot.  Acceptances of other ballots do not
  count, not even of the same value: this ballot may have been overtaken by one that nobody here has heard of.
* Accepts go out at once, while our own disk is still busy with them; our own acceptance counts once it is
  durable.
* Reads are answered only when all that phase 1 has told is chosen: until then we do not know what was chosen
  before.
* A leader that has not heard a quorum for an election timeout steps down: it cannot choose, and whoever is
  told to wait for it waits in vain.

What has to be said is said once a turn, in `on_flush`: all proposals of a turn are one Accept per follower,
and followers at the same point of the log are sent the very same message object, so it may be encoded once.
"""
from __future__ import annotations

from collections import deque

from agreed.consensus.machine import ChunkLoaded, Entry, EntryKind, Proposed
from agreed.consensus.multipaxos.messages import (
    Accept,
    Accepted,
    InstallSnapshot,
    InstallSnapshotReply,
    TimeoutNow,
)
from agreed.consensus.multipaxos.progress import Pace, Progress
from agreed.consensus.multipaxos.reads import Reads
from agreed.consensus.multipaxos.state import PaxosState, Role
from agreed.consensus.sending import OutgoingSnapshots
from agreed.consensus.thrift import LARGE_BYTES, Thrift
from agreed.consensus.transfer import Transfer
from agreed.types import Index, Instant, NodeId

_PAYLOAD = EntryKind.PAYLOAD
_REPLICATE = Pace.REPLICATE
_PROBE = Pace.PROBE
_SNAPSHOT = Pace.SNAPSHOT


class Leader(Role):
    name = "leader"

    def __init__(self, paxos: PaxosState) -> None:
        self.paxos = paxos
        first = paxos.chosen + 1
        self.progress: dict[NodeId, Progress] = {
            name: Progress(name, first, paxos.now) for name in paxos.names
        }
        self.own = self.progress[paxos.me]
        self.followers = [follower for follower in self.progress.values() if follower is not self.own]
        self.reads = Reads(paxos)
        self.transfer = Transfer(paxos, TimeoutNow)
        self.snapshots = OutgoingSnapshots(paxos, InstallSnapshot)
        self.began_at: Index = first
        """The slot of our own first no-op: what phase 1 has told is before it."""
        self._waiting: deque[tuple[Index, NodeId]] = deque()
        """Followers whose clients wait for the commit of an index."""
        self._beat_at: Instant = paxos.now
        self._notice_at: Instant | None = None
        self._shared_bytes = 0
        self.thrift = Thrift(paxos.me, paxos.config.spare_delay_ms)
        self.thrift.choose(self.followers, paxos.quorum)
        self._spare_due_at: Instant | None = None
        """When somebody is to be sent what it lacks and was not sent at once."""

    def start(self, values: list[Entry], chosen: Index) -> None:
        """`values` follow what we know to be chosen; up to `chosen` they are chosen as well."""
        paxos = self.paxos
        self.began_at += len(values)
        paxos.accept([*values, Entry(self.began_at, paxos.term, EntryKind.NOTHING, b"")])
        paxos.choose(chosen)
        self._beat_at = paxos.now + paxos.config.heartbeat_ms
        paxos.arm(self._beat_at)
        for follower in self.followers:
            follower.notice = True

    @property
    def settled(self) -> bool:
        """Whether all that phase 1 has told is chosen, so that our chosen slots are the cluster's."""
        return self.paxos.chosen >= self.began_at

    # --- proposals ---

    def on_proposed(self, event: Proposed) -> None:
        paxos = self.paxos
        if self.transfer.target is not None:
            return  # or the target never catches up
        index = paxos.slots.last_index + 1
        paxos.accept([Entry(index, paxos.term, _PAYLOAD, event.payload)])
        for name in event.waiting:
            self._waiting.append((index, name))

    def on_read_requested(self, ticket: int) -> None:
        self.reads.request(None, ticket)

    def on_read_index(self, source: NodeId, context: int) -> None:
        if source in self.progress:
            self.reads.request(source, context)

    def on_transfer_requested(self, target: NodeId | None) -> None:
        self.transfer.begin(target, self.progress)

    # --- what the turn has to say ---

    def on_flush(self) -> None:
        paxos = self.paxos
        if self.reads.begin_round(ready=self.settled):
            for follower in self.followers:
                follower.notice = True
            self._rounds_answered()
        last, chosen = paxos.slots.last_index, paxos.chosen
        shared: Accept | None = None
        for follower in self.followers:
            if follower.notice or (follower.next <= last and self._is_due(follower)):
                shared = self._tell(follower, last, shared)
            if follower.told < chosen and follower.pace is _REPLICATE and follower.lacks_since is None:
                self._notice_later(follower)

    def _notice_later(self, follower: Progress) -> None:
        """It has not been told of the newest commit; the next Accept will, or a notice."""
        paxos = self.paxos
        if follower.untold_since is None:
            follower.untold_since = paxos.now
        notice_at = follower.untold_since + paxos.config.commit_notice_ms
        if self._notice_at is None or notice_at < self._notice_at:
            self._notice_at = notice_at
            paxos.arm(notice_at)

    def _is_due(self, follower: Progress) -> bool:
        """Whether it is sent what it lacks now, and not with what comes next."""
        if follower.pace is not _REPLICATE or self.thrift.is_prompt(follower.name):
            return True
        paxos = self.paxos
        if follower.next <= paxos.slots.base_index:
            return True  # there is nothing to wait for: it needs a snapshot
        due_at = self.thrift.due_at(follower, paxos.now)
        newest = paxos.slots.value(paxos.slots.last_index)
        large = newest is not None and len(newest.payload) >= LARGE_BYTES
        if large or paxos.now >= due_at or any(name == follower.name for _, name in self._waiting):
            return True
        paxos.arm(due_at)
        if self._spare_due_at is None or due_at < self._spare_due_at:
            self._spare_due_at = due_at
        return False

    def _tell(self, follower: Progress, last: Index, shared: Accept | None) -> Accept | None:
        """Send what it lacks and may be sent, or at least a word if one is due."""
        paxos = self.paxos
        while follower.next <= last and self._may_send(follower):
            first = follower.next
            if first <= paxos.slots.base_index:
                self.snapshots.begin(follower)
                break
            if shared is None or shared.first != first or shared.round != self.reads.round:
                entries, size = paxos.slots.batch(first, paxos.config.max_append_bytes)
                shared = Accept(paxos.term, first, paxos.chosen, self.reads.round, entries)
                self._shared_bytes = size
            paxos.send(follower.name, shared)
            if follower.pace is _PROBE:
                follower.waiting = True
            else:
                follower.sent(first + len(shared.entries) - 1, self._shared_bytes)
            follower.tell(paxos.chosen)
            follower.notice = False
        if follower.notice:
            self._notice(follower)
        return shared

    def _may_send(self, follower: Progress) -> bool:
        pace = follower.pace
        if pace is _REPLICATE:
            config = self.paxos.config
            return (
                follower.in_flight < config.window_messages and follower.in_flight_bytes < config.window_bytes
            )
        return pace is _PROBE and not follower.waiting

    def _notice(self, follower: Progress) -> None:
        """No values: we still lead, this is chosen, answer this round."""
        paxos = self.paxos
        follower.notice = False
        if follower.next <= paxos.slots.base_index and follower.pace is not _SNAPSHOT:
            # What was on its way to it is no longer in our log; if it was lost, we could not send it again.
            self.snapshots.begin(follower)
        # Who is sent a snapshot is not asked what it lacks: we know.
        first = 1 if follower.pace is _SNAPSHOT else follower.next
        paxos.send(follower.name, Accept(paxos.term, first, paxos.chosen, self.reads.round, []))
        if follower.pace is _REPLICATE:
            follower.tell(paxos.chosen)

    # --- what followers answer ---

    def on_accepted(self, source: NodeId, message: Accepted) -> None:
        follower = self.progress.get(source)
        paxos = self.paxos
        if follower is None or follower is self.own:
            return
        last = paxos.slots.last_index
        if not message.upto <= message.held <= last or message.round > self.reads.round:
            return  # nobody can have accepted more than we have proposed
        follower.heard_at = paxos.now
        advanced = follower.matched(message.upto)
        if follower.pace is _SNAPSHOT:
            self._heard_installing(follower, message)
        elif message.hole and message.held < follower.next - 1:
            self._go_back(follower, message)
        elif follower.pace is _PROBE and message.held >= follower.next - 1:
            follower.replicate(message.held)
        if message.round > follower.round:
            follower.round = message.round
            self._rounds_answered()
        if advanced and message.upto > paxos.chosen:
            self._advance()
            if self.thrift.committed_by(source):
                self.thrift.choose(self.followers, paxos.quorum)
        if self.transfer.target == source:
            self.transfer.on_progress(follower)

    def _heard_installing(self, follower: Progress, message: Accepted) -> None:
        """It has what our log no longer holds, from a snapshot or after all; or it still needs the pieces."""
        if message.held >= max(self.paxos.slots.base_index, 1):
            follower.replicate(message.held)
            follower.arriving = self.paxos.slots.last_index
        else:
            self.snapshots.heard(follower)

    def _go_back(self, follower: Progress, message: Accepted) -> None:
        """Something that we have sent is missing there: go on from the first slot it lacks.  What it holds
        behind the hole is told by the reply to that.

        That may be before `match`: a follower that restarts has forgotten which slots are chosen, and no
        longer counts those that it accepted under older ballots."""
        if message.round >= follower.round:
            follower.probe(message.held + 1)

    def _advance(self) -> None:
        """The highest slot up to which a quorum has accepted all under our ballot."""
        paxos = self.paxos
        index = paxos.quorum.agreed({name: follower.match for name, follower in self.progress.items()})
        if index <= paxos.chosen:
            return
        paxos.choose(index)
        waiting = self._waiting
        while waiting and waiting[0][0] <= index:
            follower = self.progress.get(waiting.popleft()[1])
            if follower is not None:
                follower.notice = True

    def _rounds_answered(self) -> None:
        self.own.round = self.reads.round
        self.reads.answered(
            self.paxos.quorum.agreed({name: follower.round for name, follower in self.progress.items()})
        )

    def on_saved(self) -> None:
        if self.own.matched(self.paxos.durable) and self.own.match > self.paxos.chosen:
            self._advance()

    # --- time ---

    def on_time(self, now: Instant) -> None:
        paxos = self.paxos
        if not self._hears_quorum(now):
            paxos.become_follower(paxos.term, None)
            return
        if now >= self._beat_at:
            self._beat(now)
        if self._notice_at is not None and now >= self._notice_at:
            self._notice_at = None
            untold_before = now - paxos.config.commit_notice_ms
            for follower in self.followers:
                if follower.untold_since is not None and follower.untold_since <= untold_before:
                    follower.notice = True
        self.transfer.on_time(now)
        self.reads.on_time(now)

    def _beat(self, now: Instant) -> None:
        self._beat_at = now + self.paxos.config.heartbeat_ms
        self.reads.round += 1
        for follower in self.followers:
            follower.notice = True
            self.snapshots.on_beat(follower, now)
        self.transfer.remind(self.progress)

    def _hears_quorum(self, now: Instant) -> bool:
        patience = self.paxos.config.election_timeout_ms[0]
        self.own.heard_at = now
        return self.paxos.quorum.has(
            {name for name, follower in self.progress.items() if now - follower.heard_at < patience}
        )

    def on_pause(self, late_ms: int) -> None:
        for follower in self.followers:
            follower.heard_at += late_ms

    def next_wake(self) -> Instant:
        if self._spare_due_at is not None and self._spare_due_at <= self.paxos.now:
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
            others = [other for other in self.followers if other is not follower]
            self.thrift.choose(others, self.paxos.quorum)

    def on_leave(self) -> None:
        self.reads.fail()

    # --- snapshots ---

    def needed_after(self) -> Index | None:
        """The story: a transfer takes longer than the time to our next snapshot.  Were the log cut then, the
        slots behind the one that is being sent would be gone, and the follower would be sent the newer one
        instead, from its beginning, and so on for as long as there is something to write."""
        paxos = self.paxos
        needed: list[Index] = []
        for follower in self.followers:
            if paxos.now - follower.heard_at >= paxos.config.election_timeout_ms[1]:
                continue
            if follower.pace is _SNAPSHOT:
                needed.append((follower.sending or paxos.slots.mark).index)
            elif follower.match < follower.arriving:
                needed.append(follower.match)
        return min((index for index in needed if index >= paxos.slots.base_index), default=None)

    def on_install_snapshot_reply(self, source: NodeId, message: InstallSnapshotReply) -> None:
        follower = self.progress.get(source)
        if follower is not None and follower is not self.own:
            follower.heard_at = self.paxos.now
            self.snapshots.on_reply(follower, message)

    def on_chunk_loaded(self, event: ChunkLoaded) -> None:
        follower = self.progress.get(event.target)
        if follower is not None:
            self.snapshots.on_chunk_loaded(follower, event)
