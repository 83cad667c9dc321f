"""Synchronization: what an epoch begins with, and when it is a follower's.  See `lone.py` for what a rule
is."""
from __future__ import annotations

from agreed.consensus.machine import (
    ChunkLoaded,
    ChunkSaved,
    LoadChunk,
    Proposed,
    SaveChunk,
    Saved,
    SnapshotInstalled,
    SnapshotMark,
    SnapshotTaken,
)
from agreed.consensus.zab.messages import (
    Ack,
    AckEpoch,
    AckNewLeader,
    Commit,
    Diff,
    FollowerInfo,
    NewLeader,
    Ping,
    PingReply,
    Proposal,
    SnapshotPiece,
    SnapshotPieceReply,
    UpToDate,
)
from tests.consensus.lone import entries, told
from tests.consensus.zab import mutants
from tests.consensus.zab.lone import Factory, Lone, diff, log_of, proposal, rule


@rule()
def an_epoch_begins_with_an_entry_that_says_nothing(factory: Factory) -> None:
    lone = Lone(factory, epoch=1, log="1@1 2@1").in_epoch()
    effects = lone.accepted_by("n1")
    assert log_of(lone) == "1@1 2@1 3@2"
    assert effects.save is not None
    assert effects.save.ballot.settled == 2, "with it, the leader's history is its epoch's"
    assert told(effects, Diff, "n1") == [Diff(2, 2, 1, False, lone.zab.log.between(3, 3))]
    assert told(effects, NewLeader, "n1") == [NewLeader(2, 3)]


@rule(mutants.SettlesBeforeItHasTheHistory)
def the_history_is_durable_before_current_epoch(factory: Factory) -> None:
    lone = Lone(factory, epoch=1, log="1@1 2@1")
    lone.follows("n1", 3)
    lone.hear("n1", diff(3, "2@1", "3@2"))
    lone.saved()
    assert lone.ballot.settled == 1, "the rest of the history is still on its way"
    lone.hear("n1", diff(3, "3@2", "4@3"), NewLeader(3, 4))
    lone.saved()
    assert lone.ballot.settled == 3


@rule(mutants.AcknowledgesBeforeItIsSynchronized)
def the_new_leader_is_acknowledged_when_its_history_is_durable(factory: Factory) -> None:
    lone = Lone(factory, epoch=1, log="1@1 2@1")
    lone.follows("n1", 3)
    lone.saved()
    effects = lone.hear("n1", NewLeader(3, 4))
    effects.send += lone.hear("n1", diff(3, "2@1", "3@1 4@3")).send
    assert told(effects, AckNewLeader) == []
    assert told(lone.saved(), AckNewLeader) == [AckNewLeader(3, 4)]


@rule(mutants.CountsWhoIsNotReady)
def what_a_follower_has_counts_once_it_has_acknowledged_the_new_leader(factory: Factory) -> None:
    lone = Lone(factory, epoch=1, log="1@1 2@1").in_epoch()
    lone.accepted_by("n1")
    lone.saved()
    effects = lone.hear("n1", Ack(2, 3))
    assert effects.commit == []
    assert not lone.zab.leads
    effects = lone.hear("n1", AckNewLeader(2, 3))
    assert [entry.index for entry in effects.commit] == [1, 2, 3]
    assert told(effects, UpToDate) == [UpToDate(2, 3)]


@rule(mutants.SkipsWhatIsProposedMeanwhile)
def what_is_proposed_while_a_follower_is_synchronized_reaches_it(factory: Factory) -> None:
    lone = Lone(factory, window_messages=1).established()
    sent = lone.accepted_by("n3", "0@0", settled=0)
    assert [len(piece.entries) for piece in told(sent, Diff, "n3")] == [1]
    assert told(lone.do(Proposed(b"x")), Proposal, "n3") == [], "the window is full"
    (piece,) = told(lone.hear("n3", AckNewLeader(1, 1)), Proposal, "n3")
    assert [entry.payload for entry in piece.entries] == [b"x"]


@rule(mutants.TellsOldCommits)
def up_to_date_tells_the_newest_commit(factory: Factory) -> None:
    lone = Lone(factory).established()
    lone.accepted_by("n3", "0@0", settled=0)
    lone.do(Proposed(b"x"))
    lone.saved()
    lone.hear("n1", Ack(1, 2))
    assert lone.zab.commit == 2
    assert told(lone.hear("n3", AckNewLeader(1, 1)), UpToDate, "n3") == [UpToDate(1, 2)]


