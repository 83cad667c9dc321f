"""To follow: accept an epoch, take its history, then take what is proposed, and wait for a silence.

    discovery         FOLLOWERINFO until LEADERINFO names an epoch above ours; it is durable before ACKEPOCH
    synchronization   DIFF, TRUNC or SNAP until NEWLEADER; the history, then currentEpoch, are durable before
                      it is acknowledged
    broadcast         from UPTODATE on: PROPOSAL, ACK, COMMIT

`joined` is how far our history is known to be the leader's.  In synchronization it grows with each DIFF that
joins at an equal zxid.  Once our history ends in an entry of this epoch it is our whole history: only this
leader has made such entries, and to nothing but its own history.  What comes must join there: what came too
late is passed over, what came too early shows a gap, and we ask for what is missing, in the same epoch.

A commit is heard up to an index; what of it we do not have yet is delivered when it comes.
"""
from __future__ import annotations

from agreed.consensus.machine import Entry, EntryKind
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
    Phase,
    Ping,
    PingReply,
    Proposal,
    UpToDate,
)
from agreed.consensus.zab.state import Role, ZabState
from agreed.consensus.zab.synchronization import history_of
from agreed.types import Index, Instant, NodeId, Term

_MEMBERS = EntryKind.MEMBERS


class Following(Role):
    name = "follower"

    def __init__(self, zab: ZabState, source: NodeId) -> None:
        self.zab = zab
        self.source = source
        self.accepted = False
        """The leader has named its epoch to us, and we are in it."""
        self.heard = False
        """The leader has spoken since time last passed."""
        self._deadline: Instant = zab.now + zab.config.election_timeout_ms[1]
        self._ask_at: Instant = zab.now
        self._joined: Index = 0
        self._commit_told: Index = 0
        self._new_leader: Index | None = None
        """Where NEWLEADER said the history of the epoch begins to be ours."""
        self._asked_after: Index | None = None
        self._asked_at: Instant = zab.now
        """What we asked for last, and when."""

    def start(self) -> None:
        self.zab.arm(self._deadline)
        self._tell_info()

    @property
    def joined(self) -> Index:
        zab = self.zab
        if zab.log.last_term == zab.term or zab.settled == zab.term:
            return zab.log.last_index
        return max(self._joined, zab.commit)

    # --- time ---

    def on_clock(self, now: Instant) -> None:
        if self.heard:
            self.heard = False
            self._deadline = now + self.zab.config.election_timeout_ms[0]

    def on_time(self, now: Instant) -> None:
        if now >= self._deadline:
            self._look()
        elif not self.accepted and now >= self._ask_at:
            self._tell_info()

    def _look(self) -> None:
        """For another leader; and if this one never answered us, not for it."""
        self.zab.in_vain = None if self.accepted else self.source
        self.zab.look()

    def on_pause(self, late_ms: int) -> None:
        self._deadline = max(self._deadline, self.zab.now + self.zab.config.heartbeat_ms)

    def next_wake(self) -> Instant:
        return self._deadline if self.accepted else min(self._deadline, self._ask_at)

    def on_peer_lost(self, peer: NodeId) -> None:
        zab = self.zab
        if peer == self.source:
            zab.know_leader(None)
            self.heard = False
            self._deadline = zab.now + zab.dice.between(*zab.config.leader_loss_delay_ms)
            zab.arm(self._deadline)

    # --- discovery ---

    def _tell_info(self) -> None:
        zab = self.zab
        self._ask_at = zab.now + zab.config.heartbeat_ms
        zab.arm(self._ask_at)
        zab.promise(self.source, FollowerInfo(zab.term, zab.vote), zab.ballot_serial)

    def on_notification(self, source: NodeId, message: Notification) -> None:
        zab = self.zab
        if source == self.source:
            gave_up = message.term >= zab.term if self.accepted else message.round > zab.round
            if message.phase is Phase.LOOKING and gave_up:
                self._look()
                zab.role.on_notification(source, message)
        elif message.phase is Phase.ESTABLISHED and not self.accepted and message.term >= zab.term:
            zab.follow(source)

    def on_leader_info(self, source: NodeId, message: LeaderInfo) -> None:
        zab = self.zab
        if source != self.source or zab.installing:
            return  # what is durable of our history is about to change: it will be asked again
        if message.term > zab.term:
            zab.accept_epoch(message.term, source)
            self._joined, self._commit_told, self._new_leader = 0, 0, None
        elif zab.vote != source:
            self._tell_info()  # it cannot lead us in that epoch, and must choose another one
            return
        elif message.term < zab.term:
            return  # late: it has led a newer one since
        self.accepted = self.heard = True
        self._ack_epoch()

    def missed_epoch(self) -> None:
        """The leader speaks in an epoch that it has not named to us, or of which we did not hear it."""
        if self.accepted:
            self.accepted = False  # from here on it is told every heartbeat until it names its epoch
            self._tell_info()

    def _ack_epoch(self) -> None:
        """Vouches for all of our history, and so waits for every save under way."""
        zab = self.zab
        message = AckEpoch(zab.term, zab.settled, history_of(zab.log, zab.commit))
        zab.promise(self.source, message, zab.serial)

    # --- synchronization ---

    def on_diff(self, message: Diff) -> None:
        zab = self.zab
        if zab.installing or not is_plausible(message):
            return
        prev, entries, log = message.prev_index, message.entries, zab.log
        known = log.term(prev)
        if prev <= zab.commit:
            if known is not None and known != message.prev_term:
                return  # it contradicts what is committed: no leader of this epoch can have sent it
        elif known != message.prev_term:
            self._ask()
            return
        kept = self._already_held(entries)
        news = entries[kept:]
        if news and news[0].term < (log.term(news[0].index - 1) or 0):
            return
        if news and news[0].index <= log.last_index:
            if news[0].index <= self.joined:
                return
            if not message.truncate:
                self._ask()
                return
            zab.replace(news)
        elif news:
            zab.append(news)
        self._joined = max(self._joined, prev + len(entries))
        self._settle()
        self._deliver(0)
        self._acknowledge()

    def _already_held(self, entries: list[Entry]) -> int:
        """How many of the first entries we have; those that a snapshot contains are among them."""
        zab = self.zab
        for position, entry in enumerate(entries):
            if entry.index > zab.commit and zab.log.term(entry.index) != entry.term:
                return position
        return len(entries)

    def on_new_leader(self, message: NewLeader) -> None:
        zab = self.zab
        self._new_leader = message.index
        if zab.settled == zab.term:
            self._ack_new_leader()
            return
        self._settle()
        if zab.settled != zab.term:
            self._ask()

    def _settle(self) -> None:
        """All of what the epoch begins with is here: with it currentEpoch is saved, and then acknowledged."""
        zab = self.zab
        if self._new_leader is None or zab.settled == zab.term or zab.installing:
            return
        if self.joined >= self._new_leader and self.joined == zab.log.last_index:
            zab.settle()
            self._ack_new_leader()

    def _ack_new_leader(self) -> None:
        zab = self.zab
        zab.promise(self.source, AckNewLeader(zab.term, zab.log.last_index), zab.serial)

    def on_up_to_date(self, message: UpToDate) -> None:
        self._serve()
        self._deliver(message.commit)

    def _serve(self) -> None:
        """The epoch is established; a part of its history may still be on its way to us, but who leads is
        known."""
        if self.zab.leader != self.source:
            self.zab.know_leader(self.source)

    # --- broadcast ---

    def on_proposal(self, message: Proposal) -> None:
        zab = self.zab
        prev, entries = message.prev_index, message.entries
        joined = self.joined
        if zab.installing or not is_plausible(message):
            return
        if prev > joined or joined < zab.log.last_index:
            self._ask()
            return
        news = entries[joined - prev :] if prev < joined else entries
        if news:
            zab.append(news)
            self._joined = zab.log.last_index
        self._deliver(message.commit)
        self._acknowledge()

    def on_commit(self, message: Commit) -> None:
        self._deliver(message.commit)

    def _deliver(self, commit: Index) -> None:
        """What the leader has committed, as far as our history is known to be the leader's."""
        zab = self.zab
        if commit > self._commit_told:
            self._commit_told = commit
        commit = min(self._commit_told, self.joined)
        if commit > zab.commit and not zab.installing:
            zab.commit_to(commit)

    def _acknowledge(self) -> None:
        zab = self.zab
        joined = self.joined
        durable = joined <= zab.saved and zab.ballot_serial <= zab.saved_serial
        zab.promise(self.source, Ack(zab.term, joined), 0 if durable else zab.serial)

    def _ask(self) -> None:
        """Something is missing.  Asked once a heartbeat: each message that was overtaken shows the same gap,
        and each question is answered with more messages."""
        zab = self.zab
        joined = self.joined
        recent = zab.now - self._asked_at < zab.config.heartbeat_ms
        if zab.installing or (self._asked_after == joined and recent):
            return
        self._asked_after, self._asked_at = joined, zab.now
        if zab.settled == zab.term:
            zab.promise(self.source, Ask(zab.term, joined), zab.ballot_serial)
        else:
            self._ack_epoch()

    def on_ping(self, message: Ping) -> None:
        zab = self.zab
        reply = PingReply(zab.term, message.round, min(self.joined, zab.saved))
        zab.promise(self.source, reply, zab.ballot_serial)
        if message.established:
            self._serve()
        self._deliver(message.commit)
        if message.last > self.joined:
            self._ask()

    def installed(self) -> None:
        """The store is a snapshot now: a part of every later leader's history."""
        if self.accepted:
            self._acknowledge()


def is_plausible(message: Diff | Proposal) -> bool:
    """Whether a correct leader could have sent it: what could not be true must not be taken in."""
    index = message.prev_index
    least: Term = message.prev_term if isinstance(message, Diff) else message.term
    if least > message.term:
        return False
    for entry in message.entries:
        index += 1
        if entry.index != index or not least <= entry.term <= message.term or entry.kind == _MEMBERS:
            return False
        least = entry.term
    return True
