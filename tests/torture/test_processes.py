"""Servers are started, stand still, and end, and nobody else is touched."""
from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agreed.torture.processes import (
    LEFT_BY_FAKETIME,
    LOOPBACK,
    NotServing,
    ServerProcess,
    _Taken,
    free_ports,
    is_free,
    last_lines,
)

SERVER = "import sys, time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
PYTHON = [sys.executable, "-c"]


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def started(tmp_path: Path, program: str, **options: object) -> ServerProcess:
    process = ServerProcess([*PYTHON, program], output=tmp_path / "log", **options)  # type: ignore[arg-type]
    wait_until(lambda: process.last_words().endswith("up"))
    return process


def state_of(process: ServerProcess) -> str:
    text = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii")
    return text.rpartition(")")[2].split()[0]


def test_ports_are_free_and_never_given_twice() -> None:
    first, second = free_ports(20), free_ports(20)
    assert len({*first, *second}) == 40
    with socket.create_server((LOOPBACK, first[0])):
        assert not is_free(first[0])
    assert is_free(second[0])


def test_two_processes_are_not_given_the_same_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens on it yet, so that both would find it free."""
    program = """
from agreed.torture.processes import free_ports
print(*free_ports(5), flush=True)
input()
"""
    other = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    theirs = [int(port) for port in other.stdout.readline().split()]

    class Dice:
        def sample(self, among: range, count: int) -> list[int]:
            return [*theirs, *random.sample(among, count)]

    with monkeypatch.context() as loaded:
        loaded.setattr("agreed.torture.processes.random.SystemRandom", Dice)
        assert not {*theirs} & {*free_ports(5)}
        other.communicate("go")
        assert {*theirs} & {*free_ports(5)}, "whoever is gone needs none"


def test_a_place_that_somebody_else_has_made_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agreed.torture.processes._TAKEN", _Taken())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"agreed-ports-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotServing, match="no ports can be given"):
        free_ports(1)
    assert not (tmp_path / "elsewhere").exists()


def test_what_a_server_says_is_kept(tmp_path: Path) -> None:
    process = started(tmp_path, SERVER)
    process.kill()
    assert last_lines(tmp_path / "log", 1) == "up"
    assert "up" in process.last_words()
    assert last_lines(tmp_path / "nothing", 3) == ""


def test_kill_returns_when_it_is_gone(tmp_path: Path) -> None:
    process = started(tmp_path, SERVER)
    process.kill()
    assert not process.running
    assert process.returncode == -signal.SIGKILL


def test_what_a_killed_one_kept_in_shared_memory_is_taken_away(tmp_path: Path) -> None:
    process = ServerProcess([sys.executable, "-c", "import time; time.sleep(60)"])
    left = [Path("/dev/shm", f"{name}{process.pid}") for name in LEFT_BY_FAKETIME]
    for path in left:
        path.write_bytes(b"")
    process.kill()
    assert not any(path.exists() for path in left)


def test_one_that_does_not_end_is_killed(tmp_path: Path) -> None:
    process = started(tmp_path, STUBBORN)
    assert process.end(within_s=0.2) == -signal.SIGKILL


def test_one_that_stands_still_can_be_ended(tmp_path: Path) -> None:
    process = started(tmp_path, SERVER)
    process.pause()
    assert process.running
    assert process.end() == -signal.SIGTERM


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells who stands still")
def test_a_paused_server_stands_still_until_it_is_resumed(tmp_path: Path) -> None:
    process = started(tmp_path, SERVER)
    process.pause()
    wait_until(lambda: state_of(process) == "T")
    process.resume()
    wait_until(lambda: state_of(process) != "T")
    assert process.resident_bytes() > 1_000_000
    process.kill()
    assert process.resident_bytes() == 0


def test_variables_of_ours_do_not_configure_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGREED_HEARTBEAT_MS", "7")
    program = "import os; print(os.environ.get('AGREED_HEARTBEAT_MS'), os.environ['MORE'])"
    process = ServerProcess([*PYTHON, program], output=subprocess.PIPE, environment={"MORE": "yes"})
    assert process.communicate()[0] == "None yes\n"


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels do not end children with their parents")
def test_servers_end_with_whoever_started_them() -> None:
    program = (
        "import subprocess, sys; from agreed.torture.processes import ServerProcess;"
        f"print(ServerProcess([sys.executable, '-c', {SERVER!r}], output=subprocess.PIPE).pid, flush=True)"
    )
    ended = subprocess.run([*PYTHON, program], capture_output=True, text=True, timeout=30, check=True)
    pid = int(ended.stdout)
    wait_until(lambda: not Path(f"/proc/{pid}").exists() or "Z (zombie)" in status_of(pid))


def status_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except FileNotFoundError:
        return "Z (zombie)"
