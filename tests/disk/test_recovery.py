"""What a crash can have caused is repaired and reported; whatever else is found is refused, by name."""
from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from agreed.consensus.machine import Ballot, Save, SnapshotMark
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.raft.raft import Raft
from agreed.disk.recovery import Recovered, recover
from agreed.disk.segments import segment_path
from agreed.disk.snapshots import SnapshotName, snapshot_path
from agreed.errors import AgreedError, ConfigurationError, CorruptData, WrongIdentity
from tests.disk.faulty_files import FaultyFiles
from tests.disk.workload import DIRECTORY, MEMBERS, entry, filled, snapshot_of_a_peer, start
from tests.replica.alone import Dice

LOG_1, LOG_2, LOG_3 = (segment_path(DIRECTORY, number) for number in (1, 2, 3))


def _record_starts(disk: FaultyFiles, path: Path) -> list[int]:
    content = bytes(disk.visible[path].visible)
    return [match.start() for match in re.finditer(b"agd", content) if match.start() % 8 == 0]


def _take_snapshot(recovered: Recovered, index: int) -> None:
    writer = recovered.snapshots.create(SnapshotMark(index, 1, MEMBERS))
    writer.write(b"the state after %d" % index)
    writer.finish()


def _install(recovered: Recovered, mark: SnapshotMark) -> None:
    receiver = recovered.snapshots.receive(mark)
    receiver.write(0, snapshot_of_a_peer(mark, Random(1))[0])
    receiver.finish()


# --- a beginning -----------------------------------------------------------------------------------------


def test_an_empty_directory_begins_its_first_life() -> None:
    recovered = start(FaultyFiles())
    assert (recovered.identity.name, recovered.identity.life, recovered.identity.cluster) == ("n1", 1, 0)
    assert recovered.ballot == Ballot(0, None)
    assert recovered.snapshot is None
    assert recovered.entries == []
    assert recovered.repairs == []


def test_each_start_is_one_more_life_of_the_same_identity() -> None:
    disk = FaultyFiles()
    for life in (1, 2, 3):
        recovered = start(disk, fresh_identity=1000 + life)
        assert (recovered.identity.identity, recovered.identity.life) == (1001, life)
        recovered.close()


def test_another_process_is_told_that_the_directory_is_in_use() -> None:
    disk = FaultyFiles()
    start(disk)
    with pytest.raises(ConfigurationError, match="/data is in use by another process"):
        start(disk)


def test_another_node_is_told_whose_directory_it_is() -> None:
    disk = FaultyFiles()
    start(disk).close()
    with pytest.raises(WrongIdentity, match="belongs to the node n1, this node is n2"):
        recover(DIRECTORY, disk, name="n2", fresh_identity=5)
    start(disk)  # and its lock was let go of


def test_a_log_without_an_identity_is_nobodys() -> None:
    disk = FaultyFiles()
    filled(3, disk).close()
    disk.unlink(DIRECTORY / "identity")
    with pytest.raises(WrongIdentity, match="identity is gone"):
        start(disk)


def test_a_first_start_that_did_not_get_to_its_end_is_begun_again() -> None:
    disk = FaultyFiles()
    start(disk, fresh_identity=1).close()
    disk.unlink(DIRECTORY / "identity")
    assert start(disk, fresh_identity=2).identity.identity == 2


def test_an_identity_without_a_log_has_forgotten_its_votes() -> None:
    disk = FaultyFiles()
    filled(3, disk).close()
    disk.unlink(segment_path(DIRECTORY, 1))
    with pytest.raises(CorruptData, match="the log is gone"):
        start(disk)


# --- damage to the log -----------------------------------------------------------------------------------


def test_a_bit_flipped_anywhere_in_the_log_is_refused_by_file_and_offset() -> None:
    """Also in the very last record: nothing of it is missing, so it is no torn write."""
    original = FaultyFiles()
    filled(36, original, batch=3).close()
    random = Random(0)
    paths = [segment_path(DIRECTORY, number) for number in (1, 2, 3)]
    for path in paths:
        starts = _record_starts(original, path)
        used = len(original.visible[path].visible.rstrip(b"\0"))
        headers = {begin + at for begin in starts for at in range(0, 24, 3)}
        places = set(range(0, used, 61)) | headers | {used - 1}
        for place in places:
            disk = original.clone()
            disk.flip(path, place, random.randrange(8))
            record = max(begin for begin in starts if begin <= place)
            with pytest.raises(CorruptData, match=f"^{path}, offset {record}: .*join the cluster again"):
                start(disk)


