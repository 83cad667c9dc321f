"""Play random worlds of Raft alone, each from its seed: a storm that may break nothing, then peace.

    .venv/bin/python tools/simulate.py --seconds 120      seeds that the tests do not play
    .venv/bin/python tools/simulate.py --seed 4711        one of them again, as it was

These worlds (`tests/consensus/raft/world.py`) have no stores, clients or bytes, so each of their steps is
checked; whole clusters are `agreed simulate`.  The first seed that fails is told in one line that repeats it,
and the code at the end is 1.
"""
from __future__ import annotations

import argparse
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.consensus.raft.test_world import SEEDS, play


def simulate(first: int, seconds: float) -> int:
    """Play seeds from `first` on until the time is over; the code to leave with."""
    seed = first
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        try:
            play(seed)
        except Exception:
            traceback.print_exc()
            print(f"seed {seed} fails: .venv/bin/python tools/simulate.py --seed {seed}")
            return 1
        seed += 1
    took = time.monotonic() - began
    print(f"{seed - first} worlds, seeds {first} to {seed - 1}, in {took:.0f} s: nothing broken")
    return 0 if seed > first else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=120, help="for how long")
    parser.add_argument("--first", type=int, default=SEEDS, help="the first seed")
    parser.add_argument("--seed", type=int, help="play this one alone")
    asked = parser.parse_args()
    if asked.seed is not None:
        play(asked.seed)
        print(f"seed {asked.seed}: nothing broken")
        return 0
    return simulate(asked.first, asked.seconds)


if __name__ == "__main__":
    sys.exit(main())
