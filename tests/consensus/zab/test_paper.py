"""One test for each rule of ZAB, and for each the wrong ZABs that it catches.  The rules stand in
`rules_*.py`."""
from __future__ import annotations

import pytest

from agreed.consensus.zab.zab import Zab
from tests.consensus.zab import mutants, rules_broadcast, rules_discovery, rules_synchronization
from tests.consensus.zab.lone import RULES, Factory, Rule

MODULES = (rules_discovery, rules_synchronization, rules_broadcast)


@pytest.mark.parametrize("function", [function for function, _ in RULES], ids=lambda f: f.__name__)
def test_the_rule_holds(function: Rule) -> None:
    function(Zab)


@pytest.mark.parametrize(
    ("function", "mutant"),
    [(function, mutant) for function, killing in RULES for mutant in killing],
    ids=lambda value: value.__name__,
)
def test_the_rule_catches_who_breaks_it(function: Rule, mutant: Factory) -> None:
    with pytest.raises((AssertionError, ValueError)):  # ValueError: more or fewer effects than unpacked
        function(mutant)


def test_every_mutant_is_caught() -> None:
    wrong = {value for value in vars(mutants).values() if isinstance(value, type) and issubclass(value, Zab)}
    caught = {mutant for _, killing in RULES for mutant in killing}
    caught |= {mutant for mutant, _ in mutants.RANDOM}
    assert wrong - {Zab} == caught


def test_every_module_of_rules_has_some() -> None:
    assert {function.__module__ for function, _ in RULES} == {module.__name__ for module in MODULES}
