"""A mutex, and a lock with fencing tokens."""
from __future__ import annotations

import pytest

from agreed.check.models import Lock, Mutex
from agreed.errors import MalformedInput
from tests.check.judged import holds
from tests.check.told import told

OF_A_MUTEX = {
    "one after the other": ("a 0-1 acquire \n a 2-3 release \n b 4-5 acquire", True),
    "two hold it": ("a 0-1 acquire \n b 2-3 acquire", False),
    "two hold it at once": ("a 0-9 acquire \n b 0-9 acquire", False),
    "one waits for the other": ("a 0-1 acquire \n b 2-9 acquire \n a 3-4 release", True),
    "nobody releases what is free": ("a 0-1 release", False),
    "a release that failed changes nothing": ("a 0-1 acquire \n a 2-3 release !down \n b 4-5 acquire", False),
    "one without an answer may have": ("a 0-1 acquire \n a 2- release \n b 4-5 acquire", True),
    "once": ("a 0-1 acquire \n a 2- release \n b 4-5 acquire \n c 6-7 acquire", False),
    "who never heard may hold it": ("a 0- acquire \n b 2-3 release", True),
    "a refusal says nothing": ("a 0-1 acquire !", True),
}


@pytest.mark.parametrize("story", OF_A_MUTEX)
def test_mutex(story: str) -> None:
    text, possible = OF_A_MUTEX[story]
    assert holds(told(text), Mutex()) is possible


def test_a_mutex_may_begin_held() -> None:
    assert holds(told("a 0-1 release \n b 2-3 acquire"), Mutex(True))
    assert not holds(told("a 0-1 acquire"), Mutex(True))


OF_A_LOCK = {
    "tokens rise": ("a 0-1 acquire -> 1 \n a 2-3 release 1 \n b 4-5 acquire -> 2", True),
    "they may leave some out": ("a 0-1 acquire -> 1 \n a 2-3 release \n b 4-5 acquire -> 9", True),
    "they never fall": ("a 0-1 acquire -> 5 \n a 2-3 release 5 \n b 4-5 acquire -> 4", False),
    "nor come again": ("a 0-1 acquire -> 5 \n a 2-3 release 5 \n b 4-5 acquire -> 5", False),
    "two hold it": ("a 0-1 acquire -> 1 \n b 2-3 acquire -> 2", False),
    "it was taken from the first": ("a 0-1 acquire -> 1 \n x 2-3 expire 1 \n b 4-5 acquire -> 2", True),
    "or may have been": ("a 0-1 acquire -> 1 \n x 2- expire 1 \n b 4-5 acquire -> 2", True),
    "from whoever holds it": ("a 0-1 acquire -> 1 \n x 2-3 expire \n b 4-5 acquire -> 2", True),
    "not under another token": ("a 0-1 acquire -> 1 \n x 2-3 expire 7", False),
    "nobody releases for others": ("a 0-1 acquire -> 1 \n b 2-3 release 1", False),
    "nor what was taken away": ("a 0-1 acquire -> 1 \n x 2-3 expire 1 \n a 4-5 release 1", False),
    "nor under another token": ("a 0-1 acquire -> 1 \n a 2-3 release 2", False),
    "who never heard holds it under whatever token": (
        "a 0- acquire \n x 2-3 expire 12 \n b 4-5 acquire -> 2",
        True,
    ),
    "who never heard holds it": (
        "a 0- acquire \n b 4-5 acquire -> 1 \n b 6-7 release 1 \n c 8-9 acquire -> 2",
        True,
    ),
    "a token is used": ("a 0-1 acquire -> 1 \n a 2-3 use 1 -> True", True),
    "the resource turns the older away": (
        "a 0-1 use 2 -> True \n b 2-3 use 1 -> False",
        True,
    ),
    "it lets the older in": ("a 0-1 use 2 -> True \n b 2-3 use 1 -> True", False),
    "it turns away without a reason": ("a 0-1 use 1 -> True \n b 2-3 use 1 -> False", False),
    "a use without an answer may have shown its token": ("a 0- use 2 \n b 2-3 use 1 -> False", True),
    "or not": ("a 0- use 2 \n b 2-3 use 1 -> True", True),
    "not one after the other": ("a 0- use 2 \n b 2-3 use 1 -> False \n b 4-5 use 1 -> True", False),
    "a failed acquisition says nothing": ("a 0-1 acquire ! \n b 2-3 acquire -> 1", True),
}


@pytest.mark.parametrize("story", OF_A_LOCK)
def test_lock(story: str) -> None:
    text, possible = OF_A_LOCK[story]
    assert holds(told(text), Lock()) is possible


@pytest.mark.parametrize(
    "line",
    [
        "a 0-1 steal",
        "a 0-1 acquire",
        "a 0-1 acquire -> 'mine'",
        "a 0-1 acquire -> True",
        "a 0-1 use -> True",
        "a 0-1 use 1 -> 'yes'",
        "a 0-1 release 'x'",
    ],
)
def test_what_a_lock_does_not_know(line: str) -> None:
    with pytest.raises(MalformedInput, match="operation 0"):
        holds(told(line), Lock())


def test_what_a_mutex_does_not_know() -> None:
    with pytest.raises(MalformedInput, match="a mutex knows no 'use'"):
        holds(told("a 0-1 use 1"), Mutex())
    with pytest.raises(MalformedInput, match="begins held"):
        Mutex(7)
    with pytest.raises(MalformedInput, match="begins free"):
        Lock("a")


def test_how_they_are_shown() -> None:
    free, lock = Lock().initial, Lock()
    (held,) = lock.step(free, told("a 0-1 acquire -> 3").operations[0])
    (unknown,) = lock.step(free, told("a 0- acquire").operations[0])
    assert lock.show(free) == "free, last token -1"
    assert lock.show(held) == "held by a under 3"
    assert lock.show(unknown) == "held by a under an unknown token"
    assert [Mutex().show(each) for each in (False, True)] == ["free", "held"]
