"""The spectrum of consistency: for each model and its neighbour a history that the one allows and the other
does not, as the judge sees it.  The table of docs/guarantees.md is this one.

Operations on single objects are a line each (`tests.check.told`); of two keys, x and y, nothing was written
in the beginning.  Transactions are a word each (`tests.check.transactions.story`).
"""
from __future__ import annotations

from collections.abc import Callable

import pytest

from agreed.check.causal import causal
from agreed.check.convergence import converges
from agreed.check.history import History, Operation, history
from agreed.check.linearizable import linearizable
from agreed.check.models import Keyed, MultiRegister, Register
from agreed.check.sequential import sequential
from agreed.check.transactions import Options, list_append
from agreed.check.verdict import Outcome
from tests.check.told import told
from tests.check.transactions.story import in_a_row, together

CALM = 100
"""From then on nothing is under way any more."""


def settled(operation: Operation) -> bool:
    """Whether it counts for what everybody agrees on in the end: what was written, and what is read then."""
    return operation.function == "write" or operation.called >= CALM


JUDGES: dict[str, Callable[[History], Outcome]] = {
    "eventual": lambda seen: converges(history(each for each in seen if settled(each))).outcome,
    "PRAM": lambda seen: causal(seen, "PRAM").outcome,
    "causal": lambda seen: causal(seen, "CC").outcome,
    "causal memory": lambda seen: causal(seen, "CM").outcome,
    "causal convergence": lambda seen: causal(seen, "CCv").outcome,
    "sequential": lambda seen: sequential(seen, Register()).outcome,
    "linearizable": lambda seen: linearizable(seen, Keyed(Register())).outcome,
    "serializable": lambda seen: list_append(seen, Options(models=["serializable"])).outcome,
    "strict serializable": lambda seen: list_append(seen, Options(models=["strict-serializable"])).outcome,
}

LATER = """
    n1 100-101 @x read -> {x}
    n1 102-103 @y read -> {y}
    n2 100-101 @x read -> {x}
    n2 102-103 @y read -> {y}
    n3 100-101 @x read -> {x}
    n3 102-103 @y read -> {y}
"""
"""Once all is calm everybody sees the same."""

SPLIT = """
    n1 0-1 @x write 1
    n2 0-1 @x write 2
    n1 100-101 @x read -> 1
    n2 100-101 @x read -> 2
"""
"""Two leaders that never hear of each other."""

LAST_FIRST = (
    """
    n1  0-1  @x write 1
    n1  2-3  @y write 1
    n3  4-5  @y read -> 1
    n3  6-7  @x read -> None
"""
    + LATER.format(x=1, y=1)
)
"""n3 sees the second write of one client and not the first."""

ANSWER_FIRST = (
    """
    n1  0-1  @x write 1
    n2  2-3  @x read -> 1
    n2  4-5  @y write 1
    n3  6-7  @y read -> 1
    n3  8-9  @x read -> None
"""
    + LATER.format(x=1, y=1)
)
"""n3 sees the answer and not the question."""

STORE_BUFFER = (
    """
    n1  0-1  @x write 1
    n1  2-3  @y read -> None
    n2  0-1  @y write 1
    n2  2-3  @x read -> None
"""
    + LATER.format(x=1, y=1)
)
"""Each writes and misses the write of the other: no one order has both."""

TURNED_ROUND = """
    n1  0-1  @x write 1
    n2  0-1  @x write 2
    n1  100-101  @x read -> 2
    n2  100-101  @x read -> 1
"""
"""Two replicas apply two writes in opposite orders, and stay so."""

STALE = (
    """
    n1  0-1  @x write 1
    n2  2-3  @x read -> None
"""
    + LATER.format(x=1, y=None)
)
"""One order for all, and n2 is behind in it."""

IN_TIME = (
    """
    n1  0-1  @x write 1
    n2  2-3  @x read -> 1
"""
    + LATER.format(x=1, y=None)
)

