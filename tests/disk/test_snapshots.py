"""Snapshots: whole or not there, equal byte for byte on every node, and never restored unverified."""
from __future__ import annotations

import errno
import hashlib
from pathlib import Path
from random import Random

import pytest

from agreed.consensus.machine import SnapshotMark
from agreed.consensus.members import Members
from agreed.disk import snapshots as snapshots_module
from agreed.disk.snapshots import SnapshotFile, SnapshotName, Snapshots, snapshot_path
from agreed.errors import CorruptData, DiskFailed, MalformedInput
from tests.disk.faulty_files import FaultyFiles
from tests.disk.workload import DIRECTORY, MEMBERS, snapshot_of_a_peer

MARK = SnapshotMark(7, 2, MEMBERS)
PATH = snapshot_path(DIRECTORY, SnapshotName(7, 2))
PIECES = [b"first", b"x" * 1000, b"last"]


def _write(disk: FaultyFiles, mark: SnapshotMark = MARK, pieces: list[bytes] = PIECES) -> SnapshotFile:
    writer = Snapshots(DIRECTORY, disk).create(mark)
    for piece in pieces:
        writer.write(piece)
    return writer.finish()


def test_what_was_written_is_read_piece_by_piece() -> None:
    disk = FaultyFiles()
    written = _write(disk)
    snapshots = Snapshots(DIRECTORY, disk)
    assert snapshots.load(7) == written
    assert written.mark == MARK
    assert written.digest == hashlib.sha256(b"".join(PIECES)).digest()
    assert written.size == len(disk.visible[PATH].visible)
    assert list(snapshots.pieces(7)) == PIECES


def test_the_digest_is_of_the_state_and_not_of_the_pieces() -> None:
    one = _write(FaultyFiles(), pieces=[b"ab", b"c"])
    other = _write(FaultyFiles(), pieces=[b"a", b"bc"])
    assert one.digest == other.digest != _write(FaultyFiles(), pieces=[b"abd"]).digest


def test_a_snapshot_of_nothing_is_a_snapshot() -> None:
    disk = FaultyFiles()
    _write(disk, pieces=[])
    assert list(Snapshots(DIRECTORY, disk).pieces(7)) == []


def test_an_unfinished_snapshot_is_not_there() -> None:
    disk = FaultyFiles()
    snapshots = Snapshots(DIRECTORY, disk)
    writer = snapshots.create(MARK)
    writer.write(b"half")
    assert snapshots.list() == []
    writer.abandon()
    assert disk.names(DIRECTORY) == []


@pytest.mark.parametrize("size", [0, 11])
def test_a_piece_of_no_or_too_many_bytes_is_refused(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots_module, "MAX_PIECE", 10)
    with pytest.raises(ValueError, match=f"a piece of {size} bytes"):
        Snapshots(DIRECTORY, FaultyFiles()).create(MARK).write(bytes(size))


def test_two_are_kept_and_the_log_after_the_older_one() -> None:
    disk = FaultyFiles()
    snapshots = Snapshots(DIRECTORY, disk)
    needed = []
    for index in (5, 9, 14):
        _write(disk, SnapshotMark(index, 1, MEMBERS))
        needed.append(snapshots.log_needed_from)
    assert snapshots.list() == [SnapshotName(9, 1), SnapshotName(14, 1)]
    assert needed == [1, 6, 10]


def test_no_flipped_bit_and_no_missing_end_is_overlooked() -> None:
    original = FaultyFiles()
    size = _write(original, pieces=[b"some", b"pieces"]).size
    for place in range(size):
        disk = original.clone()
        disk.flip(PATH, place, place % 8)
        with pytest.raises(CorruptData, match=f"^{PATH}, offset "):
            Snapshots(DIRECTORY, disk).load(7)
        disk = original.clone()
        disk.cut(PATH, place)
        with pytest.raises(CorruptData, match=f"^{PATH}, offset "):
            Snapshots(DIRECTORY, disk).load(7)
    disk = original.clone()
    disk.overwrite(PATH, size, b"\0")
    with pytest.raises(CorruptData, match="does not end with its trailer"):
        Snapshots(DIRECTORY, disk).load(7)


def test_damage_found_while_restoring_is_reported_too() -> None:
    disk = FaultyFiles()
    _write(disk)
    disk.flip(PATH, len(disk.visible[PATH].visible) - 100, 0)
    with pytest.raises(CorruptData, match=f"^{PATH}, offset "):
        list(Snapshots(DIRECTORY, disk).pieces(7))


def test_a_snapshot_under_another_name_is_refused() -> None:
    disk = FaultyFiles()
    _write(disk)
    disk.rename(PATH, snapshot_path(DIRECTORY, SnapshotName(8, 2)))
    with pytest.raises(CorruptData, match="it is of index 7 and term 2, unlike its name"):
        Snapshots(DIRECTORY, disk).load(8)


def test_one_that_is_not_there() -> None:
    snapshots = Snapshots(DIRECTORY, FaultyFiles())
    with pytest.raises(CorruptData, match="no snapshot of index 7"):
        snapshots.load(7)
    with pytest.raises(CorruptData, match="no snapshot of index 7"):
        list(snapshots.pieces(7))
    assert snapshots.read_chunk(7, 0, 10) is None


