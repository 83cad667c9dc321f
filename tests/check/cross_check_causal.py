"""Compares the checkers of weak consistency with brute force, on many small random histories.

    python -m tests.check.cross_check_causal --histories 10000 --seed 1 --kind CM

Every verdict is compared with that of the definitions (`weak_definitions`, `causal_replay`,
`sequential_replay`), and every witness and every piece is replayed.  A history on which two differ is
printed, and ends the run.
"""
from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from random import Random

from agreed.check.causal import Kind, causal
from agreed.check.causal_replay import Definition, explainable, problem
from agreed.check.convergence import set_full
from agreed.check.history import History, history
from agreed.check.models.register import CasRegister, Register
from agreed.check.sequential import sequential
from agreed.check.sequential_replay import has_an_order
from agreed.check.sequential_replay import problem as sequential_problem
from agreed.check.session_values import GUARANTEES
from agreed.check.sessions import session_guarantees
from agreed.check.verdict import Outcome, Verdict
from tests.check import weak_histories
from tests.check.litmus import GALLERY, TWO_SATISFIABILITY, parsed
from tests.check.weak_definitions import (
    guarantees_kept,
    possible,
    revisions_in_order,
    set_is_in_order,
    told_apart,
)
from tests.check.weak_histories import Shape

Comparison = tuple[Verdict, str | None]
"""A verdict, and what is wrong with it."""


def _agrees(verdict: Verdict, possible_at_all: bool, may_be_unknown: bool = False) -> str | None:
    if verdict.outcome is Outcome.UNKNOWN:
        return None if may_be_unknown else "it is known"
    return None if verdict.holds is possible_at_all else f"by the definition it is {possible_at_all}"


def _drawn(dice: Random) -> tuple[History, bool]:
    """A history of registers, and whether some of its values were written twice.

    Most random histories are allowed by every model or by none; so some are made from those of the gallery,
    and some are drawn until one is allowed by a certain model and not by another."""
    each = _registers(dice)
    written = [(one.key, one.argument) for one in each if one.function == "write"]
    return each, len(set(written)) < len(written)


def _registers(dice: Random) -> History:
    chance = dice.random()
    if chance < 0.15:
        return weak_histories.registers(dice, Shape(again=0.3, operations=6))
    if chance < 0.4:
        return weak_histories.registers(dice, Shape(operations=9))
    if chance < 0.8:
        return weak_histories.neighbours(dice, dice.choice(LITMUS))
    weaker, stronger = dice.choice(BOUNDARIES)
    for _ in range(MOST_DRAWS):
        each = weak_histories.replicas(dice, Shape(operations=10))
        if not explainable(each.operations, stronger) and explainable(each.operations, weaker):
            break
    return each


LITMUS = [parsed(each.line) for each in GALLERY if each.line != TWO_SATISFIABILITY]

BOUNDARIES: tuple[tuple[Definition, Definition], ...] = (
    ("PRAM", "CC"),
    ("CC", "CM"),
    ("CC", "CCv"),
    ("CM", "CCv"),
    ("CCv", "CM"),
    ("CM", "SC"),
    ("CCv", "SC"),
)
MOST_DRAWS = 12


def _causal(kind: Kind) -> Callable[[Random], tuple[History, Comparison]]:
    def compare(dice: Random) -> tuple[History, Comparison]:
        each, ambiguous = _drawn(dice)
        verdict = causal(each, kind)
        return each, (verdict, _of_registers(each, kind, verdict, ambiguous))

    return compare


def _of_registers(each: History, kind: Definition, verdict: Verdict, ambiguous: bool) -> str | None:
    wrong = _agrees(verdict, possible(each, kind), may_be_unknown=ambiguous)
    return wrong or problem(each, kind, verdict)


def _sequential(dice: Random) -> tuple[History, Comparison]:
    each, _ = _drawn(dice)
    verdict = sequential(each, Register())
    wrong = _agrees(verdict, possible(each, "SC")) or sequential_problem(each, Register(), verdict)
    return each, (verdict, wrong)


def _searched(dice: Random) -> tuple[History, Comparison]:
    each = weak_histories.cas_registers(dice, Shape(sessions=3, operations=7))
    model = CasRegister(initial=0)
    verdict = sequential(each, model)
    wrong = _agrees(verdict, has_an_order(each, model)) or sequential_problem(each, model, verdict)
    return each, (verdict, wrong)


def _sessions(dice: Random) -> tuple[History, Comparison]:
    each, ambiguous = _drawn(dice)
    which = [guarantee for guarantee in GUARANTEES if dice.random() < 0.75]
    verdict = session_guarantees(each, which)
    kept = any(guarantees_kept(one, which) for one in told_apart(each.operations))
    wrong = _agrees(verdict, kept, may_be_unknown=ambiguous)
    for finding in verdict.findings:
        piece = history(operation for operation in each if operation.index in finding.operations)
        if any(guarantees_kept(one, which) for one in told_apart(piece.operations)):
            wrong = wrong or "the piece keeps them"
    return each, (verdict, wrong)


def _revisions(dice: Random) -> tuple[History, Comparison]:
    each = weak_histories.numbered(dice, Shape(operations=9, sessions=3))
    which = [guarantee for guarantee in GUARANTEES if dice.random() < 0.75]
    verdict = session_guarantees(each, which)
    wrong = _agrees(verdict, revisions_in_order(each, which))
    for finding in verdict.findings:
        piece = history(operation for operation in each if operation.index in finding.operations)
        if revisions_in_order(piece, [finding.name]):
            wrong = wrong or "the piece is in order"
    return each, (verdict, wrong)


def _sets(dice: Random) -> tuple[History, Comparison]:
    each = weak_histories.sets(dice, Shape(sessions=3, operations=9))
    linearizable = dice.random() < 0.5
    verdict = set_full(each, linearizable)
    return each, (verdict, _agrees(verdict, set_is_in_order(each, linearizable), may_be_unknown=True))


KINDS: dict[str, Callable[[Random], tuple[History, Comparison]]] = {
    "CC": _causal("CC"),
    "CCv": _causal("CCv"),
    "CM": _causal("CM"),
    "PRAM": _causal("PRAM"),
    "SC": _sequential,
    "SC-cas": _searched,
    "sessions": _sessions,
    "revisions": _revisions,
    "set-full": _sets,
}


def cross_check(kind: str, histories: int, seed: int) -> Counter[Outcome]:
    """How often each outcome came.  Raises AssertionError with the history on which two differ."""
    outcomes: Counter[Outcome] = Counter()
    for number in range(histories):
        each, (verdict, wrong) = KINDS[kind](Random(f"{kind} {seed} {number}"))
        assert wrong is None, f"{wrong}\nkind {kind}, seed {seed}, number {number}\n{_told(each)}\n{verdict}"
        outcomes[verdict.outcome] += 1
    return outcomes


def _told(each: History) -> str:
    return "\n".join(
        f"#{one.index} {one.process}: {one.function} {one.key} {one.argument} -> {one.result} "
        f"{one.status.value} {one.error or ''}"
        for one in each
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the checkers with brute force.")
    parser.add_argument("--histories", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=sorted(KINDS), required=True)
    asked = parser.parse_args()
    outcomes = cross_check(asked.kind, asked.histories, asked.seed)
    told = ", ".join(f"{outcomes[outcome]} {outcome.value}" for outcome in Outcome)
    print(f"{asked.kind}, seed {asked.seed}: {asked.histories} histories, no mismatch ({told})")


if __name__ == "__main__":
    main()