@rule(mutants.KeepsItsMemory)
def what_one_leader_has_said_of_commits_is_nothing_to_the_next(factory: Factory) -> None:
    lone = Lone(factory).synchronized("n1", 1, diff(1, "0@0", "1@1"))
    lone.hear("n1", Commit(1, 3))
    assert lone.zab.commit == 1
    lone.loses_its_leader()
    lone.follows("n3", 2)
    lone.saved()
    assert lone.hear("n3", diff(2, "1@1", "2@2 3@2")).commit == []


@rule(mutants.KeepsWhatConflicts)
def what_the_leader_does_not_have_goes(factory: Factory) -> None:
    lone = Lone(factory, epoch=2, log="1@1 2@2 3@2 4@2")
    lone.follows("n1", 3)
    lone.hear("n1", diff(3, "1@1", "2@3", truncate=True))
    assert log_of(lone) == "1@1 2@3"


@rule(mutants.TruncatesInMemoryOnly)
def a_truncation_is_durable_with_what_takes_its_place(factory: Factory) -> None:
    lone = Lone(factory, epoch=2, log="1@1 2@2 3@2")
    lone.follows("n1", 3)
    lone.hear("n1", diff(3, "1@1", "2@3", truncate=True), NewLeader(3, 2))
    lone.saved()
    lone.restart()
    assert log_of(lone) == "1@1 2@3"
    assert lone.zab.settled == 3


@rule()
def nothing_is_truncated_without_being_told(factory: Factory) -> None:
    lone = Lone(factory, epoch=2, log="1@1 2@2 3@2")
    lone.follows("n1", 3)
    lone.saved()
    effects = lone.hear("n1", diff(3, "1@1", "2@3"))
    assert log_of(lone) == "1@1 2@2 3@2"
    assert told(effects, AckEpoch) == [AckEpoch(3, 2, [(2, 3), (1, 1), (0, 0)])], "where do we part?"


@rule(mutants.ForgetsTheAbaProblem)
def a_save_that_returns_counts_only_for_what_still_stands(factory: Factory) -> None:
    lone = Lone(factory, epoch=1, log="1@1")
    lone.follows("n1", 2)
    lone.hear("n1", diff(2, "1@1", "2@2 3@2 4@2"))
    lone.loses_its_leader()
    lone.follows("n3", 3)
    lone.hear("n3", diff(3, "1@1", "2@3", truncate=True))
    while len(lone.pending) > 1:
        lone.do(Saved(lone.pending.pop(0)))
    assert lone.zab.saved == 1
    lone.saved()
    assert lone.zab.saved == 2


@rule(mutants.CountsAnyHistory)
def a_followers_history_counts_as_far_as_it_is_the_leaders(factory: Factory) -> None:
    lone = Lone(factory, epoch=1, log="1@1 2@1 3@1")
    lone.follows("n1", 2)
    lone.saved()
    (reply,) = told(lone.hear("n1", Ping(2, 5, 0, 0, True)), PingReply)
    assert reply == PingReply(2, 5, 0)


@rule(mutants.DeliversWhatItHas)
def a_commit_is_delivered_as_far_as_our_history_is_the_leaders(factory: Factory) -> None:
    lone = Lone(factory, epoch=1, log="1@1 2@1 3@1")
    lone.follows("n1", 2)
    assert lone.hear("n1", Ping(2, 5, 0, 3, True)).commit == []
    effects = lone.hear("n1", diff(2, "1@1", "2@2", truncate=True))
    assert [(entry.index, entry.term) for entry in effects.commit] == [(1, 1), (2, 2)]


@rule(mutants.NeverAsks)
def who_misses_something_asks_again_in_the_same_epoch(factory: Factory) -> None:
    lone = Lone(factory, epoch=1, log="1@1")
    lone.follows("n1", 2)
    lone.saved()
    assert told(lone.hear("n1", NewLeader(2, 3)), AckEpoch) == [AckEpoch(2, 1, [(1, 1), (0, 0)])]
    assert told(lone.hear("n1", diff(2, "2@1", "3@2")), AckEpoch) == [], "once is enough"
    lone.time(100)
    assert len(told(lone.hear("n1", diff(2, "2@1", "3@2")), AckEpoch)) == 1


@rule()
def who_has_the_history_already_acknowledges_the_new_leader(factory: Factory) -> None:
    """It crashed between the last of the history and currentEpoch; there is nothing left to be sent."""
    lone = Lone(factory, epoch=2, settled=1, vote="n1", log="1@1 2@2")
    lone.follows("n1", 2)
    effects = lone.hear("n1", NewLeader(2, 2))
    effects.send += lone.saved().send
    assert told(effects, AckNewLeader) == [AckNewLeader(2, 2)]
    assert lone.ballot.settled == 2


