"""Broadcast, reads and handing over: what an established epoch does.  See `lone.py` for what a rule is."""
from __future__ import annotations

from agreed.consensus.machine import (
    Effects,
    PeerLost,
    Proposed,
    ReadReady,
    ReadRequested,
    Send,
    TransferRequested,
)
from agreed.consensus.zab.looking import Looking
from agreed.consensus.zab.messages import (
    Ack,
    AckNewLeader,
    Ask,
    Commit,
    FollowerInfo,
    Notification,
    Phase,
    Ping,
    PingReply,
    Proposal,
    ReadIndex,
    ReadIndexReply,
    Vote,
)
from tests.consensus.lone import entries, told
from tests.consensus.zab import mutants
from tests.consensus.zab.lone import Factory, Lone, diff, log_of, proposal, rule


def proposed_to(effects: Effects) -> list[str]:
    return [send.target for send in effects.send if isinstance(send.message, Proposal)]


# --- broadcast --------------------------------------------------------------------------------------------


@rule(mutants.AcknowledgesBeforeItSaves)
def an_acknowledged_proposal_is_durable(factory: Factory) -> None:
    lone = Lone(factory).synchronized("n1", 1, diff(1, "0@0", "1@1"))
    assert told(lone.hear("n1", proposal(1, 1, "2@1 3@1")), Ack) == []
    assert told(lone.saved(), Ack) == [Ack(1, 3)]


@rule(mutants.CountsItsOwnUnsavedLog)
def a_leaders_own_log_counts_once_it_is_saved(factory: Factory) -> None:
    lone = Lone(factory).established()
    lone.do(Proposed(b"x"))
    assert lone.hear("n1", Ack(1, 2)).commit == []
    assert [entry.index for entry in lone.saved().commit] == [2]


@rule(mutants.DeliversOutOfOrder)
def what_is_committed_is_delivered_in_the_order_of_the_zxids(factory: Factory) -> None:
    lone = Lone(factory).synchronized("n1", 1, diff(1, "0@0", "1@1"))
    effects = lone.hear("n1", proposal(1, 1, "2@1 3@1 4@1", commit=4))
    assert effects.commit == entries("1@1 2@1 3@1 4@1")


@rule(mutants.DeliversWhatIsProposed)
def nothing_is_delivered_before_the_leader_says_so(factory: Factory) -> None:
    lone = Lone(factory).synchronized("n1", 1, diff(1, "0@0", "1@1"))
    assert lone.hear("n1", proposal(1, 1, "2@1")).commit == []
    assert [entry.index for entry in lone.hear("n1", Commit(1, 2)).commit] == [1, 2]


@rule()
def a_commit_that_overtakes_its_proposal_waits_for_it(factory: Factory) -> None:
    lone = Lone(factory).synchronized("n1", 1, diff(1, "0@0", "1@1"))
    assert [entry.index for entry in lone.hear("n1", Commit(1, 2)).commit] == [1]
    assert [entry.index for entry in lone.hear("n1", proposal(1, 1, "2@1")).commit] == [2]


@rule(mutants.NeverAsks)
def a_gap_is_asked_for_and_nothing_is_taken_behind_it(factory: Factory) -> None:
    lone = Lone(factory).synchronized("n1", 1, diff(1, "0@0", "1@1"))
    assert told(lone.hear("n1", proposal(1, 2, "3@1")), Ask) == [Ask(1, 1)]
    assert log_of(lone) == "1@1"
    lone.time(100)
    assert told(lone.hear("n1", Ping(1, 9, 3, 0, True)), Ask) == [Ask(1, 1)], "a ping tells what was sent"


@rule()
def a_quorum_is_sent_proposals_at_once_and_the_others_a_little_later(factory: Factory) -> None:
    lone = Lone(factory, spare_delay_ms=4).established()
    lone.accepted_by("n3")
    lone.hear("n3", AckNewLeader(lone.zab.term, lone.zab.last_index))
    assert lone.leading.broadcast.learners["n3"].ready
    assert proposed_to(lone.do(Proposed(b"x"))) == ["n1"]
    lone.time(3)
    assert proposed_to(lone.do(Proposed(b"y"))) == ["n1"]
    assert lone.zab.wake == lone.now + 1
    (late,) = told(lone.time(1), Proposal)
    assert [entry.payload for entry in late.entries] == [b"x", b"y"]


