"""Version vectors beside dictionaries: both do the same, and what is measured is told."""
from __future__ import annotations

import pytest
from bench.clocks import Clocks, Sized, Timed, as_text, cases, compared, measure, merged

from agreed.clocks import Causality
from bench import clocks


def test_the_dictionary_is_a_version_vector() -> None:
    assert merged({"a": 1, "b": 2}, {"b": 1, "c": 3}) == {"a": 1, "b": 2, "c": 3}
    assert compared({"a": 1}, {"a": 1, "b": 1}) is Causality.BEFORE
    assert compared({"a": 1, "b": 1}, {"a": 1}) is Causality.AFTER
    assert compared({"a": 1}, {"b": 1}) is Causality.CONCURRENT
    assert compared({"a": 1}, {"a": 1}) is Causality.EQUAL


@pytest.mark.parametrize("nodes", [3, 40])
def test_both_come_to_the_same(nodes: int) -> None:
    found = {case.name: case for case in cases(nodes)}
    assert all(case.agrees for case in found.values())
    assert found["compare: before, shared"].naive() is Causality.BEFORE
    assert found["compare: concurrent, half"].ours() is Causality.CONCURRENT


def test_what_is_measured_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "LEAST_S", 0.0)
    found = measure(1, (3,))
    assert {each.nodes for each in found.timed} == {3}
    assert "| merge, shared, 3 " in as_text(found)


def test_the_table() -> None:
    timed, sized = Timed("merge, shared", 3, 1.0, 4.0), Sized(3, 20, 30, 1.0, 2.0, 0.5)
    text = as_text(Clocks("now", "3", 7, [timed], [sized]))
    assert "| merge, shared, 3 |    1.00 |          4.00 | 0.25x |" in text
    assert "| 3     |    20 |          30 |       1.0 |       2.0 |                          0.5 |" in text


def test_a_difference_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "merged", lambda first, second: first)
    with pytest.raises(AssertionError, match="not the same as the dictionary"):
        measure(1, (3,))
