"""One test for each rule of the paper and the thesis, and for each the wrong Rafts that it catches.

The rules stand in `rules_*.py`.  Section numbers are those of the extended paper; "thesis" is Ongaro's.
"""
from __future__ import annotations

from agreed.consensus.raft.raft import Raft
from tests.consensus.lone import assert_caught, mutants_in
from tests.consensus.raft import (
    mutants,
    rules_elections,
    rules_log,
    rules_members,
    rules_reads,
    rules_snapshots,
)
from tests.consensus.raft.lone import RULES, Factory, Rule

MODULES = (rules_elections, rules_log, rules_members, rules_snapshots, rules_reads)


@RULES.each
def test_the_rule_holds(rule: Rule) -> None:
    rule(Raft)


@RULES.each_mutant
def test_the_rule_catches_who_breaks_it(rule: Rule, mutant: Factory) -> None:
    assert_caught(rule, mutant)


def test_every_mutant_is_caught_by_a_rule() -> None:
    in_storms = {mutant for mutant, _ in mutants.RANDOM}
    assert mutants_in(mutants, Raft) == RULES.caught | in_storms


def test_every_module_of_rules_has_some() -> None:
    assert RULES.modules == {module.__name__ for module in MODULES}