def test_a_bit_flipped_in_the_last_record_is_refused_though_its_value_is_full_of_zeros() -> None:
    original = FaultyFiles()
    recovered = filled(2, original)
    recovered.wal.append([Save(3, Ballot(1, "n1"), [entry(3, 1, bytes(3000))])])
    recovered.close()
    record = _record_starts(original, LOG_1)[-1]
    for place in (record + 40, record + 1000, record + 2000, record + 3000):
        disk = original.clone()
        disk.flip(LOG_1, place, 3)
        with pytest.raises(CorruptData, match=f"^{LOG_1}, offset {record}: "):
            start(disk)


def test_a_bit_flipped_behind_the_log_costs_nothing() -> None:
    disk = FaultyFiles()
    filled(5, disk).close()
    path = segment_path(DIRECTORY, 1)
    used = len(disk.visible[path].visible.rstrip(b"\0"))
    for place in (used, used + 10, used + 700, 5999):
        flipped = disk.clone()
        flipped.flip(path, place, 5)
        recovered = start(flipped)
        assert len(recovered.entries) == 5
        assert recovered.repairs == [
            f"cut a write that never finished (nobody was told that it had) from {path}, offset {used}"
        ]


@pytest.mark.parametrize("missing", [1, 30, 299, 512, 900])
def test_a_torn_last_write_is_cut_and_reported(missing: int) -> None:
    disk = FaultyFiles()
    recovered = filled(5, disk)
    path = segment_path(DIRECTORY, 1)
    used = len(disk.visible[path].visible.rstrip(b"\0"))
    recovered.wal.append([Save(6, Ballot(2, "n2"), [entry(6, 2, Random(0).randbytes(1000))])])
    end = len(disk.visible[path].visible.rstrip(b"\0"))
    disk.overwrite(path, end - missing, bytes(missing))
    disk.kill()
    recovered = start(disk)
    assert recovered.ballot == Ballot(1, "n1")
    assert len(recovered.entries) == 5
    assert recovered.repairs[0].endswith(f"from {path}, offset {used}")
    recovered.wal.append([Save(6, Ballot(1, "n1"), [entry(6)])])
    recovered.close()
    again = start(disk)
    assert again.repairs == []
    assert len(again.entries) == 6


def test_a_write_that_was_synced_is_not_called_torn() -> None:
    """A whole record behind the zeros proves that the one before was on disk once."""
    disk = FaultyFiles()
    filled(5, disk).close()
    path = segment_path(DIRECTORY, 1)
    second = _record_starts(disk, path)[2]
    disk.overwrite(path, second, bytes(200))
    with pytest.raises(CorruptData, match=f"{path}, offset {second}"):
        start(disk)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda disk: disk.unlink(LOG_1), "the log begins after entry 15, .*there is none"),
        (lambda disk: disk.unlink(LOG_2), "0000000002.wal is missing"),
        (lambda disk: disk.cut(LOG_2, 0), "0000000002.wal, offset 0: the file is empty"),
        (lambda disk: disk.cut(LOG_3, 0), "0000000003.wal, offset 0: the file is empty"),
        (lambda disk: disk.cut(LOG_2, 1000), "0000000002.wal, offset .* ends inside"),
        (lambda disk: disk.cut(LOG_3, 100), "0000000003.wal, offset .* ends inside"),
        (
            lambda disk: disk.cut(LOG_2, _record_starts(disk, LOG_2)[-1]),
            "0000000003.wal, offset 0: it goes on after entry .* but the file before it ends with entry",
        ),
        (
            lambda disk: disk.overwrite(LOG_2, 0, bytes(disk.visible[LOG_1].visible[:800])),
            "0000000002.wal, offset 0: it belongs to offset 0 of file 1",
        ),
        (lambda disk: disk.overwrite(LOG_3, 0, bytes(6000)), "0000000003.wal, offset 0"),
        (lambda disk: disk.cut(DIRECTORY / "identity", 10), "/data/identity, offset 0"),
        (lambda disk: disk.flip(DIRECTORY / "identity", 30, 1), "/data/identity, offset 0"),
    ],
)
def test_what_no_crash_can_cause_is_refused(damage: Callable[[FaultyFiles], None], message: str) -> None:
    disk = FaultyFiles()
    filled(36, disk, batch=3).close()
    damage(disk)
    with pytest.raises(CorruptData, match=message):
        start(disk)


