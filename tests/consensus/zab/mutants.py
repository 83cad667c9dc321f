"""ZABs that are wrong in one place each: the invariants, the contract and the world must notice every one.

Each mutant is a subclass with one rule broken; its docstring is the rule, and what breaks where it is
missing. `RANDOM` and `ROUGH` list those that random storms kill, `RULES` in `lone.py` those that a directed
story kills.
"""
from __future__ import annotations

from agreed.consensus.machine import Ballot, Entry, Proposed, ReadRequested, Send, SnapshotInstalled
from agreed.consensus.zab.broadcast import Broadcast
from agreed.consensus.zab.following import Following
from agreed.consensus.zab.leading import Leading, Stage
from agreed.consensus.zab.learner import Learner, Pace
from agreed.consensus.zab.looking import Looking
from agreed.consensus.zab.messages import (
    Ack,
    AckEpoch,
    AckNewLeader,
    Ask,
    Diff,
    FollowerInfo,
    LeaderInfo,
    NewLeader,
    Notification,
    PingReply,
    Proposal,
    Vote,
)
from agreed.consensus.zab.zab import Zab
from agreed.types import Index, NodeId, Term
from tests.consensus.weak_quorum import WeakQuorum

# --- election and discovery -------------------------------------------------------------------------------


class ComparesOnlyCounters(Zab):
    """Z3: the longer history may be the one that a leader without a quorum wrote all alone."""

    def rank(self, vote: Vote) -> tuple[int, ...]:
        return (vote.last_index,)


class ForgetsCurrentEpoch(Zab):
    """The history of who was given a newer epoch's is the more recent one, though its zxid be lower."""

    def rank(self, vote: Vote) -> tuple[int, ...]:
        return (vote.last_term, vote.last_index)


class LeadsWhateverOthersHave(Zab):
    """Who finds a more recent history in its quorum gives up: what that one has may be committed."""

    class Stubborn(Leading):
        def on_ack_epoch(self, source: NodeId, message: AckEpoch) -> None:
            rank, self.zab.rank = self.zab.rank, lambda vote: ()  # type: ignore[method-assign]
            super().on_ack_epoch(source, message)
            self.zab.rank = rank  # type: ignore[method-assign]

    leading_role = Stubborn


class CountsOnFromItsOwnEpoch(Zab):
    """Z4: the new epoch is above all that a quorum has accepted, not just above our own."""

    class Naive(Leading):
        def next_epoch(self) -> Term:
            return self.zab.term + 1

    leading_role = Naive


class ForgetsAcceptedEpoch(Zab):
    """Z10: acceptedEpoch is durable before it is acknowledged; else an old epoch is taken up again."""

    def _save(self, entries: list[Entry]) -> None:
        super()._save(entries)
        assert self.effects.save is not None
        least = max(self.settled, self.log.last_term)
        self.effects.save.ballot = Ballot(least, self.vote if least == self.term else None, self.settled)


class NamesItsEpochBeforeItIsDurable(Zab):
    """A leader that crashes must not name the same epoch again, for another history."""

    class Hasty(Leading):
        def _tell_epoch(self, name: NodeId) -> None:
            self.zab.send(name, LeaderInfo(self.zab.term))

    leading_role = Hasty


class AcceptsAnEpochTwice(Zab):
    """An epoch is accepted from one leader only; else it has two."""

    class Agreeable(Following):
        def on_leader_info(self, source: NodeId, message: LeaderInfo) -> None:
            if message.term == self.zab.term and source == self.source:
                self.zab.vote = source
                self.zab._save_ballot()
            super().on_leader_info(source, message)

    following_role = Agreeable


class TakesUpAnOldEpoch(Zab):
    """Who has accepted an epoch takes nothing of an older one."""

    class Agreeable(Following):
        def on_leader_info(self, source: NodeId, message: LeaderInfo) -> None:
            if message.term < self.zab.term and source == self.source:
                self.zab.term = message.term
                self.zab.vote = source
                self.zab._save_ballot()
            super().on_leader_info(source, message)

    following_role = Agreeable


class HalfIsEnough(WeakQuorum, Zab):
    """Half of the voters are not a quorum."""


class VotesForItselfOnly(Zab):
    """Votes converge because everybody takes over the better one."""

    class Selfish(Looking):
        def _is_better(self, vote: Vote, than: Vote) -> bool:
            return vote.name == self.zab.me and super()._is_better(vote, than)

    looking_role = Selfish


class IgnoresRounds(Zab):
    """A vote of an earlier election may be for a node whose followers have left it."""

    class Undiscerning(Looking):
        def on_notification(self, source: NodeId, message: Notification) -> None:
            message = Notification(message.term, self.zab.round, message.phase, message.vote)
            super().on_notification(source, message)

    looking_role = Undiscerning


