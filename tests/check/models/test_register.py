"""Registers: what they may say, and what nobody may have been told by one."""
from __future__ import annotations

import pytest

from agreed.check.models import CasRegister, Register
from agreed.errors import MalformedInput
from tests.check.judged import holds
from tests.check.told import told

POSSIBLE = {
    "it begins with nothing": "a 0-1 read -> None",
    "what was written is read": "a 0-1 write 1 \n b 2-3 read -> 1",
    "a write may be seen while it is under way": "a 0-9 write 1 \n b 2-3 read -> 1",
    "and may not be seen yet": "a 0-9 write 1 \n b 2-3 read -> None",
    "two readers at once may stand before and after": """
        a 0-9 write 1
        b 1-8 read -> None
        c 2-7 read -> 1
    """,
    "a write without an answer happens late": """
        a 0-  write 1
        b 1-2 write 2
        c 3-4 read -> 2
        d 5-6 read -> 1
    """,
    "or never": "a 0- write 1 \n b 1-2 write 2 \n c 3-4 read -> 2",
    "touching at one instant is overlapping": "a 0-5 write 1 \n b 5-6 read -> None",
    "lists are values": "a 0-1 write [1, [2]] \n b 2-3 read -> [1, [2]]",
}

IMPOSSIBLE = {
    "a stale read": "a 0-1 write 1 \n b 2-3 write 2 \n c 4-5 read -> 1",
    "a value from nowhere": "a 0-1 write 1 \n b 2-3 read -> 7",
    "a value from the future": "b 0-1 read -> 1 \n a 2-3 write 1",
    "what failed was read": "a 0-1 write 1 ! \n b 2-3 read -> 1",
    "forward and back again": """
        a 0-9 write 1
        b 1-2 read -> 1
        c 3-4 read -> None
    """,
    "what was lost came back twice": """
        a 0-  write 1
        b 1-2 read -> 1
        c 3-4 write 2
        d 5-6 read -> 1
    """,
}


@pytest.mark.parametrize("model", [Register(), CasRegister()], ids=lambda model: model.name)
@pytest.mark.parametrize("story", POSSIBLE)
def test_possible(story: str, model: Register) -> None:
    assert holds(told(POSSIBLE[story]), model)


@pytest.mark.parametrize("model", [Register(), CasRegister()], ids=lambda model: model.name)
@pytest.mark.parametrize("story", IMPOSSIBLE)
def test_impossible(story: str, model: Register) -> None:
    assert not holds(told(IMPOSSIBLE[story]), model)


SWAPS = {
    "what was expected is replaced": ("a 0-1 write 1 \n b 2-3 cas [1, 2] \n c 4-5 read -> 2", True),
    "it must have been there": ("a 0-1 write 1 \n b 2-3 cas [7, 2]", False),
    "of two that expect the same one succeeds": (
        "a 0-1 write 1 \n b 2-9 cas [1, 2] \n c 2-9 cas [1, 3]",
        False,
    ),
    "one of them may be unanswered": (
        "a 0-1 write 1 \n b 2- cas [1, 2] \n c 2-9 cas [1, 3] \n d 10-11 read -> 3",
        True,
    ),
    "a refusal says that it was not there": ("a 0-1 write 1 \n b 2-3 cas [1, 2] !", False),
    "and may be right": ("a 0-1 write 1 \n b 2-3 cas [7, 2] !", True),
    "False is a refusal as well": ("a 0-1 write 1 \n b 2-3 cas [1, 2] -> False", False),
    "a failure with another reason says nothing": ("a 0-1 write 1 \n b 2-3 cas [1, 2] !down", True),
    "but did not happen": ("a 0-1 write 1 \n b 2-3 cas [1, 2] !down \n c 4-5 read -> 2", False),
    "a chain of what was never answered": (
        "a 0-1 write 1 \n b 2- cas [1, 2] \n c 2- cas [2, 3] \n d 9-10 read -> 3",
        True,
    ),
    "a chain with a hole": ("a 0-1 write 1 \n b 2- cas [1, 2] \n c 2- cas [4, 3] \n d 9-10 read -> 3", False),
    "a refusal between two states": (
        "a 0-1 write 1 \n b 2- cas [1, 2] \n c 3-4 cas [1, 5] ! \n d 5-6 read -> 1",
        False,
    ),
}


@pytest.mark.parametrize("story", SWAPS)
def test_compare_and_set(story: str) -> None:
    text, possible = SWAPS[story]
    assert holds(told(text), CasRegister()) is possible


def test_an_answer_of_none_is_a_value_only_where_it_began_with_none() -> None:
    unseen = told("a 0-1 write 1 \n b 2-3 read -> None")
    assert not holds(unseen, Register())
    assert holds(unseen, Register(0)), "then nobody looked at the answer"
    assert holds(told("a 0-1 read -> 0"), Register(0))
    assert not holds(told("a 0-1 read -> 1"), Register(0))


def test_objects_are_judged_by_their_keys() -> None:
    assert holds(told("a 0-1 @x write 1 \n b 2-3 @y read -> None"), Register())
    assert not holds(told("a 0-1 @x write 1 \n b 2-3 @x read -> None"), Register())


@pytest.mark.parametrize(
    "line", ["a 0-1 append 1", "a 0-1 cas 7", "a 0-1 cas [1]", "a 0-1 cas [1, 2, 3]", "a 0-1 cas None"]
)
def test_what_it_does_not_know(line: str) -> None:
    with pytest.raises(MalformedInput, match="operation 0"):
        holds(told(line), CasRegister())


def test_a_register_does_not_compare_and_set() -> None:
    with pytest.raises(MalformedInput, match="a register knows no 'cas'"):
        holds(told("a 0-1 cas [1, 2]"), Register())


def test_all_states_are_known_from_what_was_written() -> None:
    operations = told("a 0-1 write 1 \n b 2-3 cas [1, 2] \n c 4- cas [5, 6]").operations
    assert CasRegister(0).states(operations) == [0, 1, 2, 6]


def test_what_nobody_saw_may_be_left_out() -> None:
    """The chain 8 -> 9 is of no use to anybody: neither is read, nor expected by one that was answered."""
    seen = told("a 0- write 1 \n b 0- write 2 \n c 0- write 8 \n d 0- cas [8, 9] \n e 5-6 read -> 1")
    assert CasRegister().idle(seen.operations) == {1, 2, 3}
    chained = told("a 0- write 1 \n b 0- cas [1, 2] \n c 0- write 3 \n e 5-6 read -> 2")
    assert CasRegister().idle(chained.operations) == {2}, "the first is what the second needs"
    refused = told("a 0- write 1 \n b 5-6 cas [7, 8] !")
    assert CasRegister(7).idle(refused.operations) == frozenset(), "any value explains a refusal"
