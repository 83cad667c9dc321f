"""What a leader says to those who follow it: first the history, then what is proposed, and what is committed.

A follower is told one stream, from where its history leaves ours to the end of ours, however long that grows
meanwhile.  So what is proposed while it is being synchronized reaches it as well, and nothing has to be
handed from one phase to the next: DIFF up to where our history ended when it came (there is its NEWLEADER),
PROPOSAL from then on.

What has to be said is said once a turn, in `flush`: all proposals of a turn are one message per follower, and
followers at the same point of the history are sent the very same message object, so it may be encoded once.

Entries go to the followers at once, while our own disk is still busy with them; our own log counts towards a
quorum only as far as our disk has said so.  What a quorum has that acknowledged NEWLEADER is committed, and
so is all before it.
"""
from __future__ import annotations

from collections import deque

from agreed.consensus.sending import OutgoingSnapshots
from agreed.consensus.thrift import LARGE_BYTES, Thrift
from agreed.consensus.zab.learner import Learner, Pace
from agreed.consensus.zab.messages import (
    AckEpoch,
    AckNewLeader,
    Ask,
    Commit,
    Diff,
    NewLeader,
    Ping,
    PingReply,
    Proposal,
    SnapshotPiece,
    UpToDate,
)
from agreed.consensus.zab.reads import Reads
from agreed.consensus.zab.state import ZabState
from agreed.consensus.zab.synchronization import last_common
from agreed.types import Index, Instant, NodeId

_WAITING = Pace.WAITING
_PROBE = Pace.PROBE
_STREAM = Pace.STREAM
_SNAPSHOT = Pace.SNAPSHOT


