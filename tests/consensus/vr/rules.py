"""Rules of the paper, section by section, and of what was found since.  See `lone.py` for what a rule is."""
from __future__ import annotations

from agreed.consensus.machine import (
    ChunkSaved,
    MembersChangeRequested,
    PeerLost,
    Proposed,
    ReadRequested,
    SnapshotInstalled,
    SnapshotMark,
    TransferRequested,
)
from agreed.consensus.members import Remove
from agreed.consensus.vr.messages import (
    Commit,
    DoViewChange,
    GetState,
    NewState,
    Prepare,
    PrepareOk,
    SnapshotPiece,
    StartView,
    StartViewChange,
)
from tests.consensus.lone import entries, members_of, told
from tests.consensus.vr import mutants
from tests.consensus.vr.lone import Factory, Lone, do_view_change, log_of, prepare, rule

# --- 4.1 the normal case ----------------------------------------------------------------------------------


@rule(mutants.AcknowledgesOverAGap, mutants.NeverAsksForWhatItLacks)
def a_backup_asks_for_what_is_missing_and_acknowledges_nothing_over_a_gap(factory: Factory) -> None:
    lone = Lone(factory, view=1, log="1@1")
    lone.hear("n2", prepare(1, "2@1"))
    lone.saved()
    effects = lone.hear("n2", prepare(1, "4@1"), prepare(1, "5@1"))
    assert told(effects, PrepareOk) == []
    assert told(effects, GetState) == [GetState(1, 2)], "once, not for every Prepare that follows the gap"


@rule(mutants.AcknowledgesBeforeItSaves)
def what_is_acknowledged_is_durable(factory: Factory) -> None:
    lone = Lone(factory, view=2, settled=1)
    effects = lone.hear("n3", StartView(2, 1, 0, 0, 0, 1, entries("1@2")))
    assert told(effects, PrepareOk) == []
    assert told(lone.saved(), PrepareOk) == [PrepareOk(2, 1, 1)]
    effects = lone.hear("n3", prepare(2, "2@2"), prepare(2, "3@2"))
    assert told(effects, PrepareOk) == [PrepareOk(2, 1, 1)], "a round is answered, and no more is claimed"
    assert told(lone.saved(), PrepareOk) == [PrepareOk(2, 1, 3)], "one answer for one save"


@rule(mutants.CommitsWhatItWasTold)
def a_commit_number_may_be_ahead_of_the_log(factory: Factory) -> None:
    lone = Lone(factory, view=1, log="1@1")
    effects = lone.hear("n2", Commit(1, 5, 1, 1))
    assert [entry.index for entry in effects.commit] == [1]


@rule(mutants.CommitsWhatItAppends)
def nothing_is_agreed_before_the_primary_says_so(factory: Factory) -> None:
    lone = Lone(factory, view=1, log="1@1")
    assert lone.hear("n2", prepare(1, "2@1")).commit == []
    assert [entry.index for entry in lone.hear("n2", Commit(1, 2, 1, 2)).commit] == [1, 2]


@rule(mutants.TakesPreparesOfOldViews)
def a_prepare_of_a_view_that_is_over_changes_nothing(factory: Factory) -> None:
    lone = Lone(factory, view=2, log="1@1 2@2")
    effects = lone.hear("n2", prepare(1, "2@1 3@1"))
    assert (log_of(lone), effects.send, effects.save) == ("1@1 2@2", [], None)


@rule(mutants.CountsItsOwnUnsavedLog)
def a_quorum_of_durable_logs_agrees(factory: Factory) -> None:
    lone = Lone(factory).leads()
    effects = lone.do(Proposed(b"x"))
    assert len(told(effects, Prepare)) == 2, "it is sent while our own disk is busy"
    assert lone.ok("n2").commit == []
    assert [entry.payload for entry in lone.saved().commit] == [b"x"]


@rule()
def who_waits_for_a_commit_hears_of_it_at_once(factory: Factory) -> None:
    lone = Lone(factory).leads()
    lone.time(10)
    lone.do(Proposed(b"x", waiting=("n3",)))
    lone.saved()
    effects = lone.ok("n2")
    assert [send.target for send in effects.send if isinstance(send.message, Commit)] == ["n3"]


@rule(mutants.IgnoresTheWindow)
def what_may_be_in_flight_is_bounded(factory: Factory) -> None:
    lone = Lone(factory, window_messages=2).leads()
    sent = [len(told(lone.do(Proposed(b"x")), Prepare)) for _ in range(4)]
    assert sent == [2, 2, 0, 0]


@rule()
def proposals_of_one_turn_are_one_save_and_one_message_for_both(factory: Factory) -> None:
    lone = Lone(factory).leads()
    effects = lone.do(Proposed(b"x"), Proposed(b"y"))
    first, second = told(effects, Prepare)
    assert first is second
    assert [entry.payload for entry in first.entries] == [b"x", b"y"]
    assert effects.save is not None
    assert len(effects.save.entries) == 2


