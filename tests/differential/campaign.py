"""Thousands of scripts on two servers, and what is told of them: the command line of a differential test.

Exit code 0: no difference; 1: differences, each kind of them printed once, as a short script that can be
played again with `--replay FILE`; 2: there is nothing to compare with.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from tests.acceptance.cluster import Ensemble
from tests.differential.comparison import Comparison, Disagreement, Pair
from tests.differential.script import AScript
from tests.progress import Progress

NOTHING_TO_COMPARE_WITH = 2


def options_of(program: str, teaching: str | None, reference: str) -> argparse.ArgumentParser:
    """What every differential test can be told."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=teaching)
    parser.add_argument("--sequences", type=int, default=1000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--replay", type=Path, help="play the script in this file, and nothing else")
    parser.add_argument("--against", choices=("ours", reference), default="ours", help="what is tested")
    parser.add_argument("--nodes", type=int, default=3, help="how many nodes the tested cluster has")
    parser.add_argument("--through", choices=("leader", "follower"), default="leader")
    parser.add_argument("--stop-after", type=int, default=5, help="give up after so many kinds of difference")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so long")
    return parser


def chosen(cluster: Ensemble, role: str) -> int:
    """Which of the nodes leads, or is the first that follows (the only one, where there is one)."""
    leader = cluster.wait_for_leader()
    fitting = [number for number, node in enumerate(cluster.nodes) if (node is leader) == (role == "leader")]
    return fitting[0] if fitting else 0


def run(pair: Pair[AScript], options: argparse.Namespace) -> int:
    """What these options ask for.  Returns the exit code."""
    if options.replay:
        return _replay(pair, options.replay)
    return _compare(pair, options)


def _replay(pair: Pair[AScript], file: Path) -> int:
    script = pair.read(file.read_bytes().strip())
    found = pair.play(script, patient=True).differences
    pair.close()
    print(Disagreement(script, found) if found else "no difference")
    return 1 if found else 0


def _compare(pair: Pair[AScript], options: argparse.Namespace) -> int:
    comparison = Comparison(pair)
    progress = Progress(options.sequences, "sequences")
    kinds: Counter[str] = Counter()
    played = 0
    for played in range(1, options.sequences + 1):
        disagreement = comparison.check(pair.draw(f"{options.seed}:{played - 1}"))
        if disagreement is not None:
            kinds[disagreement.kind] += 1
            if kinds[disagreement.kind] == 1:
                print(disagreement, flush=True)
        if len(kinds) >= options.stop_after or progress.seconds > options.seconds:
            print(f"stopped after {played} sequences")
            break
        progress.tell(played)
    pair.close()
    for unsteady in comparison.unsteady[:3]:
        print(f"seen once, and not again:\n{unsteady}")
    excused = "".join(f", {count} more where {excuse}" for excuse, count in comparison.excused.items())
    unsteady_count = len(comparison.unsteady)
    print(
        f"{played} sequences in {progress.seconds:.0f} s: {kinds.total()} with differences"
        f" of {len(kinds)} kinds, {unsteady_count} with differences that did not come again{excused}"
    )
    for kind, count in kinds.most_common():
        print(f"  {count:5} x {kind}")
    return 1 if kinds or comparison.unsteady else 0