class Broadcast:
    def __init__(self, zab: ZabState, reads: Reads) -> None:
        self.zab = zab
        self.reads = reads
        self.snapshots = OutgoingSnapshots(zab, SnapshotPiece)
        self.own = Learner(zab.me, zab.now)
        self.followers = [Learner(name, zab.now) for name in zab.peers]
        self.learners: dict[NodeId, Learner] = {learner.name: learner for learner in self.followers}
        self.began_at: Index = 0
        """Of the first entry of our epoch; 0 until there is one."""
        self.thrift = Thrift(zab.me, zab.config.spare_delay_ms)
        self.thrift.choose(self.followers, zab.quorum)
        self.notice_at: Instant | None = None
        self._spare_due_at: Instant | None = None
        self._waiting: deque[tuple[Index, NodeId]] = deque()
        """Followers whose clients wait for the commit of an index."""

    def heard(self, source: NodeId) -> Learner | None:
        learner = self.learners.get(source)
        if learner is not None:
            learner.heard_at = self.zab.now
        return learner

    # --- synchronization ---

    def synchronize(self, learner: Learner, message: AckEpoch) -> None:
        """It has accepted our epoch, or lost a part of what it was sent since: where do our histories
        part?"""
        log, now = self.zab.log, self.zab.now
        recent = now - learner.asked_at < self.zab.config.heartbeat_ms
        if learner.pace is not _WAITING and learner.asked == message and recent:
            return  # said twice: what it asks for is on its way
        learner.asked, learner.asked_at = message, now
        common = last_common(log, message.history)
        if common is not None:
            learner.matched(common)
            learner.truncate |= message.history[0][1] > common
        if not learner.new_leader_at:
            learner.new_leader_at = log.last_index
        learner.new_leader_told = False
        start = learner.match
        if start < log.base_index or (start == 0 and common is None):
            if learner.pace is _SNAPSHOT:
                self.snapshots.heard(learner)
            else:
                self.snapshots.begin(learner)
        elif learner.pace is _WAITING:
            learner.stream(start + 1)
        else:
            learner.probe(start + 1)
        if message.settled == self.zab.term and learner.match >= self.began_at:
            self._ready(learner)  # it has acknowledged NEWLEADER before

    def on_ack_new_leader(self, source: NodeId, message: AckNewLeader) -> None:
        learner = self.heard(source)
        if learner is not None and self.began_at <= message.index <= self.zab.log.last_index:
            self.on_ack(source, message.index)
            self._ready(learner)

    def _ready(self, learner: Learner) -> None:
        zab = self.zab
        learner.ready = True
        if not zab.leads:
            self.advance()  # if that establishes the epoch, all who are ready are told
        else:
            # The newest commit, not what this one has acknowledged: of what was committed since it joined
            # it has been told nothing, and nothing more would come if no more is proposed.
            zab.send(learner.name, UpToDate(zab.term, self.up_to_date_commit(learner)))
            learner.tell(zab.commit)

    def up_to_date_commit(self, learner: Learner) -> Index:
        return self.zab.commit

    # --- what followers answer ---

    def on_ack(self, source: NodeId, index: Index) -> None:
        """Its durable history is ours up to there."""
        learner = self.heard(source)
        if learner is None or index > self.zab.log.last_index:
            return  # nobody can have more of our history than there is
        advanced = learner.matched(index)
        if learner.pace is _SNAPSHOT:
            if learner.match >= max(self.zab.log.base_index, 1):
                learner.stream(learner.match + 1)
                learner.arriving = self.zab.log.last_index
            else:
                self.snapshots.heard(learner)
        elif learner.pace is _PROBE and index >= learner.next - 1:
            learner.stream(learner.match + 1)
        if advanced and learner.ready and learner.match > self.zab.commit:
            commit = self.zab.commit
            self.advance()
            if self.zab.commit > commit and self.thrift.committed_by(source):
                self.thrift.choose(self.followers, self.zab.quorum)

    def on_ask(self, source: NodeId, message: Ask) -> None:
        """It misses what follows, in this same epoch."""
        learner = self.heard(source)
        after = message.after
        if learner is None or learner.pace in (_SNAPSHOT, _WAITING):
            return
        if not learner.match <= after <= self.zab.log.last_index:
            return  # it has been answered better since
        if learner.pace is not _PROBE or learner.next != after + 1:
            learner.probe(after + 1)

    def on_ping_reply(self, source: NodeId, message: PingReply) -> None:
        learner = self.learners.get(source)
        if learner is None or message.round > self.reads.round:
            return
        if learner.pace is _PROBE:
            learner.waiting = False  # what is on its way to it may be lost; it is there to be sent it again
        self.on_ack(source, message.index)
        if message.round > learner.round:
            learner.round = message.round
            self._rounds_answered()

    def _rounds_answered(self) -> None:
        self.own.round = self.reads.round
        rounds = {name: learner.round for name, learner in self.learners.items()}
        rounds[self.zab.me] = self.own.round
        self.reads.answered(self.zab.quorum.agreed(rounds))

    # --- commits ---

    def on_saved(self) -> None:
        if self.own_matched() and self.own.match > self.zab.commit:
            self.advance()

    def own_matched(self) -> bool:
        """Our own disk says so, like any other."""
        advanced = self.own.matched(self.zab.saved)
        self.own.ready = self.own.match >= self.began_at
        return advanced

    def advance(self) -> None:
        """Commit what a quorum has.  The first time, that establishes the epoch."""
        zab = self.zab
        matches = {name: learner.match for name, learner in self.learners.items() if learner.ready}
        if self.own.ready:
            matches[zab.me] = self.own.match
        index = zab.quorum.agreed(matches)
        if index <= zab.commit or index < self.began_at:
            return
        zab.commit_to(index)
        if not zab.leads:
            zab.established()
            for learner in self.followers:
                if learner.ready:
                    self._ready(learner)
        waiting = self._waiting
        while waiting and waiting[0][0] <= index:
            waiter = self.learners.get(waiting.popleft()[1])
            if waiter is not None:
                waiter.notice = True

    def wait_for(self, index: Index, name: NodeId) -> None:
        """A client of that follower waits for the commit of this entry."""
        self._waiting.append((index, name))

    # --- what the turn has to say ---

    def flush(self) -> None:
        zab = self.zab
        if zab.leads and self.reads.begin_round(ready=True):
            for learner in self.followers:
                learner.ping = True
            self._rounds_answered()
        last, commit = zab.log.last_index, zab.commit
        shared: Proposal | None = None
        for learner in self.followers:
            if learner.pace is _WAITING:
                continue
            if not learner.ready:
                self._synchronize_further(learner)
            if learner.next <= last and self._is_due(learner):
                shared = self._propose(learner, last, shared)
            if learner.ping:
                self._ping(learner)
            elif learner.notice and learner.told < commit and learner.ready:
                zab.send(learner.name, Commit(zab.term, commit))
                learner.tell(commit)
            if learner.told < commit and learner.ready and learner.pace is _STREAM:
                self._notice_later(learner)

    def _is_due(self, learner: Learner) -> bool:
        """Whether it is sent what it lacks now, and not with what comes next."""
        zab = self.zab
        if not learner.ready or learner.pace is not _STREAM or self.thrift.is_prompt(learner.name):
            return True
        if learner.next <= zab.log.base_index:
            return True  # there is nothing to wait for: it needs a snapshot
        due_at = self.thrift.due_at(learner, zab.now)
        large = len(zab.log.entry(zab.log.last_index).payload) >= LARGE_BYTES
        if large or zab.now >= due_at or any(name == learner.name for _, name in self._waiting):
            return True
        zab.arm(due_at)
        if self._spare_due_at is None or due_at < self._spare_due_at:
            self._spare_due_at = due_at
        return False

    def _synchronize_further(self, learner: Learner) -> None:
        """DIFF, as far as it may be sent; NEWLEADER behind it."""
        zab = self.zab
        log = zab.log
        while learner.next <= learner.new_leader_at and self._may_send(learner):
            prev = learner.next - 1
            prev_term = log.term(prev)
            if prev_term is None:
                self.snapshots.begin(learner)
                return
            entries, size = log.batch(learner.next, zab.config.max_append_bytes)
            zab.send(learner.name, Diff(zab.term, prev, prev_term, learner.truncate, entries))
            self._was_sent(learner, prev + len(entries), size)
        if learner.next > learner.new_leader_at and not learner.new_leader_told:
            learner.new_leader_told = True
            zab.send(learner.name, NewLeader(zab.term, learner.new_leader_at))

    def _propose(self, learner: Learner, last: Index, shared: Proposal | None) -> Proposal | None:
        zab = self.zab
        while learner.new_leader_at < learner.next <= last and self._may_send(learner):
            prev = learner.next - 1
            if prev < zab.log.base_index:
                self.snapshots.begin(learner)
                break
            if shared is None or shared.prev_index != prev:
                entries, self._shared_bytes = zab.log.batch(learner.next, zab.config.max_append_bytes)
                shared = Proposal(zab.term, prev, zab.commit, entries)
            zab.send(learner.name, shared)
            self._was_sent(learner, prev + len(shared.entries), self._shared_bytes)
            learner.tell(zab.commit)
        return shared

    _shared_bytes = 0

    def _was_sent(self, learner: Learner, last: Index, size_bytes: int) -> None:
        if learner.pace is _PROBE:
            learner.waiting = True
        else:
            learner.sent(last, size_bytes)

    def _may_send(self, learner: Learner) -> bool:
        if learner.pace is _STREAM:
            config = self.zab.config
            return (
                learner.in_flight < config.window_messages and learner.in_flight_bytes < config.window_bytes
            )
        return learner.pace is _PROBE and not learner.waiting

    def _ping(self, learner: Learner) -> None:
        zab = self.zab
        learner.ping = False
        last = 0 if learner.pace is _SNAPSHOT else learner.next - 1
        zab.send(learner.name, Ping(zab.term, self.reads.round, last, zab.commit, zab.leads))
        learner.tell(zab.commit)

    def _notice_later(self, learner: Learner) -> None:
        """It has not been told of the newest commit; the next proposal will, or a COMMIT of its own."""
        zab = self.zab
        if learner.lacks_since is not None:
            return  # that proposal waits to be sent
        if learner.untold_since is None:
            learner.untold_since = zab.now
        notice_at = learner.untold_since + zab.config.commit_notice_ms
        if self.notice_at is None or notice_at < self.notice_at:
            self.notice_at = notice_at
            zab.arm(notice_at)

    # --- time ---

    def on_time(self, now: Instant) -> None:
        if self.notice_at is not None and now >= self.notice_at:
            self.notice_at = None
            untold_before = now - self.zab.config.commit_notice_ms
            for learner in self.followers:
                if learner.untold_since is not None and learner.untold_since <= untold_before:
                    learner.notice = True

    def next_wake(self) -> Instant | None:
        if self._spare_due_at is not None and self._spare_due_at <= self.zab.now:
            self._spare_due_at = None
        return min((at for at in (self.notice_at, self._spare_due_at) if at is not None), default=None)

    def beat(self, learner: Learner, now: Instant) -> None:
        learner.ping = True
        learner.new_leader_told = False  # it, or its answer, may be lost
        self.snapshots.on_beat(learner, now)

    def on_peer_lost(self, peer: NodeId) -> None:
        learner = self.learners.get(peer)
        if learner is None:
            return
        if learner.pace is _SNAPSHOT:
            learner.stalled = True
        elif learner.pace is not _WAITING:
            learner.probe(learner.match + 1)
            learner.waiting = True  # until the next ping is answered there is nobody to send to
            self.thrift.choose([other for other in self.followers if other is not learner], self.zab.quorum)

    # --- what slow followers need ---

    def needed_after(self) -> Index | None:
        """The story: a transfer takes longer than the time to our next snapshot.  Were the log cut then, the
        entries behind the one that is being sent would be gone, and the follower would be sent the newer one
        instead, from its beginning, and so on for as long as there is something to write."""
        zab = self.zab
        needed: list[Index] = []
        for learner in self.followers:
            if zab.now - learner.heard_at >= zab.config.election_timeout_ms[1]:
                continue
            if learner.pace is _SNAPSHOT:
                needed.append((learner.sending or zab.log.mark).index)
            elif learner.match < learner.arriving or (learner.pace is not _WAITING and not learner.ready):
                needed.append(learner.match)
        return min((index for index in needed if index >= zab.log.base_index), default=None)
