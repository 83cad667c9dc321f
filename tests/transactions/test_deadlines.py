"""Deadlines: who answers in time is left alone, and who does not is cut off."""
from __future__ import annotations

import os
import socket
import threading
import time

from agreed.transactions.deadlines import Deadlines, deadlines, shut_down


def test_what_is_released_never_happens_and_what_is_not_does() -> None:
    acted: list[str] = []
    both = threading.Event()

    def last() -> None:
        acted.append("last")
        both.set()

    watch = Deadlines()
    number = watch.at(time.monotonic(), lambda: acted.append("released"))
    watch.release(number)
    acted.clear()  # it may have been faster
    watch.at(time.monotonic() + 0.3, last)
    watch.at(time.monotonic() + 0.1, lambda: acted.append("first"))
    released = watch.at(time.monotonic() + 0.2, lambda: acted.append("released"))
    watch.release(released)
    assert both.wait(30)
    assert acted == ["first", "last"]


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


def test_a_forked_process_has_deadlines_of_its_own() -> None:
    ours = deadlines()
    child = os.fork()
    if child == 0:
        os._exit(0 if deadlines() is not ours else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