class ElectsTheDeaf(Zab):
    """Whom one followed without an answer is not elected again at once."""

    class Stubborn(Looking):
        def _is_choice(self, vote: Vote) -> bool:
            return self._is_better(vote, self.vote)

    looking_role = Stubborn


class DecidesAtOnce(Zab):
    """A quorum's choice waits a moment for a better one."""

    class Hasty(Looking):
        def _decide(self) -> None:
            chosen = {name for name, vote in self.votes.items() if vote.name == self.vote.name}
            if self.zab.quorum.has(chosen):
                self._finalize()

    looking_role = Hasty


class CountsOldAcknowledgements(Zab):
    """Who accepted an epoch that we gave up has not accepted the next one."""

    class Counting(Leading):
        def on_ack_epoch(self, source: NodeId, message: AckEpoch) -> None:
            if self.stage is Stage.DISCOVERY:
                self._acks[source] = message
            else:
                super().on_ack_epoch(source, message)

    leading_role = Counting


class LeadsOnAlone(Zab):
    """Who does not hear a quorum looks for a leader."""

    class Lonely(Leading):
        def _hears_quorum(self, now: int) -> bool:
            return True

    leading_role = Lonely


class IgnoresNewerEpochs(Zab):
    """Who hears that a follower can never join its epoch begins a newer one."""

    class Deaf(Leading):
        def on_follower_info(self, source: NodeId, message: FollowerInfo) -> None:
            if self.stage is Stage.DISCOVERY:
                super().on_follower_info(source, message)
            else:
                super().on_follower_info(source, FollowerInfo(self.zab.term, self.zab.me))

    leading_role = Deaf


# --- synchronization --------------------------------------------------------------------------------------


class SettlesBeforeItHasTheHistory(Zab):
    """Z1: the history, then currentEpoch; else a node with a short history wins the next election."""

    class Hasty(Following):
        def on_diff(self, message: Diff) -> None:
            super().on_diff(message)
            if self.zab.settled < self.zab.term:
                self.zab.settle()

    following_role = Hasty


class AcknowledgesBeforeItIsSynchronized(Zab):
    """Z2: NEWLEADER is acknowledged when the history is durable, not when it is heard."""

    class Hasty(Following):
        def on_new_leader(self, message: NewLeader) -> None:
            self.zab.send(self.source, AckNewLeader(self.zab.term, message.index))
            super().on_new_leader(message)

    following_role = Hasty


class SkipsWhatIsProposedMeanwhile(Zab):
    """Z5: what is proposed while a follower is synchronized is proposed to it as well."""

    class Skipping(Broadcast):
        def _ready(self, learner: Learner) -> None:
            was_ready = learner.ready
            super()._ready(learner)
            if not was_ready and learner.pace is Pace.STREAM:
                learner.next = self.zab.log.last_index + 1

        def on_ask(self, source: NodeId, message: Ask) -> None:
            pass  # it was proposed: a connection loses nothing

    class Leading(Leading):
        def __init__(self, zab: Zab) -> None:
            super().__init__(zab)
            self.broadcast = SkipsWhatIsProposedMeanwhile.Skipping(zab, self.reads)
            self.transfer._learners = self.broadcast.learners

    leading_role = Leading


class TellsOldCommits(Zab):
    """Z6: UPTODATE carries the newest commit, not what the follower has acknowledged."""

    class Telling(Broadcast):
        def up_to_date_commit(self, learner: Learner) -> Index:
            return min(learner.new_leader_at, self.zab.commit)

    class Leading(Leading):
        def __init__(self, zab: Zab) -> None:
            super().__init__(zab)
            self.broadcast = TellsOldCommits.Telling(zab, self.reads)
            self.transfer._learners = self.broadcast.learners

    leading_role = Leading


class KeepsItsMemory(Zab):
    """Z7: nothing of one leader's words is kept for the next; its commits were of another history."""

    def follow(self, leader: NodeId) -> None:
        before = self._before
        super().follow(leader)
        if isinstance(self.role, Following):
            if before is not None:
                self.role._commit_told, self.role._joined = before._commit_told, before._joined
            self._before = self.role

    _before: Following | None = None

    class Keeping(Following):
        def on_leader_info(self, source: NodeId, message: LeaderInfo) -> None:
            told, joined = self._commit_told, self._joined
            super().on_leader_info(source, message)
            self._commit_told, self._joined = told, min(joined, self.zab.log.last_index)

    following_role = Keeping


class KeepsWhatConflicts(Zab):
    """Z8: TRUNC is done: what the leader does not have goes."""

    def replace(self, entries: list[Entry]) -> None:
        log = self.log
        rest = [e for e in entries if e.index > log.last_index and e.term >= log.last_term]
        if rest:
            self.append(rest)


