"""`python -m tests.recipes.world --recipe barrier --seeds 1..10000`: many worlds, and what is wrong in them.

    --recipe NAME       may be said several times; without it, all of them
    --seeds A..B        one world each
    --show              of each world, what everybody was told and all that stood in the store
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from typing import Final

from tests.recipes.world.plays import PLAYS
from tests.recipes.world.world import World, play

FINDINGS_SHOWN: Final = 3


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.recipes.world", description=__doc__)
    parser.add_argument("--recipe", action="append", choices=sorted(PLAYS), metavar="NAME")
    parser.add_argument("--seeds", default="1..100", metavar="A..B")
    parser.add_argument("--show", action="store_true")
    asked = parser.parse_args()
    first, _, last = asked.seeds.partition("..")
    seeds = range(int(first), int(last or first) + 1)
    logging.disable()  # that something failed at first is what worlds are for
    wrong = [name for name in asked.recipe or PLAYS if not _is_well(name, seeds, asked.show)]
    return 1 if wrong else 0


def _is_well(name: str, seeds: range, show: bool) -> bool:
    began = time.perf_counter()
    wrong = told = 0
    for seed in seeds:
        world = play(PLAYS[name], seed)
        told += len(world.told)
        if show:
            _show(world)
        if world.findings:
            wrong += 1
            print(f"{name}, seed {seed}: {world.weather}")
            print(*(f"    {finding}" for finding in world.findings[:FINDINGS_SHOWN]), sep="\n", flush=True)
    rate = len(seeds) / (time.perf_counter() - began)
    print(f"{name}: {len(seeds)} worlds, {told} attempts, {wrong} wrong, {rate:.0f} worlds/s", flush=True)
    return not wrong


def _show(world: World) -> None:
    print(*world.told, sep="\n")
    for version in world.stage.log:
        before = None if version.before is None else version.before.value
        after = None if version.after is None else version.after.value
        print(f"{version.revision} {version.at_s:.4f} {version.key}: {before!r} -> {after!r}")


if __name__ == "__main__":
    if "PYTHONHASHSEED" not in os.environ:
        # Sets are in another order each time, and a world is to be the same again.
        os.execve(
            sys.executable,
            [sys.executable, "-m", "tests.recipes.world", *sys.argv[1:]],
            os.environ | {"PYTHONHASHSEED": "0"},
        )
    sys.exit(main())
