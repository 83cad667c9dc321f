"""One test for each rule of the paper and the thesis, and for each the wrong Rafts that it catches.

The rules stand in `rules_*.py`.  Section numbers are those of the extended paper; "thesis" is Ongaro's.
"""
from __future__ import annotations

import pytest

from agreed.consensus.raft.raft import Raft
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


@pytest.mark.parametrize("function", [function for function, _ in RULES], ids=lambda f: f.__name__)
def test_the_rule_holds(function: Rule) -> None:
    function(Raft)


@pytest.mark.parametrize(
    ("function", "mutant"),
    [(function, mutant) for function, killing in RULES for mutant in killing],
    ids=lambda value: value.__name__,
)
def test_the_rule_catches_who_breaks_it(function: Rule, mutant: Factory) -> None:
    with pytest.raises((AssertionError, ValueError)):  # ValueError: more or fewer effects than unpacked
        function(mutant)


def test_every_mutant_is_caught_by_a_rule() -> None:
    wrong = {value for value in vars(mutants).values() if isinstance(value, type) and issubclass(value, Raft)}
    caught = {mutant for _, killing in RULES for mutant in killing}
    caught |= {mutant for mutant, _ in mutants.RANDOM}
    assert wrong - {Raft} == caught


def test_every_module_of_rules_has_some() -> None:
    assert {function.__module__ for function, _ in RULES} == {module.__name__ for module in MODULES}
