"""A node that restarts while it receives a snapshot still has most of it on its disk.  The first piece it is
sent anew shows that; then the transfer goes on behind what is held, and not at the second piece."""
from __future__ import annotations

from agreed.consensus.machine import Ballot, ChunkSaved, Received, SaveChunk, SnapshotMark
from agreed.consensus.members import Members
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.raft.messages import InstallSnapshot, InstallSnapshotReply
from agreed.consensus.raft.raft import Raft
from tests.consensus.stage import OrderedDice, member

MEMBERS = Members((member("n1"), member("n2"), member("n3")))


def test_pieces_that_are_on_the_disk_already_are_passed_over() -> None:
    raft = Raft("n2", MEMBERS, Ballot(0, None), None, [], RaftConfig(), OrderedDice(2), 0)
    mark = SnapshotMark(1_000, 3, MEMBERS)
    raft.step(Received("n1", InstallSnapshot(3, mark, 0, bytes(8), False)))
    assert raft.take().save_chunks == [SaveChunk(mark, 0, bytes(8), False)]
    raft.step(ChunkSaved(mark, 96))
    assert [send.message for send in raft.take().send] == [InstallSnapshotReply(3, 1_000, 96)]
    raft.step(Received("n1", InstallSnapshot(3, mark, 96, bytes(8), False)))
    assert raft.take().save_chunks == [SaveChunk(mark, 96, bytes(8), False)]
    raft.step(ChunkSaved(mark, 104))
    assert [send.message for send in raft.take().send] == [InstallSnapshotReply(3, 1_000, 104)]


def test_a_piece_that_the_disk_had_already_changes_nothing_for_those_on_their_way() -> None:
    """An answer never takes back what was given to the disk meanwhile."""
    raft = Raft("n2", MEMBERS, Ballot(0, None), None, [], RaftConfig(), OrderedDice(2), 0)
    mark = SnapshotMark(1_000, 3, MEMBERS)
    for offset in (0, 8):
        raft.step(Received("n1", InstallSnapshot(3, mark, offset, bytes(8), False)))
    raft.take()
    raft.step(ChunkSaved(mark, 8))
    raft.step(Received("n1", InstallSnapshot(3, mark, 16, bytes(8), False)))
    assert raft.take().save_chunks == [SaveChunk(mark, 16, bytes(8), False)]
