"""The four answers, the other way round."""
from __future__ import annotations

from agreed.clocks import Causality


def test_the_converse() -> None:
    assert {each: each.converse for each in Causality} == {
        Causality.BEFORE: Causality.AFTER,
        Causality.AFTER: Causality.BEFORE,
        Causality.EQUAL: Causality.EQUAL,
        Causality.CONCURRENT: Causality.CONCURRENT,
    }
