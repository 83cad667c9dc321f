"""The same seed is the same run in any process: whatever its hash seed, whatever was played in it before.

Other interpreters have to be there to be compared: docs/simulation.md tells what three versions of Python
have played.
"""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from agreed.cli.simulate_player import play

SOURCE = Path(__file__).resolve().parents[2] / "src"

SEEDS = (0, 3)

PROGRAM = """
import sys
from agreed.cli.simulate_player import play
from agreed.sim.campaign import Campaign, jobs
from agreed.sim.plan import PROFILES
backwards, *seeds = map(int, sys.argv[1:])
planned = list(jobs(seeds, PROFILES))
campaign = Campaign(planned, failures_most=None)
handed_out = [campaign.next_job() for _ in planned]
for job in reversed(handed_out) if backwards else handed_out:
    campaign.take(play(*job))
print(campaign.trace_hash)
"""


def hash_in(python: str, hash_seed: str, *, backwards: bool = False) -> str:
    """Of all profiles with these seeds, played in an interpreter of its own."""
    told = subprocess.run(
        [python, "-c", PROGRAM, str(int(backwards)), *map(str, SEEDS)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return told.stdout.strip()


def test_hash_seeds_and_what_was_played_before_do_not_matter() -> None:
    first = hash_in(sys.executable, "0")
    assert len(first) == 32
    assert hash_in(sys.executable, "4711", backwards=True) == first


def test_the_hash_is_of_what_happened() -> None:
    """Else the tests above could not fail."""
    assert len({play("swarm", seed).trace_hash for seed in range(3)}) == 3
