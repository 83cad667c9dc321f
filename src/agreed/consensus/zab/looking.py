"""Leader election: find whose history is the most recent, and follow it (ZooKeeper's fast leader election).

Everybody who looks for a leader tells everybody its vote, at first for itself.  Who hears of a more recent
history (currentEpoch first, then the zxid; then the name, so that there are no ties) votes for that node and
says so.  So votes converge, and no dice are needed.  When a quorum votes alike, its choice waits a moment
for a better one (`finalize_wait_ms`), unless all voters have spoken; then the chosen one leads and the
others follow.

Votes are counted per *round*: a vote of an earlier election may be for a node whose followers have left it
since.  Rounds are not durable, and nothing is vouched for: an election only says whom to *try*.  Discovery
makes sure that there is one leader in an epoch, and that none with an older history than one of its quorum
begins.

A node that hears nobody still votes for itself, and is heard.  If its history is as recent as any it would be
elected by all, followed in vain, and elected again, for as long as it is deaf.  (ZooKeeper's connections
break in both directions or in none.)  So whom we followed without an answer is not our choice in the next
election; in the one after that it may be again.

Where ZooKeeper's followers answer who looks for a leader, here only a leader does: it hears a quorum of
followers itself, or it would not lead.
"""
from __future__ import annotations

from agreed.consensus.zab.messages import FollowerInfo, Notification, Phase, Vote
from agreed.consensus.zab.state import Role, ZabState
from agreed.types import Instant, NodeId


class Looking(Role):
    name = "looking"

    def __init__(self, zab: ZabState, appointed: NodeId | None = None) -> None:
        """`appointed`: whom we, its leader until now, name as our successor."""
        self.zab = zab
        vote = zab.own_vote()
        if appointed is not None:
            vote = Vote(vote.settled, vote.last_term, vote.last_index, True, appointed)
        self.vote = vote
        self.votes: dict[NodeId, Vote] = {}
        self.ready_to_follow: dict[NodeId, FollowerInfo] = {}
        """Who decided for us before we did."""
        self._finalize_at: Instant | None = None
        self._beat_at: Instant = zab.now
        self._begin_anew_at: Instant = zab.now

    def start(self) -> None:
        zab = self.zab
        zab.round += 1
        self._begin_anew_at = zab.now + zab.config.election_timeout_ms[1]
        self._tell_everybody()
        self._decide()

    def _notification(self) -> Notification:
        zab = self.zab
        return Notification(zab.term, zab.round, Phase.LOOKING, self.vote)

    def _tell_everybody(self) -> None:
        zab = self.zab
        if zab.promotable:
            self.votes[zab.me] = self.vote
        message = self._notification()
        for name in zab.peers:
            zab.send(name, message)
        self._beat_at = zab.now + zab.config.heartbeat_ms
        zab.arm(self._beat_at)

    def _is_better(self, vote: Vote, than: Vote) -> bool:
        rank = self.zab.rank
        return (rank(vote), vote.appointed, vote.name) > (rank(than), than.appointed, than.name)

    def _is_choice(self, vote: Vote) -> bool:
        """Whether we would rather vote like this."""
        return vote.name != self.zab.in_vain and self._is_better(vote, self.vote)

    # --- votes ---

    def on_notification(self, source: NodeId, message: Notification) -> None:
        zab = self.zab
        if message.phase is Phase.ESTABLISHED:
            zab.follow(source)
        elif message.phase is Phase.LEADING:
            # It needs followers, but not one with a more recent history: it would only have to give up.
            known = zab.rank(message.vote) >= zab.rank(zab.own_vote())
            if message.round >= zab.round and known and zab.promotable:
                zab.round = message.round
                zab.follow(source)
        elif source in zab.quorum.names and zab.promotable:
            self._count(source, message)

    def _count(self, source: NodeId, message: Notification) -> None:
        zab, vote = self.zab, message.vote
        if message.round < zab.round:
            zab.send(source, self._notification())  # it will join this round
            return
        if message.round > zab.round:
            zab.round = message.round
            self.votes.clear()
            self.vote, before = zab.own_vote(), self.vote
            if before.appointed and before.name != zab.me:
                self.vote = before
            if self._is_choice(vote):
                self.vote = vote
            self._changed()
        elif self._is_choice(vote):
            self.vote = vote
            self._changed()
        elif self._is_better(self.vote, vote):
            zab.send(source, self._notification())
        known = self.votes.get(source)
        if known is None or not self._is_better(known, vote):
            self.votes[source] = vote
        self._decide()

    def _changed(self) -> None:
        self._finalize_at = None
        self._tell_everybody()

    def _decide(self) -> None:
        zab = self.zab
        chosen = self.vote.name
        supporters = {name for name, vote in self.votes.items() if vote.name == chosen}
        if not zab.promotable or not zab.quorum.has(supporters):
            self._finalize_at = None
        elif supporters.issuperset(zab.quorum.names):
            self._finalize()
        elif self._finalize_at is None:
            self._finalize_at = zab.now + zab.config.finalize_wait_ms
            zab.arm(self._finalize_at)

    def _finalize(self) -> None:
        zab = self.zab
        if self.vote.name != zab.me:
            zab.follow(self.vote.name)
        elif not zab.installing:
            zab.lead()
        else:
            # Our history is about to become a snapshot: see when we next say our vote.
            self._finalize_at = self._beat_at

    def on_follower_info(self, source: NodeId, message: FollowerInfo) -> None:
        self.ready_to_follow[source] = message

    # --- time ---

    def on_time(self, now: Instant) -> None:
        if not self.zab.round or now >= self._begin_anew_at:
            self.zab.in_vain = None
            self.zab.look()  # our votes may be for somebody who is dead since
            return
        if now >= self._beat_at:
            self._tell_everybody()
        if self._finalize_at is not None and now >= self._finalize_at:
            self._finalize()

    def on_pause(self, late_ms: int) -> None:
        if self._finalize_at is not None:
            self._finalize_at = max(self._finalize_at, self.zab.now + self.zab.config.finalize_wait_ms)

    def next_wake(self) -> Instant:
        if self._finalize_at is not None:
            return min(self._beat_at, self._finalize_at, self._begin_anew_at)
        return min(self._beat_at, self._begin_anew_at)
