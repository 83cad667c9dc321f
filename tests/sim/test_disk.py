"""What a disk in memory keeps: when a sync fails and the kernel forgets that it still had to write, and when
two threads work on one directory."""
from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from agreed.consensus.machine import SnapshotMark
from agreed.disk.snapshots import Snapshots
from agreed.errors import DiskFailed
from agreed.sim.disk import PAGE, Disk
from agreed.sim.streams import Stream
from tests.disk.workload import DIRECTORY, MEMBERS, snapshot_of_a_peer

FILE = Path("/data/file")


def a_disk_that_forgot(*writes: tuple[int, bytes]) -> Disk:
    """These were written, and the sync after them failed."""
    disk = Disk(Stream(1))
    file = disk.create(FILE)
    disk.fsync_directory(FILE.parent)
    file.preallocate(4 * PAGE)
    file.fsync()
    for offset, data in writes:
        file.write(offset, data)
    disk.syncs_to_fail = 1
    with pytest.raises(OSError, match="EIO"):
        file.fdatasync()
    return disk


def written_and_synced(disk: Disk, offset: int, data: bytes) -> None:
    file = disk.open(FILE)
    file.write(offset, data)
    file.fdatasync()


def interrupted_in_the_middle_of_a_write(disk: Disk) -> None:
    """What is seen is put together anew from what is durable, what was forgotten and what was written."""
    job = disk.begin()
    for place in range(20):
        disk.open(FILE).write(3 * PAGE + 100 * place, b"under way")
    disk.leave()
    assert job.last > job.first
    disk.interrupt()


def seen(disk: Disk, offset: int, size: int) -> bytes:
    return disk.open_for_reading(FILE).read(offset, size)


def test_what_was_forgotten_is_seen_until_power_is_lost() -> None:
    disk = a_disk_that_forgot((0, b"forgotten"))
    assert seen(disk, 0, 9) == b"forgotten"
    disk.interrupt()
    assert seen(disk, 0, 9) == b"forgotten"
    disk.lose_power()
    assert seen(disk, 0, 9) == bytes(9)


def test_what_was_written_later_is_not_undone_by_what_was_forgotten() -> None:
    disk = a_disk_that_forgot((0, b"forgotten"))
    written_and_synced(disk, 0, b"later")
    interrupted_in_the_middle_of_a_write(disk)
    assert seen(disk, 0, 9) == b"latertten"
    disk.lose_power()
    assert seen(disk, 0, 9) == b"latertten", "the page was written again, as a whole"


def test_another_page_stays_forgotten() -> None:
    disk = a_disk_that_forgot((0, b"forgotten"), (PAGE - 2, b"over the edge"))
    written_and_synced(disk, PAGE + 100, b"later")
    interrupted_in_the_middle_of_a_write(disk)
    assert seen(disk, 0, 9) == b"forgotten"
    assert seen(disk, PAGE - 2, 13) == b"over the edge"
    disk.lose_power()
    assert seen(disk, 0, 9) == bytes(9)
    assert seen(disk, PAGE - 2, 13) == bytes(2) + b"er the edge"


def test_what_was_cut_off_later_does_not_come_back() -> None:
    disk = a_disk_that_forgot((2 * PAGE, b"forgotten"))
    file = disk.open(FILE)
    file.truncate(PAGE)
    file.fsync()
    interrupted_in_the_middle_of_a_write(disk)
    assert seen(disk, 2 * PAGE, 9) in (b"", bytes(9))


def a_file_made_aside_and_renamed(disk: Disk) -> None:
    file = disk.create(FILE.with_name("aside"))
    file.write(0, b"whole")
    file.fsync()
    disk.rename(FILE.with_name("aside"), FILE)
    disk.fsync_directory(FILE.parent)


@pytest.mark.parametrize("seed", range(20))
def test_a_name_is_not_made_durable_by_another_thread_before_the_content_it_was_given_for(seed: int) -> None:
    disk = Disk(Stream(seed))
    disk.begin()
    a_file_made_aside_and_renamed(disk)
    disk.leave()
    other = disk.begin()
    disk.fsync_directory(FILE.parent)
    disk.leave()
    disk.finish(other)
    disk.interrupt()
    assert FILE.name not in disk.names(FILE.parent) or seen(disk, 0, 5) == b"whole"


def test_what_a_job_named_is_durable_when_both_have_ended() -> None:
    disk = Disk(Stream(1))
    job = disk.begin()
    a_file_made_aside_and_renamed(disk)
    disk.leave()
    other = disk.begin()
    disk.fsync_directory(FILE.parent)
    disk.leave()
    disk.finish(other)
    disk.finish(job)
    disk.interrupt()
    disk.lose_power()
    assert seen(disk, 0, 5) == b"whole"


def test_what_a_failed_sync_has_left_of_a_received_snapshot_is_written_again() -> None:
    """Found by `agreed simulate --profile zab-swarm --seed 8722418`: the disk of a node that was receiving a
    snapshot failed, and the process ended.  The next one found all of it, verified it, synced it, and let go
    of its log; then power was lost, and with it the snapshot, which nobody had written since."""
    mark = SnapshotMark(7, 2, MEMBERS)
    content, payload = snapshot_of_a_peer(mark, Random(3))
    disk = Disk(Stream(1))
    receiver = Snapshots(DIRECTORY, disk).receive(mark)
    receiver.write(0, content)
    disk.syncs_to_fail = 1
    with pytest.raises(DiskFailed):
        receiver.finish()
    receiver = Snapshots(DIRECTORY, disk).receive(mark)
    receiver.write(receiver.held, content[receiver.held :])
    receiver.finish()
    disk.lose_power()
    assert b"".join(Snapshots(DIRECTORY, disk).pieces(7)) == payload
