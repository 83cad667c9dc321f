"""A bounded part of the cross-check, and that it would notice."""
from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import pytest

from agreed.check.transactions import judge, versions
from agreed.check.transactions.graph import Graph, Kind
from agreed.check.transactions.micro import Transactions
from tests.check.transactions.cross_check import Tally, look, report

HISTORIES = 300
LISTS = sys.modules["agreed.check.transactions.list_append"]  # the package has the function by this name


def test_the_checkers_agree_with_the_definitions() -> None:
    tally = Tally()
    for seed in range(HISTORIES):
        look(seed, tally)
    assert not tally.wrong, report(tally)
    for kind in ("lists", "registers"):
        assert tally.is_one[kind, "strict-serializable"] > 40
        assert tally.is_not[kind, "strict-serializable"] > 15


def without(kind: Kind) -> Any:
    """Dependencies of one kind are never added."""

    def add(graph: Graph, versions: Any) -> None:
        ADD(graph, versions)
        graph.edges[kind] = [[] for _ in range(graph.size)]

    return add


ADD = versions.add_dependencies


def backwards(graph: Graph, transactions: Any, present: Sequence[bool]) -> None:
    """Real time that does not look at the returns: what was called first comes first."""
    for one in range(len(transactions) - 1):
        if present[one] and present[one + 1]:
            graph.edges[Kind.REALTIME][one].append(one + 1)


MUTANTS = [
    ("no ww", judge, "add_dependencies", without(Kind.WW), 0),
    ("no wr", judge, "add_dependencies", without(Kind.WR), 0),
    ("no rw", judge, "add_dependencies", without(Kind.RW), 0),
    ("no order of processes", judge, "add_process_order", lambda *_: None, 0),
    ("no real time", judge, "add_realtime_order", lambda *_: None, 0),
    ("real time by calls", judge, "add_realtime_order", backwards, 0),
    ("no aborted reads", LISTS, "find_aborted_read", lambda *_: None, 0),
    ("no intermediate reads", LISTS, "find_intermediate_read", lambda *_: None, 200),
    ("no internal reads", LISTS, "find_internal", lambda *_: None, 0),
    ("no future reads", LISTS, "find_future_read", lambda *_: None, 500),
    ("what was never answered never happened", Transactions, "seen", lambda *_: None, 1_550),
]
"""And from which seed on they are tried: the rarer ones are not noticed at once."""


@pytest.mark.parametrize(("mutant", "target", "name", "replacement", "first"), MUTANTS)
def test_a_checker_that_is_wrong_is_found_out(
    mutant: str, target: Any, name: str, replacement: Any, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target, name, replacement)
    tally = Tally()
    for seed in range(first, first + 500):
        look(seed, tally)
        if tally.wrong:
            return
    pytest.fail(f"{mutant}: not noticed in {tally.histories} histories")
