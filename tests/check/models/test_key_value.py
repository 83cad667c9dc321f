"""Texts that are put, got, and appended to."""
from __future__ import annotations

import pytest

from agreed.check.models import KeyValue
from agreed.errors import MalformedInput
from tests.check.judged import holds
from tests.check.told import told

STORIES = {
    "it begins empty": ("a 0-1 get -> ''", True),
    "it is put": ("a 0-1 put 'x' \n b 2-3 get -> 'x'", True),
    "it grows": ("a 0-1 put 'x' \n b 2-3 append 'y' \n c 4-5 get -> 'xy'", True),
    "in the order of what was done": ("a 0-1 append 'x' \n b 2-3 append 'y' \n c 4-5 get -> 'yx'", False),
    "at once in any order": ("a 0-9 append 'x' \n b 0-9 append 'y' \n c 10-11 get -> 'yx'", True),
    "but in one": ("a 0-9 append 'x' \n b 0-9 append 'y' \n c 1-2 get -> 'x' \n d 3-4 get -> 'y'", False),
    "a lost append": ("a 0-1 append 'x' \n b 2-3 append 'y' \n c 4-5 get -> 'x'", False),
    "one that counts twice": ("a 0-1 append 'x' \n c 4-5 get -> 'xx'", False),
    "one put away": ("a 0-1 append 'x' \n b 2-3 put 'z' \n c 4-5 get -> 'z'", True),
    "one that comes back": ("a 0-1 append 'x' \n b 2-3 put 'z' \n c 4-5 get -> 'x'", False),
    "one never answered may count": ("a 0- append 'x' \n b 2-3 append 'y' \n c 4-5 get -> 'yx'", True),
    "and may come between any": ("a 0- append 'x' \n b 2-3 append 'y' \n c 4-5 get -> 'xy'", True),
    "what failed does not": ("a 0-1 append 'x' !down \n c 4-5 get -> 'x'", False),
    "keys know nothing of each other": ("a 0-1 @k put 'x' \n b 2-3 @l get -> ''", True),
    "within a key they do": ("a 0-1 @k put 'x' \n b 2-3 @k get -> ''", False),
}


@pytest.mark.parametrize("story", STORIES)
def test_key_value(story: str) -> None:
    text, possible = STORIES[story]
    assert holds(told(text), KeyValue()) is possible


def test_it_may_begin_with_a_text() -> None:
    assert holds(told("a 0-1 append 'y' \n b 2-3 get -> 'xy'"), KeyValue("x"))
    with pytest.raises(MalformedInput, match="begins with a text"):
        KeyValue(7)


@pytest.mark.parametrize("line", ["a 0-1 delete 'x'", "a 0-1 put 7", "a 0-1 append", "a 0-1 get -> 7"])
def test_what_it_does_not_know(line: str) -> None:
    with pytest.raises(MalformedInput, match="operation 0"):
        holds(told(line), KeyValue())


def test_what_nobody_saw_may_be_left_out() -> None:
    seen = told("a 0- put 'x' \n b 0- append 'y' \n c 0- append 'z' \n d 0- put 'y' \n e 1-2 get -> 'xy'")
    assert KeyValue().idle(seen.operations) == {2, 3}
