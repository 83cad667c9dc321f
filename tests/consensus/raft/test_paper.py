"""One test for each rule of the paper and the thesis, and for each the wrong Rafts that it catches.

A rule is a function of the class of machine it is tried on: it passes on `Raft`, and fails on every mutant
named beside it.  Section numbers are those of the extended paper; "thesis" is Ongaro's.  """
from __future__ import annotations

from collections.abc import Callable

import pytest

from agreed.consensus.machine import (
    Ballot,
    Effects,
    Entry,
    EntryKind,
    Event,
    MembersChangeRequested,
    PeerLost,
    Proposed,
    ReadReady,
    ReadRequested,
    Received,
    Saved,
    Send,
    SnapshotInstalled,
    SnapshotMark,
    TimePassed,
    TransferRequested,
)
from agreed.consensus.members import AddLearner, Members, Promote, Remove, Replace
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.raft.invariants import check, check_step, view
from agreed.consensus.raft.leader import Leader
from agreed.consensus.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    InstallSnapshot,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)
from agreed.consensus.raft.raft import Raft
from tests.consensus.raft import mutants
from tests.consensus.raft.stage import OrderedDice, member, members_of

Factory = type[Raft]
Rule = Callable[[Factory], None]
RULES: list[tuple[Rule, tuple[Factory, ...]]] = []


def rule(*killing: Factory) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        RULES.append((function, killing))
        return function

    return register


class Lone:
    """One machine, spoken to directly; its disk answers when told to."""

    def __init__(
        self,
        factory: Factory,
        name: str = "n2",
        size: int = 3,
        *,
        term: int = 0,
        log: str = "",
        members: Members | None = None,
        **knobs: object,
    ) -> None:
        names = tuple(f"n{i}" for i in range(1, size + 1))
        self.factory, self.name, self.now = factory, name, 0
        self.members = members if members is not None else members_of(*names)
        self.config = RaftConfig(**knobs)  # type: ignore[arg-type]
        self.ballot, self.log = Ballot(term, None), entries(log)
        self.pending: list[int] = []
        self.saves: dict[int, Effects] = {}
        self.start()

    def start(self) -> None:
        dice = OrderedDice(int(self.name[1:]))
        self.raft = self.factory(
            self.name, self.members, self.ballot, None, self.log, self.config, dice, self.now
        )

    def do(self, *events: Event) -> Effects:
        before = view(self.raft)
        for event in events:
            self.raft.step(event)
        effects = self.raft.take()
        check(self.raft)
        check_step(before, self.raft)
        if effects.save is not None:
            self.pending.append(effects.save.serial)
            self.saves[effects.save.serial] = effects
        return effects

    def hear(self, source: str, message: object) -> Effects:
        return self.do(Received(source, message))

    def saved(self) -> Effects:
        """The disk is done with everything."""
        sends = Effects()
        while self.pending:
            serial = self.pending.pop(0)
            save = self.saves[serial].save
            assert save is not None
            self.ballot = save.ballot
            if save.entries:
                self.log = [e for e in self.log if e.index < save.entries[0].index] + save.entries
            effects = self.do(Saved(serial))
            sends.send += effects.send
            sends.commit += effects.commit
            sends.reads += effects.reads
            sends.answers += effects.answers
        return sends

    def restart(self) -> None:
        """Crash: what was not saved is gone."""
        self.pending.clear()
        self.start()

    def time(self, passed_ms: int) -> Effects:
        self.now += passed_ms
        return self.do(TimePassed(self.now))

    def elected(self) -> Lone:
        """It leads, and all others have said yes."""
        self.time(2000)
        term = self.raft.term + 1
        others = [name for name in self.raft.quorum.names if name != self.name]
        for other in others:
            self.hear(other, RequestVoteReply(term, True, True))
        self.saved()
        for other in others:
            self.hear(other, RequestVoteReply(term, True))
        assert self.raft.leads
        return self

    def settled(self) -> Lone:
        """It leads and everybody has its whole log."""
        self.elected()
        self.saved()
        for other in self.leader.followers:
            self.matched(other.name)
        assert self.leader.settled
        return self

    @property
    def leader(self) -> Leader:
        assert isinstance(self.raft.role, Leader)
        return self.raft.role

    def matched(self, source: str, index: int | None = None, round_number: int | None = None) -> Effects:
        index = self.raft.log.last_index if index is None else index
        number = self.leader.reads.round if round_number is None else round_number
        return self.hear(source, AppendEntriesReply(self.raft.term, number, index))


