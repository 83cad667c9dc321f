"""`python -m tests.differential --sequences 10000 --seed 1`: thousands of scripts on a real ZooKeeper and
on ours.

Exit code 0: no difference; 1: differences, each printed as a short script that can be played again with
`--replay FILE`; 2: there is nothing to compare with.
"""
from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections import Counter
from pathlib import Path

from tests.acceptance.cluster import (
    NO_ZOOKEEPER,
    SUPER_DIGEST,
    Cluster,
    Ensemble,
    Node,
    ZooKeeperEnsemble,
    version_of,
    zookeeper_classpath,
)
from tests.differential.compare import PeerTraits
from tests.differential.run import Comparison, Disagreement
from tests.differential.script import Script


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    if zookeeper_classpath() is None:
        print(NO_ZOOKEEPER)
        return 2
    with contextlib.ExitStack() as stack:
        reference = stack.enter_context(ZooKeeperEnsemble(1))
        tested: Ensemble
        if options.against == "zookeeper":
            tested = stack.enter_context(ZooKeeperEnsemble(options.nodes))
        else:
            tested = stack.enter_context(
                Cluster(options.nodes, options=["--super-digest", SUPER_DIGEST], in_memory=True)
            )
        node = chosen_node(tested, options.through)
        traits = PeerTraits(version_of(reference.nodes[0]))
        version = ".".join(map(str, traits.version))
        print(f"reference: ZooKeeper {version}; tested: {tested.description}, {node.name}")
        comparison = Comparison(
            reference.nodes[0].client_port, node.client_port, traits, timeout_s=options.timeout_s
        )
        if options.replay:
            return replay(comparison, options.replay)
        return compare(comparison, options)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--sequences", type=int, default=1000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--replay", type=Path, help="play the script in this file, and nothing else")
    parser.add_argument("--against", choices=("ours", "zookeeper"), default="ours", help="what is tested")
    parser.add_argument("--nodes", type=int, default=3, help="how many nodes the tested ensemble has")
    parser.add_argument("--through", choices=("leader", "follower"), default="leader")
    parser.add_argument("--stop-after", type=int, default=5, help="give up after so many kinds of difference")
    parser.add_argument("--timeout-s", type=float, default=10.0, help="how long an answer may take")
    return parser.parse_args(arguments)


def chosen_node(ensemble: Ensemble, role: str) -> Node:
    leader = ensemble.wait_for_leader()
    if role == "leader":
        return leader
    return next((node for node in ensemble.nodes if node is not leader), leader)


def replay(comparison: Comparison, file: Path) -> int:
    script = Script.from_json(file.read_bytes().strip())
    found = comparison.play(script)
    print(Disagreement(script, found) if found else "no difference")
    return 1 if found else 0


def compare(comparison: Comparison, options: argparse.Namespace) -> int:
    started = told = time.monotonic()
    kinds: Counter[str] = Counter()
    for number in range(options.sequences):
        disagreement = comparison.check(comparison.draw(f"{options.seed}:{number}"))
        if disagreement is not None:
            kind = kind_of(disagreement)
            kinds[kind] += 1
            if kinds[kind] == 1:
                print(disagreement, flush=True)
            if len(kinds) >= options.stop_after:
                print(f"stopped after {number + 1} sequences")
                break
        if time.monotonic() > told + 10:
            told = time.monotonic()
            rate = (number + 1) / (told - started)
            line = f"{number + 1} of {options.sequences} sequences, {rate:.0f} a second"
            print(line, file=sys.stderr, flush=True)
    for unsteady in comparison.unsteady[:3]:
        print(f"seen once, and not again:\n{unsteady}")
    print(
        f"{number + 1} sequences in {time.monotonic() - started:.0f} s: {kinds.total()} with differences"
        f" of {len(kinds)} kinds, {len(comparison.unsteady)} with differences that did not come again"
        f" ({len(comparison.swept)} more where a container was swept away in between,"
        f" {len(comparison.reference_unsteady)} where only the reference had changed its mind)"
    )
    for kind, count in kinds.most_common():
        print(f"  {count:5} x {kind}")
    return 1 if kinds or comparison.unsteady else 0


def kind_of(disagreement: Disagreement) -> str:
    """What scripts have in common that likely show the same mistake."""
    first = disagreement.found[0]
    if first.field.startswith("("):
        return f"{first.about.split('(')[0]} {first.field}"
    return f"{first.about.split('(')[0]} {first.field}: {str(first.left)[:60]} / {str(first.right)[:60]}"


if __name__ == "__main__":
    sys.exit(main())
