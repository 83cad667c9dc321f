"""A disk that fails on command, and another time of day, as a process sees them."""
from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agreed.torture.faults.shim import DISK_FAULTS, DiskTrouble, Shims, build
from agreed.torture.node import Node

WORK = """
import os, sys
from agreed.disk.kernel_sync import KernelSync
from agreed.disk.files import RealFiles
from pathlib import Path
import select
place = Path(sys.argv[1])
file = RealFiles().create(place / "file")
other = open(sys.argv[2], "wb")
sync = KernelSync.make()
def attempt(action):
    try:
        action()
        return "ok"
    except OSError as error:
        return str(error.errno)
def by_the_kernel():
    if sync is None:
        return file.fdatasync()
    sync.submit(file._descriptor)
    select.select([sync], [], [], 10)
    problem = sync.result()
    if problem is not None:
        raise problem
for line in sys.stdin:
    print(attempt(lambda: file.write(0, b"x" * 100)), attempt(file.fdatasync), attempt(by_the_kernel),
          attempt(lambda: file.preallocate(1000)), attempt(lambda: (other.write(b"y"), other.flush())),
          file.size(), flush=True)
"""


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(1, "n1", tmp_path / "n1", 0, 0, 0, 0, 0, {})


@pytest.fixture
def shims(tmp_path: Path) -> Shims:
    built = build(tmp_path / "built", True, DISK_FAULTS)
    if built.disk is None:
        pytest.skip(next(iter(built.missing.values())))
    return built


@pytest.fixture
def worker(node: Node, shims: Shims, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, **shims.environment(node)}
    process = subprocess.Popen(
        [sys.executable, "-c", WORK, str(node.disk), str(tmp_path / "elsewhere")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    yield process
    process.kill()
    process.communicate()


def works(process: subprocess.Popen[str]) -> list[str]:
    """What came of: write, fdatasync, the kernel's, preallocate, a write elsewhere; and the file's size."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go on\n")
    process.stdin.flush()
    return process.stdout.readline().split()


def test_a_sound_disk_is_left_alone(worker: subprocess.Popen[str]) -> None:
    assert works(worker) == ["ok"] * 5 + ["1000"]


def test_a_full_disk_tears_one_write_refuses_the_others_and_is_sound_again(
    worker: subprocess.Popen[str], node: Node, shims: Shims
) -> None:
    shims.set_disk(node, DiskTrouble(full=True))
    full = str(errno.ENOSPC)
    assert works(worker) == [full, "ok", "ok", full, "ok", "50"]
    assert works(worker) == [full, "ok", "ok", full, "ok", "50"]
    shims.set_disk(node, DiskTrouble())
    assert works(worker) == ["ok"] * 5 + ["1000"]


def test_a_failing_disk_takes_nothing(worker: subprocess.Popen[str], node: Node, shims: Shims) -> None:
    shims.set_disk(node, DiskTrouble(failing=True))
    assert works(worker) == [str(errno.EIO), "ok", "ok", str(errno.EIO), "ok", "0"]


def test_a_disk_that_cannot_sync_says_so_whoever_asks(
    worker: subprocess.Popen[str], node: Node, shims: Shims
) -> None:
    shims.set_disk(node, DiskTrouble(unsynced=True))
    assert works(worker) == ["ok", str(errno.EIO), str(errno.EIO), "ok", "ok", "1000"]


def test_another_time_of_day_leaves_the_other_clock_alone(node: Node, tmp_path: Path) -> None:
    shims = build(tmp_path / "built", True, ["clock"])
    if shims.clock is None:
        pytest.skip(shims.missing["clock"])
    program = "import time; print(time.time(), time.monotonic())"
    environment = {**os.environ, **shims.environment(node)}
    shims.set_clock(node, "+86400\n")

    def told(with_shim: bool) -> list[float]:
        ended = subprocess.run(
            [sys.executable, "-c", program],
            env=environment if with_shim else None,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return [float(part) for part in ended.stdout.split()]

    (wall, steady), (other_wall, other_steady) = told(False), told(True)
    assert 86_400 <= other_wall - wall < 86_460
    assert 0 <= other_steady - steady < 60


def test_what_cannot_be_had_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "C compiler" in build(tmp_path, True, DISK_FAULTS).missing["disk-full"]
    assert "libc" in build(tmp_path, False, ["clock"]).missing["clock"]
    assert build(tmp_path, True, ["kill"]) == Shims(None, None, {})
