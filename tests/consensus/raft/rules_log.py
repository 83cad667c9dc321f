"""The log, what is agreed, and what a turn says (§5.3, §5.4).  See `lone.py` for what a rule is."""
from __future__ import annotations

from agreed.consensus.machine import (
    Ballot,
    Proposed,
    Received,
    Saved,
    Send,
)
from agreed.consensus.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    RequestVote,
    RequestVoteReply,
)
from tests.consensus.lone import entries, told
from tests.consensus.raft import mutants
from tests.consensus.raft.lone import Factory, Lone, append, log_of, rule

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