def entries(text: str) -> list[Entry]:
    """`"1@1 2@1"` -> two entries, whose payloads tell them apart."""
    pairs = [tuple(map(int, word.split("@"))) for word in text.split()]
    return [Entry(index, term, EntryKind.PAYLOAD, f"{index}@{term}".encode()) for index, term in pairs]


def append(term: int, prev: str, text: str = "", commit: int = 0, round_number: int = 1) -> AppendEntries:
    (prev_entry,) = entries(prev)
    return AppendEntries(term, prev_entry.index, prev_entry.term, commit, round_number, entries(text))


def told(effects: Effects, kind: type) -> list[object]:
    return [send.message for send in effects.send if isinstance(send.message, kind)]


def log_of(lone: Lone) -> str:
    log = lone.raft.log
    return " ".join(f"{e.index}@{e.term}" for e in log.between(log.base_index + 1, log.last_index))


# --- §5.1 terms -------------------------------------------------------------------------------------------


@rule(mutants.StaysInItsTerm)
def a_leader_that_hears_of_a_newer_term_steps_down(factory: Factory) -> None:
    lone = Lone(factory).settled()
    lone.hear("n1", AppendEntriesReply(lone.raft.term + 1, 0, 0))
    assert not lone.raft.leads
    assert lone.raft.term == 2


@rule()
def a_message_of_an_older_term_is_answered_with_ours_and_changes_nothing(factory: Factory) -> None:
    lone = Lone(factory, term=5, log="1@1")
    (reply,) = lone.hear("n1", append(4, "1@1", "2@4")).send
    assert isinstance(reply.message, AppendEntriesReply)
    assert reply.message.term == 5
    assert log_of(lone) == "1@1"


# --- §5.2 elections ---------------------------------------------------------------------------------------


@rule(mutants.ForgetsItsVote)
def a_vote_is_remembered_over_a_crash(factory: Factory) -> None:
    lone = Lone(factory)
    lone.hear("n1", RequestVote(1, 0, 0))
    assert told(lone.saved(), RequestVoteReply) == [RequestVoteReply(1, True)]
    lone.restart()
    effects = lone.hear("n3", RequestVote(1, 0, 0))
    effects.send += lone.saved().send
    assert told(effects, RequestVoteReply) == [RequestVoteReply(1, False)]


@rule(mutants.SpeaksBeforeItSaves)
def a_vote_is_not_spoken_before_it_is_saved(factory: Factory) -> None:
    lone = Lone(factory)
    assert lone.hear("n1", RequestVote(1, 0, 0)).send == []
    assert told(lone.saved(), RequestVoteReply) == [RequestVoteReply(1, True)]


@rule(mutants.SpeaksBeforeItSaves)
def a_candidacy_is_not_spoken_before_it_is_saved(factory: Factory) -> None:
    lone = Lone(factory)
    lone.time(600)
    assert lone.hear("n1", RequestVoteReply(1, True, True)).send == []
    assert told(lone.saved(), RequestVote) == [RequestVote(1, 0, 0)] * 2


@rule(mutants.CountsAVoteTwice)
def a_doubled_vote_counts_once(factory: Factory) -> None:
    lone = Lone(factory, size=5)
    lone.time(600)
    for other in ("n1", "n3"):
        lone.hear(other, RequestVoteReply(1, True, True))
    lone.saved()
    lone.hear("n1", RequestVoteReply(1, True))
    lone.hear("n1", RequestVoteReply(1, True))
    assert not lone.raft.leads
    lone.hear("n3", RequestVoteReply(1, True))
    assert lone.raft.leads


@rule(mutants.CountsOldVotes)
def a_vote_of_an_older_term_does_not_count(factory: Factory) -> None:
    lone = Lone(factory, term=3)
    lone.time(600)
    lone.hear("n1", RequestVoteReply(4, True, True))
    lone.saved()
    assert lone.raft.term == 4
    lone.hear("n1", RequestVoteReply(3, True))
    assert not lone.raft.leads


