"""Rafts that are wrong in one place each: the invariants, the contract and the world must notice every one.

Each mutant is a subclass with one rule broken; its docstring is the rule, and what breaks where it is
missing.  `RANDOM` lists those that random storms kill; the others are killed by a directed test in
`test_paper.py`.  """
from __future__ import annotations

from typing import Any

import msgspec

from agreed.consensus.machine import Ballot, Entry, SnapshotMark
from agreed.consensus.quorum import Quorum
from agreed.consensus.raft.candidate import Candidate
from agreed.consensus.raft.changes import PendingChange
from agreed.consensus.raft.follower import Follower
from agreed.consensus.raft.leader import Leader
from agreed.consensus.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    RequestVote,
    RequestVoteReply,
)
from agreed.consensus.raft.raft import Raft
from agreed.types import Index, NodeId, Term
from tests.consensus.weak_quorum import WeakQuorum

# --- votes ------------------------------------------------------------------------------------------------


class ForgetsItsVote(Raft):
    """R1, R2: a vote is durable before it is spoken; else a restarted voter votes twice in a term."""

    def _cast(self, vote: NodeId | None) -> None:
        super()._cast(vote)
        assert self.effects.save is not None
        self.effects.save.ballot = Ballot(self.term, None)


class SpeaksBeforeItSaves(Raft):
    """R1: what vouches for a save leaves after the save."""

    def promise(self, target: NodeId, message: object, serial: int) -> None:
        self.send(target, message)


class VotesForAnyLog(Raft):
    """R3: no vote for a log that lacks what ours has (§5.4.1); else what was agreed is lost."""

    def up_to_date(self, last_index: Index, last_term: Term) -> bool:
        return True


class ComparesOnlyLength(Raft):
    """R4: a longer log of an older term is not better."""

    def up_to_date(self, last_index: Index, last_term: Term) -> bool:
        return last_index >= self.log.last_index


class ComparesOnlyTerms(Raft):
    """R5: of two logs that end in one term the shorter lacks something."""

    def up_to_date(self, last_index: Index, last_term: Term) -> bool:
        return last_term >= self.log.last_term


class VotesTwice(Raft):
    """One vote a term (§5.2)."""

    def _on_request_vote(self, source: NodeId, message: RequestVote) -> None:
        if message.term == self.term and not message.pre and not self.leads:
            self.send(source, RequestVoteReply(self.term, True))
        else:
            super()._on_request_vote(source, message)


class CountsOldVotes(Raft):
    """R13: a vote of an older term elects nobody in this one."""

    def _on_request_vote_reply(self, source: NodeId, message: RequestVoteReply) -> None:
        if not message.pre and message.term < self.term:
            message = msgspec.structs.replace(message, term=self.term)
        super()._on_request_vote_reply(source, message)


class CountsAVoteTwice(Raft):
    """R14: a doubled reply is one vote."""

    class Counting(Candidate):
        votes = 0

        def on_request_vote_reply(self, source: NodeId, message: RequestVoteReply) -> None:
            self.votes += message.granted and message.pre is self.pre
            if not self.pre and self.votes + 1 >= len(self.raft.quorum.names) // 2 + 1:
                self.raft.become_leader()
            else:
                super().on_request_vote_reply(source, message)

    candidate_role = Counting


class HalfIsEnough(WeakQuorum, Raft):
    """R15: half of the voters are not a majority."""


# --- the log ----------------------------------------------------------------------------------------------


class CommitsOldTermsByCounting(Raft):
    """R6: only an entry of our own term is agreed by counting (§5.4.2, figure 8)."""

    class Counting(Leader):
        def _advance(self) -> None:
            raft = self.raft
            index = raft.quorum.agreed({name: f.match for name, f in self.progress.items()})
            if raft.commit < index < self.term_began_at:
                raft.commit_to(index)
            super()._advance()

    leader_role = Counting


class JoinsAnyLog(Raft):
    """R7: entries are taken only where they join our log (§5.3)."""

    class Joining(Follower):
        def on_append_entries(self, source: NodeId, message: AppendEntries) -> None:
            known = self.raft.log.term(message.prev_index)
            if known is not None and message.prev_term != known:
                message = msgspec.structs.replace(message, prev_term=known)
            super().on_append_entries(source, message)

    follower_role = Joining


class TruncatesWithoutConflict(Raft):
    """R8: a late, shorter append takes nothing back."""

    class Truncating(Follower):
        def on_append_entries(self, source: NodeId, message: AppendEntries) -> None:
            raft, prev = self.raft, message.prev_index
            if raft.commit <= prev < raft.log.last_index and raft.log.term(prev) == message.prev_term:
                raft.truncate(prev + 1)
            super().on_append_entries(source, message)

    follower_role = Truncating


