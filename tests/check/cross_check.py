"""The search against its definition, on small histories drawn at random.

    python -m tests.check.cross_check --model cas-register --histories 100000 --seed 1

Each history is judged by `linearizable` and by trying every order; the verdicts must agree, what is
linearizable by construction must hold, and every proof is replayed.  Ends with 1 at the first mismatch, and
prints the history as lines of our own format.
"""
from __future__ import annotations

import argparse
import sys
from collections import Counter
from random import Random

from agreed.check import linearizable, replay
from agreed.check.history import History
from agreed.check.models import MODELS, AnyModel
from agreed.check.verdict import Outcome
from tests.check.brute import linearizable_by_trying
from tests.check.drawn import draw
from tests.check.things import INITIAL


class Mismatch(AssertionError):
    """A history on which something is wrong."""

    def __init__(self, history: History, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.history = history


def model_of(name: str) -> AnyModel:
    return MODELS[name](INITIAL.get(name))


def check(history: History, model: AnyModel, truthful: bool) -> Outcome:
    """The verdict; raises Mismatch."""
    verdict = linearizable(history, model)
    expected = linearizable_by_trying(history, model)
    problems = replay.verdict(history, model, verdict)
    for finding in verdict.findings:
        assert finding.culprit is not None
        for attempt in finding.attempts:
            problems += replay.attempt(history, model, attempt, finding.culprit)
    if verdict.outcome is not (Outcome.HOLDS if expected else Outcome.VIOLATED):
        problems.append(f"{verdict.outcome} where trying every order says {expected}")
    if truthful and not expected:
        problems.append("the model refuses what a real object did")
    if problems:
        raise Mismatch(history, problems)
    return verdict.outcome


def cross_check(name: str, histories: int, seed: int) -> Counter[Outcome]:
    """How many of each verdict there were; raises Mismatch."""
    model = model_of(name)
    outcomes: Counter[Outcome] = Counter()
    for number in range(histories):
        random = Random(f"{name} {seed} {number}")
        truthful = random.random() < 0.25
        outcomes[check(draw(name, random, lies=not truthful), model, truthful)] += 1
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description="The search against its definition.")
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument("--histories", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    try:
        outcomes = cross_check(chosen.model, chosen.histories, chosen.seed)
    except Mismatch as mismatch:
        for operation in mismatch.history:
            print(operation)
        sys.exit(f"{chosen.model}: {mismatch}")
    told = ", ".join(f"{outcomes[each]} {each.value}" for each in Outcome)
    print(f"{chosen.model}: {chosen.histories} histories from seed {chosen.seed}, no mismatch ({told})")


if __name__ == "__main__":
    main()
