"""What a node asks of its snapshots: its own written, a member's read from, the leader's taken over."""
from __future__ import annotations

from pathlib import Path

import pytest

from agreed.consensus.machine import ChunkSaved, LoadChunk, SaveChunk, SnapshotMark, SnapshotRejected
from agreed.consensus.members import Member, Members
from agreed.disk.snapshot_work import SnapshotWork
from agreed.disk.snapshots import SnapshotFile, Snapshots
from agreed.errors import DiskFailed
from tests.disk.faulty_files import FaultyFiles

DIRECTORY = Path("/data")
MEMBERS = Members((Member("n1", 1, "n1:1"),))
PIECES = [b"one" * 50, b"two" * 50]


def mark(index: int) -> SnapshotMark:
    return SnapshotMark(index, 1, MEMBERS)


class One:
    """A data directory with what is done there."""

    def __init__(self, chunk_bytes: int = 64) -> None:
        self.files = FaultyFiles()
        self.complaints: list[str] = []
        self.snapshots = Snapshots(DIRECTORY, self.files)
        self.work = SnapshotWork(self.snapshots, self.complaints.append, chunk_bytes)

    def take(self, index: int) -> SnapshotFile:
        self.work.start(mark(index))
        assert self.work.write(PIECES[0], False) is None
        written = self.work.write(PIECES[1], True)
        assert written is not None
        return written

    def chunks(self) -> list[SaveChunk]:
        """The newest one, as it is sent to somebody."""
        chunks: list[SaveChunk] = []
        index = offset = 0
        while not chunks or not chunks[-1].done:
            loaded = self.work.load(LoadChunk("n2", offset, index))
            assert loaded.mark is not None
            chunks.append(SaveChunk(loaded.mark, loaded.offset, loaded.data, loaded.done))
            index, offset = loaded.mark.index, offset + len(loaded.data)
        return chunks


def test_what_one_node_writes_another_takes_over_chunk_by_chunk() -> None:
    sender, receiver = One(), One()
    written = sender.take(7)
    *first, last = sender.chunks()
    assert len(first) > 3
    for chunk in first:
        assert receiver.work.save(chunk) == ChunkSaved(mark(7), chunk.offset + len(chunk.data))
    assert receiver.work.save(last) == written
    assert list(receiver.snapshots.pieces(7)) == PIECES


def test_a_transfer_goes_on_from_the_snapshot_with_which_it_began() -> None:
    one = One()
    one.take(7)
    first = one.work.load(LoadChunk("n2", 0))
    one.take(8)
    assert one.work.load(LoadChunk("n2", 64, 7)).mark == first.mark
    assert one.work.load(LoadChunk("n3", 0)).mark == mark(8)


def test_two_members_that_catch_up_do_not_take_their_snapshots_from_each_other() -> None:
    """Found by `agreed simulate --profile multipaxos-disk --seed 8000290`: each chunk for one closed the file
    of the other, whose name newer snapshots had taken away, so both began anew, again and again."""
    one = One()
    one.take(7)
    assert one.work.load(LoadChunk("n2", 0)).mark == mark(7)
    one.take(8)
    assert one.work.load(LoadChunk("n3", 0)).mark == mark(8)
    one.take(9)
    one.take(10)
    for offset in (64, 128):
        assert one.work.load(LoadChunk("n2", offset, 7)).mark == mark(7)
        assert one.work.load(LoadChunk("n3", offset, 8)).mark == mark(8)
    for member in ("n2", "n3"):
        assert one.work.load(LoadChunk(member, 0)).mark == mark(10)
    for forgotten in (7, 8):
        assert one.snapshots.read_chunk(forgotten, 0, 1) is None, "nobody is sent it any more"


def test_where_nothing_can_be_read_there_is_nothing() -> None:
    one = One()
    assert one.work.load(LoadChunk("n2", 0)).mark is None
    assert not one.complaints
    one.take(7)
    path = next(path for path in one.files.visible if path.suffix == ".snapshot")
    one.files.flip(path, 100, 3)
    assert one.work.load(LoadChunk("n2", 0)).mark is None
    assert "cannot be sent" in one.complaints[0]


def test_one_that_has_rotted_while_it_was_sent_is_not_sent_for_ever() -> None:
    """It was sound when its first piece left; the other node finds that it is not, and asks anew."""
    one = One()
    one.take(7)
    one.take(8)
    assert one.work.load(LoadChunk("n2", 0)).mark == mark(8)
    path = next(path for path in one.files.names(DIRECTORY) if path.startswith(f"{8:020d}"))
    one.files.flip(DIRECTORY / path, 100, 3)
    assert one.work.load(LoadChunk("n2", 64, 8)).mark == mark(8), "nobody can know it yet"
    assert one.work.load(LoadChunk("n2", 0, 8)).mark == mark(7)
    assert [name.index for name in one.snapshots.list()] == [7]
    assert one.complaints[0].endswith(".bad")


def test_one_that_arrives_damaged_is_asked_for_again() -> None:
    sender, receiver = One(), One()
    sender.take(7)
    *first, last = sender.chunks()
    for chunk in first:
        receiver.work.save(SaveChunk(chunk.mark, chunk.offset, bytes(len(chunk.data)), False))
    assert receiver.work.save(last) == SnapshotRejected(mark(7))
    assert "damaged" in receiver.complaints[0]
    for chunk in sender.chunks():
        answer = receiver.work.save(chunk)
    assert isinstance(answer, SnapshotFile)


@pytest.mark.parametrize("operation", ["write", "fsync", "rename"])
def test_a_disk_that_fails_leaves_no_snapshot_that_is_not_whole(operation: str) -> None:
    one = One()
    one.files.fail = lambda what, path: 5 if what == operation else None
    with pytest.raises(DiskFailed):
        one.take(7)
    one.files.fail = lambda what, path: None
    assert one.snapshots.list() == []
