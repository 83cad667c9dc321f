"""Accepting, choosing and learning (phase 2).  See `lone.py` for what a rule is."""
from __future__ import annotations

from agreed.consensus.machine import (
    Ballot,
    MembersChangeRequested,
    Proposed,
    Received,
    TimePassed,
    TransferRequested,
)
from agreed.consensus.members import Members, Remove
from agreed.consensus.multipaxos.messages import Accept, Accepted, Canvass, TimeoutNow
from agreed.consensus.multipaxos.multipaxos import MEMBERS_ARE_FIXED
from tests.consensus.lone import LowDice, members_of, told
from tests.consensus.multipaxos import mutants
from tests.consensus.multipaxos.lone import Factory, Lone, accept, disk_of, log_of, rule

# --- acceptors --------------------------------------------------------------------------------------------


@rule(mutants.AcknowledgesBeforeItSaves)
def what_is_acknowledged_is_durable(factory: Factory) -> None:
    lone = Lone(factory)
    assert lone.hear("n1", accept(64, "1@64 2@64")).send == []
    assert told(lone.saved(), Accepted) == [Accepted(64, 1, 2, 2)]
    assert disk_of(lone) == "1@64 2@64"


@rule()
def several_accepts_of_a_turn_are_one_save_and_one_reply(factory: Factory) -> None:
    lone = Lone(factory)
    lone.paxos.step(_heard(accept(64, "1@64")))
    effects = lone.do(_heard(accept(64, "2@64")))
    assert effects.save is not None
    assert len(effects.save.entries) == 2
    assert told(lone.saved(), Accepted) == [Accepted(64, 1, 2, 2)]


def _heard(message: Accept) -> Received:
    return Received("n1", message)


@rule(mutants.CountsOverHoles)
def a_slot_behind_a_hole_counts_once_the_hole_is_filled(factory: Factory) -> None:
    lone = Lone(factory)
    lone.hear("n1", accept(64, "1@64"))
    lone.saved()
    effects = lone.hear("n1", accept(64, "3@64"))
    assert told(effects, Accepted) == [Accepted(64, 1, 1, 1, True)]
    lone.saved()
    assert disk_of(lone) == "1@64 2@- 3@64"
    lone.hear("n1", accept(64, "2@64"))
    assert told(lone.saved(), Accepted) == [Accepted(64, 1, 3, 3)]
    assert disk_of(lone) == "1@64 2@64 3@64"


@rule()
def what_is_too_far_behind_a_hole_is_not_taken(factory: Factory) -> None:
    lone = Lone(factory, reordered_entries=2)
    lone.hear("n1", accept(64, "1@64"))
    lone.hear("n1", accept(64, "5@64"))
    assert log_of(lone) == "1@64"
    lone.hear("n1", accept(64, "4@64"))
    assert log_of(lone) == "1@64 2@- 3@- 4@64"


@rule()
def a_value_of_a_newer_ballot_takes_the_place_of_an_older_one_and_keeps_what_is_behind_it(
    factory: Factory,
) -> None:
    lone = Lone(factory, ballot=64, log="1@64 2@64 3@64")
    effects = lone.hear("n3", accept(66, "1@64 2@66"))
    assert effects.save is not None
    assert [entry.index for entry in effects.save.entries] == [1, 2, 3]
    assert told(lone.saved(), Accepted) == [Accepted(66, 1, 2, 2)]
    assert disk_of(lone) == "1@64/66 2@66 3@64"


@rule()
def a_doubled_accept_is_answered_and_changes_nothing(factory: Factory) -> None:
    lone = Lone(factory)
    lone.hear("n1", accept(64, "1@64"))
    lone.saved()
    effects = lone.hear("n1", accept(64, "1@64"))
    assert effects.save is None
    assert told(effects, Accepted) == [Accepted(64, 1, 1, 1)]


@rule(mutants.TrustsAnyCommit)
def a_commit_index_is_believed_only_for_what_this_leader_proposed(factory: Factory) -> None:
    lone = Lone(factory, ballot=64, log="1@64 2@64")
    effects = lone.hear("n3", accept(66, "", first=3, commit=2))
    effects.commit += lone.saved().commit
    assert effects.commit == []
    lone.hear("n3", accept(66, "1@66 2@64", commit=2))
    assert [(entry.index, entry.term) for entry in lone.saved().commit] == [(1, 66), (2, 64)]


@rule(mutants.CommitsWhatIsOnlyInMemory)
def nothing_is_committed_before_it_is_durable_here(factory: Factory) -> None:
    lone = Lone(factory)
    assert lone.hear("n1", accept(64, "1@64", commit=1)).commit == []
    assert [entry.index for entry in lone.saved().commit] == [1]


@rule()
def nonsense_is_not_taken_in(factory: Factory) -> None:
    lone = Lone(factory)
    for nonsense in (
        accept(64, "1@66"),  # proposed under a later ballot than it is now
        accept(64, "1@64 3@64"),  # slots that do not follow each other
        accept(64, "0@64"),
        Accept(64, 0, 0, 1, []),
        Accept(64, 1, -1, 1, []),
    ):
        effects = lone.hear("n1", nonsense)
        assert effects.send == []
        assert log_of(lone) == ""


# --- a leader ---------------------------------------------------------------------------------------------


@rule(mutants.CountsItsOwnVoiceEarly, mutants.CommitsWhatIsOnlyInMemory)
def our_own_voice_counts_once_it_is_durable(factory: Factory) -> None:
    lone = Lone(factory).elected()
    lone.accepted("n1")
    assert lone.paxos.chosen == 0
    assert lone.accepted("n3").commit == [], "two others have chosen it, but it is not durable here"
    assert lone.paxos.chosen == 1
    assert [entry.index for entry in lone.saved().commit] == [1]


