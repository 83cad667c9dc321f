"""One test for each rule of the paper, and for each the wrong replicas that it catches.

The rules stand in `rules.py`, `rules_state_transfer.py` and `rules_recovery.py`.
"""
from __future__ import annotations

from agreed.consensus.vr.viewstamped import Viewstamped
from tests.consensus.lone import assert_caught, mutants_in
from tests.consensus.vr import mutants, rules, rules_recovery, rules_state_transfer
from tests.consensus.vr.lone import RULES, Factory, Rule


@RULES.each
def test_the_rule_holds(rule: Rule) -> None:
    rule(Viewstamped)


@RULES.each_mutant
def test_the_rule_catches_who_breaks_it(rule: Rule, mutant: Factory) -> None:
    assert_caught(rule, mutant)


def test_every_mutant_is_caught_by_a_rule_or_a_storm() -> None:
    in_storms = {mutant for mutant, _ in mutants.RANDOM + mutants.WITHOUT_DISK}
    assert mutants_in(mutants, Viewstamped) == RULES.caught | in_storms


def test_every_module_of_rules_has_some() -> None:
    modules = {rules.__name__, rules_recovery.__name__, rules_state_transfer.__name__}
    assert RULES.modules == modules