@rule()
def a_learner_whose_clients_wait_is_sent_their_proposal_at_once(factory: Factory) -> None:
    lone = Lone(factory, spare_delay_ms=4).established()
    lone.accepted_by("n3")
    lone.hear("n3", AckNewLeader(lone.zab.term, lone.zab.last_index))
    assert proposed_to(lone.do(Proposed(b"x", waiting=("n3",)))) == ["n1", "n3"]


@rule()
def what_is_asked_for_is_sent_again(factory: Factory) -> None:
    lone = Lone(factory).established()
    lone.do(Proposed(b"x"))
    lone.do(Proposed(b"y"))
    (again,) = told(lone.hear("n1", Ask(1, 1)), Proposal)
    assert [entry.payload for entry in again.entries] == [b"x", b"y"]
    assert told(lone.hear("n1", Ask(1, 1)), Proposal) == [], "it is on its way"


@rule()
def what_came_already_is_passed_over(factory: Factory) -> None:
    lone = Lone(factory).synchronized("n1", 1, diff(1, "0@0", "1@1"))
    lone.hear("n1", proposal(1, 1, "2@1 3@1"))
    effects = lone.hear("n1", proposal(1, 1, "2@1"), diff(1, "0@0", "1@1"))
    assert effects.save is None
    assert log_of(lone) == "1@1 2@1 3@1"


@rule()
def an_entry_of_another_epoch_is_no_proposal(factory: Factory) -> None:
    lone = Lone(factory).synchronized("n1", 2, diff(2, "0@0", "1@2"))
    for strange in (proposal(2, 1, "2@1"), proposal(2, 1, "2@3"), proposal(2, 1, "3@2")):
        lone.hear("n1", strange)
    assert log_of(lone) == "1@2"


@rule(mutants.ProposesBeforeItIsEstablished)
def nobody_proposes_before_a_quorum_has_what_the_epoch_begins_with(factory: Factory) -> None:
    lone = Lone(factory).in_epoch()
    lone.accepted_by("n1")
    assert not lone.zab.leads
    lone.do(Proposed(b"x"))
    assert log_of(lone) == "1@1"


@rule(mutants.OverwritesItsOwnHistory)
def a_primary_only_appends(factory: Factory) -> None:
    lone = Lone(factory).established()
    for value in (b"x", b"y", b"z"):
        lone.do(Proposed(value))
    assert log_of(lone) == "1@1 2@1 3@1 4@1"


@rule(mutants.IgnoresTheWindow)
def what_is_in_flight_to_a_follower_is_bounded(factory: Factory) -> None:
    lone = Lone(factory, window_messages=2).established()
    sent = [len(told(lone.do(Proposed(b"x")), Proposal)) for _ in range(4)]
    assert sent == [1, 1, 0, 0]
    (behind,) = told(lone.hear("n1", Ack(1, 3)), Proposal)
    assert len(behind.entries) == 2, "what waited goes in one message"


@rule(mutants.BelievesTheLastWord)
def a_late_acknowledgement_takes_nothing_back(factory: Factory) -> None:
    lone = Lone(factory).established()
    lone.do(Proposed(b"x"))
    lone.hear("n1", Ack(1, 2))
    lone.hear("n1", Ack(1, 1))
    assert lone.leading.broadcast.learners["n1"].match == 2


@rule()
def proposals_of_a_turn_are_one_message_object_and_one_save(factory: Factory) -> None:
    lone = Lone(factory).established()
    lone.accepted_by("n3", "0@0", settled=0)
    lone.hear("n3", AckNewLeader(1, 1))
    effects = lone.do(*(Proposed(b"%d" % number) for number in range(5)))
    first, second = effects.send
    assert isinstance(first, Send)
    assert first.message is second.message
    assert isinstance(first.message, Proposal)
    assert len(first.message.entries) == 5
    assert effects.save is not None


@rule()
def who_waits_for_a_commit_hears_of_it_at_once_and_others_soon(factory: Factory) -> None:
    lone = Lone(factory, commit_notice_ms=2).established()
    lone.do(Proposed(b"x", ("n1",)))
    lone.saved()
    assert told(lone.hear("n1", Ack(1, 2)), Commit) == [Commit(1, 2)]
    lone.do(Proposed(b"y"))
    lone.saved()
    assert told(lone.hear("n1", Ack(1, 3)), Commit) == []
    assert told(lone.time(2), Commit) == [Commit(1, 3)]


@rule()
def who_is_lost_is_sent_nothing_until_it_is_heard(factory: Factory) -> None:
    lone = Lone(factory).established()
    lone.do(PeerLost("n1"))
    assert told(lone.do(Proposed(b"x")), Proposal) == []
    (again,) = told(lone.hear("n1", PingReply(1, 1, 1)), Proposal)
    assert [entry.payload for entry in again.entries] == [b"x"]