@rule(mutants.HalfIsEnough)
def half_of_the_votes_elect_nobody(factory: Factory) -> None:
    lone = Lone(factory, size=4)
    lone.time(600)
    for other in ("n1", "n3"):
        lone.hear(other, RequestVoteReply(1, True, True))
    lone.saved()
    lone.hear("n1", RequestVoteReply(1, True))
    assert not lone.raft.leads
    lone.hear("n3", RequestVoteReply(1, True))
    assert lone.raft.leads


@rule(mutants.CalmedByAnybody)
def only_a_leader_and_a_vote_granted_restart_the_timer(factory: Factory) -> None:
    lone = Lone(factory, term=1, log="1@1")
    lone.time(400)
    lone.hear("n1", RequestVote(1, 0, 0, True))
    lone.hear("n1", RequestVote(1, 0, 0))
    lone.time(200)
    assert lone.raft.role.name == "candidate"
    calm = Lone(factory, term=1, log="1@1")
    calm.time(400)
    calm.hear("n1", append(1, "1@1"))
    calm.time(200)
    calm.time(200)
    assert calm.raft.role.name == "follower"


@rule()
def a_candidate_that_hears_the_leader_of_its_term_follows_it(factory: Factory) -> None:
    lone = Lone(factory)
    lone.time(600)
    lone.hear("n1", RequestVoteReply(1, True, True))
    lone.saved()
    lone.hear("n3", append(1, "0@0", "1@1"))
    assert lone.raft.role.name == "follower"
    assert lone.raft.leader == "n3"


# --- §5.3 the log -----------------------------------------------------------------------------------------


@rule(mutants.JoinsAnyLog)
def entries_are_taken_only_where_they_join(factory: Factory) -> None:
    lone = Lone(factory, term=2, log="1@1 2@1 3@1")
    effects = lone.hear("n1", append(2, "3@2", "4@2"))
    effects.send += lone.saved().send
    (reply,) = told(effects, AppendEntriesReply)
    assert isinstance(reply, AppendEntriesReply)
    assert (reply.rejected, reply.conflict_term, reply.conflict_index) == (3, 1, 1)
    assert log_of(lone) == "1@1 2@1 3@1"


@rule(mutants.TruncatesWithoutConflict)
def a_late_and_shorter_append_takes_nothing_back(factory: Factory) -> None:
    lone = Lone(factory, term=1)
    lone.hear("n1", append(1, "0@0", "1@1 2@1 3@1"))
    lone.hear("n1", append(1, "0@0", "1@1"))
    assert log_of(lone) == "1@1 2@1 3@1"
    lone.saved()
    assert lone.raft.saved == 3


@rule(mutants.KeepsWhatConflicts)
def what_conflicts_goes_with_all_that_follows(factory: Factory) -> None:
    lone = Lone(factory, term=1, log="1@1 2@1 3@1")
    lone.hear("n3", append(2, "1@1", "2@2"))
    assert log_of(lone) == "1@1 2@2"


@rule(mutants.CommitsWhatItWasTold)
def a_commit_reaches_only_as_far_as_the_append_vouches(factory: Factory) -> None:
    lone = Lone(factory, term=2, log="1@1 2@1 3@1")
    effects = lone.hear("n1", append(2, "1@1", commit=3))
    assert [entry.index for entry in effects.commit] == [1]


@rule(mutants.AcknowledgesBeforeItSaves)
def an_acknowledged_entry_is_durable(factory: Factory) -> None:
    lone = Lone(factory, term=1)
    effects = lone.hear("n1", append(1, "0@0", "1@1"))
    claimed = [message.match for message in told(effects, AppendEntriesReply)]  # type: ignore[attr-defined]
    assert max(claimed, default=0) == 0
    (reply,) = told(lone.saved(), AppendEntriesReply)
    assert reply == AppendEntriesReply(1, 1, 1)


