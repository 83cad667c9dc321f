"""One test for each rule of Multi-Paxos, and for each the wrong ones that it catches.

The rules stand in `rules_*.py`; the numbers P1 to P13 in `mutants.py`.
"""
from __future__ import annotations

from agreed.consensus.multipaxos.multipaxos import MultiPaxos
from tests.consensus.lone import assert_caught, mutants_in
from tests.consensus.multipaxos import mutants, rules_phase1, rules_phase2, rules_reads, rules_snapshots
from tests.consensus.multipaxos.lone import RULES, Factory, Rule

MODULES = (rules_phase1, rules_phase2, rules_reads, rules_snapshots)


@RULES.each
def test_the_rule_holds(rule: Rule) -> None:
    rule(MultiPaxos)


@RULES.each_mutant
def test_the_rule_catches_who_breaks_it(rule: Rule, mutant: Factory) -> None:
    assert_caught(rule, mutant)


def test_every_mutant_is_caught_by_a_rule() -> None:
    assert mutants_in(mutants, MultiPaxos) == RULES.caught
    assert {mutant for mutant, _ in mutants.RANDOM + mutants.DUELS} <= RULES.caught


def test_every_module_of_rules_has_some() -> None:
    assert RULES.modules == {module.__name__ for module in MODULES}