# --- 4.2 view changes -------------------------------------------------------------------------------------


@rule(mutants.ChoosesTheLongest)
def the_last_normal_view_comes_before_the_length(factory: Factory) -> None:
    lone = Lone(factory, "n2", view=3, log="1@1 2@3")
    lone.leaves_for(4, "n3")
    lone.saved()
    lone.hear("n3", do_view_change(4, 1, "1@1 2@1 3@1 4@1"))
    assert lone.vr.leads
    assert log_of(lone) == "1@1 2@3 3@4"


@rule(mutants.ChoosesAnyOfTheNewestView)
def of_two_logs_of_one_view_the_longer_is_taken(factory: Factory) -> None:
    lone = Lone(factory, "n2", view=3, log="1@1 2@3")
    lone.leaves_for(4, "n3")
    lone.saved()
    lone.hear("n3", do_view_change(4, 3, "1@1 2@3 3@3"))
    assert log_of(lone) == "1@1 2@3 3@3 4@4"


@rule(mutants.RenumbersWhatItTakesOver)
def an_operation_keeps_the_view_that_numbered_it(factory: Factory) -> None:
    lone = Lone(factory, "n2", view=3, log="1@1 2@3")
    lone.leaves_for(4, "n3")
    lone.saved()
    lone.hear("n3", do_view_change(4, 3, "1@1 2@3"))
    assert log_of(lone) == "1@1 2@3 3@4"


@rule(mutants.AsksOneTooFew)
def no_view_begins_without_a_quorum(factory: Factory) -> None:
    lone = Lone(factory, "n2", view=3, log="1@1")
    lone.leaves_for(4, "n3")
    lone.saved()
    assert not lone.vr.leads


@rule(mutants.LosesWhatDoesNotFit)
def what_did_not_fit_is_asked_for(factory: Factory) -> None:
    lone = Lone(factory, "n2", view=3, log="1@1 2@3")
    lone.leaves_for(4, "n3")
    lone.saved()
    effects = lone.hear("n3", do_view_change(4, 3, "1@1 2@3 3@3 4@3 5@3", commit=1, carried=2))
    assert told(effects, GetState) == [GetState(4, 3)]
    assert not lone.vr.leads
    lone.hear("n3", NewState(4, 3, entries("4@3 5@3")))
    assert log_of(lone) == "1@1 2@3 3@3 4@3 5@3 6@4"


@rule(mutants.SpeaksBeforeItSaves)
def to_have_left_a_view_is_durable_before_it_is_said(factory: Factory) -> None:
    lone = Lone(factory, view=1, log="1@1")
    assert told(lone.leaves_for(2, "n2"), DoViewChange) == []
    assert told(lone.saved(), DoViewChange) == [do_view_change(2, 1, "1@1")]


@rule(mutants.ForgetsItsView)
def a_view_that_was_left_is_left_after_a_crash_too(factory: Factory) -> None:
    lone = Lone(factory, view=1, log="1@1")
    lone.leaves_for(2, "n2")
    lone.saved()
    lone.restart()
    assert (lone.vr.view, lone.vr.settled, lone.vr.role.name) == (2, 1, "changing")
    lone.hear("n2", prepare(1, "2@1"))
    assert log_of(lone) == "1@1"


@rule(mutants.StartsBeforeItSaves)
def that_a_view_begins_is_durable_before_it_is_said(factory: Factory) -> None:
    """Else the primary crashes, and begins it again with the logs of others."""
    lone = Lone(factory, "n2", view=0)
    lone.leaves_for(1, "n3")
    lone.saved()
    effects = lone.hear("n3", DoViewChange(1, 0, 0, 0, 0, 0, []))
    effects.send += lone.do(Proposed(b"x")).send
    assert told(effects, StartView) == told(effects, Prepare) == []
    assert len(told(lone.saved(), StartView)) == 2


@rule(mutants.LeadsItsViewAgain)
def a_primary_that_crashed_does_not_lead_its_view_again(factory: Factory) -> None:
    lone = Lone(factory, "n2", view=1, log="1@1")
    assert not lone.vr.leads
    assert {m.view for m in told(lone.time(0), StartViewChange)} == {2}, "it asks for the next one at once"


@rule(mutants.CutsBackToItsCommitNumber)
def to_hear_of_a_newer_view_takes_nothing_back(factory: Factory) -> None:
    lone = Lone(factory, view=1, log="1@1 2@1")
    effects = lone.hear("n3", Commit(2, 0, 1, 4))
    assert log_of(lone) == "1@1 2@1"
    assert told(effects, GetState) == [GetState(2, 0)], "the commit number is where all logs are equal"