@rule(mutants.CountsOtherBallots)
def acceptances_of_other_ballots_choose_nothing(factory: Factory) -> None:
    lone = Lone(factory, ballot=65).elected()
    lone.saved()
    lone.hear("n1", Accepted(65, 1, 1, 1))
    assert lone.paxos.chosen == 0
    lone.accepted("n1")
    assert lone.paxos.chosen == 1


@rule(mutants.HalfIsEnough)
def half_of_the_voters_choose_nothing(factory: Factory) -> None:
    lone = Lone(factory).elected()
    assert lone.saved().commit == []
    assert [entry.index for entry in lone.accepted("n3").commit] == [1]


@rule()
def values_of_a_turn_are_one_message_and_one_save(factory: Factory) -> None:
    lone = Lone(factory).settled()
    effects = lone.do(Proposed(b"a"), Proposed(b"b"))
    (one,), (other,) = told(effects, Accept, "n1"), told(effects, Accept, "n3")
    assert one is other
    assert [entry.payload for entry in one.entries] == [b"a", b"b"]
    assert effects.save is not None
    assert effects.save.entries == one.entries


@rule()
def phase_two_does_not_wait_for_the_last_one(factory: Factory) -> None:
    lone = Lone(factory, window_messages=2).settled()
    sent = [told(lone.do(Proposed(payload)), Accept, "n1") for payload in (b"a", b"b", b"c")]
    assert [len(messages) for messages in sent] == [1, 1, 0], "up to a window"
    effects = lone.accepted("n1", 3)
    assert [message.first for message in told(effects, Accept, "n1")] == [4]


@rule()
def what_is_missing_is_sent_again(factory: Factory) -> None:
    lone = Lone(factory).settled()
    lone.do(Proposed(b"a"), Proposed(b"b"))
    lone.do(Proposed(b"c"))
    round_number = lone.leader.reads.round
    effects = lone.hear("n1", Accepted(lone.paxos.term, round_number, 1, 1, True))
    (message,) = told(effects, Accept, "n1")
    assert [entry.payload for entry in message.entries] == [b"a", b"b", b"c"]


@rule()
def a_follower_that_restarts_is_sent_what_it_had_accepted(factory: Factory) -> None:
    """It has forgotten which slots are chosen, and so does not count those that it accepted under older
    ballots."""
    lone = Lone(factory).settled()
    effects = lone.hear("n1", Accepted(lone.paxos.term, lone.leader.reads.round, 0, 0, True))
    assert [message.first for message in told(effects, Accept, "n1")] == [1]


@rule()
def followers_whose_clients_wait_are_told_of_the_commit_at_once(factory: Factory) -> None:
    lone = Lone(factory).settled()
    lone.do(Proposed(b"a", ("n3",)))
    lone.saved()
    effects = lone.accepted("n1")
    assert [message.commit for message in told(effects, Accept, "n3")] == [2]
    assert told(effects, Accept, "n1") == []
    assert [message.commit for message in told(lone.time(2), Accept, "n1")] == [2]


@rule()
def a_leader_that_hears_no_quorum_steps_down(factory: Factory) -> None:
    lone = Lone(factory).settled()
    for _ in range(6):
        lone.time(100)
    assert not lone.paxos.leads


@rule()
def leadership_is_handed_to_who_has_accepted_everything(factory: Factory) -> None:
    lone = Lone(factory).settled()
    lone.do(Proposed(b"a"))
    assert told(lone.do(TransferRequested("n3")), TimeoutNow) == []
    assert lone.do(Proposed(b"b")).save is None, "nothing new meanwhile"
    effects = lone.accepted("n3")
    assert told(effects, TimeoutNow, "n3") == [TimeoutNow(lone.paxos.term)]


@rule()
def a_learner_is_sent_everything_and_does_not_count(factory: Factory) -> None:
    members = members_of(4)
    members = Members(members.voters[:3], members.voters[3:])
    lone = Lone(factory, members=members).elected()
    lone.saved()
    effects = lone.accepted("n4")
    assert (effects.commit, lone.paxos.chosen) == ([], 0)
    lone.accepted("n1")
    assert lone.paxos.chosen == 1
    assert len(told(lone.do(Proposed(b"a")), Accept, "n4")) == 1
    learner = Lone(factory, "n4", members=members)
    assert told(learner.time(5000), Canvass) == []
    learner.hear("n1", accept(64, "1@64", commit=1))
    assert [entry.index for entry in learner.saved().commit] == [1]


@rule()
def who_has_another_identity_than_the_member_of_its_name_does_not_lead(factory: Factory) -> None:
    lone = Lone(factory)
    successor = factory(
        "n2", lone.members, Ballot(0, None), None, [], lone.config, LowDice(), 0, identity=99
    )
    assert lone.paxos.promotable
    assert not successor.promotable
    successor.step(TimePassed(5000))
    assert successor.take().send == []


@rule()
def a_lone_voter_leads_at_once(factory: Factory) -> None:
    lone = Lone(factory, "n1", 1)
    lone.time(0)
    lone.saved()
    assert lone.paxos.leads
    lone.do(Proposed(b"a"))
    assert lone.saved().commit[-1].payload == b"a"


@rule()
def a_change_of_members_is_refused(factory: Factory) -> None:
    lone = Lone(factory).settled()
    (answer,) = lone.do(MembersChangeRequested(7, Remove("n3"))).answers
    assert (answer.ticket, answer.refusal) == (7, MEMBERS_ARE_FIXED)
