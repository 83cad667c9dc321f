"""Promises, ballots, and what a new leader proposes (phase 1).  See `lone.py` for what a rule is."""
from __future__ import annotations

from agreed.consensus.machine import EntryKind, PeerLost, Proposed, SnapshotMark, SnapshotTaken, TimePassed
from agreed.consensus.multipaxos.messages import (
    Acceptance,
    Canvass,
    CanvassReply,
    Nack,
    Prepare,
    Promise,
    TimeoutNow,
)
from tests.consensus.lone import members_of, told
from tests.consensus.multipaxos import mutants
from tests.consensus.multipaxos.lone import (
    Factory,
    Lone,
    accept,
    acceptances,
    log_of,
    prepare,
    rule,
    value,
)

# --- promises ---------------------------------------------------------------------------------------------


@rule(mutants.PromisesBeforeItSaves)
def a_promise_is_not_spoken_before_it_is_saved(factory: Factory) -> None:
    lone = Lone(factory)
    assert lone.hear("n1", prepare(64)).send == []
    assert told(lone.saved(), Promise) == [Promise(64, 1, 0, 0, 0, [])]


@rule(mutants.ForgetsItsPromise)
def a_promise_is_remembered_over_a_crash(factory: Factory) -> None:
    lone = Lone(factory)
    lone.hear("n3", prepare(66))
    assert told(lone.saved(), Promise)
    lone.restart()
    effects = lone.hear("n1", accept(64, "1@64"))
    assert told(effects, Nack) == [Nack(66)]
    assert log_of(lone) == ""


@rule(mutants.AcceptsBelowItsPromise)
def nothing_is_accepted_below_what_is_promised(factory: Factory) -> None:
    lone = Lone(factory)
    lone.hear("n3", prepare(66))
    lone.saved()
    effects = lone.hear("n1", accept(64, "1@64"))
    assert told(effects, Nack) == [Nack(66)]
    assert log_of(lone) == ""


@rule(mutants.AcceptRaisesNoPromise)
def to_accept_is_to_promise(factory: Factory) -> None:
    lone = Lone(factory)
    lone.hear("n3", accept(66, "1@66"))
    lone.saved()
    assert lone.ballot.term == 66
    assert told(lone.hear("n1", prepare(64)), Nack) == [Nack(66)]


@rule(mutants.KeepsNoBallots)
def a_promise_tells_the_accepted_ballot_and_not_the_one_of_the_first_proposal(factory: Factory) -> None:
    lone = Lone(factory)
    lone.hear("n1", accept(64, "1@64"))
    lone.hear("n3", accept(130, "1@64"))
    lone.saved()
    lone.restart()
    lone.hear("n1", prepare(192))
    assert told(lone.saved(), Promise) == [Promise(192, 1, 1, 1, 0, [Acceptance(130, value("1@64"))])]


@rule()
def a_promise_leaves_out_holes_and_tells_of_all_slots_asked_for(factory: Factory) -> None:
    lone = Lone(factory, ballot=129, log="1@64 2@- 3@64/129 4@129")
    lone.hear("n3", prepare(130, 2))
    assert told(lone.saved(), Promise) == [Promise(130, 2, 4, 4, 0, acceptances("3@64/129 4@129"))]


@rule()
def a_promise_comes_in_pieces(factory: Factory) -> None:
    lone = Lone(factory, ballot=64, log="1@64 2@64 3@64", max_append_bytes=80)
    lone.hear("n3", prepare(66))
    assert told(lone.saved(), Promise) == [Promise(66, 1, 2, 3, 0, acceptances("1@64 2@64"))]
    assert told(lone.hear("n3", prepare(66, 3)), Promise) == [Promise(66, 3, 3, 3, 0, acceptances("3@64"))]


@rule(mutants.TakesAcceptedForChosen)
def after_a_restart_nothing_accepted_is_taken_for_chosen(factory: Factory) -> None:
    lone = Lone(factory, ballot=64, log="1@64 2@64")
    assert lone.do(TimePassed(1)).commit == []
    assert lone.paxos.commit == lone.paxos.chosen == 0


