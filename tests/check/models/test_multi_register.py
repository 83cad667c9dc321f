"""Several registers, written and read together."""
from __future__ import annotations

import pytest

from agreed.check.models import MultiRegister
from agreed.errors import MalformedInput
from tests.check.judged import holds
from tests.check.told import told


def txn(said: str) -> str:
    """`x=1 y?2` as a transaction, asked and answered."""
    steps, asked = [], []
    for each in said.split():
        writes = each[1] == "="
        steps.append(["write" if writes else "read", each[0], int(each[2:]) if each[2:] != "-" else None])
        asked.append(steps[-1] if writes else [*steps[-1][:2], None])
    return f"txn {asked!r} -> {steps!r}"


STORIES = {
    "they begin as nothing": (f"a 0-1 {txn('x?- y?-')}", True),
    "one is written": (f"a 0-1 {txn('x=1')} \n b 2-3 {txn('x?1 y?-')}", True),
    "two are written together": (f"a 0-1 {txn('x=1 y=1')} \n b 2-3 {txn('x?1 y?1')}", True),
    "and seen half": (f"a 0-9 {txn('x=1 y=1')} \n b 2-3 {txn('x?1 y?-')}", False),
    "seen from within": (f"a 0-1 {txn('x=1 x?1')}", True),
    "not seen from within": (f"a 0-1 {txn('x=1 x?-')}", False),
    "each misses what the other wrote": (
        f"a 0-9 {txn('x?- y=1')} \n b 0-9 {txn('y?- x=1')}",
        False,
    ),
    "one misses what the other wrote": (f"a 0-9 {txn('x?- y=1')} \n b 0-9 {txn('y?1 x=1')}", True),
    "two are seen in different orders": (
        f"a 0-9 {txn('x=1')} \n b 0-9 {txn('y=1')} \n c 1-8 {txn('x?1 y?-')} \n d 1-8 {txn('x?- y?1')}",
        False,
    ),
    "one is stale": (f"a 0-1 {txn('x=1')} \n b 2-3 {txn('x=2')} \n c 4-5 {txn('x?1')}", False),
    "unanswered, and half of it is seen": (
        f"a 0- txn [['w', 'x', 1], ['w', 'y', 1]] \n b 2-3 {txn('y?1')}",
        True,
    ),
    "unanswered, and seen half": (
        f"a 0- txn [['w', 'x', 1], ['w', 'y', 1]] \n b 2-3 {txn('y?1 x?-')}",
        False,
    ),
    "failed": (f"a 0-1 txn [['w', 'x', 1]] ! \n b 2-3 {txn('x?1')}", False),
}


@pytest.mark.parametrize("story", STORIES)
def test_multi_register(story: str) -> None:
    text, possible = STORIES[story]
    assert holds(told(text), MultiRegister()) is possible


def test_they_may_begin_with_values() -> None:
    began = MultiRegister({"x": 0})
    assert holds(told(f"a 0-1 {txn('x?0 y?-')}"), began)
    assert not holds(told(f"a 0-1 {txn('x?1')}"), began)
    assert holds(told(f"a 0-1 {txn('x?-')}"), began), "nobody looked at the answer"


@pytest.mark.parametrize(
    "line",
    ["a 0-1 read", "a 0-1 txn 7", "a 0-1 txn [7]", "a 0-1 txn [['add', 'x', 1]]", "a 0-1 txn [['r', 'x']]"],
)
def test_what_it_does_not_know(line: str) -> None:
    with pytest.raises(MalformedInput, match="operation 0"):
        holds(told(line), MultiRegister())
    with pytest.raises(MalformedInput, match="begins with a map"):
        MultiRegister([1])