@rule()
def a_notice_without_entries_is_answered_without_the_disk(factory: Factory) -> None:
    lone = Lone(factory, term=1)
    lone.hear("n1", append(1, "0@0", "1@1"))
    (reply,) = told(lone.hear("n1", append(1, "1@1", commit=1, round_number=2)), AppendEntriesReply)
    assert reply == AppendEntriesReply(1, 2, 0)


@rule(mutants.ForgetsTheAbaProblem)
def a_save_that_returns_counts_only_for_what_still_stands(factory: Factory) -> None:
    lone = Lone(factory, term=1, log="1@1")
    lone.hear("n1", append(1, "1@1", "2@1 3@1 4@1"))
    lone.hear("n3", append(2, "1@1", "2@2"))
    lone.do(Saved(lone.pending.pop(0)))
    assert lone.raft.saved == 1
    lone.saved()
    assert lone.raft.saved == 2


@rule(mutants.NeverBacksUp)
def a_whole_term_of_conflicts_costs_one_question(factory: Factory) -> None:
    lone = Lone(factory, term=4, log="1@1 2@2 3@4 4@4").elected()
    conflict = AppendEntriesReply(lone.raft.term, 1, 0, rejected=4, conflict_term=2, conflict_index=2)
    (send,) = lone.hear("n1", conflict).send
    assert isinstance(send.message, AppendEntries)
    assert (send.message.prev_index, send.message.prev_term) == (2, 2)


@rule(mutants.BelievesTheLastWord)
def a_late_acknowledgement_takes_nothing_back(factory: Factory) -> None:
    lone = Lone(factory).settled()
    lone.do(Proposed(b"x"))
    lone.matched("n1", 2)
    lone.matched("n1", 1)
    assert lone.leader.progress["n1"].match == 2


@rule(mutants.OverwritesItsOwnLog)
def a_leader_only_appends(factory: Factory) -> None:
    lone = Lone(factory).settled()
    for value in (b"x", b"y", b"z"):
        lone.do(Proposed(value))
    assert log_of(lone) == "1@1 2@1 3@1 4@1"


# --- §5.4 what is agreed ----------------------------------------------------------------------------------


@rule(mutants.VotesForAnyLog, mutants.ComparesOnlyLength, mutants.ComparesOnlyTerms)
def no_vote_for_a_log_that_lacks_what_ours_has(factory: Factory) -> None:
    table = [  # (last index, last term) of the candidate; ours is 3@2
        ((3, 2), True), ((4, 2), True), ((1, 3), True),
        ((2, 2), False), ((9, 1), False), ((0, 0), False),
    ]  # fmt: skip
    for (index, term), granted in table:
        lone = Lone(factory, term=4, log="1@1 2@2 3@2")
        lone.hear("n1", RequestVote(5, index, term))
        (reply,) = told(lone.saved(), RequestVoteReply)
        assert reply == RequestVoteReply(5, granted), (index, term)


@rule(mutants.CommitsOldTermsByCounting)
def an_entry_of_an_older_term_is_not_agreed_by_counting(factory: Factory) -> None:
    lone = Lone(factory, term=2, log="1@1 2@2").elected()
    lone.saved()
    assert lone.matched("n1", 2).commit == []
    assert [entry.index for entry in lone.matched("n1", 3).commit] == [1, 2, 3]


@rule(mutants.CountsItsOwnUnsavedLog)
def a_leaders_own_log_counts_once_it_is_saved(factory: Factory) -> None:
    lone = Lone(factory, size=2, name="n1").settled()
    lone.do(Proposed(b"x"))
    assert lone.matched("n2", 2).commit == []
    assert [entry.index for entry in lone.saved().commit] == [2]


@rule(mutants.CommitGoesBack)
def a_late_commit_index_takes_nothing_back(factory: Factory) -> None:
    lone = Lone(factory, term=1)
    lone.hear("n1", append(1, "0@0", "1@1 2@1", commit=2))
    lone.hear("n1", append(1, "0@0", "1@1", commit=1))
    assert lone.raft.commit == 2


@rule(mutants.CommitsWhatItAppends)
def nothing_is_agreed_before_the_leader_says_so(factory: Factory) -> None:
    lone = Lone(factory, term=1)
    assert lone.hear("n1", append(1, "0@0", "1@1 2@1", commit=0)).commit == []


