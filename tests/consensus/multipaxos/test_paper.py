"""One test for each rule of Multi-Paxos, and for each the wrong ones that it catches.

The rules stand in `rules_*.py`; the numbers P1 to P13 in `mutants.py`.
"""
from __future__ import annotations

import pytest

from agreed.consensus.multipaxos.multipaxos import MultiPaxos
from tests.consensus.multipaxos import mutants, rules_phase1, rules_phase2, rules_reads, rules_snapshots
from tests.consensus.multipaxos.lone import RULES, Factory, Rule

MODULES = (rules_phase1, rules_phase2, rules_reads, rules_snapshots)


@pytest.mark.parametrize("function", [function for function, _ in RULES], ids=lambda f: f.__name__)
def test_the_rule_holds(function: Rule) -> None:
    function(MultiPaxos)


@pytest.mark.parametrize(
    ("function", "mutant"),
    [(function, mutant) for function, killing in RULES for mutant in killing],
    ids=lambda value: value.__name__,
)
def test_the_rule_catches_who_breaks_it(function: Rule, mutant: Factory) -> None:
    with pytest.raises((AssertionError, ValueError)):  # ValueError: more or fewer effects than unpacked
        function(mutant)


def test_every_mutant_is_caught_by_a_rule() -> None:
    wrong = {
        value
        for value in vars(mutants).values()
        if isinstance(value, type) and issubclass(value, MultiPaxos) and value is not MultiPaxos
    }
    assert wrong == {mutant for _, killing in RULES for mutant in killing}
    assert {mutant for mutant, _ in mutants.RANDOM + mutants.DUELS} <= wrong


def test_every_module_of_rules_has_some() -> None:
    assert {function.__module__ for function, _ in RULES} == {module.__name__ for module in MODULES}
