"""A bounded part of the million events, and a mutant for each theorem."""
from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.clocks import million
from tests.clocks.million import tried
from tests.clocks.mutants import MUTANTS
from tests.clocks.properties import PROPERTIES, Property

EVENTS = 2_500


@pytest.mark.parametrize("name", PROPERTIES)
def test_the_theorem_has_no_counterexample(name: str) -> None:
    found = tried(name, EVENTS, seed=2026)
    assert found.counterexample == ""
    assert found.events >= EVENTS
    assert found.checks > EVENTS / 4


@pytest.mark.parametrize(
    ("name", "mutant"), MUTANTS, ids=lambda each: getattr(each, "__name__", each) if callable(each) else None
)
def test_its_mutant_is_refuted(name: str, mutant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROPERTIES, name, Property(PROPERTIES[name].check, mutant))
    assert tried(name, EVENTS, seed=2026).counterexample


def test_every_theorem_has_a_mutant() -> None:
    assert {name for name, _ in MUTANTS} == set(PROPERTIES)


def test_a_counterexample_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name, mutant = MUTANTS[0]
    monkeypatch.setitem(PROPERTIES, name, Property(PROPERTIES[name].check, mutant))
    monkeypatch.setattr(sys, "argv", ["million", "--events", "500", "--property", "lamport"])
    with pytest.raises(SystemExit) as ended:
        million.main()
    assert ended.value.code == 1
    told = capsys.readouterr()
    assert told.out.endswith("| 1 |\n")
    assert "->" in told.err


def test_nothing_is_told_of_what_holds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["million", "--events", "200"])
    with pytest.raises(SystemExit) as ended:
        million.main()
    assert ended.value.code == 0
    assert capsys.readouterr().out.count("| 0 |\n") == len(PROPERTIES)