@rule()
def a_leader_sends_before_its_own_disk_is_done(factory: Factory) -> None:
    lone = Lone(factory).settled()
    effects = lone.do(Proposed(b"x"))
    assert effects.save is not None
    assert [send.target for send in effects.send] == ["n1", "n3"]
    lone.matched("n1", 2)
    assert lone.matched("n3", 2).commit == [] or lone.raft.commit == 2
    assert lone.raft.saved == 1


@rule(mutants.IgnoresTheWindow)
def what_is_in_flight_to_a_follower_is_bounded(factory: Factory) -> None:
    lone = Lone(factory, window_messages=2).settled()
    sent = [len(lone.do(Proposed(b"x")).send) for _ in range(4)]
    assert sent == [2, 2, 0, 0]
    (send,) = lone.matched("n1", 3).send
    assert isinstance(send.message, AppendEntries)
    assert len(send.message.entries) == 2, "what waited goes in one append"


# --- §6 members -------------------------------------------------------------------------------------------


@rule(mutants.ChangesTwiceAtOnce)
def one_change_of_members_at_a_time(factory: Factory) -> None:
    lone = Lone(factory, size=5).settled()
    lone.do(MembersChangeRequested(1, AddLearner(member("n6"))))
    (answer,) = lone.do(MembersChangeRequested(2, AddLearner(member("n7")))).answers
    assert answer.refusal is not None


@rule(mutants.ChangesBeforeItCommits)
def no_change_before_the_leader_has_agreed_on_something_of_its_term(factory: Factory) -> None:
    lone = Lone(factory).elected()
    (answer,) = lone.do(MembersChangeRequested(1, Remove("n3"))).answers
    assert answer.refusal is not None


@rule(mutants.CountsOnlyTheOldSet)
def the_new_majority_is_needed_in_a_joint_set(factory: Factory) -> None:
    lone = Lone(factory, name="n1", size=3).settled()
    lone.do(MembersChangeRequested(1, Remove("n3")))
    lone.saved()
    assert lone.raft.members.outgoing
    lone.hear("n3", AppendEntriesReply(1, 1, 2))
    assert lone.raft.commit == 1, "n1 and n3 are a majority of the old set alone"
    lone = Lone(factory, name="n1", size=5).settled()
    lone.do(MembersChangeRequested(1, Remove("n5")))
    lone.saved()
    lone.matched("n2")
    lone.matched("n5")
    assert lone.raft.commit == 1, "three of the old five, but two of the new four"


@rule(mutants.CountsOnlyTheNewSet)
def the_old_majority_is_needed_in_a_joint_set(factory: Factory) -> None:
    five = members_of("n1", "n2", "n3", "n4", "n5")
    joint = Members((member("n1"), member("n2"), member("n3")), outgoing=five.voters)
    lone = Lone(factory, name="n1", members=joint).elected()
    lone.saved()
    assert lone.matched("n2").commit == [], "two of the new three, but two of the old five"
    assert lone.matched("n5").commit != []


@rule()
def a_set_of_members_is_rolled_back_with_its_entry(factory: Factory) -> None:
    lone = Lone(factory, name="n1").settled()
    lone.do(MembersChangeRequested(1, AddLearner(member("n4"))))
    assert lone.raft.members.learners
    effects = lone.hear("n2", append(2, "1@1", "2@2"))
    assert not lone.raft.members.learners
    assert [answer.ticket for answer in effects.answers] == [1]


@rule(mutants.CreditsANewDiskWithTheOld)
def a_new_disk_has_nothing_of_what_the_old_one_acknowledged(factory: Factory) -> None:
    lone = Lone(factory, name="n1").settled()
    lone.do(MembersChangeRequested(1, Replace(member("n3", identity=33))))
    assert lone.leader.progress["n3"].match == 0


