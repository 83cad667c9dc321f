"""Play random worlds for a given time, each from its seed: a storm that may break nothing, then peace.

    .venv/bin/python tools/simulate.py --seconds 120                      seeds that the tests do not play
    .venv/bin/python tools/simulate.py --world nodes --seed 4711          one of them again, as it was

There are two kinds of worlds, each a whole cluster in one thread, so that a run is its seed: `consensus` is
Raft alone (`tests/consensus/raft/world.py`), `nodes` is whole nodes with clients (`tests/replica/world.py`).
Without `--world` they share the time.  The first seed that fails is told in one line that repeats it, and the
code at the end is 1.
"""
from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.consensus.raft import test_world as consensus
from tests.replica import test_world as nodes

WORLDS: dict[str, tuple[Callable[[int], object], int]] = {
    "consensus": (consensus.play, consensus.SEEDS),
    "nodes": (nodes.play, nodes.SEEDS),
}
"""How a seed is played, and the first one that the tests do not play."""


def simulate(world: str, first: int | None, seconds: float) -> int:
    """Play seeds from `first` on until the time is over; the code to leave with."""
    play, beyond_the_tests = WORLDS[world]
    seed = first = beyond_the_tests if first is None else first
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        try:
            play(seed)
        except Exception:
            traceback.print_exc()
            print(f"seed {seed} fails: .venv/bin/python tools/simulate.py --world {world} --seed {seed}")
            return 1
        seed += 1
    took = time.monotonic() - began
    print(f"{seed - first} worlds of {world}, seeds {first} to {seed - 1}, in {took:.0f} s: nothing broken")
    return 0 if seed > first else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=120, help="for how long")
    parser.add_argument("--world", choices=sorted(WORLDS), help="only these")
    parser.add_argument("--first", type=int, help="the first seed")
    parser.add_argument("--seed", type=int, help="play this one alone (with --world)")
    asked = parser.parse_args()
    if asked.seed is not None:
        if asked.world is None:
            parser.error("--seed needs --world")
        WORLDS[asked.world][0](asked.seed)
        print(f"seed {asked.seed}: nothing broken")
        return 0
    worlds = [asked.world] if asked.world else sorted(WORLDS)
    return max(simulate(world, asked.first, asked.seconds / len(worlds)) for world in worlds)


if __name__ == "__main__":
    sys.exit(main())
