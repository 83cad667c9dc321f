"""A counter."""
from __future__ import annotations

import pytest

from agreed.check.models import Counter
from agreed.errors import MalformedInput
from tests.check.judged import holds
from tests.check.told import told

STORIES = {
    "it begins at nothing": ("a 0-1 read -> 0", True),
    "what was added counts": ("a 0-1 add 2 \n b 2-3 add 3 \n c 4-5 read -> 5", True),
    "one is lost": ("a 0-1 add 2 \n b 2-3 add 3 \n c 4-5 read -> 2", False),
    "one counts twice": ("a 0-1 add 2 \n c 2-3 read -> 4", False),
    "one under way may count": ("a 0-9 add 2 \n c 2-3 read -> 2", True),
    "or not yet": ("a 0-9 add 2 \n c 2-3 read -> 0", True),
    "but not half": ("a 0-9 add 2 \n c 2-3 read -> 1", False),
    "two add at once, and get the same": ("a 0-9 add-and-get 1 -> 1 \n b 0-9 add-and-get 1 -> 1", False),
    "two add at once": ("a 0-9 add-and-get 1 -> 2 \n b 0-9 add-and-get 1 -> 1", True),
    "less is added": ("a 0-1 add 2 \n b 2-3 add -1 \n c 4-5 read -> 1", True),
    "it goes back": ("a 0-1 add 2 \n b 2-3 read -> 2 \n c 4-5 read -> 0", False),
    "it may go back": ("a 0-1 add 2 \n b 2-3 read -> 2 \n d 3- add -2 \n c 4-5 read -> 0", True),
    "what failed does not count": ("a 0-1 add 2 !down \n c 2-3 read -> 2", False),
    "what was never answered may": ("a 0- add 2 \n c 2-3 read -> 2", True),
    "an answer not looked at": ("a 0-1 add-and-get 2 \n c 2-3 read -> 2", True),
    "of many unanswered any number": (
        "a 0- add 1 \n b 0- add 1 \n c 0- add 1 \n d 1-2 read -> 2 \n d 3-4 read -> 3",
        True,
    ),
    "but no more": ("a 0- add 1 \n b 0- add 1 \n d 1-2 read -> 2 \n d 3-4 read -> 3", False),
}


@pytest.mark.parametrize("story", STORIES)
def test_counter(story: str) -> None:
    text, possible = STORIES[story]
    assert holds(told(text), Counter()) is possible


def test_it_may_begin_at_a_number() -> None:
    assert holds(told("a 0-1 read -> 7"), Counter(7))
    assert not holds(told("a 0-1 read -> 0"), Counter(7))
    for wrong in ("7", True, 1.5):
        with pytest.raises(MalformedInput, match="begins with a whole number"):
            Counter(wrong)


@pytest.mark.parametrize(
    "line",
    ["a 0-1 double", "a 0-1 add 'x'", "a 0-1 add 1.5", "a 0-1 read -> 'x'", "a 0-1 add-and-get 1 -> 'x'"],
)
def test_what_it_does_not_know(line: str) -> None:
    with pytest.raises(MalformedInput, match="operation 0"):
        holds(told(line), Counter())
