"""What every role of ZAB shares: the durable state, the effects, and the few verbs all of it is made of.

Durable are acceptedEpoch (`term`), from whom it was accepted (`vote`), currentEpoch (`settled`), and the
history (`log`).  `ZabState` keeps these promises, whatever the roles ask of it:

* epochs only grow, an epoch is accepted from one leader only, and currentEpoch is never above acceptedEpoch;
* what is committed is never truncated, and the commit index never goes back;
* a message that vouches for a save leaves after that save (`promise`);
* what counts as durable here (`saved`) is what the disk has said, less what was overwritten since.

ZooKeeper keeps the two epochs in files beside the log, and the order in which the three are written was the
cause of lost commits more than once.  Here one save carries both epochs and entries and is done as a whole,
so "the history, then currentEpoch" needs no order; it needs that currentEpoch is set in no *earlier* save
than the last entry of the history it speaks of.

A role (`Role`) is an object that lives as long as the node has that role, and owns what makes sense only in
it: votes, what followers have acknowledged, what the leader has said of commits.  Nothing of it outlives an
election.  Silence is every role's answer to what it has no method for.
"""
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

from agreed.consensus import role
from agreed.consensus.logged_machine import LoggedMachine
from agreed.consensus.machine import (
    Ballot,
    Dice,
    Entry,
    Send,
    SnapshotMark,
)
from agreed.consensus.members import Members, everybody
from agreed.consensus.quorum import Quorum, votes_under
from agreed.consensus.zab.config import ZabConfig
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
    SnapshotPieceReply,
    UpToDate,
    Vote,
)
from agreed.errors import CorruptData
from agreed.types import Identity, Instant, NodeId, Term


class Role(role.Role):
    """The answers of one role; the default to everything is silence."""

    def on_clock(self, now: Instant) -> None:
        """Time has passed, whether or not we asked to be told."""

    def on_notification(self, source: NodeId, message: Notification) -> None: ...

    def on_follower_info(self, source: NodeId, message: FollowerInfo) -> None: ...

    def on_leader_info(self, source: NodeId, message: LeaderInfo) -> None: ...

    def on_ack_epoch(self, source: NodeId, message: AckEpoch) -> None: ...

    def on_diff(self, message: Diff) -> None: ...

    def on_new_leader(self, message: NewLeader) -> None: ...

    def on_ack_new_leader(self, source: NodeId, message: AckNewLeader) -> None: ...

    def on_up_to_date(self, message: UpToDate) -> None: ...

    def on_proposal(self, message: Proposal) -> None: ...

    def on_ack(self, source: NodeId, message: Ack) -> None: ...

    def on_commit(self, message: Commit) -> None: ...

    def on_ask(self, source: NodeId, message: Ask) -> None: ...

    def on_ping(self, message: Ping) -> None: ...

    def on_ping_reply(self, source: NodeId, message: PingReply) -> None: ...

    def on_snapshot_piece_reply(self, source: NodeId, message: SnapshotPieceReply) -> None: ...


class ZabState(LoggedMachine):
    role: Role
    config: ZabConfig

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
        super().__init__(me, members, ballot, mark, entries, config, dice, now)
        self.wake = now
        if max(self.log.last_term, ballot.settled) > ballot.term:
            raise CorruptData(
                f"the log ends in epoch {self.log.last_term} and was settled in {ballot.settled}, but the "
                f"ballot knows only epoch {ballot.term}: the ballot is always saved with the entries, so one "
                "of the two was lost or restored alone"
            )
        self.term: Term = ballot.term
        self.vote: NodeId | None = ballot.vote
        self.settled: Term = ballot.settled
        self.round = 0
        """Of the last election we took part in; lost in a crash, for nothing rests on it."""
        self.in_vain: NodeId | None = None
        """Whom we followed last without an answer: in the next election it is not our choice."""
        self._set_members(self.log.members, identity)


    def _set_members(self, members: Members, identity: Identity) -> None:
        """They never change here; to change them is Raft's."""
        self.quorum = Quorum(members)
        self.peers = tuple(name for name in everybody(members) if name != self.me)
        self.promotable = votes_under(members, self.me, identity)
        """Whether we vote, and so may lead; not where our name stands for another identity."""

    # --- transitions, made by the class that knows all roles ---

    @abstractmethod
    def look(self, appointed: NodeId | None = None) -> None: ...

    @abstractmethod
    def follow(self, leader: NodeId) -> None: ...

    @abstractmethod
    def lead(self) -> None: ...

    @abstractmethod
    def know_leader(self, leader: NodeId | None) -> None: ...

    @abstractmethod
    def established(self) -> None: ...

    @property
    @abstractmethod
    def installing(self) -> bool:
        """A whole snapshot is here: the log stands still until it is installed or rejected."""

    # --- what is known ---

    def rank(self, vote: Vote) -> tuple[int, ...]:
        """How recent a history is: currentEpoch first, then the zxid, which is an epoch first.

        An entry of a newer epoch may stand in the shorter history, and the longer one may be what a leader
        without a quorum wrote all alone."""
        return (vote.settled, vote.last_term, vote.last_index)

    def own_vote(self) -> Vote:
        return Vote(self.settled, self.log.last_term, self.log.last_index, False, self.me)

    # --- what leaves ---

    def promise(self, target: NodeId, message: object, serial: int) -> None:
        """Send once the save `serial` is durable.  What vouches for a state says all that an earlier such
        message said that still waits for the same save."""
        if serial <= self.saved_serial:
            self.effects.send.append(Send(target, message))
        else:
            self.promises.hold_last(serial, Send(target, message))

    # --- what is saved ---

    def accept_epoch(self, term: Term, leader: NodeId) -> None:
        """acceptedEpoch: from now on nothing of an older epoch is taken, and this one from nobody else.

        What was promised in an older one is of no use to anybody."""
        assert term > self.term
        self.term, self.vote = term, leader
        self.promises.clear()
        self._save_ballot()

    def settle(self) -> None:
        """currentEpoch: our history is that with which the accepted epoch begins."""
        self.settled = self.term
        self._save_ballot()

    def _save_ballot(self) -> None:
        self.save_ballot(Ballot(self.term, self.vote, self.settled))

    def replace(self, entries: list[Entry]) -> None:
        """TRUNC: these take the place of what stands at the first one's index and after it.

        A log is only ever shortened by writing something else there, in the same save.  The story with a
        truncation of its own: it is done in memory, the node says that its history is the leader's, crashes,
        and comes back with the old suffix.  What is durable beyond no longer counts, and a save of it that is
        still under way will not make it count (the ABA problem)."""
        self.truncate(entries[0].index)
        self.append(entries)