@rule(mutants.SettlesAtOnce)
def a_log_is_one_of_the_view_once_it_has_all_that_the_view_began_with(factory: Factory) -> None:
    lone = Lone(factory, view=1, log="1@1 2@1 3@1")
    lone.hear("n3", StartView(2, 4, 1, 1, 0, 1, entries("2@1")))
    assert lone.vr.settled == 1
    assert told(lone.saved(), PrepareOk) == [PrepareOk(2, 1, 2, joined=False)]
    lone.hear("n3", prepare(2, "3@1 4@2"))
    assert lone.vr.settled == 2
    assert told(lone.saved(), PrepareOk) == [PrepareOk(2, 1, 4)]


@rule()
def what_the_new_view_does_not_have_is_replaced_on_disk_too(factory: Factory) -> None:
    lone = Lone(factory, view=1, log="1@1 2@1 3@1")
    lone.hear("n3", StartView(2, 2, 1, 1, 0, 1, entries("2@2")))
    lone.saved()
    lone.restart()
    assert (log_of(lone), lone.vr.settled) == ("1@1 2@2", 2)


@rule(mutants.CountsWhoHasNotJoined)
def who_has_not_joined_does_not_count(factory: Factory) -> None:
    lone = Lone(factory, "n2", view=0, log="")
    lone.leaves_for(1, "n3")
    lone.saved()
    lone.hear("n3", DoViewChange(1, 0, 0, 0, 0, 0, []))
    lone.saved()
    lone.ok("n3", joined=False)
    assert lone.vr.commit == 0
    lone.ok("n3")
    assert lone.vr.commit == 1


@rule(mutants.WishesAreOrders)
def who_hears_its_primary_does_not_leave_it_because_another_does_not(factory: Factory) -> None:
    lone = Lone(factory, view=1, log="1@1")
    lone.hear("n2", Commit(1, 1, 1, 1))
    effects = lone.hear("n3", StartViewChange(2, 1))
    assert (lone.vr.view, effects.send) == (1, [])


@rule(mutants.DeafToThoseWhoLeft)
def who_has_left_our_view_is_followed(factory: Factory) -> None:
    lone = Lone(factory, view=1, log="1@1")
    lone.hear("n2", Commit(1, 1, 1, 1))
    lone.hear("n3", StartViewChange(3, 2))
    assert lone.vr.view == 3


@rule()
def a_wish_changes_no_view(factory: Factory) -> None:
    """Who is cut off may wish for as long as it likes: it comes back into the view it left."""
    lone = Lone(factory, view=1, log="1@1")
    for _ in range(10):
        lone.time(1000)
    assert (lone.vr.view, lone.vr.ballot.term) == (1, 1)
    lone.hear("n2", prepare(1, "2@1"))
    assert (log_of(lone), lone.vr.leader) == ("1@1 2@1", "n2")


@rule()
def a_view_whose_primary_is_unreachable_is_skipped(factory: Factory) -> None:
    lone = Lone(factory, size=5, view=1, log="1@1")
    lone.hear("n2", Commit(1, 1, 1, 1))
    lone.do(PeerLost("n3"), PeerLost("n2"))
    wishes = [message for _ in range(4) for message in told(lone.time(50), StartViewChange)]
    assert {message.view for message in wishes} == {3}


@rule()
def a_primary_that_hears_no_quorum_steps_down(factory: Factory) -> None:
    lone = Lone(factory).leads()
    for _ in range(6):
        lone.time(100)
    assert not lone.vr.leads
    assert lone.vr.role.name == "backup"


@rule()
def leadership_is_handed_over_to_the_next_view_that_is_the_targets_turn(factory: Factory) -> None:
    lone = Lone(factory).leads()
    assert lone.vr.view == 3
    effects = lone.do(TransferRequested("n3"), Proposed(b"x"))
    assert {message.view for message in told(effects, StartViewChange)} == {5}
    assert effects.save is None, "what is proposed meanwhile would have to be carried over"
    lone.hear("n3", StartViewChange(5, 3))
    assert lone.vr.view == 5
    assert len(told(lone.saved(), DoViewChange)) == 1


@rule()
def leadership_is_not_handed_over_to_who_is_not_there(factory: Factory) -> None:
    lone = Lone(factory).leads()
    lone.do(PeerLost("n3"))
    assert told(lone.do(TransferRequested("n3")), StartViewChange) == []
    assert {message.view for message in told(lone.do(TransferRequested()), StartViewChange)} == {4}


# --- reads ------------------------------------------------------------------------------------------------


@rule(mutants.ReadsWithoutAsking)
def a_read_is_answered_after_a_quorum_has_answered_a_round(factory: Factory) -> None:
    lone = Lone(factory).leads()
    effects = lone.do(ReadRequested(1), ReadRequested(2))
    assert effects.reads == []
    assert len(told(effects, Commit)) == 2, "one round for both"
    assert [(ready.ticket, ready.index) for ready in lone.ok("n2").reads] == [(1, 1), (2, 1)]


