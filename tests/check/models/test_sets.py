"""A set: elements come, go, and are seen."""
from __future__ import annotations

import pytest

from agreed.check.models import Set
from agreed.errors import MalformedInput
from tests.check.judged import holds
from tests.check.told import told

STORIES = {
    "it begins empty": ("a 0-1 read -> []", True),
    "what was added is there": ("a 0-1 add 1 \n b 2-3 read -> [1]", True),
    "an acknowledged element is lost": ("a 0-1 add 1 \n b 2-3 read -> []", False),
    "one appears from nowhere": ("a 0-1 add 1 \n b 2-3 read -> [1, 2]", False),
    "one that failed appears": ("a 0-1 add 1 !down \n b 2-3 read -> [1]", False),
    "one that was never answered appears": ("a 0- add 1 \n b 2-3 read -> [1]", True),
    "and is not gone again": ("a 0- add 1 \n b 2-3 read -> [1] \n b 4-5 read -> []", False),
    "until it is removed": ("a 0- add 1 \n b 2-3 read -> [1] \n c 4- remove 1 \n b 5-6 read -> []", True),
    "two are added at once, and seen one by one": (
        "a 0-9 add 1 \n b 0-9 add 2 \n c 1-2 read -> [2] \n c 3-4 read -> [1, 2]",
        True,
    ),
    "but not in both orders": (
        "a 0-9 add 1 \n b 0-9 add 2 \n c 1-2 read -> [2] \n d 3-4 read -> [1]",
        False,
    ),
    "contains": ("a 0-1 add 1 \n b 2-3 contains 1 -> True \n b 4-5 contains 2 -> False", True),
    "contains no more": ("a 0-1 add 1 \n a 2-3 remove 1 \n b 4-5 contains 1 -> True", False),
    "contains not yet": ("a 0-1 add 1 \n b 2-3 contains 1 -> False", False),
    "removing nothing is no mistake": ("a 0-1 remove 1 \n b 2-3 read -> []", True),
    "adding twice is adding once": ("a 0-1 add 1 \n a 2-3 add 1 \n a 4-5 remove 1 \n b 6-7 read -> []", True),
    "the order of a reading does not matter": ("a 0-1 add 1 \n a 2-3 add 2 \n b 4-5 read -> [2, 1]", True),
    "a reading without an answer says nothing": ("a 0-1 add 1 \n b 2-3 read", True),
    "lists are elements": ("a 0-1 add [1, 2] \n b 2-3 read -> [[1, 2]]", True),
}


@pytest.mark.parametrize("story", STORIES)
def test_sets(story: str) -> None:
    text, possible = STORIES[story]
    assert holds(told(text), Set()) is possible


def test_it_may_begin_with_something() -> None:
    assert holds(told("a 0-1 read -> [1, 2]"), Set([1, 2]))
    assert not holds(told("a 0-1 read -> []"), Set([1, 2]))


@pytest.mark.parametrize(
    "line", ["a 0-1 pop", "a 0-1 read -> 7", "a 0-1 read -> 'abc'", "a 0-1 contains 1 -> 'yes'"]
)
def test_what_it_does_not_know(line: str) -> None:
    with pytest.raises(MalformedInput, match="operation 0"):
        holds(told(line), Set())


def test_it_begins_with_a_list() -> None:
    with pytest.raises(MalformedInput, match="begins with a list"):
        Set({"a": 1})


def test_what_nobody_saw_may_be_left_out() -> None:
    seen = told("a 0- add 1 \n b 0- add 2 \n c 0- add 3 \n d 1-2 contains 2 -> True \n d 3-4 read -> [1]")
    assert Set().idle(seen.operations) == {2}