@pytest.mark.parametrize("operation", ["create", "write", "fsync", "rename", "fsync_directory"])
def test_a_failure_is_reported_and_can_be_cleaned_up(operation: str) -> None:
    disk = FaultyFiles()
    snapshots = Snapshots(DIRECTORY, disk)
    disk.fail = lambda doing, path: errno.EIO if doing == operation else None
    with pytest.raises(DiskFailed, match=r"/data/.*Input/output error"):
        _write(disk)
    disk.fail = lambda doing, path: None
    assert snapshots.list() == ([SnapshotName(7, 2)] if operation == "fsync_directory" else [])


def test_syncing_is_spread_over_the_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots_module, "SYNCED_EVERY", 1000)
    disk = FaultyFiles()
    syncs: list[str] = []

    def note(doing: str, path: Path) -> None:
        syncs.append(doing)

    disk.fail = note
    _write(disk, pieces=[bytes(400)] * 10)
    assert syncs.count("fdatasync") == 3


# --- sending and receiving ---------------------------------------------------------------------------------


def _transfer(source: Snapshots, target: Snapshots, size: int, mark: SnapshotMark = MARK) -> SnapshotFile:
    receiver = target.receive(mark)
    while True:
        chunk = source.read_chunk(mark.index, receiver.held, size)
        assert chunk is not None
        receiver.write(receiver.held, chunk.data)
        if chunk.done:
            return receiver.finish()


@pytest.mark.parametrize("size", [1, 100, 1 << 20])
def test_a_received_snapshot_is_the_same_file(size: int) -> None:
    ours, theirs = FaultyFiles(), FaultyFiles()
    written = _write(ours)
    assert _transfer(Snapshots(DIRECTORY, ours), Snapshots(DIRECTORY, theirs), size) == written
    assert theirs.visible[PATH].visible == ours.visible[PATH].visible
    assert list(Snapshots(DIRECTORY, theirs).pieces(7)) == PIECES


def test_one_that_is_being_sent_can_be_read_to_its_end_after_it_was_removed() -> None:
    disk = FaultyFiles()
    snapshots = Snapshots(DIRECTORY, disk)
    written = _write(disk)
    first = snapshots.read_chunk(7, 0, 500)
    for index in (8, 9):
        _write(disk, SnapshotMark(index, 2, MEMBERS))
    rest = snapshots.read_chunk(7, 500, 5000)
    assert first is not None
    assert rest is not None
    assert rest.done
    assert len(first.data + rest.data) == written.size
    assert snapshots.read_chunk(9, 0, 1) is not None
    assert snapshots.read_chunk(7, 0, 1) is not None, "the two are sent to two members"
    snapshots.close_all_but({9})
    assert snapshots.read_chunk(7, 0, 1) is None


def test_chunks_twice_or_too_early_do_no_harm() -> None:
    disk = FaultyFiles()
    content, payload = snapshot_of_a_peer(MARK, Random(3))
    receiver = Snapshots(DIRECTORY, disk).receive(MARK)
    assert receiver.write(0, content[:1000]) == 1000
    assert receiver.write(2000, content[2000:]) == 1000
    assert receiver.write(0, content[:900]) == 1000
    assert receiver.write(500, content[500:2500]) == 2500
    assert receiver.write(2500, content[2500:]) == len(content)
    receiver.finish()
    assert b"".join(Snapshots(DIRECTORY, disk).pieces(7)) == payload


@pytest.mark.parametrize("cut", [0, 5, 100, 1300, 3000])
def test_receiving_goes_on_after_a_restart_with_the_pieces_that_verify(cut: int) -> None:
    disk = FaultyFiles()
    content, payload = snapshot_of_a_peer(MARK, Random(3))
    Snapshots(DIRECTORY, disk).receive(MARK).write(0, content[:cut] + b"garbage")
    receiver = Snapshots(DIRECTORY, disk).receive(MARK)
    assert receiver.held <= cut
    assert receiver.held > 0 or cut < 1300
    receiver.write(receiver.held, content[receiver.held :])
    receiver.finish()
    assert b"".join(Snapshots(DIRECTORY, disk).pieces(7)) == payload


def test_a_snapshot_that_does_not_verify_is_refused_and_asked_for_again() -> None:
    disk = FaultyFiles()
    snapshots = Snapshots(DIRECTORY, disk)
    content, _ = snapshot_of_a_peer(MARK, Random(3))
    other, _ = snapshot_of_a_peer(SnapshotMark(7, 2, Members(())), Random(3))
    for wrong in (content[:-1], content + b"x", content[:99] + b"?" + content[100:], other, b""):
        receiver = snapshots.receive(MARK)
        receiver.write(0, wrong)
        with pytest.raises(MalformedInput, match="the snapshot received for 7: "):
            receiver.finish()
        assert disk.names(DIRECTORY) == []
        assert snapshots.receive(MARK).held == 0


def test_receiving_another_snapshot_lets_go_of_the_one_before() -> None:
    disk = FaultyFiles()
    snapshots = Snapshots(DIRECTORY, disk)
    snapshots.receive(MARK).write(0, b"something")
    snapshots.receive(SnapshotMark(9, 2, MEMBERS))
    assert disk.names(DIRECTORY) == ["00000000000000000009-00000000000000000002.snapshot.part"]
