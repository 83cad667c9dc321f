"""Deadlines: who answers in time is left alone, and who does not is cut off."""
from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time

from agreed.transactions.deadlines import Deadlines, shut_down


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_is_released_never_happens_and_what_is_not_does() -> None:
    acted: list[str] = []
    both = threading.Event()

    def last() -> None:
        acted.append("last")
        both.set()

    clock = Clock()
    watch = Deadlines(clock)
    watch.at(0.3, last)
    watch.at(0.1, lambda: acted.append("first"))
    released = watch.at(0.2, lambda: acted.append("released"))
    watch.release(released)
    clock.now = 1.0
    assert both.wait(30)
    assert acted == ["first", "last"]


def test_what_was_released_is_not_running_any_more() -> None:
    """Whoever releases it gives its connection to somebody else."""
    watch, begun, running = Deadlines(), threading.Event(), threading.Event()

    def act() -> None:
        running.set()
        begun.set()
        time.sleep(0.05)
        running.clear()

    number = watch.at(time.monotonic(), act)
    assert begun.wait(30)
    watch.release(number)
    assert not running.is_set()


def test_an_act_that_fails_does_not_stop_the_others() -> None:
    watch, acted = Deadlines(), threading.Event()
    watch.at(time.monotonic(), lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    watch.at(time.monotonic(), acted.set)
    assert acted.wait(30)


def test_who_reads_from_a_connection_that_is_shut_down_reads_its_end() -> None:
    ours, theirs = socket.socketpair()
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(ours.recv(1)))
    reader.start()
    shut_down(ours.fileno())
    reader.join(30)
    assert read == [b""]
    assert ours.fileno() >= 0
    ours.close()
    theirs.close()
    shut_down(10**6)  # long closed


FORKS = """
import os
from agreed.transactions.deadlines import deadlines

ours = deadlines()
child = os.fork()
if child == 0:
    os._exit(0 if deadlines() is not ours else 1)
_, status = os.waitpid(child, 0)
raise SystemExit(os.waitstatus_to_exitcode(status))
"""


def test_a_forked_process_has_deadlines_of_its_own() -> None:
    """In a process that does nothing else: a copy of this one might not survive what grpcio does in it."""
    assert subprocess.run([sys.executable, "-c", FORKS], timeout=60, check=False).returncode == 0