PARTED = [
    ("nothing", "eventual", SPLIT),
    ("eventual", "PRAM", LAST_FIRST),
    ("PRAM", "causal", ANSWER_FIRST),
    ("eventual", "causal", ANSWER_FIRST),
    ("causal memory", "causal convergence", TURNED_ROUND),
    ("causal memory", "eventual", TURNED_ROUND),
    ("causal convergence", "sequential", STORE_BUFFER),
    ("causal memory", "sequential", STORE_BUFFER),
    ("sequential", "linearizable", STALE),
]

SINGLE = ["PRAM", "causal", "causal memory", "causal convergence", "sequential", "linearizable"]
IMPLIED = {
    "causal": {"causal"},
    "PRAM": {"PRAM"},
    "causal memory": {"PRAM", "causal", "causal memory"},
    "causal convergence": {"causal", "causal convergence"},
    "sequential": {*SINGLE} - {"linearizable"},
    "linearizable": {*SINGLE},
}


@pytest.mark.parametrize(("weaker", "stronger", "lines"), PARTED)
def test_neighbours_are_parted(weaker: str, stronger: str, lines: str) -> None:
    seen = told(lines)
    if weaker != "nothing":
        assert JUDGES[weaker](seen) is Outcome.HOLDS
    assert JUDGES[stronger](seen) is Outcome.VIOLATED


ALL = [SPLIT, LAST_FIRST, ANSWER_FIRST, STORE_BUFFER, TURNED_ROUND, STALE, IN_TIME]


@pytest.mark.parametrize("lines", ALL)
def test_what_is_stronger_implies_what_is_weaker(lines: str) -> None:
    seen = told(lines)
    allowed = {model for model in SINGLE if JUDGES[model](seen) is Outcome.HOLDS}
    assert all(IMPLIED[model] <= allowed for model in allowed)


def test_what_is_linearizable_is_everything() -> None:
    seen = told(IN_TIME)
    assert all(JUDGES[model](seen) is Outcome.HOLDS for model in (*SINGLE, "eventual"))


# --- transactions -----------------------------------------------------------------------------------------


def test_serializable_is_not_strict() -> None:
    """The second transaction begins after the first is done, and does not see it."""
    seen = in_a_row("ax1", "rx[]")
    assert JUDGES["serializable"](seen) is Outcome.HOLDS
    assert JUDGES["strict serializable"](seen) is Outcome.VIOLATED
    assert JUDGES["strict serializable"](in_a_row("ax1", "rx[1]")) is Outcome.HOLDS


def test_linearizable_is_not_serializable() -> None:
    """Step by step, on each list by itself, nothing is wrong; as two transactions they cannot be in any
    order."""
    seen = together("ax1 ay1", "rx[1] ry[]")
    assert JUDGES["serializable"](seen) is Outcome.VIOLATED
    steps = told(
        """
        n1 0-1 @x write 1
        n2 2-3 @x read -> 1
        n2 4-5 @y read -> None
        n1 6-7 @y write 1
        """
    )
    assert JUDGES["linearizable"](steps) is Outcome.HOLDS


def test_serializable_is_not_linearizable() -> None:
    """It says nothing of time: everybody may read the beginning for ever."""
    assert JUDGES["serializable"](in_a_row("ax1", "rx[]", "rx[]")) is Outcome.HOLDS
    steps = told("n1 0-1 @x write 1 \n n2 2-3 @x read -> None \n n3 4-5 @x read -> None")
    assert JUDGES["linearizable"](steps) is Outcome.VIOLATED


def test_strict_serializable_is_linearizable_of_everything_at_once() -> None:
    """A transaction is one operation on one object, the whole store: the two judges agree."""
    for rows in (["wx1 wy1", "rx1 ry1"], ["wx1 wy1", "rx1 ry_"], ["wx1", "rx_"], ["wx1 wy1", "rx_ ry_"]):
        seen = in_a_row(*rows)
        as_one = linearizable(seen, MultiRegister()).outcome
        assert as_one is JUDGES["strict serializable"](in_a_row(*map(as_lists, rows)))


def as_lists(row: str) -> str:
    words = {"wx1": "ax1", "wy1": "ay1", "rx1": "rx[1]", "ry1": "ry[1]", "rx_": "rx[]", "ry_": "ry[]"}
    return " ".join(words.get(word, word) for word in row.split())

