"""Queues: first in first out, and in any order."""
from __future__ import annotations

import pytest

from agreed.check.models import AnyModel, FifoQueue, Queue
from agreed.errors import MalformedInput
from tests.check.judged import holds
from tests.check.told import told

BOTH = [FifoQueue(), Queue()]

STORIES = {
    "what goes in comes out": ("a 0-1 enqueue 1 \n b 2-3 dequeue -> 1", True),
    "once": ("a 0-1 enqueue 1 \n b 2-3 dequeue -> 1 \n c 4-5 dequeue -> 1", False),
    "as often as it went in": (
        "a 0-1 enqueue 1 \n a 2-3 enqueue 1 \n b 4-5 dequeue -> 1 \n c 6-7 dequeue -> 1",
        True,
    ),
    "not before it went in": ("b 0-1 dequeue -> 1 \n a 2-3 enqueue 1", False),
    "while it goes in": ("a 0-9 enqueue 1 \n b 1-2 dequeue -> 1", True),
    "nothing comes out of nothing": ("a 0-1 dequeue -> None", True),
    "nothing comes out although something is in": ("a 0-1 enqueue 1 \n b 2-3 dequeue -> None", False),
    "it may be empty still": ("a 0-9 enqueue 1 \n b 2-3 dequeue -> None", True),
    "and again": ("a 0-1 enqueue 1 \n b 2-9 dequeue -> 1 \n c 3-8 dequeue -> None", True),
    "what failed is not in": ("a 0-1 enqueue 1 !down \n b 2-3 dequeue -> 1", False),
    "what was never answered may be in": ("a 0- enqueue 1 \n b 2-3 dequeue -> 1", True),
    "and comes out once": ("a 0- enqueue 1 \n b 2-3 dequeue -> 1 \n c 4-5 dequeue -> 1", False),
    "a dequeue without an answer may have taken it": (
        "a 0-1 enqueue 1 \n b 2- dequeue \n c 4-5 dequeue -> None",
        True,
    ),
    "but not two": (
        "a 0-1 enqueue 1 \n a 2-3 enqueue 2 \n b 4- dequeue \n c 5-6 dequeue -> None",
        False,
    ),
    "a failed dequeue took nothing": ("a 0-1 enqueue 1 \n b 2-3 dequeue ! \n c 4-5 dequeue -> None", False),
}


@pytest.mark.parametrize("model", BOTH, ids=lambda model: model.name)
@pytest.mark.parametrize("story", STORIES)
def test_either(story: str, model: AnyModel) -> None:
    text, possible = STORIES[story]
    assert holds(told(text), model) is possible


IN_ORDER = {
    "first in, first out": "a 0-1 enqueue 1 \n a 2-3 enqueue 2 \n b 4-5 dequeue -> 1 \n b 6-7 dequeue -> 2",
    "who entered at once may stand either way": """
        a 0-5 enqueue 1
        b 0-5 enqueue 2
        c 6-7 dequeue -> 2
        c 8-9 dequeue -> 1
    """,
    "who takes at once may have taken either": """
        a 0-1 enqueue 1
        a 2-3 enqueue 2
        b 4-9 dequeue -> 2
        c 4-9 dequeue -> 1
    """,
    "a lost dequeue took what stood before": """
        a 0-1 enqueue 1
        a 2-3 enqueue 2
        b 4-  dequeue
        c 5-6 dequeue -> 2
    """,
    "what was never answered and never taken is not in the way": """
        a 0-  enqueue 1
        b 2-3 enqueue 2
        c 5-6 dequeue -> 2
    """,
}
OUT_OF_ORDER = {
    "the second before the first": "a 0-1 enqueue 1 \n a 2-3 enqueue 2 \n b 4-5 dequeue -> 2",
    "two overtake each other": """
        a 0-5 enqueue 1
        b 0-5 enqueue 2
        c 0-5 enqueue 3
        d 6-7 dequeue -> 2
        d 8-9 dequeue -> 1
        e 10-11 dequeue -> 2
    """,
    "what stayed in was there before": """
        a 0-1 enqueue 1
        b 2-3 enqueue 2
        c 4-5 dequeue -> 2
        c 6-7 dequeue -> 1
    """,
    "one lost dequeue is not enough": """
        a 0-1 enqueue 1
        a 2-3 enqueue 2
        a 4-5 enqueue 3
        b 6-  dequeue
        c 7-8 dequeue -> 3
    """,
}


@pytest.mark.parametrize("story", IN_ORDER)
def test_in_order(story: str) -> None:
    assert holds(told(IN_ORDER[story]), FifoQueue())
    assert holds(told(IN_ORDER[story]), Queue())


@pytest.mark.parametrize("story", OUT_OF_ORDER)
def test_out_of_order(story: str) -> None:
    assert not holds(told(OUT_OF_ORDER[story]), FifoQueue())


def test_a_bag_knows_no_order() -> None:
    assert holds(told(OUT_OF_ORDER["the second before the first"]), Queue())
    assert holds(told(OUT_OF_ORDER["what stayed in was there before"]), Queue())
    assert holds(told(OUT_OF_ORDER["one lost dequeue is not enough"]), Queue())


def test_it_may_begin_with_something() -> None:
    assert holds(told("a 0-1 dequeue -> 1 \n a 2-3 dequeue -> 2"), FifoQueue([1, 2]))
    assert not holds(told("a 0-1 dequeue -> 2"), FifoQueue([1, 2]))
    assert holds(told("a 0-1 dequeue -> 2 \n a 2-3 dequeue -> 1"), Queue([1, 2]))
    assert not holds(told("a 0-1 dequeue -> None"), Queue([1]))


@pytest.mark.parametrize("model", BOTH, ids=lambda model: model.name)
def test_what_they_do_not_know(model: AnyModel) -> None:
    with pytest.raises(MalformedInput, match=f"operation 0: a {model.name} knows no 'push'"):
        holds(told("a 0-1 push 1"), model)
    with pytest.raises(MalformedInput, match="begins with a list"):
        type(model)("abc")  # type: ignore[call-arg]
