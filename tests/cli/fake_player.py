"""Players for the pool's tests: quick, and each seed has its own fate."""
from __future__ import annotations

import os
import signal
import threading

from agreed.sim.campaign import Played

KILLS, HANGS = 13, 17


def good(profile: str, seed: int) -> Played:
    marks = {"even": 1} if seed % 2 == 0 else {"odd": 2}
    table = [("leader", "AppendEntriesReply", "taken", seed)]
    return Played(profile, seed, None, "", f"{profile}-{seed}", 10 * seed, 1_000, marks, table, 0.5)


def some_fail(profile: str, seed: int) -> Played:
    played = good(profile, seed)
    if seed % 5 == 4:
        return Played(profile, seed, "two leaders", f"seen in {seed}", "f", 1, 1, {}, [], 0.5)
    return played


def some_die(profile: str, seed: int) -> Played:
    if seed == KILLS:
        os.kill(os.getpid(), signal.SIGKILL)
    if seed == HANGS:
        threading.Event().wait()
    return good(profile, seed)
