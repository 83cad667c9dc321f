"""Rules of state transfer (section 5.2): who asks whom, for what, and what is kept for it.  See `lone.py`."""
from __future__ import annotations

from agreed.consensus.machine import (
    ChunkLoaded,
    LoadChunk,
    PeerLost,
    Proposed,
    SnapshotInstalled,
    SnapshotMark,
    SnapshotTaken,
)
from agreed.consensus.vr.messages import (
    Commit,
    DoViewChange,
    GetState,
    NewState,
    Prepare,
    SnapshotPiece,
    StartView,
)
from tests.consensus.lone import entries, members_of, told
from tests.consensus.vr import mutants
from tests.consensus.vr.lone import Factory, Lone, do_view_change, log_of, rule

THREE = members_of(3)


def sent_to(name: str, lone: Lone, source: str, message: object) -> list[object]:
    return [send.message for send in lone.hear(source, message).send if send.target == name]


def cut(lone: Lone, index: int) -> None:
    """A snapshot of the first entries is durable."""
    term = lone.vr.log.term(index)
    assert term is not None
    lone.do(SnapshotTaken(SnapshotMark(index, term, THREE)))


@rule()
def whose_log_is_the_best_gives_it_to_the_new_primary_alone(factory: Factory) -> None:
    lone = Lone(factory, view=3, log="1@1 2@3 3@3")
    lone.leaves_for(4, "n2")
    lone.saved()
    assert sent_to("n2", lone, "n2", GetState(4, 1)) == [NewState(4, 1, entries("2@3 3@3"))]
    assert sent_to("n3", lone, "n3", GetState(4, 1)) == []
    assert sent_to("n2", lone, "n2", GetState(3, 1)) == [], "a view that is over"


@rule()
def what_the_log_no_longer_holds_is_given_as_a_snapshot(factory: Factory) -> None:
    lone = Lone(factory, view=3, log="", tail_entries=0).leads()
    for _ in range(3):
        lone.do(Proposed(b"x"))
    lone.saved()
    lone.ok("n2")
    cut(lone, 3)
    effects = lone.hear("n3", GetState(6, 0))
    assert effects.load_chunks == [LoadChunk("n3", 0)]
    mark = SnapshotMark(3, 6, THREE)
    (send,) = lone.do(ChunkLoaded("n3", mark, 0, b"some", False)).send
    assert (send.target, send.message) == ("n3", SnapshotPiece(6, mark, 0, b"some", False))
    assert told(lone.do(Proposed(b"y")), Prepare) == [Prepare(6, 4, 1, lone.vr.log.between(5, 5))], "n2's"
    assert told(lone.hear("n3", GetState(6, 3)), Prepare) == [Prepare(6, 4, 1, lone.vr.log.between(4, 5))]


@rule(mutants.CutsWhatIsNeeded)
def what_follows_a_snapshot_on_its_way_is_kept(factory: Factory) -> None:
    lone = Lone(factory, view=3, log="", tail_entries=0).leads()
    for _ in range(5):
        lone.do(Proposed(b"x"))
    lone.saved()
    lone.ok("n2")
    cut(lone, 2)
    lone.hear("n3", GetState(6, 0))
    lone.do(ChunkLoaded("n3", SnapshotMark(2, 6, THREE), 0, b"some", False))
    cut(lone, 5)
    assert lone.vr.log.base_index == 2
    lone.hear("n3", GetState(6, 2))
    lone.ok("n3", 6)
    cut(lone, 6)
    assert lone.vr.log.base_index == 6


@rule(mutants.ClingsToAnOldSnapshot)
def a_snapshot_that_our_log_no_longer_follows_is_not_sent_on(factory: Factory) -> None:
    """The backup was away for long with a part of it; the file is still there."""
    lone = Lone(factory, view=3, log="", tail_entries=0).leads()
    for _ in range(5):
        lone.do(Proposed(b"x"))
    lone.saved()
    lone.ok("n2")
    cut(lone, 5)
    assert lone.hear("n3", GetState(6, 0, 2, 100)).load_chunks == [LoadChunk("n3", 0)]
    lone.do(ChunkLoaded("n3", None, 0, b"", False))
    assert lone.hear("n3", GetState(6, 0, 7, 100)).load_chunks == [LoadChunk("n3", 0)]


