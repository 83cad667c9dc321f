"""The identity file: whole, verified, and replaced in one go."""
from __future__ import annotations

import errno

import pytest

from agreed.disk.identity import (
    IDENTITY_FILE,
    DirectoryIdentity,
    lock_directory,
    read_identity,
    write_identity,
)
from agreed.errors import ConfigurationError, CorruptData, DiskFailed
from tests.disk.faulty_files import FaultyFiles
from tests.disk.workload import DIRECTORY

PATH = DIRECTORY / IDENTITY_FILE
WHO = DirectoryIdentity((1 << 63) - 1, "n1", 4, 99, b"the founders")


def test_what_was_written_is_read() -> None:
    disk = FaultyFiles()
    assert read_identity(DIRECTORY, disk) is None
    write_identity(DIRECTORY, disk, WHO)
    assert read_identity(DIRECTORY, disk) == WHO


def test_no_flipped_bit_and_no_missing_end_is_overlooked() -> None:
    original = FaultyFiles()
    write_identity(DIRECTORY, original, WHO)
    for place in range(len(original.visible[PATH].visible)):
        disk = original.clone()
        disk.flip(PATH, place, place % 8)
        with pytest.raises(CorruptData, match=r"^/data/identity"):
            read_identity(DIRECTORY, disk)
        disk = original.clone()
        disk.cut(PATH, place)
        with pytest.raises(CorruptData, match=r"^/data/identity, offset 0"):
            read_identity(DIRECTORY, disk)


@pytest.mark.parametrize("operation", ["create", "write", "fsync", "rename", "fsync_directory"])
def test_a_failure_leaves_the_old_one(operation: str) -> None:
    disk = FaultyFiles()
    write_identity(DIRECTORY, disk, WHO)
    disk.fail = lambda doing, path: errno.ENOSPC if doing == operation else None
    with pytest.raises(DiskFailed, match="/data/identity: replacing failed: No space left"):
        write_identity(DIRECTORY, disk, DirectoryIdentity(1, "n1", 5))
    disk.fail = lambda doing, path: None
    found = read_identity(DIRECTORY, disk)
    assert found is not None
    assert found.life == (5 if operation == "fsync_directory" else 4)


def test_a_directory_has_one_holder() -> None:
    disk = FaultyFiles()
    lock = lock_directory(DIRECTORY, disk)
    with pytest.raises(ConfigurationError, match="in use by another process"):
        lock_directory(DIRECTORY, disk)
    lock.release()
    lock_directory(DIRECTORY, disk)