def test_a_log_file_of_another_directory_is_refused() -> None:
    ours, theirs = FaultyFiles(), FaultyFiles()
    filled(36, ours, batch=3).close()
    start(theirs, fresh_identity=77).close()
    recovered = start(theirs)
    for index in range(1, 37):
        recovered.wal.append([Save(0, Ballot(1, "n1"), [entry(index, 1, bytes(300))])])
    ours.visible[segment_path(DIRECTORY, 2)] = theirs.visible[segment_path(DIRECTORY, 2)]
    with pytest.raises(WrongIdentity, match=r"0000000002\.wal belongs to another data directory"):
        start(ours)
    for number in (1, 2, 3):
        ours.visible[segment_path(DIRECTORY, number)] = theirs.visible[segment_path(DIRECTORY, number)]
    with pytest.raises(WrongIdentity, match="the log belongs to another data directory"):
        start(ours)


# --- snapshots and the log -------------------------------------------------------------------------------


def test_the_log_goes_on_after_the_newest_snapshot() -> None:
    disk = FaultyFiles()
    recovered = filled(20, disk)
    _take_snapshot(recovered, 8)
    _take_snapshot(recovered, 15)
    recovered.wal.forget_before(recovered.snapshots.log_needed_from)
    recovered.close()
    recovered = start(disk)
    assert recovered.snapshot is not None
    assert recovered.snapshot.mark.index == 15
    assert [each.index for each in recovered.entries] == [16, 17, 18, 19, 20]
    assert recovered.repairs == []


def test_if_the_newest_snapshot_has_rotted_the_older_one_and_the_log_are_the_state() -> None:
    disk = FaultyFiles()
    recovered = filled(60, disk)
    for index in (20, 40, 50):
        _take_snapshot(recovered, index)
        recovered.wal.forget_before(recovered.snapshots.log_needed_from)
    recovered.close()
    disk.flip(snapshot_path(DIRECTORY, SnapshotName(50, 1)), 100, 0)
    recovered = start(disk)
    assert recovered.snapshot is not None
    assert recovered.snapshot.mark.index == 40
    assert [each.index for each in recovered.entries] == list(range(41, 61))
    assert "has rotted" in recovered.repairs[0]
    assert "rebuilt from the snapshot of 40 and the log after it" in recovered.repairs[0]
    assert any(name.endswith(".snapshot.bad") for name in disk.names(DIRECTORY))
    recovered.close()
    assert start(disk).repairs == []


