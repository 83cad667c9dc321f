"""Causal consistency in its four strengths: what each allows, what each refuses, and the piece that shows
it."""
from __future__ import annotations

import pytest

from agreed.check.causal import Kind, causal
from agreed.check.causal_replay import problem
from agreed.check.verdict import Outcome
from tests.check.litmus import GALLERY, Litmus, parsed

KINDS: tuple[Kind, ...] = ("CC", "CCv", "CM", "PRAM")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("litmus", GALLERY, ids=lambda litmus: litmus.name)
def test_each_model_allows_what_it_should(litmus: Litmus, kind: Kind) -> None:
    history = parsed(litmus.line)
    verdict = causal(history, kind)
    assert verdict.outcome is (Outcome.HOLDS if litmus.allows(kind) else Outcome.VIOLATED)
    assert problem(history, kind, verdict) is None


@pytest.mark.parametrize("litmus", [each for each in GALLERY if each.pattern], ids=lambda litmus: litmus.name)
def test_what_is_wrong_has_the_name_of_its_pattern(litmus: Litmus) -> None:
    refused_by = next(kind for kind in KINDS if not litmus.allows(kind))
    finding = causal(parsed(litmus.line), refused_by).findings[0]
    assert finding.name == litmus.pattern
    assert finding.steps
