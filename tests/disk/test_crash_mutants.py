"""The proof that `test_crash.py` bites: each mutant breaks one promise, and each is caught."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agreed.disk import record, recovery, segments, snapshots, wal
from agreed.disk.files import OpenFile
from agreed.disk.identity import write_identity
from agreed.disk.record import Damage
from agreed.disk.wal import Wal
from agreed.errors import AgreedError
from tests.disk.faulty_files import FaultyFile, FaultyFiles, Inode
from tests.disk.test_crash import crash_everywhere, fail_to_sync


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal, "ZEROED_AHEAD", 1024)
    monkeypatch.setattr(snapshots, "SYNCED_EVERY", 2000)


class SilentFile(FaultyFile):
    """Does not do some kinds of sync on some files."""

    def fdatasync(self) -> None:
        if not self.files.skips("fdatasync", self.path):  # type: ignore[attr-defined]
            super().fdatasync()

    def fsync(self) -> None:
        if not self.files.skips("fsync", self.path):  # type: ignore[attr-defined]
            super().fsync()


class SilentFiles(FaultyFiles):
    """As if the code had forgotten the syncs of `skipped`: (operation, end of the file's name)."""

    skipped: tuple[str, str] = ("", "")

    def skips(self, operation: str, path: Path) -> bool:
        return operation == self.skipped[0] and path.name.endswith(self.skipped[1])

    def handle(self, path: Path, inode: Inode) -> OpenFile:
        return SilentFile(self, path, inode)

    def fsync_directory(self, path: Path) -> None:
        if not self.skips("fsync_directory", path):
            super().fsync_directory(path)


@pytest.mark.parametrize(
    "skipped",
    [
        ("fdatasync", ".wal"),  # saved is said before it is true
        ("fsync", ".wal.new"),  # a log file gets its name before its content
        ("fsync", ".wal"),  # nothing is synced when a log is taken up, nor when a file is finished
        ("fsync", ".snapshot.new"),  # a snapshot gets its name before its content
        ("fsync", ".snapshot.part"),
        ("fsync", "identity.new"),
        ("fsync_directory", "data"),  # a name without its directory
    ],
)
def test_a_forgotten_sync_is_caught(skipped: tuple[str, str]) -> None:
    class Forgetful(SilentFiles):
        pass

    Forgetful.skipped = skipped
    assert_caught(Forgetful)


def assert_caught(disk: type[FaultyFiles]) -> None:
    with pytest.raises((AssertionError, AgreedError)):
        fail_to_sync()
        for seed in range(8):
            crash_everywhere(disk(), seed, every=2)


def _torn_tail_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is skipped on reading, but not cut off before something else is written there."""
    monkeypatch.setattr(Wal, "_cut_torn_tail", lambda self: None)
    monkeypatch.setattr(wal, "ZEROED_AHEAD", 0)  # otherwise small remains are overwritten with zeros


def _last_record_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Wal, "_write_again", lambda self, last: None)


def _last_record_is_only_synced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Wal, "_write_again", lambda self, last: self._file.fsync())


def _every_damage_is_rot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recovery refuses after any torn write."""
    monkeypatch.setattr(segments, "judge", lambda *arguments: Damage.ROTTEN)


def _zeros_are_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record of which some sectors are missing is taken for a rotten one."""
    monkeypatch.setattr(record, "SECTOR", 1 << 30)


def _void_log_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A received snapshot does not void the log that contradicts it."""
    start_after_as_it_is = Wal.start_after

    def start_after(self: Wal, index: int, term: int) -> None:
        if index > self.last_index:
            start_after_as_it_is(self, index, term)
        else:
            self._extent.start_after(index, term)

    monkeypatch.setattr(Wal, "start_after", start_after)


def _forget_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_before = Wal.forget_before
    monkeypatch.setattr(Wal, "forget_before", lambda self, index: forget_before(self, index + 4))
    monkeypatch.setattr(snapshots, "KEPT", 1)


def _life_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    write = write_identity

    def write_once(directory: Path, files: FaultyFiles, value: Any) -> None:
        if value.life == 1:
            write(directory, files, value)

    monkeypatch.setattr(recovery, "write_identity", write_once)


def _finished_files_are_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    def roll(self: Wal, needed: int) -> None:
        self._begin_segment(self._segments[-1].number + 1, needed)

    monkeypatch.setattr(Wal, "_roll", roll)


@pytest.mark.parametrize(
    "mutate",
    [
        _torn_tail_stays,
        _last_record_is_trusted,
        _last_record_is_only_synced,
        _every_damage_is_rot,
        _zeros_are_not_missed,
        _void_log_comes_back,
        _forget_too_much,
        _life_is_not_counted,
        _finished_files_are_not_cut,
    ],
)
def test_a_mutant_is_caught(
    mutate: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    assert_caught(FaultyFiles)
