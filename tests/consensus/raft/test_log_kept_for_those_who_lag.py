"""What a follower that is on its way needs next stays in the log, though newer snapshots come all the while.

Else one whose transfer takes longer than the leader's next snapshot is sent that one instead, from its
beginning, and so on: under a load that never ends it never arrives."""
from __future__ import annotations

from agreed.consensus.machine import ChunkLoaded, Proposed, SnapshotTaken
from agreed.consensus.raft.messages import AppendEntriesReply, InstallSnapshot, InstallSnapshotReply
from agreed.consensus.raft.progress import Pace, Progress
from agreed.consensus.raft.raft import Raft
from tests.consensus.raft.lone import Lone

PIECES = 10


def leader(catching_up_bytes: int = 1 << 20) -> Lone:
    """n2 leads; n1 has everything; n3 has nothing of what the log still holds."""
    lone = Lone(Raft, tail_entries=0, catching_up_bytes=catching_up_bytes).elected()
    lone.saved()
    lone.matched("n1")
    write_and_take_a_snapshot(lone)
    lone.time(lone.raft.config.election_timeout_ms[0])
    assert lagging(lone).match == 0
    return lone


def lagging(lone: Lone) -> Progress:
    return lone.leader.progress["n3"]


def write_and_take_a_snapshot(lone: Lone) -> None:
    lone.do(Proposed(b"x" * 100))
    lone.saved()
    lone.matched("n1")
    assert lone.raft.commit == lone.raft.last_index
    lone.do(SnapshotTaken(lone.raft.snapshot_mark(lone.raft.commit)))


def receive_piece(lone: Lone) -> None:
    """n3 gets the piece that is on its way; meanwhile our driver reads the next one."""
    follower = lagging(lone)
    follower_has = follower.offset + 1
    sending = follower.sending
    assert sending is not None
    lone.hear("n3", InstallSnapshotReply(lone.raft.term, sending.index, follower_has))
    done = follower_has == PIECES - 1
    told = lone.do(ChunkLoaded("n3", sending, follower_has, b"x", done))
    assert any(isinstance(send.message, InstallSnapshot) for send in told.send)


def begin(lone: Lone) -> None:
    lone.hear("n3", AppendEntriesReply(lone.raft.term, lone.leader.reads.round, 0, 1, 0, 1))
    lone.time(lone.raft.config.heartbeat_ms)
    assert lagging(lone).pace is Pace.SNAPSHOT
    lone.do(ChunkLoaded("n3", lone.raft.log.mark, 0, b"x", False))


def test_a_transfer_that_takes_longer_than_the_time_to_the_next_snapshots_comes_to_its_end() -> None:
    lone = leader()
    begin(lone)
    sent = lagging(lone).sending
    assert sent is not None
    for _ in range(PIECES - 1):
        write_and_take_a_snapshot(lone)
        receive_piece(lone)
    lone.matched("n3", sent.index)
    assert lagging(lone).pace is Pace.REPLICATE


def test_what_it_needs_next_stays_until_it_is_there() -> None:
    lone = leader()
    begin(lone)
    sent = lagging(lone).sending
    assert sent is not None
    for _ in range(3):
        write_and_take_a_snapshot(lone)
    lone.matched("n3", sent.index)
    there = lone.raft.last_index
    for _ in range(3):
        write_and_take_a_snapshot(lone)
    assert lone.raft.log.base_index == sent.index
    lone.matched("n3", there)
    write_and_take_a_snapshot(lone)
    assert lone.raft.log.base_index == lone.raft.last_index


def test_nothing_stays_for_one_that_is_not_heard() -> None:
    lone = leader()
    begin(lone)
    for _ in range(20):
        lone.time(lone.raft.config.heartbeat_ms)
        lone.matched("n1")
    write_and_take_a_snapshot(lone)
    assert lone.raft.log.base_index == lone.raft.last_index


def test_no_more_stays_than_it_may() -> None:
    lone = leader(catching_up_bytes=500)
    begin(lone)
    for _ in range(3):
        write_and_take_a_snapshot(lone)
    assert lone.raft.log.base_index < lone.raft.last_index
    for _ in range(3):
        write_and_take_a_snapshot(lone)
    assert lone.raft.log.base_index == lone.raft.last_index
