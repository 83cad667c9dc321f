"""What `agreed disk inspect` shows, word for word."""
from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from agreed.consensus.machine import Ballot, Save, SnapshotMark
from agreed.disk.files import RealFiles
from agreed.disk.inspect import describe, render
from agreed.disk.recovery import Recovered
from agreed.disk.segments import segment_path
from agreed.disk.snapshots import SnapshotName, snapshot_path
from agreed.errors import AgreedError, ConfigurationError
from tests.disk.faulty_files import FaultyFiles
from tests.disk.workload import DIRECTORY, MEMBERS, entry, filled, start


def _in_use(disk: FaultyFiles) -> Recovered:
    recovered = filled(30, disk, batch=3, size=400)
    for index in (10, 20):
        writer = recovered.snapshots.create(SnapshotMark(index, 1, MEMBERS))
        writer.write(b"state of %d" % index)
        writer.finish()
    recovered.wal.append([Save(1, Ballot(3, None), [entry(29, 3, b""), entry(30, 3, b"now")])])
    return recovered


def assert_golden(name: str, text: str) -> None:
    """`AGREED_REWRITE_GOLDEN=1 pytest tests/disk/test_inspect.py` writes what is there now; read the diff."""
    path = Path(__file__).parent / "golden" / f"{name}.txt"
    if os.environ.get("AGREED_REWRITE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


def test_a_sound_directory() -> None:
    disk = FaultyFiles()
    _in_use(disk)
    assert_golden("inspect_sound", render(describe(DIRECTORY, disk)))


def test_a_sound_directory_with_its_entries() -> None:
    disk = FaultyFiles()
    _in_use(disk)
    assert_golden("inspect_entries", render(describe(DIRECTORY, disk, entries=True)))


def test_damage_is_shown_and_what_lies_behind_it_too() -> None:
    disk = FaultyFiles()
    _in_use(disk)
    disk.flip(segment_path(DIRECTORY, 2), 1400, 3)
    disk.flip(snapshot_path(DIRECTORY, SnapshotName(20, 1)), 90, 3)
    disk.cut(DIRECTORY / "identity", 20)
    disk.create(DIRECTORY / "0000000004.wal.new")
    assert_golden("inspect_damaged", render(describe(DIRECTORY, disk)))


def test_a_torn_tail_is_no_problem() -> None:
    disk = FaultyFiles()
    recovered = _in_use(disk)
    before = describe(DIRECTORY, disk)
    used = before.segments[-1].used
    recovered.wal.append([Save(2, Ballot(3, None), [entry(31, 3, b"x" * 900)])])
    disk.overwrite(segment_path(DIRECTORY, 3), used + 500, bytes(2000))
    report = describe(DIRECTORY, disk)
    assert report.problems == []
    assert report.repairs == [f"a write at offset {used} of 0000000003.wal never finished"]
    assert report.log_end == before.log_end


def test_nothing_is_changed() -> None:
    disk = FaultyFiles()
    _in_use(disk)
    disk.before_it_is_safe = lambda: pytest.fail("looking changed something")
    describe(DIRECTORY, disk, entries=True)


def test_a_node_starts_on_it_exactly_where_the_report_says_so() -> None:
    random = Random(5)
    for _ in range(60):
        disk = FaultyFiles()
        _in_use(disk).close()
        path = random.choice([path for path in disk.visible if path.name != "lock"])
        disk.flip(path, random.randrange(len(disk.visible[path].visible)), 2)
        report = describe(DIRECTORY, disk)
        try:
            start(disk)
        except AgreedError:
            assert report.problems
        else:
            assert all(".snapshot" in problem for problem in report.problems)


def test_a_directory_that_is_not_there() -> None:
    with pytest.raises(ConfigurationError, match="/nowhere/at/all is not a directory"):
        describe(DIRECTORY.parent / "nowhere" / "at" / "all", RealFiles())