@rule()
def who_comes_back_is_sent_what_it_lacks_without_waiting_for_a_ping(factory: Factory) -> None:
    lone = Lone(factory).established()
    lone.do(PeerLost("n1"))
    lone.do(Proposed(b"x"))
    lone.hear("n1", FollowerInfo(1, "n2"))
    (again,) = told(lone.accepted_by("n1", "1@1", settled=1), Proposal, "n1")
    assert [entry.payload for entry in again.entries] == [b"x"]


# --- reads ------------------------------------------------------------------------------------------------


@rule(mutants.ReadsWithoutAsking, mutants.ReadsByAnEarlierRound)
def a_read_waits_for_a_quorum_that_answers_a_later_ping(factory: Factory) -> None:
    lone = Lone(factory).established()
    lone.time(100)
    number = lone.leading.reads.round
    lone.hear("n1", PingReply(1, number, 1))
    effects = lone.do(ReadRequested(1), ReadRequested(2))
    assert effects.reads == []
    (ping,) = told(effects, Ping, "n1")
    assert lone.hear("n1", PingReply(1, number, 1)).reads == []
    assert lone.hear("n1", PingReply(1, ping.round, 1)).reads == [ReadReady(1, 1), ReadReady(2, 1)]


@rule(mutants.ReadsItsOwnCommit)
def a_follower_asks_the_leader(factory: Factory) -> None:
    lone = Lone(factory).synchronized("n1", 1, diff(1, "0@0", "1@1"))
    lone.hear("n1", Ping(1, 1, 1, 1, True))
    (question,) = told(lone.do(ReadRequested(4)), ReadIndex, "n1")
    assert lone.hear("n1", ReadIndexReply(question.context, 7)).reads == [ReadReady(4, 7)]


@rule()
def a_read_that_cannot_be_had_fails(factory: Factory) -> None:
    lone = Lone(factory, read_timeout_ms=300)
    assert lone.do(ReadRequested(4)).reads == []
    assert lone.time(300).reads == [ReadReady(4, None)]
    (answer,) = told(lone.hear("n1", ReadIndex(9)), ReadIndexReply)
    assert answer == ReadIndexReply(9, None)


@rule(mutants.AnswersPingsOfOldEpochs)
def who_has_accepted_a_newer_epoch_answers_no_ping_of_an_older_one(factory: Factory) -> None:
    lone = Lone(factory)
    lone.follows("n1", 5)
    lone.saved()
    assert told(lone.hear("n3", Ping(4, 8, 0, 0, True)), PingReply) == []


@rule(mutants.AnswersTwice)
def a_read_is_answered_once(factory: Factory) -> None:
    lone = Lone(factory, name="n1", size=1)
    lone.saved()
    lone.saved()
    assert lone.do(ReadRequested(1)).reads == [ReadReady(1, 1)]


# --- handing over -----------------------------------------------------------------------------------------


@rule()
def the_leader_appoints_its_successor_once_that_has_everything(factory: Factory) -> None:
    lone = Lone(factory).established()
    lone.do(Proposed(b"x"))
    lone.do(TransferRequested("n1"), Proposed(b"dropped"))
    assert lone.zab.leads
    effects = lone.hear("n1", Ack(1, 2))
    assert isinstance(lone.zab.role, Looking)
    (notification,) = told(effects, Notification, "n3")
    assert notification == Notification(1, 2, Phase.LOOKING, Vote(1, 1, 2, True, "n1"))


@rule()
def the_appointed_one_wins_among_equals(factory: Factory) -> None:
    lone = Lone(factory, name="n3").synchronized("n2", 1, diff(1, "0@0", "1@1"))
    lone.hear("n2", Notification(1, 2, Phase.LOOKING, Vote(1, 1, 1, True, "n1")))
    assert isinstance(lone.zab.role, Looking)
    assert lone.zab.role.vote.name == "n1"


@rule()
def a_handover_to_a_dead_successor_is_given_up(factory: Factory) -> None:
    lone = Lone(factory, election_timeout_ms=(500, 1000)).established()
    lone.do(TransferRequested("n3"))
    for _ in range(5):
        lone.time(100)
        lone.hear("n1", PingReply(1, lone.leading.reads.round, 1))
    lone.do(Proposed(b"x"))
    assert lone.zab.last_index == 2