@rule()
def a_learner_does_not_count_and_is_promoted_once_it_has_caught_up(factory: Factory) -> None:
    lone = Lone(factory, name="n1", size=1, promote_lag_entries=0)
    lone.time(0)
    lone.saved()
    lone.do(MembersChangeRequested(1, AddLearner(member("n2"))))
    assert [answer.refusal for answer in lone.saved().answers] == [None]
    (answer,) = lone.do(MembersChangeRequested(2, Promote("n2"))).answers
    assert answer.refusal == "n2 has not caught up"
    lone.matched("n2")
    lone.do(MembersChangeRequested(3, Promote("n2")))
    lone.saved()
    lone.matched("n2")
    lone.saved()
    (answer,) = lone.matched("n2").answers
    assert answer.refusal is None
    assert lone.raft.members == members_of("n1", "n2")


@rule()
def a_node_that_does_not_vote_does_not_campaign(factory: Factory) -> None:
    lone = Lone(factory, name="n4", size=3)
    lone.time(10_000)
    assert lone.raft.role.name == "follower"
    assert lone.raft.wake is None


@rule()
def a_node_votes_even_for_one_it_does_not_know(factory: Factory) -> None:
    lone = Lone(factory)
    lone.hear("n9", RequestVote(1, 0, 0))
    assert told(lone.saved(), RequestVoteReply) == [RequestVoteReply(1, True)]


@rule()
def who_hears_a_leader_does_not_even_learn_of_a_strangers_term(factory: Factory) -> None:
    lone = Lone(factory, term=1, log="1@1")
    lone.hear("n1", append(1, "1@1"))
    lone.time(100)
    assert lone.hear("n9", RequestVote(7, 9, 6)).send == []
    assert lone.raft.term == 1


# --- §7 snapshots -----------------------------------------------------------------------------------------

MARK = SnapshotMark(5, 2, members_of("n1", "n2", "n3"))


def piece(offset: int = 0, *, done: bool = True, mark: SnapshotMark = MARK, term: int = 3) -> InstallSnapshot:
    return InstallSnapshot(term, mark, offset, b"piece", done)


@rule(mutants.TakesAnOlderSnapshot)
def a_snapshot_of_what_we_have_takes_nothing_back(factory: Factory) -> None:
    lone = Lone(factory, term=3)
    lone.hear("n1", append(3, "0@0", "1@1 2@1 3@2 4@2 5@2 6@3 7@3", commit=6))
    lone.saved()
    effects = lone.hear("n1", piece())
    assert effects.save_chunks == []
    assert lone.raft.log.last_index == 7
    assert lone.raft.commit == 6


@rule()
def a_snapshot_that_our_log_reaches_only_moves_the_commit_index(factory: Factory) -> None:
    lone = Lone(factory, term=3, log="1@1 2@1 3@2 4@2 5@2 6@3")
    effects = lone.hear("n1", piece())
    assert [entry.index for entry in effects.commit] == [1, 2, 3, 4, 5]
    assert lone.raft.log.last_index == 6


@rule(mutants.KeepsASuffixUnderASnapshot)
def a_log_that_contradicts_a_snapshot_goes_as_a_whole(factory: Factory) -> None:
    lone = Lone(factory, term=3, log="1@1 2@1 3@1 4@1 5@3 6@3")
    (chunk,) = lone.hear("n1", piece()).save_chunks
    assert chunk.done
    lone.do(SnapshotInstalled(MARK))
    assert (lone.raft.log.base_index, lone.raft.log.last_index, lone.raft.commit) == (5, 5, 5)
    assert lone.raft.term == 3, "a snapshot does not lower the term"


@rule(mutants.AppendsWhileItInstalls)
def the_log_stands_still_while_a_snapshot_is_installed(factory: Factory) -> None:
    lone = Lone(factory, term=3)
    lone.hear("n1", piece())
    lone.hear("n1", append(3, "0@0", "1@1"))
    assert lone.raft.log.last_index == 0


@rule()
def the_last_piece_waits_until_nothing_is_being_saved(factory: Factory) -> None:
    lone = Lone(factory, term=3)
    lone.hear("n1", append(3, "0@0", "1@1"))
    assert lone.hear("n1", piece()).save_chunks == []
    (chunk,) = lone.do(Saved(lone.pending.pop())).save_chunks
    assert chunk.done


