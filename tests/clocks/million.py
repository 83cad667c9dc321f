"""A million random events for each theorem about clocks, and how many counterexamples there are.

    python -m tests.clocks.million [--events 1000000] [--seed 1] [--property version]

Prints a line for each property: the executions that were drawn, the events in them, the comparisons that were
made with the definition, and the counterexamples.  Ends with 1 if there is one, and prints it.
"""
from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from random import Random

from tests.clocks.properties import PROPERTIES, Refuted


@dataclass
class Tried:
    executions: int = 0
    events: int = 0
    checks: int = 0
    counterexample: str = ""


def tried(name: str, events: int, seed: int) -> Tried:
    """Executions are drawn until there were so many events, or one is a counterexample."""
    found = Tried()
    of = PROPERTIES[name]
    while found.events < events:
        found.executions += 1
        try:
            looked = of.check(Random(f"{name} {seed} {found.executions}"), of.clock)
        except Refuted as refuted:
            found.counterexample = str(refuted)
            return found
        found.events += looked.events
        found.checks += looked.checks
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="A million random events for each theorem about clocks.")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--property", default="", help="those whose name begins so")
    chosen = parser.parse_args()
    names = [name for name in PROPERTIES if name.startswith(chosen.property)]
    if not names:
        sys.exit(f"no property begins with {chosen.property!r}: {', '.join(PROPERTIES)}")
    print("| property | executions | events | comparisons | counterexamples |")
    print("| --- | ---: | ---: | ---: | ---: |")
    wrong = 0
    for name in names:
        found = tried(name, chosen.events, chosen.seed)
        wrong += bool(found.counterexample)
        counts = (found.executions, found.events, found.checks, int(bool(found.counterexample)))
        print(f"| {name} | " + " | ".join(f"{count:,}" for count in counts) + " |", flush=True)
        if found.counterexample:
            print(found.counterexample, file=sys.stderr)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