@rule()
def what_is_said_twice_is_answered_once(factory: Factory) -> None:
    lone = Lone(factory).established()
    assert len(told(lone.accepted_by("n3", "0@0", settled=0), Diff)) == 1
    assert told(lone.accepted_by("n3", "0@0", settled=0), Diff) == []
    lone.time(100)
    assert len(told(lone.accepted_by("n3", "0@0", settled=0), Diff)) == 1, "now it was lost"


@rule()
def a_follower_that_comes_back_in_the_same_epoch_goes_on_where_it_was(factory: Factory) -> None:
    lone = Lone(factory).established()
    lone.do(Proposed(b"x"), Proposed(b"y"))
    lone.saved()
    lone.hear("n1", FollowerInfo(1, "n2"))
    (piece,) = told(lone.accepted_by("n1", "2@1", settled=1), Proposal, "n1")
    assert [entry.index for entry in piece.entries] == [3]
    assert lone.leading.broadcast.learners["n1"].ready


# --- SNAP -------------------------------------------------------------------------------------------------


@rule()
def who_lacks_what_is_no_longer_in_the_log_is_sent_a_snapshot(factory: Factory) -> None:
    lone = Lone(factory, tail_entries=0).established()
    lone.do(Proposed(b"x"))
    lone.saved()
    lone.hear("n1", Ack(1, 2))
    mark = lone.zab.snapshot_mark(2)
    lone.do(SnapshotTaken(mark))
    effects = lone.accepted_by("n3", "0@0", settled=0)
    assert effects.load_chunks == [LoadChunk("n3", 0)]
    (piece,) = told(lone.do(ChunkLoaded("n3", mark, 0, b"half", False)), SnapshotPiece)
    assert piece == SnapshotPiece(1, mark, 0, b"half", False)
    assert lone.hear("n3", SnapshotPieceReply(1, 2, 4)).load_chunks == [LoadChunk("n3", 4, 2)]
    lone.do(ChunkLoaded("n3", mark, 4, b"rest", True))
    assert told(lone.hear("n3", Ack(1, 2)), NewLeader, "n3") == [NewLeader(1, 2)]


@rule(mutants.TakesWhatComesWhileItInstalls)
def the_log_stands_still_while_a_snapshot_is_installed(factory: Factory) -> None:
    lone = Lone(factory, epoch=1, log="1@1 2@1 3@1 4@1 5@1 6@1 7@1")
    lone.follows("n1", 2)
    lone.saved()
    mark = SnapshotMark(5, 2, lone.members)
    effects = lone.hear("n1", SnapshotPiece(2, mark, 0, b"all", True))
    assert effects.save_chunks == [SaveChunk(mark, 0, b"all", True)]
    assert lone.hear("n1", diff(2, "7@1", "8@2")).save is None


@rule()
def one_piece_of_a_snapshot_is_written_at_a_time(factory: Factory) -> None:
    """A late piece of an attempt that was rejected came while the first one of the next was being written."""
    lone = Lone(factory)
    lone.follows("n1", 2)
    lone.saved()
    mark = SnapshotMark(5, 2, lone.members)
    assert len(lone.hear("n1", SnapshotPiece(2, mark, 0, b"half", False)).save_chunks) == 1
    assert lone.hear("n1", SnapshotPiece(2, mark, 4, b"late", False)).save_chunks == []
    assert told(lone.do(ChunkSaved(mark, 4)), SnapshotPieceReply) == [SnapshotPieceReply(2, 5, 4)]
    assert len(lone.hear("n1", SnapshotPiece(2, mark, 4, b"rest", True)).save_chunks) == 1


@rule(mutants.KeepsASuffixUnderASnapshot)
def a_log_that_contradicts_the_snapshot_goes_as_a_whole(factory: Factory) -> None:
    lone = Lone(factory, epoch=3, log="1@1 2@1 3@1 4@3")
    lone.follows("n1", 4)
    lone.saved()
    mark = SnapshotMark(3, 2, lone.members)
    lone.hear("n1", SnapshotPiece(4, mark, 0, b"all", True))
    lone.do(SnapshotInstalled(mark))
    assert log_of(lone) == ""
    assert (lone.zab.commit, lone.zab.last_index, lone.zab.last_term) == (3, 3, 2)


@rule()
def a_snapshot_of_what_we_have_replaces_nothing(factory: Factory) -> None:
    lone = Lone(factory).synchronized("n1", 2, diff(2, "0@0", "1@1 2@2 3@2"))
    mark = SnapshotMark(2, 2, lone.members)
    effects = lone.hear("n1", SnapshotPiece(2, mark, 0, b"all", True))
    assert effects.save_chunks == []
    assert lone.hear("n1", proposal(2, 3, "4@2")).save is not None
    assert log_of(lone) == "1@1 2@2 3@2 4@2"
    assert [entry.index for entry in effects.commit] == [1, 2]
    assert entries("1@1") == effects.commit[:1]