@rule()
def after_a_restart_what_a_save_said_to_be_chosen_still_is(factory: Factory) -> None:
    lone = Lone(factory)
    lone.hear("n1", accept(64, "1@64 2@64 3@64"))
    lone.hear("n1", accept(64, "4@64", commit=2))
    lone.saved()
    lone.restart()
    assert [entry.index for entry in lone.do(TimePassed(1)).commit] == [1, 2]
    lone.hear("n3", prepare(130, 1))
    assert [(promise.chosen, promise.last) for promise in told(lone.saved(), Promise)] == [(2, 4)]


# --- ballots ----------------------------------------------------------------------------------------------


@rule(mutants.ReusesItsBallot, mutants.PromisesBeforeItSaves)
def a_ballot_is_durable_before_it_is_used_and_never_used_again(factory: Factory) -> None:
    lone = Lone(factory)
    lone.time(600)
    effects = lone.hear("n1", CanvassReply(0, 0, True))
    assert effects.send == []
    assert told(lone.saved(), Prepare, "n1") == [Prepare(65, 1)]
    lone.restart()
    assert told(lone.preparing(), Prepare, "n1") == [Prepare(129, 1)]


@rule(mutants.SharesBallots)
def a_ballot_is_one_proposers(factory: Factory) -> None:
    terms = []
    for name in ("n1", "n2", "n3"):
        lone = Lone(factory, name)
        lone.preparing()
        terms.append(lone.paxos.term)
    assert terms == [64, 65, 66]
    lone = Lone(factory)
    assert lone.hear("n1", prepare(66)).save is None, "it is n3's"


@rule()
def a_ballot_is_above_all_that_others_have_promised(factory: Factory) -> None:
    lone = Lone(factory)
    lone.time(600)
    lone.hear("n1", CanvassReply(0, 640, True))
    assert lone.paxos.term == 705


@rule(mutants.StaysInItsBallot)
def a_leader_that_hears_of_a_newer_promise_steps_down(factory: Factory) -> None:
    lone = Lone(factory).settled()
    lone.hear("n1", Nack(130))
    assert not lone.paxos.leads
    assert lone.paxos.term == 130


# --- is there need of a leader? ---------------------------------------------------------------------------


@rule(mutants.AlwaysSaysThereIsNeed)
def who_hears_a_leader_discourages_others(factory: Factory) -> None:
    lone = Lone(factory)
    lone.hear("n1", accept(64, "1@64"))
    lone.saved()
    assert told(lone.hear("n3", Canvass(0, 0)), CanvassReply) == [CanvassReply(0, 64, False)]
    lone.do(PeerLost("n1"))
    assert told(lone.hear("n3", Canvass(0, 0)), CanvassReply) == [CanvassReply(0, 64, True)]
    assert lone.paxos.term == 64


@rule()
def who_lacks_forgotten_slots_is_told_not_to_try(factory: Factory) -> None:
    lone = Lone(factory, tail_entries=0)
    lone.hear("n1", accept(64, "1@64 2@64 3@64", commit=3))
    lone.saved()
    lone.do(SnapshotTaken(SnapshotMark(3, 64, members_of(3))), PeerLost("n1"))
    assert told(lone.hear("n3", Canvass(64, 2)), CanvassReply) == [CanvassReply(64, 64, False)]
    assert told(lone.hear("n3", Canvass(64, 3)), CanvassReply) == [CanvassReply(64, 64, True)]


@rule()
def a_canvass_that_a_majority_refuses_changes_nothing(factory: Factory) -> None:
    lone = Lone(factory)
    assert len(told(lone.time(600), Canvass)) == 2
    lone.hear("n1", CanvassReply(0, 64, False))
    effects = lone.hear("n3", CanvassReply(0, 64, False))
    assert effects.save is None
    assert (lone.paxos.role.name, lone.paxos.term) == ("follower", 0)


@rule()
def an_old_answer_to_a_canvass_counts_for_nothing(factory: Factory) -> None:
    lone = Lone(factory, ballot=64)
    lone.time(600)
    lone.hear("n1", CanvassReply(0, 0, True))
    assert lone.paxos.role.name == "candidate"