@rule()
def another_snapshot_begins_the_transfer_anew(factory: Factory) -> None:
    lone = Lone(factory, term=3)
    lone.hear("n1", piece(done=False))
    newer = SnapshotMark(8, 3, MARK.members)
    assert lone.hear("n1", piece(5, done=False, mark=newer)).save_chunks == []
    (chunk,) = lone.hear("n1", piece(0, done=False, mark=newer)).save_chunks
    assert (chunk.mark, chunk.offset) == (newer, 0)


# --- §8, thesis 6.4: reads --------------------------------------------------------------------------------


@rule(mutants.ReadsBeforeItCommits)
def no_read_before_something_of_the_term_is_agreed(factory: Factory) -> None:
    lone = Lone(factory, log="1@1", term=1).elected()
    assert lone.do(ReadRequested(7)).reads == []
    for other in ("n1", "n3"):
        assert lone.matched(other, 1).reads == []


@rule(mutants.ReadsByAnEarlierRound, mutants.ReadsWithoutAsking)
def only_a_round_that_began_after_the_read_serves_it(factory: Factory) -> None:
    lone = Lone(factory).settled()
    lone.time(100)
    earlier = lone.leader.reads.round
    lone.matched("n1", round_number=earlier)
    assert lone.do(ReadRequested(7)).reads == []
    assert lone.matched("n3", round_number=earlier).reads == []
    assert lone.matched("n3", round_number=earlier + 1).reads == [ReadReady(7, 1)]


@rule(mutants.AnswersTwice)
def each_read_is_answered_once(factory: Factory) -> None:
    lone = Lone(factory).settled()
    lone.do(*(ReadRequested(ticket) for ticket in range(3)))
    effects = lone.matched("n1")
    assert sorted(ready.ticket for ready in effects.reads) == [0, 1, 2]
    assert lone.matched("n3").reads == []


@rule()
def reads_fail_when_leadership_ends_and_when_time_is_up(factory: Factory) -> None:
    lone = Lone(factory).settled()
    lone.do(ReadRequested(1))
    assert lone.hear("n1", append(9, "0@0")).reads == [ReadReady(1, None)]
    lone = Lone(factory).settled()
    lone.do(ReadRequested(2))
    failed = []
    for _ in range(5):
        failed += lone.time(100).reads
        lone.hear("n1", AppendEntriesReply(1, 0, 1))
    assert failed == [ReadReady(2, None)]
    assert lone.raft.leads


@rule(mutants.KeepsItsLease)
def a_lease_ends_with_a_handover_for_the_rest_of_the_term(factory: Factory) -> None:
    lone = Lone(factory, lease_reads=True).settled()
    lone.time(100)
    lone.matched("n1")
    assert lone.do(ReadRequested(1)).reads == [ReadReady(1, 1)], "a quorum has just answered"
    lone.do(TransferRequested("n3"))
    assert lone.do(ReadRequested(2)).reads == []
    for _ in range(6):
        lone.time(100)
        lone.matched("n1", round_number=2)
    assert lone.leader.transfer.target is None, "given up"
    assert ReadReady(3, 1) not in lone.do(ReadRequested(3)).reads


@rule()
def a_lease_is_shorter_than_what_followers_wait(factory: Factory) -> None:
    lone = Lone(factory, lease_reads=True, clock_rate_bound=0.25).settled()
    assert lone.config.lease_ms == 400
    lone.time(100)
    lone.matched("n1")
    lone.time(399)
    lone.hear("n1", AppendEntriesReply(1, 0, 1))
    assert lone.do(ReadRequested(1)).reads == [ReadReady(1, 1)]
    lone.time(1)
    lone.hear("n1", AppendEntriesReply(1, 0, 1))
    assert lone.do(ReadRequested(2)).reads == []


@rule()
def with_leases_nobody_votes_early(factory: Factory) -> None:
    lone = Lone(factory, term=1, log="1@1", lease_reads=True)
    assert not told(lone.hear("n3", RequestVote(2, 9, 1)), RequestVoteReply), "it may have forgotten a leader"
    lone.time(500)
    lone.hear("n1", append(1, "1@1"))
    lone.do(PeerLost("n1"))
    lone.time(400)
    assert lone.hear("n3", RequestVote(2, 9, 1)).send == []


# --- thesis 3.10, 4.2.3, 6.2, 9.6 -------------------------------------------------------------------------