def test_if_both_snapshots_have_rotted_only_a_whole_log_will_do() -> None:
    for last, start_works in ((10, True), (60, False)):
        disk = FaultyFiles()
        recovered = filled(last, disk)
        for index in (last // 2, last - 1):
            _take_snapshot(recovered, index)
            recovered.wal.forget_before(recovered.snapshots.log_needed_from)
            disk.flip(snapshot_path(DIRECTORY, SnapshotName(index, 1)), 100, 0)
        recovered.close()
        if start_works:
            recovered = start(disk)
            assert recovered.snapshot is None
            assert len(recovered.entries) == last
            assert len(recovered.repairs) == 2
        else:
            with pytest.raises(CorruptData, match=r"there is none.*snapshot, offset \d+: .*snapshot, offset"):
                start(disk)


@pytest.mark.parametrize(("index", "term"), [(30, 2), (8, 2)])
def test_a_received_snapshot_voids_a_log_that_does_not_contain_it(index: int, term: int) -> None:
    """The crash comes after the snapshot got its name and before the log was told."""
    disk = FaultyFiles()
    recovered = filled(10, disk)
    _install(recovered, SnapshotMark(index, term, MEMBERS))
    disk.kill()
    for lives in range(2):
        recovered = start(disk)
        assert recovered.snapshot is not None
        assert recovered.snapshot.mark.index == index
        assert recovered.entries == []
        assert len(recovered.repairs) == (lives == 0)
        recovered.close()


def test_after_a_received_snapshot_the_log_goes_on_behind_it() -> None:
    """Entry 8 of term 1 contradicts the snapshot, 9 of term 2 was saved after it: only the latter counts."""
    disk = FaultyFiles()
    recovered = filled(10, disk)
    _install(recovered, SnapshotMark(8, 2, MEMBERS))
    recovered.wal.start_after(8, 2)
    recovered.wal.append([Save(1, Ballot(2, None), [entry(9, 2, b"new")])])
    recovered.close()
    recovered = start(disk)
    assert recovered.entries == [entry(9, 2, b"new")]
    assert recovered.repairs == []


def test_a_received_snapshot_which_the_log_contains_leaves_what_follows_it() -> None:
    disk = FaultyFiles()
    recovered = filled(10, disk)
    _install(recovered, SnapshotMark(8, 1, MEMBERS))
    recovered.wal.start_after(8, 1)
    recovered.close()
    assert [each.index for each in start(disk).entries] == [9, 10]


# --- leftovers -------------------------------------------------------------------------------------------


def test_a_snapshot_may_be_of_a_term_that_was_not_yet_saved() -> None:
    """The others had agreed on it; this node's log was still on its way to the disk when the power went."""
    disk = FaultyFiles()
    recovered = filled(3, disk)
    saved = recovered.wal.ballot
    mark = SnapshotMark(5, saved.term + 1, MEMBERS)
    _install(recovered, mark)
    recovered.close()
    for _ in range(2):
        recovered = start(disk)
        assert recovered.ballot == Ballot(mark.term, None)
        Raft("n1", MEMBERS, recovered.ballot, mark, recovered.entries, RaftConfig(), Dice(), 0)
        recovered.close()
    assert saved.term < mark.term


def test_what_was_being_written_aside_is_removed() -> None:
    disk = FaultyFiles()
    recovered = filled(10, disk)
    recovered.snapshots.create(SnapshotMark(5, 1, MEMBERS)).write(b"half")
    disk.create(segment_path(DIRECTORY, 2).with_suffix(".wal.new"))
    recovered.close()
    recovered = start(disk)
    assert sorted(recovered.repairs) == [
        "removed 00000000000000000005-00000000000000000001.snapshot.new, which was never finished",
        "removed 0000000002.wal.new, which was never finished",
    ]
    assert disk.names(DIRECTORY) == ["0000000001.wal", "identity"]


def test_what_was_being_received_is_kept_unless_it_is_overtaken() -> None:
    disk = FaultyFiles()
    recovered = filled(10, disk)
    content, _ = snapshot_of_a_peer(SnapshotMark(30, 2, MEMBERS), Random(0))
    recovered.snapshots.receive(SnapshotMark(30, 2, MEMBERS)).write(0, content[:2000])
    recovered.close()
    recovered = start(disk)
    assert recovered.repairs == []
    assert 1000 < recovered.snapshots.receive(SnapshotMark(30, 2, MEMBERS)).held <= 2000
    recovered.snapshots.receive(SnapshotMark(7, 1, MEMBERS))
    _take_snapshot(recovered, 10)
    recovered.close()
    assert len(start(disk).repairs) == 1
    assert not any(name.endswith(".part") for name in disk.names(DIRECTORY))


def test_log_files_before_a_gap_go_if_a_snapshot_covers_the_gap() -> None:
    """Removing two old files, the second removal was durable and the first was not."""
    disk = FaultyFiles()
    recovered = filled(60, disk)
    for index in (45, 50):
        _take_snapshot(recovered, index)
    recovered.close()
    disk.unlink(segment_path(DIRECTORY, 2))
    recovered = start(disk)
    assert [each.index for each in recovered.entries] == list(range(51, 61))
    assert recovered.repairs == ["removed log file 1, which the snapshot has made superfluous"]


def test_every_refusal_says_that_nothing_was_done() -> None:
    disk = FaultyFiles()
    filled(5, disk).close()
    disk.flip(segment_path(DIRECTORY, 1), 100, 0)
    with pytest.raises(AgreedError) as refused:
        start(disk)
    assert refused.value.surely_not_done
