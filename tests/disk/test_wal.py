"""The log: one write and one sync a batch, files that come and go, and no second chance after a failure."""
from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from agreed.consensus.machine import Ballot, Save
from agreed.disk import wal as wal_module
from agreed.disk.record import MAX_PAYLOAD
from agreed.disk.replay import replay_log
from agreed.disk.segments import segment_numbers, segment_path
from agreed.disk.wal import Wal
from agreed.errors import DiskFailed
from tests.disk.faulty_files import FaultyFiles
from tests.disk.workload import DIRECTORY, SEGMENT_SIZE, entry, filled, start


class Watched(FaultyFiles):
    """Writes down what is done to which file."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.fail = self._note

    def _note(self, operation: str, path: Path) -> int | None:
        self.seen.append(f"{operation} {path.name}")
        return None


def _numbers(disk: FaultyFiles) -> list[int]:
    return segment_numbers(disk.names(DIRECTORY))


def _save(*indexes: int, term: int = 1, size: int = 10) -> Save:
    return Save(0, Ballot(term, "n1"), [entry(index, term, bytes([index % 256]) * size) for index in indexes])


def test_a_batch_is_one_write_and_one_sync() -> None:
    disk = Watched()
    recovered = start(disk)
    disk.seen.clear()
    recovered.wal.append([_save(1, 2), _save(3), _save(3, 4, 5, term=2)])
    assert disk.seen == ["write 0000000001.wal", "fdatasync 0000000001.wal"]
    recovered.close()
    recovered = start(disk)
    assert [(each.index, each.term) for each in recovered.entries] == [(1, 1), (2, 1), (3, 2), (4, 2), (5, 2)]
    assert recovered.ballot == Ballot(2, "n1")


def test_who_syncs_by_other_means_writes_and_says_what_became_of_it() -> None:
    disk = Watched()
    recovered = start(disk)
    log = recovered.wal
    disk.seen.clear()
    file = log.write([_save(1, 2)])
    assert file is not None
    assert disk.seen == ["write 0000000001.wal"]
    assert log.last_index == 0, "nothing is saved yet"
    file.fdatasync()
    log.synced(None)
    assert log.last_index == 2
    assert log.write([_save(3, size=5 * SEGMENT_SIZE)]) is None, "it needs a new file"
    log.append([_save(3, size=5 * SEGMENT_SIZE)])
    disk.kill()
    assert [each.index for each in start(disk).entries] == [1, 2, 3]


def test_what_was_written_and_could_not_be_synced_is_the_last_thing_a_log_does() -> None:
    disk = FaultyFiles()
    log = filled(5, disk).wal
    log.write([_save(6)])
    with pytest.raises(DiskFailed, match=r"0{9}1\.wal: write or fdatasync failed: Input"):
        log.synced(OSError(errno.EIO, "Input/output error"))
    for again in (lambda: log.append([_save(6)]), lambda: log.write([_save(6)])):
        with pytest.raises(DiskFailed, match="refuses everything"):
            again()


def test_nothing_to_save_is_nothing_to_do() -> None:
    disk = Watched()
    recovered = start(disk)
    disk.seen.clear()
    recovered.wal.append([])
    assert disk.seen == []


def test_a_new_file_is_begun_in_the_order_that_survives_a_crash() -> None:
    disk = Watched()
    recovered = start(disk)
    recovered.wal.append([_save(1, size=4000)])
    disk.seen.clear()
    recovered.wal.append([_save(2, size=4000)])
    assert disk.seen == [
        "truncate 0000000001.wal",
        "fsync 0000000001.wal",
        "create 0000000002.wal.new",
        "preallocate 0000000002.wal.new",
        "write 0000000002.wal.new",
        "fsync 0000000002.wal.new",
        "rename 0000000002.wal",
        "fsync_directory data",
        "write 0000000002.wal.new",  # the file, under the name with which it was opened
        "fdatasync 0000000002.wal.new",
    ]


def test_a_file_does_not_grow_while_it_is_written() -> None:
    """Growing would make each fdatasync write the file system's journal as well."""
    disk = FaultyFiles()
    recovered = start(disk)
    sizes = set()
    for index in range(1, 20):
        recovered.wal.append([_save(index, size=100)])
        sizes.add(len(disk.visible[segment_path(DIRECTORY, 1)].visible))
    assert sizes == {SEGMENT_SIZE}


def test_zeros_are_written_ahead_of_the_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal_module, "ZEROED_AHEAD", 1000)
    disk = FaultyFiles()
    lengths: list[int] = []
    recovered = start(disk)
    inode = disk.visible[segment_path(DIRECTORY, 1)]
    disk.before_it_is_safe = lambda: lengths.extend(len(c.data or b"") for c in inode.unsynced[-1:])
    for index in range(1, 41):
        recovered.wal.append([_save(index, size=57)])
    written = lengths[::2]
    record = min(written)
    assert written.count(record) + written.count(record + 1000) == len(written) == 40
    assert 3 <= written.count(record + 1000) <= 5


def test_a_batch_larger_than_a_file_gets_a_file_of_its_own() -> None:
    disk = FaultyFiles()
    recovered = start(disk)
    recovered.wal.append([_save(1, size=3 * SEGMENT_SIZE)])
    recovered.wal.append([_save(2)])
    recovered.close()
    assert _numbers(disk) == [1, 2, 3]
    assert [len(each.payload) for each in start(disk).entries] == [3 * SEGMENT_SIZE, 10]