class KeepsWhatConflicts(Raft):
    """R9: what conflicts goes."""

    class Keeping(Follower):
        def on_append_entries(self, source: NodeId, message: AppendEntries) -> None:
            log = self.raft.log
            held = range(log.base_index + 1, log.last_index + 1)
            entries = [log.entry(entry.index) if entry.index in held else entry for entry in message.entries]
            super().on_append_entries(source, msgspec.structs.replace(message, entries=entries))

    follower_role = Keeping


class CommitsWhatItWasTold(Raft):
    """R10: the leader's commit index covers only what this append vouches for."""

    class Trusting(Follower):
        def on_append_entries(self, source: NodeId, message: AppendEntries) -> None:
            super().on_append_entries(source, message)
            commit = min(message.commit, self.raft.log.last_index)
            if commit > self.raft.commit:
                self.raft.commit_to(commit)

    follower_role = Trusting


class CommitGoesBack(Raft):
    """R11: what is agreed stays agreed."""

    class Obeying(Follower):
        def on_append_entries(self, source: NodeId, message: AppendEntries) -> None:
            super().on_append_entries(source, message)
            if self.raft.log.base_index <= message.commit < self.raft.commit:
                self.raft.commit = message.commit

    follower_role = Obeying


class CommitsWhatItAppends(Raft):
    """R34: nothing is applied before a quorum has it."""

    class Hasty(Follower):
        def on_append_entries(self, source: NodeId, message: AppendEntries) -> None:
            super().on_append_entries(source, message)
            if self.raft.log.last_index > self.raft.commit:
                self.raft.commit_to(self.raft.log.last_index)

    follower_role = Hasty


class BelievesTheLastWord(Raft):
    """R12: a late acknowledgement says less, not more: match never goes back."""

    class Believing(Leader):
        def on_append_entries_reply(self, source: NodeId, message: AppendEntriesReply) -> None:
            super().on_append_entries_reply(source, message)
            follower = self.progress.get(source)
            if follower is not None and follower is not self.own and follower.match > message.match:
                follower.match = message.match

    leader_role = Believing


class CountsItsOwnUnsavedLog(Raft):
    """R16: a leader's own log counts once saved."""

    class Counting(Leader):
        def on_flush(self) -> None:
            self.own.matched(self.raft.log.last_index)
            self._advance()
            super().on_flush()

    leader_role = Counting


class AcknowledgesBeforeItSaves(Raft):
    """R17: an acknowledged entry is durable."""

    class Hasty(Follower):
        def _acknowledge(self, source: NodeId, message: AppendEntries, matched: Index) -> None:
            self.raft.send(source, AppendEntriesReply(self.raft.term, message.round, matched))

    follower_role = Hasty


class OverwritesItsOwnLog(Raft):
    """R19: a leader appends, and changes nothing (§5.3)."""

    class Overwriting(Leader):
        def on_proposed(self, event: Any) -> None:
            raft = self.raft
            if raft.log.last_index > raft.commit and raft.log.last_index > self.term_began_at:
                raft.truncate(raft.log.last_index)
            super().on_proposed(event)

    leader_role = Overwriting


class NeverBacksUp(Raft):
    """R36: a follower whose log differs is asked further back, or it never follows again."""

    class Stubborn(Leader):
        def _back_up(self, follower: Any, message: AppendEntriesReply) -> None:
            follower.waiting = False

    leader_role = Stubborn


class ForgetsTheAbaProblem(Raft):
    """A save that returns counts only for what still stands of it, not for what overwrote it."""

    def _forget_saved(self, last: Index) -> None:
        self.saved = min(self.saved, last)


# --- snapshots --------------------------------------------------------------------------------------------


class KeepsASuffixUnderASnapshot(Raft):
    """R20: a log that contradicts the snapshot goes as a whole."""

    def restore(self, mark: SnapshotMark) -> None:
        suffix: list[Entry] = []
        if self.log.last_index > mark.index >= self.log.base_index:
            suffix = self.log.between(mark.index + 1, self.log.last_index)
        super().restore(mark)
        self.log.append([entry for entry in suffix if entry.term >= mark.term])


class AppendsWhileItInstalls(Raft):
    """While a snapshot is installed the log stands still."""

    def _on_append_entries(self, source: NodeId, message: AppendEntries) -> None:
        if self._accept_leader(source, message.term):
            self.role.on_append_entries(source, message)


# --- reads ------------------------------------------------------------------------------------------------


class ReadsBeforeItCommits(Raft):
    """R24: a new leader's commit index is old until it has committed something itself."""

    class Hasty(Leader):
        def on_read_requested(self, ticket: int) -> None:
            self.reads.ask(None, ticket, ready=True)

        def on_flush(self) -> None:
            if self.reads.begin_round(ready=True):
                for follower in self.followers:
                    follower.notice = True
            super().on_flush()

    leader_role = Hasty


class ReadsWithoutAsking(Raft):
    """R25: only a round that began after the read proves anything about it."""

    class Hasty(Leader):
        def on_read_requested(self, ticket: int) -> None:
            self.raft.read_ready(ticket, self.raft.commit)

    leader_role = Hasty


