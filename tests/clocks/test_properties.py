"""The same theorems, with executions that Hypothesis draws: small ones, and a counterexample is made
smaller."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.clocks.mutants import MUTANTS
from tests.clocks.properties import PROPERTIES, Refuted

RANDOMS = st.randoms(use_true_random=False)


@pytest.mark.parametrize("name", PROPERTIES)
def test_the_theorem_holds(name: str) -> None:
    of = PROPERTIES[name]

    @settings(max_examples=25)
    @given(RANDOMS)
    def holds(random: Random) -> None:
        of.check(random, of.clock)

    holds()


def test_what_is_refuted_is_refuted_here_as_well() -> None:
    name, mutant = MUTANTS[0]

    @settings(max_examples=100, database=None, phases=[Phase.generate])
    @given(RANDOMS)
    def holds(random: Random) -> None:
        PROPERTIES[name].check(random, mutant)

    with pytest.raises(Refuted):
        holds()