def test_a_later_save_replaces_the_suffix_also_across_files() -> None:
    disk = FaultyFiles()
    recovered = filled(60, disk)
    assert len(_numbers(disk)) > 3
    recovered.wal.append([_save(5, 6, term=2)])
    assert (recovered.wal.last_index, recovered.wal.term_at(5), recovered.wal.term_at(4)) == (6, 2, 1)
    recovered.close()
    recovered = start(disk)
    assert [(each.index, each.term) for each in recovered.entries] == [
        (1, 1), (2, 1), (3, 1), (4, 1), (5, 2), (6, 2)
    ]  # fmt: skip
    recovered.wal.append([_save(7, term=2)])
    recovered.close()
    assert [each.index for each in start(disk).entries] == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("indexes", [(12,), (0,), (11, 13), (-1,)])
def test_a_gap_is_refused_before_anything_is_written(indexes: tuple[int, ...]) -> None:
    disk = Watched()
    recovered = filled(10, disk)
    disk.seen.clear()
    with pytest.raises(ValueError, match="would follow entry 1"):
        recovered.wal.append([_save(*indexes)])
    assert disk.seen == []
    recovered.wal.append([_save(11)])


def test_a_batch_that_no_record_can_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_PAYLOAD == 1 << 30
    monkeypatch.setattr(wal_module, "MAX_PAYLOAD", 5000)
    recovered = start(FaultyFiles())
    with pytest.raises(ValueError, match="at most 5000"):
        recovered.wal.append([_save(1, size=5000)])
    recovered.wal.append([_save(1)])


# --- forgetting --------------------------------------------------------------------------------------------


def test_whole_files_are_forgotten_and_no_entry_that_is_needed() -> None:
    for index in range(1, 62):
        disk = FaultyFiles()
        recovered = filled(60, disk)
        before = _numbers(disk)
        recovered.wal.forget_before(index)
        after = _numbers(disk)
        assert after == before[len(before) - len(after) :]
        replayed = start_of_log(disk)
        assert replayed <= index
        if index == 61:
            assert after == before[-1:]
    assert replayed > 30


def start_of_log(disk: FaultyFiles) -> int:
    replay = replay_log(DIRECTORY, disk, 0)
    assert replay is not None
    assert replay.extent.last_index == 60
    return replay.extent.base_index + 1


def test_what_was_forgotten_stays_forgotten_after_a_restart() -> None:
    disk = FaultyFiles()
    recovered = filled(60, disk)
    recovered.wal.forget_before(30)
    left = _numbers(disk)
    recovered.wal.forget_before(30)
    assert _numbers(disk) == left


# --- failures ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["write", "fdatasync"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_after_a_failure_everything_is_refused(operation: str, number: int) -> None:
    disk = FaultyFiles()
    log = filled(5, disk).wal
    disk.fail = lambda doing, path: number if doing == operation else None
    with pytest.raises(DiskFailed, match=r"/data/0{9}1\.wal: write or fdatasync failed: (No space|Input)"):
        log.append([_save(6)])
    disk.fail = lambda doing, path: pytest.fail("the disk was touched again")
    assert log.failure is not None
    attempts: list[Callable[[], None]] = [
        lambda: log.append([_save(6)]),
        lambda: log.start_after(10, 3),
        lambda: log.forget_before(3),
    ]
    for again in attempts:
        with pytest.raises(DiskFailed, match=r"refuses everything since this: /data/0{9}1\.wal"):
            again()


@pytest.mark.parametrize(
    "operation", ["truncate", "fsync", "create", "preallocate", "rename", "fsync_directory"]
)
def test_a_failure_to_begin_a_new_file_is_as_final(operation: str) -> None:
    disk = FaultyFiles()
    recovered = start(disk)
    recovered.wal.append([_save(1, size=5000)])
    disk.fail = lambda doing, path: errno.ENOSPC if doing == operation else None
    with pytest.raises(DiskFailed, match="No space left"):
        recovered.wal.append([_save(2, size=5000)])
    disk.fail = lambda doing, path: None
    with pytest.raises(DiskFailed, match="refuses everything"):
        recovered.wal.append([_save(2)])
    disk.kill()
    assert [each.index for each in start(disk).entries] == [1]


def test_a_failure_to_remove_old_files_is_as_final() -> None:
    disk = FaultyFiles()
    recovered = filled(60, disk)
    disk.fail = lambda doing, path: errno.EIO if doing == "unlink" else None
    with pytest.raises(DiskFailed, match=r"0000000001\.wal: removing failed"):
        recovered.wal.forget_before(50)
    with pytest.raises(DiskFailed, match="refuses everything"):
        recovered.wal.append([_save(61)])


def test_a_log_that_can_not_be_made_says_so() -> None:
    disk = FaultyFiles()
    disk.fail = lambda doing, path: errno.ENOSPC if doing == "preallocate" else None
    with pytest.raises(DiskFailed, match=r"0000000001\.wal: making it failed: No space left"):
        Wal.create(DIRECTORY, disk, 1)


def test_a_write_that_failed_half_way_is_cut_at_the_next_start() -> None:
    disk = FaultyFiles()
    log = filled(5, disk).wal
    disk.fail = lambda doing, path: errno.ENOSPC if doing == "write" else None
    with pytest.raises(DiskFailed):
        log.append([Save(0, Ballot(1, "n1"), [entry(6, 1, Random(0).randbytes(3000))])])
    disk.fail = lambda doing, path: None
    disk.kill()
    recovered = start(disk)
    assert len(recovered.entries) == 5
    assert "never finished" in recovered.repairs[0]
