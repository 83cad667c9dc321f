"""Snapshots that are sent and received.  See `lone.py` for what a rule is."""
from __future__ import annotations

from agreed.consensus.machine import (
    ChunkLoaded,
    ChunkSaved,
    SnapshotInstalled,
    SnapshotMark,
    SnapshotRejected,
    SnapshotTaken,
)
from agreed.consensus.multipaxos.messages import Accepted, InstallSnapshot, InstallSnapshotReply
from agreed.consensus.multipaxos.slots import from_disk
from tests.consensus.lone import members_of, told
from tests.consensus.multipaxos import mutants
from tests.consensus.multipaxos.lone import Factory, Lone, accept, disk_of, log_of, rule, value

MARK = SnapshotMark(5, 66, members_of(3))


def piece(offset: int = 0, *, done: bool = True) -> InstallSnapshot:
    return InstallSnapshot(66, MARK, offset, b"piece", done)


@rule(mutants.LetsASnapshotVoidTheLog, mutants.ForgetsWhatIsBehindASnapshot)
def what_is_accepted_behind_a_snapshot_outlives_its_arrival(factory: Factory) -> None:
    """The driver keeps a log that holds an entry with the mark's index and term, and voids any other."""
    lone = Lone(factory, ballot=64, log="1@64 2@64 3@64 4@64 5@64 6@64 7@64")
    assert lone.hear("n3", piece()).save_chunks == []
    (chunk,) = lone.saved().save_chunks
    assert chunk.done
    assert lone.disk[5].term == 66
    assert from_disk(lone.disk[5]) == (64, value("5@64")), "the snapshot may yet be rejected"
    lone.do(SnapshotInstalled(MARK))
    assert (lone.paxos.commit, log_of(lone)) == (5, "6@64 7@64")
    assert disk_of(lone).endswith("6@64 7@64")


@rule()
def an_empty_slot_where_the_snapshot_ends_stays_empty(factory: Factory) -> None:
    lone = Lone(factory, ballot=64, log="1@64 2@64 3@- 4@- 5@- 6@64")
    lone.hear("n3", piece())
    assert lone.saved().save_chunks
    assert lone.disk[5].term == 66
    assert from_disk(lone.disk[5]) == (0, None)


@rule()
def where_nothing_is_accepted_behind_a_snapshot_nothing_is_written(factory: Factory) -> None:
    lone = Lone(factory, ballot=66, log="1@64 2@64")
    effects = lone.hear("n3", piece())
    assert effects.save is None
    assert len(effects.save_chunks) == 1
    assert told(lone.do(SnapshotInstalled(MARK)), Accepted) == [Accepted(66, 0, 5, 5)]


@rule()
def a_snapshot_of_what_we_have_from_this_leader_only_tells_what_is_chosen(factory: Factory) -> None:
    lone = Lone(factory)
    lone.hear("n3", accept(66, "1@66 2@66 3@66 4@66 5@66 6@66"))
    lone.saved()
    effects = lone.hear("n3", piece())
    assert effects.save_chunks == []
    assert [entry.index for entry in effects.commit] == [1, 2, 3, 4, 5]


@rule()
def nothing_is_accepted_while_a_snapshot_is_installed(factory: Factory) -> None:
    lone = Lone(factory, ballot=66)
    lone.hear("n3", piece())
    effects = lone.hear("n3", accept(66, "1@66"))
    assert effects.save is None
    assert told(effects, Accepted) == [Accepted(66, 1, 0, 0)]


@rule()
def a_rejected_snapshot_is_asked_for_from_its_beginning(factory: Factory) -> None:
    lone = Lone(factory, ballot=66)
    lone.hear("n3", piece())
    effects = lone.do(SnapshotRejected(MARK))
    assert told(effects, InstallSnapshotReply) == [InstallSnapshotReply(66, 5, 0)]
    assert len(lone.hear("n3", piece()).save_chunks) == 1


@rule()
def a_lost_piece_is_asked_for_again(factory: Factory) -> None:
    lone = Lone(factory, ballot=66)
    lone.hear("n3", piece(done=False))
    effects = lone.do(ChunkSaved(MARK, 5))
    assert told(effects, InstallSnapshotReply) == [InstallSnapshotReply(66, 5, 5)]
    effects = lone.hear("n3", piece(10))
    assert told(effects, InstallSnapshotReply) == [InstallSnapshotReply(66, 5, 5)]
    assert effects.save_chunks == []


@rule()
def who_lacks_what_is_forgotten_is_sent_a_snapshot(factory: Factory) -> None:
    lone = Lone(factory, tail_entries=0).settled()
    mark = SnapshotMark(1, 65, lone.members)
    lone.do(SnapshotTaken(mark))
    effects = lone.hear("n1", Accepted(65, lone.leader.reads.round, 0, 0, True))
    effects.load_chunks += lone.time(100).load_chunks
    (load,) = effects.load_chunks
    assert (load.target, load.offset) == ("n1", 0)
    effects = lone.do(ChunkLoaded("n1", mark, 0, b"all", True))
    assert told(effects, InstallSnapshot, "n1") == [InstallSnapshot(65, mark, 0, b"all", True)]
    lone.accepted("n1", 1)
    assert lone.leader.progress["n1"].pace.value == "replicate"
