"""A process becomes the command it was given, and does not outlive the one that started it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agreed.torture.launch import CANNOT_BE_RUN, ends_with_us

STARTS_AND_WAITS = """
import subprocess, sys, time
from agreed.torture.launch import ends_with_us
sleeper = "import time; print('up', flush=True); time.sleep(60)"
subprocess.Popen(ends_with_us([sys.executable, "-c", sleeper]))
time.sleep(60)
"""


def test_the_command_is_the_process_that_was_started() -> None:
    program = "import os, sys; print(os.getpid(), *sys.argv[1:])"
    command = ends_with_us([sys.executable, "-c", program, "a b", ""])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.read() == f"{process.pid} a b \n"


def test_its_exit_code_and_the_signal_that_ended_it_are_told_as_ever() -> None:
    assert subprocess.run(ends_with_us([sys.executable, "-c", "raise SystemExit(7)"])).returncode == 7
    killed = "import os; os.kill(os.getpid(), 9)"
    assert subprocess.run(ends_with_us([sys.executable, "-c", killed])).returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_it_ends_when_whoever_started_it_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", STARTS_AND_WAITS], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "up\n"
    parent.kill()
    # Both write to this pipe: it ends when the second one is gone too.
    said, _ = parent.communicate(timeout=30)
    assert said == ""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_whose_parent_was_gone_before_it_asked_runs_nothing(tmp_path: Path) -> None:
    made = tmp_path / "made"
    command = ends_with_us(["touch", str(made)])
    place = command.index(str(int(signal.SIGKILL))) - 1
    command[place] = "1"  # whoever started it was another
    assert subprocess.run(command).returncode == CANNOT_BE_RUN
    assert not made.exists()


def test_a_program_that_is_not_there_is_told_before_anything_starts() -> None:
    with pytest.raises(FileNotFoundError, match="no program 'no-such-program'"):
        ends_with_us(["no-such-program"])


def test_a_file_that_is_no_program_is_told(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("\x7fELF is not what this is")
    file.chmod(0o755)
    told = subprocess.run(ends_with_us([str(file)]), capture_output=True, text=True)
    assert told.returncode == CANNOT_BE_RUN
    assert str(file) in told.stderr
