"""Counters: no read outside of what was surely and what was possibly added."""
from __future__ import annotations

from random import Random

import pytest

from agreed.check.counter import counter
from agreed.check.history import History, Operation, Status, history
from agreed.check.linearizable import linearizable
from agreed.check.models.counter import Counter
from agreed.check.verdict import Outcome
from agreed.errors import MalformedInput

OK, FAIL, INFO = Status.OK, Status.FAIL, Status.INFO
Told = tuple[str, int | None, int | None, int, int, Status]


def story(*told: Told) -> History:
    """Operations as (function, argument, result, called, returned, status), each of a process of its own."""
    return history(
        Operation(at, at, function, argument, result, called, None if status is INFO else returned, status)
        for at, (function, argument, result, called, returned, status) in enumerate(told)
    )


def read(value: int, called: int, returned: int) -> Told:
    return ("read", None, value, called, returned, OK)


CASES: list[tuple[str, History, bool]] = [
    ("what was answered is there", story(("add", 2, None, 0, 1, OK), read(2, 2, 3)), True),
    ("what was answered is lost", story(("add", 2, None, 0, 1, OK), read(0, 2, 3)), False),
    ("more than anybody added", story(("add", 2, None, 0, 1, OK), read(3, 2, 3)), False),
    ("what is under way, there", story(("add", 2, None, 0, 9, OK), read(2, 2, 3)), True),
    ("what is under way, not yet", story(("add", 2, None, 0, 9, OK), read(0, 2, 3)), True),
    ("what was called later", story(("add", 2, None, 5, 9, OK), read(2, 2, 3)), False),
    ("what was called when it returned", story(("add", 2, None, 3, 9, OK), read(2, 2, 3)), True),
    ("what returned when it was called", story(("add", 2, None, 0, 2, OK), read(0, 2, 3)), True),
    ("nobody knows, and there", story(("add", 2, None, 0, 0, INFO), read(2, 2, 3)), True),
    ("nobody knows, and not there", story(("add", 2, None, 0, 0, INFO), read(0, 2, 3)), True),
    ("failed, and there", story(("add", 2, None, 0, 1, FAIL), read(2, 2, 3)), False),
    ("less by what may be", story(("add", -2, None, 0, 9, OK), read(-2, 2, 3)), True),
    ("less by what is not", story(("add", -2, None, 5, 9, OK), read(-2, 2, 3)), False),
    ("its own addition", story(("add-and-get", 3, 3, 0, 1, OK)), True),
    ("not its own addition", story(("add-and-get", 3, 0, 0, 1, OK)), False),
    ("not its own subtraction", story(("add-and-get", -3, 0, 0, 1, OK)), False),
]


@pytest.mark.parametrize(("case", "told", "fine"), CASES)
def test_bounds(case: str, told: History, fine: bool) -> None:
    assert counter(told).holds == fine, case


def test_a_read_out_of_bounds_says_which_bound() -> None:
    (finding,) = counter(story(("add", 2, None, 0, 1, OK), read(0, 2, 3))).findings
    assert finding.operations == (1,)
    assert finding.steps[1] == "What was answered before it was called makes it 2 at least."


def test_a_counter_begins_where_it_is_said() -> None:
    assert counter(story(read(5, 0, 1)), initial=5).holds
    assert not counter(story(read(5, 0, 1))).holds


def test_counters_of_several_keys_are_apart() -> None:
    told = history(
        [
            Operation(0, 0, "add", 2, None, 0, 1, OK, key="a"),
            Operation(1, 1, "read", None, 0, 2, 3, OK, key="b"),
        ]
    )
    assert counter(told).holds


def test_without_reads_nothing_is_wrong() -> None:
    verdict = counter(story(("add", 2, None, 0, 1, OK)))
    assert verdict.outcome is Outcome.HOLDS
    assert "nothing was read" in verdict.reason


@pytest.mark.parametrize("told", [("subtract", 1, None, 0, 1, OK), ("add", "x", None, 0, 1, OK)])
def test_what_is_no_counter_is_refused(told: Told) -> None:
    with pytest.raises(MalformedInput):
        counter(story(told))


def test_what_is_out_of_bounds_is_never_linearizable() -> None:
    """And of a single read, what is within bounds is, where each addition is one more."""
    refused = 0
    for seed in range(300):
        random = Random(seed)
        told: list[Told] = []
        for at in range(random.randint(1, 5)):
            called = random.randint(0, 9)
            status = random.choice((OK, OK, OK, FAIL, INFO))
            change = random.choice((1, 1, 1, -1)) if seed % 2 else 1
            told.append(("add", change, None, called, called + random.randint(0, 5) + at, status))
        called = random.randint(0, 9)
        told.append(read(random.randint(-2, 5), called, called + random.randint(0, 4)))
        each = story(*told)
        within = counter(each).holds
        refused += not within
        if not within or seed % 2 == 0:
            assert linearizable(each, Counter()).holds == within
    assert 50 < refused < 250