@rule()
def a_handover_needs_no_canvass(factory: Factory) -> None:
    lone = Lone(factory)
    lone.hear("n1", accept(64, "1@64", commit=1))
    lone.saved()
    lone.hear("n1", TimeoutNow(64))
    assert told(lone.saved(), Prepare, "n3") == [Prepare(129, 2)]


@rule()
def who_is_not_heard_is_asked_again(factory: Factory) -> None:
    lone = Lone(factory)
    lone.preparing()
    assert told(lone.time(100), Prepare, "n3") == [Prepare(65, 1)]


# --- what is proposed again -------------------------------------------------------------------------------


@rule(mutants.LowestBallotWins, mutants.FirstAnswerWins, mutants.MostFrequentWins)
def the_value_of_the_highest_ballot_wins(factory: Factory) -> None:
    """Not the one that was told first, not the one that most tell of."""
    lone = Lone(factory, "n3", 5, ballot=129, log="1@64")
    lone.preparing()
    lone.promised("n1", "1@65/129")
    lone.promised("n2", "1@64")
    assert log_of(lone) == "1@65/194 2@194"


@rule(mutants.IgnoresWhatWasAccepted)
def what_somebody_accepted_is_proposed_again(factory: Factory) -> None:
    lone = Lone(factory)
    lone.preparing()
    effects = lone.promised("n1", "1@64 2@64")
    assert log_of(lone) == "1@64/65 2@64/65 3@65"
    assert effects.save is not None
    assert [entry.index for entry in effects.save.entries] == [1, 2, 3]


@rule(mutants.ForgetsItsOwnVoice)
def what_we_accepted_ourselves_is_proposed_again(factory: Factory) -> None:
    lone = Lone(factory, ballot=64, log="1@64")
    lone.preparing()
    lone.promised("n1")
    assert log_of(lone) == "1@64/129 2@129"


@rule(mutants.ClosesHolesByMovingUp, mutants.LeavesHoles)
def a_hole_is_filled_with_nothing(factory: Factory) -> None:
    lone = Lone(factory)
    lone.preparing()
    lone.promised("n1", "1@64 3@64")
    assert log_of(lone) == "1@64/65 2@65 3@64/65 4@65"
    filled = lone.paxos.slots.value(2)
    assert filled is not None
    assert filled.kind is EntryKind.NOTHING


@rule(mutants.CountsHalfAnAnswer)
def a_promise_counts_once_all_of_it_is_there(factory: Factory) -> None:
    lone = Lone(factory)
    lone.preparing()
    effects = lone.hear("n1", Promise(65, 1, 1, 2, 0, acceptances("1@64")))
    assert not lone.paxos.leads
    assert told(effects, Prepare, "n1") == [Prepare(65, 2)]
    lone.hear("n1", Promise(65, 1, 1, 2, 0, acceptances("1@64")))
    assert not lone.paxos.leads, "the same piece twice is one piece"
    lone.hear("n1", Promise(65, 2, 2, 2, 0, acceptances("2@64")))
    assert log_of(lone) == "1@64/65 2@64/65 3@65"


@rule()
def a_promise_under_another_ballot_counts_for_nothing(factory: Factory) -> None:
    lone = Lone(factory, ballot=65)
    lone.preparing()
    lone.hear("n1", Promise(65, 1, 0, 0, 0, []))
    assert not lone.paxos.leads
    lone.promised("n1")
    assert lone.paxos.leads


@rule()
def a_new_leader_learns_what_was_chosen(factory: Factory) -> None:
    lone = Lone(factory)
    lone.preparing()
    assert lone.promised("n1", "1@64 2@64 3@64", chosen=2).commit == []
    assert [entry.index for entry in lone.saved().commit] == [1, 2]


@rule()
def who_does_not_lead_drops_proposals(factory: Factory) -> None:
    lone = Lone(factory)
    effects = lone.do(Proposed(b"x"))
    assert (effects.save, effects.send) == (None, [])
