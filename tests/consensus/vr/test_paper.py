"""One test for each rule of the paper, and for each the wrong replicas that it catches.

The rules stand in `rules.py`, `rules_state_transfer.py` and `rules_recovery.py`.
"""
from __future__ import annotations

import pytest

from agreed.consensus.vr.viewstamped import Viewstamped
from tests.consensus.vr import mutants, rules, rules_recovery, rules_state_transfer
from tests.consensus.vr.lone import RULES, Factory, Rule


@pytest.mark.parametrize("function", [function for function, _ in RULES], ids=lambda f: f.__name__)
def test_the_rule_holds(function: Rule) -> None:
    function(Viewstamped)


@pytest.mark.parametrize(
    ("function", "mutant"),
    [(function, mutant) for function, killing in RULES for mutant in killing],
    ids=lambda value: value.__name__,
)
def test_the_rule_catches_who_breaks_it(function: Rule, mutant: Factory) -> None:
    with pytest.raises((AssertionError, ValueError)):  # ValueError: more or fewer effects than unpacked
        function(mutant)


def test_every_mutant_is_caught_by_a_rule_or_a_storm() -> None:
    wrong = {
        value
        for value in vars(mutants).values()
        if isinstance(value, type) and issubclass(value, Viewstamped) and value is not Viewstamped
    }
    caught = {mutant for _, killing in RULES for mutant in killing}
    caught |= {mutant for mutant, _ in mutants.RANDOM + mutants.WITHOUT_DISK}
    assert wrong == caught


def test_every_module_of_rules_has_some() -> None:
    modules = {rules.__name__, rules_recovery.__name__, rules_state_transfer.__name__}
    assert {function.__module__ for function, _ in RULES} == modules
