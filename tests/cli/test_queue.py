"""Jobs are put by one and done by the command of another, and one that fails is done again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agreed.cli.exits import MISUSED, NOT_FOUND, NOT_OBTAINED
from agreed.cli.playground import Playground
from tests.node.running import running, wait_until


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    with running(tmp_path_factory.mktemp("queued"), size=1) as cluster:
        yield cluster


def begin(node: Playground, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "agreed", "queue", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "AGREED_URL": f"agreed://{node.hosts}/cli"},
    )


def run(node: Playground, *arguments: str, given: bytes = b"") -> tuple[int, bytes]:
    process = begin(node, *arguments)
    told, error = process.communicate(given, timeout=60)
    assert b"Traceback" not in error, error.decode()
    return process.returncode, told


def test_a_job_is_what_its_command_reads_and_is_done_when_that_ends_well(node: Playground) -> None:
    assert run(node, "put", "mail", "-", given=b"a\x00job")[0] == 0
    assert run(node, "put", "mail", "urgent", "--priority", "0")[0] == 0
    assert run(node, "count", "mail") == (0, b"2\n")
    once = ("work", "--once", "--timeout", "20", "--pause", "0", "mail", "--")
    assert run(node, *once, "sh", "-c", 'test "$AGREED_TOKEN" -gt 0 && cat') == (0, b"urgent")
    assert run(node, *once, "sh", "-c", "cat; exit 4") == (4, b"a\x00job")
    assert run(node, *once, "cat") == (0, b"a\x00job")
    assert run(node, "work", "--timeout", "0", "mail", "--", "cat")[0] == NOT_OBTAINED
    assert run(node, "count", "mail") == (0, b"0\n")


def test_a_worker_does_one_after_the_other_until_it_is_told_to_end(node: Playground, tmp_path: Path) -> None:
    for number in range(3):
        run(node, "put", "many", str(number))
    done = tmp_path / "done"
    append = f'cat >> {done}; test "$(cat {done})" != 012 || while :; do sleep 0.1; done'
    worker = begin(node, "work", "many", "--", "sh", "-c", append)
    wait_until(lambda: done.exists() and done.read_text() == "012", "all were begun")
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=60)
    assert worker.returncode == 128 + signal.SIGTERM
    assert run(node, "count", "many") == (0, b"1\n"), "the one that was ended is not done"


def test_what_makes_no_sense_is_refused(node: Playground) -> None:
    assert run(node, "put", "mail", "x", "--priority", "10")[0] == MISUSED
    assert run(node, "work", "mail", "--", "no-such-command")[0] == NOT_FOUND
