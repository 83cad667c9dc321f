"""Play random worlds of a protocol alone, each from its seed: a storm that may break nothing, then peace.

    .venv/bin/python tools/simulate.py --seconds 120                 every kind of world in turn, on all cores
    .venv/bin/python tools/simulate.py --world vr --seed 4711        one of them again, as it was

These worlds (`tests/consensus/*/world.py`) have no stores, clients or bytes, so each of their steps is
checked; whole clusters are `agreed simulate`.  After the storm comes peace, in which each world has to agree
on something new and be the same everywhere within a deadline.  The first seed that fails is told in one line
that repeats it, and the code at the end is 1.
"""
from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.consensus.multipaxos import test_world as multipaxos
from tests.consensus.raft import test_world as raft
from tests.consensus.vr import test_world as vr
from tests.consensus.zab import test_world as zab

WORLDS: dict[str, Callable[[int], object]] = {
    "raft": raft.play,
    "multipaxos": multipaxos.play,
    "multipaxos-duels": multipaxos.duel,
    "vr": vr.play,
    "vr-diskless": vr.play_without_disk,
    "zab": zab.play,
    "zab-rough": zab.play_rough,
}
FIRST = 1000
"""Of the seeds that no test plays."""



@dataclass
class Share:
    """What one worker is to do, and what came of it."""

    worlds: list[str]
    seeds: Iterator[int]
    seconds: float
    played: Counter[str] = field(default_factory=Counter)
    broken: str = ""


def play(share: Share) -> Share:
    """Seed after seed in every kind of world, until the time is over or something is broken."""
    began = time.monotonic()
    for seed in share.seeds:
        for world in share.worlds:
            if time.monotonic() - began >= share.seconds:
                return share
            try:
                WORLDS[world](seed)
            except Exception:
                again = f".venv/bin/python tools/simulate.py --world {world} --seed {seed}"
                share.broken = f"{traceback.format_exc()}\nfails: {again}"
                return share
            share.played[world] += 1
    return share


def simulate(worlds: list[str], first: int, seconds: float, workers: int) -> int:
    """The code to leave with."""
    shares = [Share(worlds, count(first + number, workers), seconds) for number in range(workers)]
    played: Counter[str] = Counter()
    broken = ""
    with multiprocessing.Pool(workers) as pool:
        for share in pool.imap_unordered(play, shares):
            played += share.played
            broken = broken or share.broken
            if broken:
                break
    for world in worlds:
        print(f"{world:20} {played[world]:7} worlds, seeds from {first}")
    print(broken or "nothing broken")
    return 1 if broken or not all(played[world] for world in worlds) else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=120, help="for how long")
    parser.add_argument("--world", choices=WORLDS, action="append", help="which kind; all, if none is named")
    parser.add_argument("--first", type=int, default=FIRST, help="the first seed")
    parser.add_argument("--seed", type=int, help="play this one alone")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    worlds = given.world or list(WORLDS)
    if given.seed is None:
        return simulate(worlds, given.first, given.seconds, given.workers)
    for world in worlds:
        WORLDS[world](given.seed)
        print(f"{world}, seed {given.seed}: nothing broken")
    return 0


if __name__ == "__main__":
    sys.exit(main())