@rule(mutants.ReadsBeforeItCommits)
def no_read_before_all_that_the_view_began_with_is_agreed(factory: Factory) -> None:
    lone = Lone(factory, "n2", view=3, log="1@1 2@3")
    lone.leaves_for(4, "n3")
    lone.saved()
    lone.hear("n3", do_view_change(4, 3, "1@1 2@3"))
    lone.saved()
    lone.do(ReadRequested(1))
    lone.ok("n3", 2)
    assert lone.vr.commit == 0
    lone.ok("n3")
    assert [(ready.ticket, ready.index) for ready in lone.ok("n3").reads] == [(1, 3)]


# --- snapshots --------------------------------------------------------------------------------------------

MARK = SnapshotMark(5, 1, members_of(3))


@rule(mutants.SpeaksWhileItInstalls)
def the_log_stands_still_while_a_snapshot_is_installed(factory: Factory) -> None:
    lone = Lone(factory, view=1, log="1@1")
    lone.hear("n2", Commit(1, 0, 1, 9))
    (piece,) = lone.hear("n2", SnapshotPiece(1, MARK, 0, b"all", True)).save_chunks
    assert piece.done
    lone.hear("n2", prepare(1, "2@1"))
    assert log_of(lone) == "1@1"
    effects = lone.do(SnapshotInstalled(MARK))
    assert (lone.vr.commit, told(effects, GetState)) == (5, [GetState(1, 5)])


@rule()
def nothing_is_said_of_a_log_that_a_snapshot_is_about_to_replace(factory: Factory) -> None:
    lone = Lone(factory, view=1, log="1@1")
    lone.hear("n2", Commit(1, 0, 1, 9))
    lone.hear("n2", SnapshotPiece(1, MARK, 0, b"all", True))
    lone.do(PeerLost("n2"))
    lone.leaves_for(2, "n2")
    assert told(lone.saved(), DoViewChange) == []
    effects = lone.do(SnapshotInstalled(MARK))
    (message,) = told(effects, DoViewChange)
    assert (message.last_index, message.last_term, message.commit) == (5, 1, 5)


@rule()
def a_snapshot_of_what_we_have_takes_nothing_back(factory: Factory) -> None:
    lone = Lone(factory, view=1, log="1@1 2@1 3@1 4@1 5@1 6@1")
    lone.hear("n2", Commit(1, 0, 1, 9))
    effects = lone.hear("n2", SnapshotPiece(1, MARK, 0, b"all", True))
    assert effects.save_chunks == []
    assert (lone.vr.commit, lone.vr.log.last_index) == (5, 6)


@rule(mutants.MixesSnapshots)
def no_piece_is_handed_on_while_the_disk_has_another(factory: Factory) -> None:
    lone = Lone(factory, view=1, log="1@1")
    lone.hear("n2", Commit(1, 0, 1, 9))
    newer = SnapshotMark(8, 1, members_of(3))
    assert len(lone.hear("n2", SnapshotPiece(1, MARK, 0, b"old", False)).save_chunks) == 1
    assert lone.hear("n2", SnapshotPiece(1, newer, 0, b"new", False)).save_chunks == []
    effects = lone.do(ChunkSaved(MARK, 3))
    assert told(effects, GetState) == [GetState(1, 0, 5, 3)], "it goes on where it was"
    assert len(lone.hear("n2", SnapshotPiece(1, newer, 0, b"new", False)).save_chunks) == 1


# --- what cannot be true ----------------------------------------------------------------------------------


@rule()
def what_cannot_be_true_changes_nothing(factory: Factory) -> None:
    lone = Lone(factory, view=1, log="1@1")
    lies = [
        Prepare(1, 0, 1, []),
        prepare(1, "2@5"),
        prepare(1, "2@1 4@1"),
        StartView(1, 1, -1, 0, 0, 1, []),
        DoViewChange(3, 7, 1, 1, 0, 0, []),
        SnapshotPiece(1, SnapshotMark(0, 0, members_of(3)), 0, b"", True),
        PrepareOk(1, 1, 99),
        NewState(1, 5, entries("1@1")),
        "no message at all",
    ]
    effects = lone.hear("n2", *lies)
    assert (log_of(lone), effects.save, effects.send) == ("1@1", None, [])
    assert lone.hear("stranger", prepare(1, "2@1")).save is None


@rule()
def members_do_not_change(factory: Factory) -> None:
    (answer,) = Lone(factory).leads().do(MembersChangeRequested(1, Remove("n2"))).answers
    assert answer.refusal is not None
    assert "Raft" in answer.refusal
