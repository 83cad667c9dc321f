"""Many seeds of every register, and what the judge says of them.

    python -m tests.registers.campaign [--seeds 2000] [--nodes 3]

Ends with 1 if a register that is linearizable has a history that is not, or one that is not has none.
"""
from __future__ import annotations

import argparse
import sys
from collections import Counter

from agreed.check import linearizable
from agreed.check.models import Register
from agreed.check.verdict import Outcome
from agreed.registers import AbdRegister, MultiLeaderRegister, QuorumRegister
from tests.registers.world import Made, World

EXPECTED: dict[str, tuple[Made, bool]] = {
    "multi-leader": (MultiLeaderRegister, False),
    "quorum": (QuorumRegister, False),
    "ABD": (AbdRegister, True),
}


def outcomes(made: Made, seeds: int, nodes: int) -> Counter[Outcome]:
    return Counter(
        linearizable(World(made, seed, nodes).run().history(), Register()).outcome for seed in range(seeds)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Many seeds of every register.")
    parser.add_argument("--seeds", type=int, default=2_000)
    parser.add_argument("--nodes", type=int, default=3)
    chosen = parser.parse_args()
    print("| register | histories | linearizable | not |")
    print("| --- | ---: | ---: | ---: |")
    wrong = False
    for name, (made, expected) in EXPECTED.items():
        found = outcomes(made, chosen.seeds, chosen.nodes)
        holds, violated = found[Outcome.HOLDS], found[Outcome.VIOLATED]
        wrong |= expected is (violated > 0)
        print(f"| {name} | {chosen.seeds:,} | {holds:,} | {violated:,} |", flush=True)
    sys.exit(wrong)


if __name__ == "__main__":
    main()
