"""How operations and values are said."""
from __future__ import annotations

from enum import Enum

import msgspec
import pytest

from agreed.check.explain import words
from agreed.check.history import Status
from tests.check.explain.examples import operation


class Colour(Enum):
    RED = "red"


class Pair(msgspec.Struct):
    left: int
    right: str


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "nil"),
        (True, "true"),
        (3, "3"),
        ("a", "a"),
        ("two words", "'two words'"),
        ("", "''"),
        ("it's", '"it\'s"'),
        (b"text", "text"),
        (b"\xff\x00", "0xff00"),
        ([1, [2, None]], "[1 [2 nil]]"),
        ((), "[]"),
        ({"a": 1, "b": [2]}, "{a 1, b [2]}"),
        ({3, 1, 2}, "{1 2 3}"),
        (Colour.RED, "red"),
        (Pair(1, "x"), "Pair(left 1, right x)"),
        (1.5, "1.5"),
    ],
)
def test_a_value_is_said_as_one_reads_it(value: object, said: str) -> None:
    assert words.value(value) == said


def test_a_long_value_is_cut() -> None:
    assert words.value("x" * 50, 10) == "x" * 9 + "…"
    assert len(words.value(list(range(10_000)))) == words.MOST_CHARACTERS


ASKED = [["append", "x", 1], ["r", "y", None]]


@pytest.mark.parametrize(
    ("function", "argument", "result", "status", "said"),
    [
        ("write", 3, None, Status.OK, "write 3"),
        ("write", 3, None, Status.INFO, "write 3 ?"),
        ("read", None, 3, Status.OK, "read → 3"),
        ("read", None, None, Status.OK, "read → nil"),
        ("read", None, None, Status.INFO, "read ?"),
        ("get", "k", "v", Status.OK, "get k → v"),
        ("cas", [1, 2], True, Status.OK, "cas [1 2] ✓"),
        ("cas", [1, 2], False, Status.OK, "cas [1 2] → false"),
        ("cas", [1, 2], None, Status.FAIL, "cas [1 2] ✗"),
        ("acquire", None, None, Status.OK, "acquire"),
        ("txn", ASKED, [["append", "x", 1], ["r", "y", [2, 3]]], Status.OK, "append x 1, r y [2 3]"),
        ("txn", ASKED, None, Status.INFO, "append x 1, r y nil ?"),
        ("txn", ASKED, None, Status.FAIL, "append x 1, r y nil ✗"),
        ("txn", ASKED, "what?", Status.OK, "what?"),
    ],
)
def test_an_operation_is_said_with_its_answer(
    function: str, argument: object, result: object, status: Status, said: str
) -> None:
    returned = None if status is Status.INFO else 1
    assert words.operation(operation(0, 0, function, argument, result, 0, returned, status)) == said


def test_a_long_transaction_is_cut() -> None:
    steps = [["append", "x", number] for number in range(100)]
    assert len(words.operation(operation(0, 0, "txn", steps, steps, 0, 1), 40)) == 40


def test_numbers_are_no_names() -> None:
    assert words.client(3) == "client 3"
    assert words.client("alice") == "alice"
