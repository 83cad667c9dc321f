"""Lose power at every operation of a random life, in every way; nothing that was promised is lost.

`test_crash_mutants.py` proves that this bites.
"""
from __future__ import annotations

import errno
from pathlib import Path
from random import Random

import pytest

from agreed.consensus.machine import Ballot, Save
from agreed.disk import snapshots, wal
from agreed.errors import AgreedError, DiskFailed
from tests.disk.faulty_files import FaultyFiles, Loss
from tests.disk.workload import Life, State, entry, filled, start, state_of

STEPS = 45


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal, "ZEROED_AHEAD", 1024)
    monkeypatch.setattr(snapshots, "SYNCED_EVERY", 2000)


class Lost(AssertionError):
    """A promise was broken."""


def check_crash(disk: FaultyFiles, expected: list[State], life: int, loss: Loss, random: Random) -> None:
    """Power is lost now; what is found afterwards must be what was promised, and must stay."""
    after = disk.power_off(loss, random)
    try:
        recovered = start(after)
        found = state_of(recovered)
    except AgreedError as error:
        raise Lost(f"{loss}: a crash alone made recovery refuse: {error}") from error
    if found not in expected:
        raise Lost(f"{loss}: found {found}, expected one of {expected}")
    index = len(found.entries) + (found.mark.index if found.mark else 0) + 1
    if recovered.identity.life <= life:
        raise Lost(f"{loss}: life {recovered.identity.life} was lived before")
    if recovered.wal.last_index != index - 1:
        raise Lost(f"{loss}: the log believes that it ends with {recovered.wal.last_index}, not {index - 1}")
    # The node relies on it from now on, so the next crash must not take it away; nor what is added.
    added = Save(0, Ballot(found.ballot.term + 1, "n1"), [entry(index, found.ballot.term + 1)])
    for more in (None, added):
        if more is not None:
            recovered.wal.append([more])
            found = found._replace(ballot=more.ballot, entries=(*found.entries, *more.entries))
        again = start(after.power_off(Loss.EVERYTHING, random))
        if state_of(again) != found:
            raise Lost(f"{loss}: the second crash left {state_of(again)} of {found}")


def check_kill(disk: FaultyFiles, expected: list[State]) -> None:
    """The process ends now, the cache stays; the node starts again and relies on what it sees; then power is
    lost."""
    disk.kill()
    found = state_of(start(disk))
    if found not in expected:
        raise Lost(f"killed: found {found}, expected one of {expected}")
    after = state_of(start(disk.power_off(Loss.EVERYTHING, Random(0))))
    if after != found:
        raise Lost(f"killed: went on with {found}, and a crash left {after} of it")


def crash_everywhere(files: FaultyFiles, seed: int, every: int = 1) -> int:
    """Live a life, and at each of its operations try all kinds of loss on a copy.  Returns how many."""
    life = Life(files, Random(seed))
    moments = 0

    def moment() -> None:
        nonlocal moments
        moments += 1
        if moments % every == seed % every:
            disk = files.clone()
            for loss in Loss:
                check_crash(disk, life.expected, life.acknowledged_life, loss, Random(moments))
            check_kill(disk, life.expected)

    files.before_it_is_safe = moment
    life.run(STEPS)
    return moments


@pytest.mark.parametrize("seed", range(4))
def test_no_crash_loses_what_was_promised(seed: int) -> None:
    assert crash_everywhere(FaultyFiles(), seed, every=3) > 100


def fail_to_sync() -> None:
    """fsync fails, the node stops and is started again, sees the record in the cache, and vouches for it.
    Then power is lost."""
    disk = FaultyFiles()
    recovered = filled(3, disk)
    disk.fail = lambda operation, path: errno.EIO if operation == "fdatasync" else None
    with pytest.raises(DiskFailed):
        recovered.wal.append([Save(4, Ballot(1, "n1"), [entry(4)])])
    disk.fail = lambda operation, path: None
    disk.kill()
    recovered = start(disk)
    assert len(recovered.entries) == 4
    check_kill(disk, [state_of(recovered)])


def test_what_a_failed_fsync_leaves_in_the_cache_deceives_nobody() -> None:
    fail_to_sync()


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_failure_at_any_operation_is_reported_and_loses_nothing(number: int) -> None:
    for moment in range(1, 400, 7):
        fail_once(number, moment)


def fail_once(number: int, moment: int) -> None:
    """This error at the n-th operation, then a loss of power, or only a new start."""
    disk = FaultyFiles()
    life = Life(disk, Random(7))
    operations = 0

    def fail(operation: str, path: Path) -> int | None:
        nonlocal operations
        operations += 1
        return number if operations == moment else None

    disk.fail = fail
    with pytest.raises(DiskFailed, match="/data"):
        life.run(STEPS)
    disk.fail = lambda operation, path: None
    disk.kill()
    for loss in Loss:
        check_crash(disk.clone(), life.expected, life.acknowledged_life, loss, Random(moment))
    check_kill(disk, life.expected)