class TruncatesInMemoryOnly(Zab):
    """A truncation is durable before the history is acknowledged: here it is when something replaces it."""

    def replace(self, entries: list[Entry]) -> None:
        index = entries[0].index
        self.log.truncate(index)
        self.log.append(entries)
        self.saved = min(self.saved, self.log.last_index)
        self._save([])


class ForgetsTheAbaProblem(Zab):
    """A save that returns counts only for what still stands of it, not for what replaced it."""

    def _forget_saved(self, last: Index) -> None:
        self.saved = min(self.saved, last)


class CountsWhoIsNotReady(Zab):
    """What a follower has counts from its ACK of NEWLEADER on."""

    class Counting(Broadcast):
        def on_ack(self, source: NodeId, index: Index) -> None:
            learner = self.learners.get(source)
            if learner is not None and index >= self.began_at:
                learner.ready = True
            super().on_ack(source, index)

    class Leading(Leading):
        def __init__(self, zab: Zab) -> None:
            super().__init__(zab)
            self.broadcast = CountsWhoIsNotReady.Counting(zab, self.reads)
            self.transfer._learners = self.broadcast.learners

    leading_role = Leading


class CountsAnyHistory(Zab):
    """A follower's history counts where it is known to be the leader's."""

    class Trusting(Following):
        @property
        def joined(self) -> Index:
            return self.zab.log.last_index

    following_role = Trusting


class NeverAsks(Zab):
    """Who finds a gap asks for what is missing, or never gets it."""

    class Mute(Following):
        def _ask(self) -> None:
            pass

    following_role = Mute


# --- broadcast --------------------------------------------------------------------------------------------


class SpeaksBeforeItSaves(Zab):
    """What vouches for a save leaves after the save."""

    def promise(self, target: NodeId, message: object, serial: int) -> None:
        self.send(target, message)


class AcknowledgesBeforeItSaves(Zab):
    """An acknowledged proposal is durable."""

    def promise(self, target: NodeId, message: object, serial: int) -> None:
        if isinstance(message, Ack):
            self.send(target, message)
        else:
            super().promise(target, message, serial)


class CountsItsOwnUnsavedLog(Zab):
    """The leader's own log counts once saved."""

    class Counting(Broadcast):
        def flush(self) -> None:
            self.own.matched(self.zab.log.last_index)
            self.own.ready = True
            self.advance()
            super().flush()

    class Leading(Leading):
        def __init__(self, zab: Zab) -> None:
            super().__init__(zab)
            self.broadcast = CountsItsOwnUnsavedLog.Counting(zab, self.reads)
            self.transfer._learners = self.broadcast.learners

    leading_role = Leading


class DeliversOutOfOrder(Zab):
    """Z9: what is committed is delivered in the order of the zxids."""

    def commit_to(self, index: Index) -> None:
        super().commit_to(index)
        self.effects.commit.reverse()


class DeliversWhatItHas(Zab):
    """A commit is delivered as far as our history is the leader's, not as far as it goes."""

    class Trusting(Following):
        def _deliver(self, commit: Index) -> None:
            commit = min(commit, self.zab.log.last_index)
            if commit > self.zab.commit and not self.zab.installing:
                self.zab.commit_to(commit)

    following_role = Trusting


class DeliversWhatIsProposed(Zab):
    """Nothing is delivered before a quorum has it."""

    class Hasty(Following):
        def on_proposal(self, message: Proposal) -> None:
            super().on_proposal(message)
            self._deliver(self.joined)

    following_role = Hasty


class ProposesBeforeItIsEstablished(Zab):
    """Primary integrity: who proposes has delivered all that was committed before."""

    class Hasty(Leading):
        def on_proposed(self, event: Proposed) -> None:
            if self.stage is Stage.SYNCHRONIZATION:
                leads, self.zab.leads = self.zab.leads, True
                super().on_proposed(event)
                self.zab.leads = leads

        def on_ack_epoch(self, source: NodeId, message: AckEpoch) -> None:
            super().on_ack_epoch(source, message)
            if self.stage is Stage.SYNCHRONIZATION and not self.zab.leads:
                self.zab.established()

    leading_role = Hasty


class OverwritesItsOwnHistory(Zab):
    """Local primary order: a primary appends, and changes nothing."""

    class Overwriting(Leading):
        def on_proposed(self, event: Proposed) -> None:
            zab = self.zab
            if zab.leads and zab.log.last_index > max(zab.commit, self.broadcast.began_at):
                entry = zab.log.entry(zab.log.last_index)
                zab.replace([Entry(entry.index, entry.term, entry.kind, event.payload)])
            else:
                super().on_proposed(event)

    leading_role = Overwriting


