"""The real disk: what `RealFiles` does to real files, and a whole life of a directory on it."""
from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from agreed.consensus.machine import Ballot, Save, SnapshotMark
from agreed.disk.files import RealFiles, disk_failure, replace_file
from agreed.disk.inspect import describe
from agreed.disk.recovery import Recovered, recover
from agreed.errors import ConfigurationError, DiskFailed
from tests.disk.workload import MEMBERS, entry


def test_bytes_are_written_and_read_at_offsets(tmp_path: Path) -> None:
    files = RealFiles()
    file = files.create(tmp_path / "new")
    file.preallocate(100)
    file.preallocate(0)
    file.write(10, b"hello")
    file.fdatasync()
    file.fsync()
    assert (file.size(), file.read(8, 9), file.read(98, 10), file.read(100, 1)) == (
        100, b"\0\0hello\0\0", b"\0\0", b""
    )  # fmt: skip
    file.truncate(12)
    file.close()
    file.close()
    file = files.open_for_reading(tmp_path / "new")
    assert file.read(0, 50) == bytes(10) + b"he"
    with pytest.raises(OSError):
        file.write(0, b"not allowed")
    file.close()


def test_a_short_write_or_read_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite, pread = os.pwrite, os.pread
    monkeypatch.setattr(os, "pwrite", lambda where, data, offset: pwrite(where, bytes(data)[:3], offset))
    monkeypatch.setattr(os, "pread", lambda where, size, offset: pread(where, min(size, 4), offset))
    file = RealFiles().create(tmp_path / "slow")
    file.write(0, b"0123456789")
    assert file.read(1, 8) == b"12345678"
    assert file.read(5, 80) == b"56789"
    file.close()


def test_names_come_and_go(tmp_path: Path) -> None:
    files = RealFiles()
    directory = tmp_path / "a" / "b"
    files.make_directory(directory)
    files.make_directory(directory)
    files.create(directory / "y").close()
    files.create(directory / "x").close()
    assert files.names(directory) == ["x", "y"]
    files.rename(directory / "x", directory / "y")
    files.fsync_directory(directory)
    assert files.names(directory) == ["y"]
    files.unlink(directory / "y")
    assert files.names(directory) == []
    with pytest.raises(FileNotFoundError):
        files.open(directory / "y")


def test_what_lies_there_is_for_nobody_else_to_read(tmp_path: Path) -> None:
    """The log holds all keys, the hashes of passwords, and tokens that are as good as a password."""
    files = RealFiles()
    directory = tmp_path / "a" / "b"
    umask = os.umask(0)
    try:
        files.make_directory(directory)
        files.create(directory / "log").close()
        files.lock(directory / "lock").release()
    finally:
        os.umask(umask)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (directory, directory / "log", directory / "lock")]
    assert modes == [0o700, 0o600, 0o600]


def test_a_directory_that_is_there_already_is_durable_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been made by a process that was killed before it could sync its name; or by an operator."""
    directory = tmp_path / "data"
    directory.mkdir()
    files = RealFiles()
    synced: list[Path] = []
    monkeypatch.setattr(files, "fsync_directory", synced.append)
    files.make_directory(directory)
    assert synced == [tmp_path]


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    replace_file(RealFiles(), tmp_path / "it", b"old and long")
    replace_file(RealFiles(), tmp_path / "it", b"new")
    assert (tmp_path / "it").read_bytes() == b"new"
    assert RealFiles().names(tmp_path) == ["it"]


def test_a_failure_names_the_file_and_the_reason() -> None:
    with pytest.raises(DiskFailed, match=r"^/x/y: writing failed: No space left on device$"), disk_failure(
        Path("/x/y"), "writing"
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _start(directory: Path) -> Recovered:
    return recover(directory, RealFiles(), name="n1", fresh_identity=1, segment_size=40_000)


def test_a_life_on_a_real_disk(tmp_path: Path) -> None:
    random = Random(0)
    recovered = _start(tmp_path)
    for index in range(1, 101):
        recovered.wal.append([Save(0, Ballot(1, "n1"), [entry(index, 1, random.randbytes(2000))])])
        if index in (40, 70):
            writer = recovered.snapshots.create(SnapshotMark(index, 1, MEMBERS))
            writer.write(random.randbytes(5000))
            writer.finish()
            recovered.wal.forget_before(recovered.snapshots.log_needed_from)
    recovered.close()
    assert describe(tmp_path).problems == []
    recovered = _start(tmp_path)
    assert recovered.identity.life == 2
    assert recovered.snapshot is not None
    assert recovered.snapshot.mark.index == 70
    assert [each.index for each in recovered.entries] == list(range(71, 101))
    assert recovered.repairs == []
    assert len(b"".join(recovered.snapshots.pieces(70))) == 5000
    recovered.close()


def test_another_process_can_not_have_the_directory_and_a_dead_one_lets_go(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from agreed.disk.files import RealFiles;"
        "from agreed.disk.recovery import recover;"
        "recover(Path(sys.argv[1]), RealFiles(), name='n1', fresh_identity=1, segment_size=40_000);"
        "print('mine', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"mine\n"
        with pytest.raises(ConfigurationError, match="in use by another process"):
            _start(tmp_path)
        process.kill()
        process.wait()
    recovered = _start(tmp_path)
    assert recovered.identity.life == 2
    recovered.close()