@rule(mutants.RaisesItsTermForAPreVote)
def a_pre_vote_changes_nobodys_term(factory: Factory) -> None:
    lone = Lone(factory, term=1)
    effects = lone.hear("n1", RequestVote(5, 0, 0, True))
    assert told(effects, RequestVoteReply) == [RequestVoteReply(5, True, True)]
    assert lone.raft.term == 1
    assert effects.save is None


@rule()
def a_leader_that_hears_no_quorum_steps_down(factory: Factory) -> None:
    lone = Lone(factory).settled()
    for _ in range(4):
        lone.time(100)
    assert lone.raft.leads
    lone.time(100)
    assert not lone.raft.leads


@rule()
def a_handover_waits_until_the_target_has_everything(factory: Factory) -> None:
    lone = Lone(factory).settled()
    lone.do(Proposed(b"x"))
    assert told(lone.do(TransferRequested("n3")), TimeoutNow) == []
    assert lone.do(Proposed(b"dropped")).save is None
    assert told(lone.matched("n1"), TimeoutNow) == []
    assert told(lone.matched("n3"), TimeoutNow) == [TimeoutNow(1)]


@rule()
def a_handover_is_not_refused_by_those_who_hear_the_old_leader(factory: Factory) -> None:
    lone = Lone(factory, term=1, log="1@1")
    lone.hear("n1", append(1, "1@1"))
    lone.hear("n3", RequestVote(2, 1, 1, False, True))
    assert told(lone.saved(), RequestVoteReply) == [RequestVoteReply(2, True)]


@rule()
def who_is_told_to_campaign_does_so_at_once(factory: Factory) -> None:
    lone = Lone(factory, term=1, log="1@1")
    lone.hear("n1", append(1, "1@1"))
    lone.hear("n1", TimeoutNow(1))
    assert told(lone.saved(), RequestVote) == [RequestVote(2, 1, 1, False, True)] * 2


@rule()
def only_the_leader_may_tell_somebody_to_campaign(factory: Factory) -> None:
    lone = Lone(factory, term=1, log="1@1")
    lone.hear("n1", append(1, "1@1"))
    lone.hear("n3", TimeoutNow(1))
    lone.hear("n1", TimeoutNow(0))
    assert lone.raft.role.name == "follower"


# --- our own: the shape of effects ------------------------------------------------------------------------


@rule()
def all_that_is_saved_in_a_turn_is_one_save_without_what_was_overwritten(factory: Factory) -> None:
    lone = Lone(factory)
    effects = lone.do(
        Received("n1", append(1, "0@0", "1@1 2@1 3@1")),
        Received("n3", append(2, "1@1", "2@2")),
    )
    assert effects.save is not None
    assert effects.save.ballot == Ballot(2, None)
    assert effects.save.entries == entries("1@1 2@2")


@rule()
def proposals_of_a_turn_are_one_append_and_one_message_object(factory: Factory) -> None:
    lone = Lone(factory).settled()
    effects = lone.do(*(Proposed(b"%d" % number) for number in range(5)))
    first, second = effects.send
    assert isinstance(first, Send)
    assert first.message is second.message
    assert isinstance(first.message, AppendEntries)
    assert len(first.message.entries) == 5


# --- the table of rules and mutants -----------------------------------------------------------------------


@pytest.mark.parametrize("function", [function for function, _ in RULES], ids=lambda f: f.__name__)
def test_the_rule_holds(function: Rule) -> None:
    function(Raft)


@pytest.mark.parametrize(
    ("function", "mutant"),
    [(function, mutant) for function, killing in RULES for mutant in killing],
    ids=lambda value: value.__name__,
)
def test_the_rule_catches_who_breaks_it(function: Rule, mutant: Factory) -> None:
    with pytest.raises((AssertionError, ValueError)):  # ValueError: more or fewer effects than unpacked
        function(mutant)


def test_every_mutant_is_caught_by_a_rule() -> None:
    wrong = {value for value in vars(mutants).values() if isinstance(value, type) and issubclass(value, Raft)}
    caught = {mutant for _, killing in RULES for mutant in killing}
    caught |= {mutant for mutant, _ in mutants.RANDOM}
    assert wrong - {Raft} == caught
