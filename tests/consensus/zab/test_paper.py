"""One test for each rule of ZAB, and for each the wrong ZABs that it catches.  The rules stand in
`rules_*.py`."""
from __future__ import annotations

from agreed.consensus.zab.zab import Zab
from tests.consensus.lone import assert_caught, mutants_in
from tests.consensus.zab import mutants, rules_broadcast, rules_discovery, rules_synchronization
from tests.consensus.zab.lone import RULES, Factory, Rule

MODULES = (rules_discovery, rules_synchronization, rules_broadcast)


@RULES.each
def test_the_rule_holds(rule: Rule) -> None:
    rule(Zab)


@RULES.each_mutant
def test_the_rule_catches_who_breaks_it(rule: Rule, mutant: Factory) -> None:
    assert_caught(rule, mutant)


def test_every_mutant_is_caught() -> None:
    in_storms = {mutant for mutant, _ in mutants.RANDOM}
    assert mutants_in(mutants, Zab) == RULES.caught | in_storms


def test_every_module_of_rules_has_some() -> None:
    assert RULES.modules == {module.__name__ for module in MODULES}