@rule()
def a_new_primary_may_need_a_snapshot_first(factory: Factory) -> None:
    lone = Lone(factory, "n2", view=3, log="1@1")
    lone.leaves_for(4, "n3")
    lone.saved()
    message = do_view_change(4, 3, "1@1 2@1 3@1 4@3 5@3 6@3", commit=5)
    assert told(lone.hear("n3", message), GetState) == [GetState(4, 0)]
    mark = SnapshotMark(5, 3, THREE)
    assert lone.hear("n1", SnapshotPiece(4, mark, 0, b"all", True)).save_chunks == [], "it was not asked"
    assert len(lone.hear("n3", SnapshotPiece(4, mark, 0, b"all", True)).save_chunks) == 1
    assert told(lone.do(SnapshotInstalled(mark)), GetState) == [GetState(4, 5)]
    lone.hear("n3", NewState(4, 5, entries("6@3")))
    assert lone.vr.leads
    assert (log_of(lone), lone.vr.commit) == ("6@3 7@4", 5)


@rule()
def a_start_view_carries_what_the_backup_lacks(factory: Factory) -> None:
    lone = Lone(factory, "n2", view=3, log="1@1 2@1 3@3 4@3")
    lone.leaves_for(4, "n3")
    lone.saved()
    lone.hear("n3", do_view_change(4, 1, "1@1 2@1 3@1"), do_view_change(4, 1, "1@1 2@1 3@1", commit=1))
    starts = {send.target: send.message for send in lone.saved().send if isinstance(send.message, StartView)}
    assert isinstance(starts["n3"], StartView)
    assert isinstance(starts["n1"], StartView)
    assert starts["n3"].after == 0, "the last place where its log is surely ours"
    assert (starts["n1"].after, len(starts["n1"].entries)) == (4, 1), "whom we know nothing of will say"


@rule()
def who_was_lost_is_sent_entries_when_it_is_heard_again(factory: Factory) -> None:
    lone = Lone(factory).leads()
    lone.do(PeerLost("n3"))
    effects = lone.do(Proposed(b"x"))
    assert [send.target for send in effects.send] == ["n2"]
    lone.saved()
    assert [m.entries[0].payload for m in told(lone.ok("n3", 1), Prepare)] == [b"x"]


@rule()
def who_cannot_be_sent_what_it_lacks_is_told_to_ask(factory: Factory) -> None:
    lone = Lone(factory).leads()
    lone.do(PeerLost("n3"), Proposed(b"x"))
    commits = [s.message for s in lone.time(100).send if s.target == "n3" and isinstance(s.message, Commit)]
    assert [message.upto for message in commits] == [2]


@rule()
def a_quorum_is_sent_entries_at_once_and_the_others_a_little_later(factory: Factory) -> None:
    lone = Lone(factory, spare_delay_ms=4).leads()
    lone.time(1)
    first = lone.do(Proposed(b"x"))
    assert len(told(first, Prepare)) == 1
    second = lone.do(Proposed(b"y"))
    assert len(told(second, Prepare)) == 1
    (late,) = told(lone.time(4), Prepare)
    assert [entry.payload for entry in late.entries] == [b"x", b"y"]


@rule()
def a_do_view_change_carries_what_is_not_known_to_be_agreed(factory: Factory) -> None:
    lone = Lone(factory, view=1, log="1@1 2@1 3@1")
    lone.hear("n2", Commit(1, 2, 1, 3))
    lone.do(PeerLost("n2"))
    lone.leaves_for(2, "n2")
    (message,) = told(lone.saved(), DoViewChange)
    assert (message.last_index, message.commit, message.entries) == (3, 2, entries("3@1"))


@rule()
def a_do_view_change_that_the_disk_held_back_is_not_said_once_the_view_has_begun(factory: Factory) -> None:
    """It says that our log ends with 3, and when it leaves the disk holds the new primary's log."""
    lone = Lone(factory, view=1, log="1@1 2@1 3@1")
    lone.do(PeerLost("n2"))
    assert told(lone.leaves_for(2, "n2"), DoViewChange) == []
    lone.hear("n3", StartView(2, 2, 1, 1, 0, 1, entries("2@2")))
    assert told(lone.saved(), DoViewChange) == []
    assert log_of(lone) == "1@1 2@2"