class ReadsByAnEarlierRound(Raft):
    """R25: an answer to a heartbeat that left before the read came says nothing."""

    class Hasty(Leader):
        def on_read_requested(self, ticket: int) -> None:
            if self.settled and self.raft.quorum.has({n for n, f in self.progress.items() if f.round > 1}):
                self.raft.read_ready(ticket, self.raft.commit)
            else:
                super().on_read_requested(ticket)

    leader_role = Hasty


class AnswersTwice(Raft):
    """Each read is answered once."""

    def read_ready(self, ticket: int, index: Index | None) -> None:
        super().read_ready(ticket, index)
        super().read_ready(ticket, index)


# --- members ----------------------------------------------------------------------------------------------


class CountsOnlyTheNewSet(WeakQuorum, Raft):
    """R30: in a joint set the old majority is needed too (§6)."""

    def weaken(self, quorum: Quorum) -> None:
        quorum._joint = False


class CountsOnlyTheOldSet(WeakQuorum, Raft):
    """R30: in a joint set the new majority is needed too (§6)."""

    def weaken(self, quorum: Quorum) -> None:
        if quorum.outgoing:
            quorum.voters, quorum._need = quorum.outgoing, quorum._outgoing_need


class ChangesTwiceAtOnce(Raft):
    """R28: one change at a time."""

    class Hasty(PendingChange):
        def _not_now(self, *, settled: bool) -> str | None:
            return None if settled else super()._not_now(settled=settled)

    class Changing(Leader):
        def __init__(self, raft: Any) -> None:
            super().__init__(raft)
            self.change = ChangesTwiceAtOnce.Hasty(raft)

    leader_role = Changing


class ChangesBeforeItCommits(Raft):
    """R29: no change before the leader has committed something of its own term."""

    class Changing(Leader):
        def on_members_change_requested(self, ticket: int, change: Any) -> None:
            self.change.request(ticket, change, self.progress, settled=True)

    leader_role = Changing


class CreditsANewDiskWithTheOld(Raft):
    """R37: what the old holder of a name acknowledged, the new one does not have."""

    class Crediting(Leader):
        def _adopt_members(self) -> None:
            for follower in self.progress.values():
                follower.identity = None
            super()._adopt_members()

    leader_role = Crediting


class StaysInItsTerm(Raft):
    """R18: who hears of a newer term steps down (§5.1)."""

    def _accept_reply(self, source: NodeId, term: Term) -> bool:
        return term == self.term


class RaisesItsTermForAPreVote(Raft):
    """R31: a pre-vote changes nobody's term (thesis 9.6)."""

    def _on_pre_vote(self, source: NodeId, message: RequestVote) -> None:
        if message.term > self.term:
            self.become_follower(message.term, None)
        super()._on_pre_vote(source, message)


class CalmedByAnybody(Raft):
    """R35: only a leader's word or a vote granted restarts the election timer (§5.2)."""

    def _on_received(self, event: Any) -> None:
        self.restart_timer = True
        super()._on_received(event)


class BlamesOthersForItsPause(Raft):
    """A pause of our own is no silence of others."""

    class Blaming(Leader):
        def on_pause(self, late_ms: int) -> None:
            pass

    leader_role = Blaming


class TakesItsDeafnessForSilence(Raft):
    """Who did something else cannot say that the leader was silent."""

    def _on_deafness(self) -> None:
        pass


class KeepsItsLease(Raft):
    """R27: who has told another to campaign has no lease any more."""

    class Keeping(Leader):
        def on_transfer_requested(self, target: NodeId | None) -> None:
            self.transfer.begin(target, self.progress)

    leader_role = Keeping


class TakesAnOlderSnapshot(Raft):
    """R21: a snapshot never takes back what is committed."""

    def _on_install_snapshot(self, source: NodeId, message: Any) -> None:
        if self._accept_leader(source, message.term):
            self.log.restore(message.mark)
            self.commit = message.mark.index


class IgnoresTheWindow(Raft):
    """What may be in flight to one follower is bounded."""

    class Flooding(Leader):
        def _may_send(self, follower: Any) -> bool:
            return not follower.waiting and not follower.loading

    leader_role = Flooding


RANDOM: list[tuple[type[Raft], int]] = [
    (VotesForAnyLog, 13),
    (ComparesOnlyTerms, 13),
    (VotesTwice, 9),
    (HalfIsEnough, 0),
    (JoinsAnyLog, 168),
    (TruncatesWithoutConflict, 4),
    (CommitsWhatItWasTold, 8),
    (CommitGoesBack, 3),
    (CommitsWhatItAppends, 0),
    (BelievesTheLastWord, 0),
    (CountsItsOwnUnsavedLog, 0),
    (AcknowledgesBeforeItSaves, 0),
    (OverwritesItsOwnLog, 0),
    (ReadsBeforeItCommits, 25),
    (ReadsWithoutAsking, 0),
    (AnswersTwice, 0),
    (CountsOnlyTheNewSet, 15),
]
"""Those that random storms kill, and the seed to begin with, so that the proof is quick."""