class IgnoresTheWindow(Zab):
    """What may be in flight to one follower is bounded."""

    class Flooding(Broadcast):
        def _may_send(self, learner: Learner) -> bool:
            return learner.pace in (Pace.PROBE, Pace.STREAM) and not learner.waiting

    class Leading(Leading):
        def __init__(self, zab: Zab) -> None:
            super().__init__(zab)
            self.broadcast = IgnoresTheWindow.Flooding(zab, self.reads)
            self.transfer._learners = self.broadcast.learners

    leading_role = Leading


class BelievesTheLastWord(Zab):
    """A late acknowledgement says less, not more."""

    class Believing(Broadcast):
        def on_ack(self, source: NodeId, index: Index) -> None:
            super().on_ack(source, index)
            learner = self.learners.get(source)
            if learner is not None and learner.match > index:
                learner.match = index

    class Leading(Leading):
        def __init__(self, zab: Zab) -> None:
            super().__init__(zab)
            self.broadcast = BelievesTheLastWord.Believing(zab, self.reads)
            self.transfer._learners = self.broadcast.learners

    leading_role = Leading


# --- snapshots and reads ----------------------------------------------------------------------------------


class KeepsASuffixUnderASnapshot(Zab):
    """A log that contradicts the snapshot goes as a whole."""

    def _on_snapshot_installed(self, event: SnapshotInstalled) -> None:
        log, index = self.log, event.mark.index
        suffix = log.between(index + 1, log.last_index) if log.last_index > index >= log.base_index else []
        super()._on_snapshot_installed(event)
        self.log.append([entry for entry in suffix if entry.term >= event.mark.term])


class TakesWhatComesWhileItInstalls(Zab):
    """While a snapshot is installed the log stands still."""

    @property
    def installing(self) -> bool:
        return False


class ReadsItsOwnCommit(Zab):
    """Z11: a read is answered by who knows what is committed, not by who has heard of a part of it."""

    def _on_read_requested(self, event: ReadRequested) -> None:
        self.read_ready(event.ticket, self.commit)


class ReadsWithoutAsking(Zab):
    """A leader that was cut off does not know that others have committed more."""

    class Hasty(Leading):
        def on_read_requested(self, ticket: int) -> None:
            self.zab.read_ready(ticket, self.zab.commit)

    leading_role = Hasty


class ReadsByAnEarlierRound(Zab):
    """An answer to a ping that left before the read came says nothing."""

    class Hasty(Leading):
        def on_read_requested(self, ticket: int) -> None:
            heard = {learner.name for learner in self.broadcast.followers if learner.round}
            if self.zab.quorum.has(heard | {self.zab.me}):
                self.zab.read_ready(ticket, self.zab.commit)
            else:
                super().on_read_requested(ticket)

    leading_role = Hasty


class AnswersPingsOfOldEpochs(Zab):
    """Who has accepted a newer epoch no longer makes an old leader sure of itself."""

    def _on_leader_word(self, source: NodeId, message: object) -> None:
        super()._on_leader_word(source, message)  # type: ignore[arg-type]
        term, number = getattr(message, "term", 0), getattr(message, "round", 0)
        if number and term < self.term:
            self.effects.send.append(Send(source, PingReply(term, number, 0)))


class AnswersTwice(Zab):
    """Each read is answered once."""

    def read_ready(self, ticket: int, index: Index | None) -> None:
        super().read_ready(ticket, index)
        super().read_ready(ticket, index)


RANDOM: list[tuple[type[Zab], int]] = [
    (HalfIsEnough, 0),
    (VotesForItselfOnly, 0),
    (SettlesBeforeItHasTheHistory, 27),
    (AcknowledgesBeforeItIsSynchronized, 1),
    (SkipsWhatIsProposedMeanwhile, 3),
    (CountsWhoIsNotReady, 1),
    (NeverAsks, 3),
    (SpeaksBeforeItSaves, 0),
    (AcknowledgesBeforeItSaves, 3),
    (CountsItsOwnUnsavedLog, 0),
    (DeliversOutOfOrder, 0),
    (DeliversWhatIsProposed, 0),
    (ProposesBeforeItIsEstablished, 0),
    (OverwritesItsOwnHistory, 3),
    (IgnoresTheWindow, 3),
    (BelievesTheLastWord, 0),
    (ReadsItsOwnCommit, 0),
    (AnswersTwice, 0),
]
"""Those that random storms kill, and the seed to begin with, so that the proof is quick."""

ROUGH: list[tuple[type[Zab], int]] = [
    (ComparesOnlyCounters, 58),
    (ForgetsAcceptedEpoch, 38),
    (KeepsWhatConflicts, 12),
]
"""The same in rough weather, where epochs are short."""
