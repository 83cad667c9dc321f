"""The judge of linearizability: objects in turns, bounds, and the same answer on every run."""
from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from agreed.check import linearizable, replay
from agreed.check.configurations import QUANTUM
from agreed.check.history import History, Operation, Status, history
from agreed.check.models import AnyModel, CasRegister, Counter, FifoQueue, Register, Set
from agreed.check.read import jsonlines
from agreed.check.verdict import Budget, Outcome
from agreed.errors import MalformedInput
from tests.check.told import told

STALE = "a 0-1 @x write 1 \n a 2-3 @x write 2 \n b 4-5 @x read -> 1"


def crowd(key: str | None = None, clients: int = 14, first: int = 0, read: int = 1_000) -> list[Operation]:
    """Additions to a counter that all overlap, each of another power of two, and a reading of some sum."""
    additions = [
        Operation(first + n, f"{key}{n}", "add", 1 << n, None, first, first + 99, Status.OK, key=key)
        for n in range(clients)
    ]
    at = first + 1
    reading = Operation(first + clients, f"{key}r", "read", None, read, at, at + 97, Status.OK, key=key)
    return [*additions, reading]


IMPOSSIBLE = crowd(read=(1 << 14) + 5)
"""More than there is: but of 14 additions at once there are 16,384 sums."""

FEWER = crowd(clients=10, read=(1 << 10) + 5)
"""Of these there are 1,024: not many, but more than the first look at the clock lets pass."""


class Clock:
    """It shows one second more each time that it is looked at."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        return float(self.looks)


def test_a_history_of_nothing_holds() -> None:
    assert linearizable(history([]), Register()).holds


def test_what_holds_is_explained_object_by_object() -> None:
    verdict = linearizable(told("a 0-9 @x write 1 \n b 1-8 @y write 2 \n c 2-7 @x read -> 1"), Register())
    assert verdict.outcome is Outcome.HOLDS
    assert verdict.judged == "linearizable register"
    assert {each.key: (tuple(each.order), tuple(each.states)) for each in verdict.witnesses} == {
        "x": ((0, 2), ("1", "1")),
        "y": ((1,), ("2",)),
    }


def test_what_does_not_hold_names_its_object_and_the_operation_that_cannot_be_placed() -> None:
    verdict = linearizable(told(STALE + "\n c 0-9 @y write 1"), Register())
    (finding,) = verdict.findings
    assert verdict.outcome is Outcome.VIOLATED
    assert (finding.name, finding.key, finding.culprit) == ("not linearizable", "x", 2)
    assert finding.operations == [1, 2], "what was before the second write does not matter"
    assert finding.whatever_before


def test_a_model_that_does_not_know_an_operation_says_so() -> None:
    with pytest.raises(MalformedInput, match="operation 1: a register knows no 'take'"):
        linearizable(told("a 0-1 write 1 \n b 2-3 take"), Register())


# --- bounds -----------------------------------------------------------------------------------------------


def test_steps_are_bounded() -> None:
    verdict = linearizable(history(IMPOSSIBLE), Negative(), Budget(steps=10_000))
    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.reason == "10000 steps were made"
    assert 10_000 <= verdict.steps < 10_000 + 2 * QUANTUM


def test_time_is_bounded_by_the_clock_that_is_handed_in() -> None:
    clock = Clock()
    verdict = linearizable(history(IMPOSSIBLE), Negative(), Budget(seconds=3, clock=clock))
    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.reason == "3 s have passed"
    assert clock.looks == 4, "once at the beginning, then after each turn"


def test_no_clock_is_looked_at_where_time_is_not_bounded() -> None:
    clock = Clock()
    assert linearizable(told(STALE), Register(), Budget(clock=clock)).outcome is Outcome.VIOLATED
    assert clock.looks == 0


def test_memory_is_bounded() -> None:
    verdict = linearizable(history(IMPOSSIBLE), Negative(), Budget(states=5_000))
    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.reason == "more than 5000 configurations would have to be kept"


def test_with_enough_of_each_it_is_known() -> None:
    clock = Clock()
    verdict = linearizable(history(FEWER), Negative(), Budget(1e9, clock, 1_000_000, 1_000_000))
    assert verdict.outcome is Outcome.VIOLATED
    assert clock.looks > 2


class Negative(Counter):
    """A counter that may be told to go back, for all that it knows: so no sum can be ruled out early."""

    def makes_possible(self, change: Operation, read: Operation) -> bool:
        return True

    def may_follow(self, first: Operation, second: Operation) -> bool:
        return False


def to_and_fro(entries: int) -> Iterator[Operation]:
    """A queue with many entries under way of which each return takes a few steps only.  The search goes
    forward and back between the returns, and no single way from one to the next is long."""
    for number in range(entries):
        yield Operation(number, f"c{number}", "enqueue", number, None, number, 1_000 + number, Status.OK)
    for number in range(entries // 2):
        index, called = entries + number, 2_000 + 10 * number
        taken = entries - 1 - number
        yield Operation(index, "taker", "dequeue", None, taken, called, called + 5, Status.OK)
    index = entries + entries // 2
    yield Operation(index, "taker", "dequeue", None, "what nobody entered", 9_000, 9_001, Status.OK)


class Plain(FifoQueue):
    """It does not look what becomes of its elements."""

    def foreseeing(self, operations: Sequence[Operation], optional: frozenset[int]) -> AnyModel:
        return self


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (Budget(steps=10_000), "steps were made"),
        (Budget(states=30_000), "configurations would have to be kept"),
        (Budget(seconds=9, clock=Clock()), "9 s have passed"),
    ],
    ids=["steps", "memory", "time"],
)
def test_many_short_ways_are_bounded_as_one_long_one(budget: Budget, reason: str) -> None:
    told_ = history(to_and_fro(12))
    verdict = linearizable(told_, Plain(), budget)
    assert verdict.outcome is Outcome.UNKNOWN
    assert reason in verdict.reason
    assert verdict.steps < 500_000
    assert linearizable(told_, FifoQueue(), budget).steps < 5_000, "if it looks, it is known at once"


# --- objects in turns -------------------------------------------------------------------------------------


def test_one_key_beyond_all_means_does_not_hide_that_another_is_wrong() -> None:
    wrong = told("b 500-501 @z write 1 \n b 502-503 @z read -> 7").operations
    moved = [msgspec.structs.replace(each, index=each.index + 100) for each in wrong]
    vast = crowd("a", clients=20, read=1 << 20)
    verdict = linearizable(history([*vast, *moved]), Mixed(), Budget(steps=1_000_000))
    assert verdict.outcome is Outcome.VIOLATED
    assert verdict.findings[0].key == "z"
    assert verdict.steps < 3 * QUANTUM, "it did not wait for the other"


def test_who_keeps_most_is_given_up_and_the_others_go_on() -> None:
    vast, small = crowd("a", clients=16, read=1 << 20), crowd("b", clients=6, first=200, read=63)
    verdict = linearizable(history([*vast, *small]), Mixed(), Budget(states=20_000))
    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.reason == "more than 20000 configurations would have to be kept (of key 'a')"
    assert [each.key for each in verdict.witnesses] == ["b"]


class Mixed(Negative):
    """A counter that can be written as well."""

    def effect(self, operation: Operation) -> tuple[object, ...] | None:
        if operation.function == "write":
            return ("write", operation.argument)
        return super().effect(operation)

    def step(self, state: int, operation: Operation) -> Sequence[int]:
        if operation.function == "write":
            assert isinstance(operation.argument, int)
            return (operation.argument,)
        return super().step(state, operation)


# --- the same on every run --------------------------------------------------------------------------------

ASK = """
import sys
from agreed.check import linearizable
from agreed.check.models import MODELS
from agreed.check.read import jsonlines
from agreed.check.verdict import Budget
for model, text in zip(sys.argv[1::2], sys.argv[2::2]):
    verdict = linearizable(jsonlines.read(text), MODELS[model](None), Budget(steps=200_000))
    print(verdict)
"""

RUNS = {
    "cas-register": """
        a 0-9 write "x"
        b 0-9 write "y"
        c 0-  cas ["x", "z"]
        d 0-  cas ["y", "z"]
        e 10-11 read -> "z"
        f 12-13 read -> "y"
    """,
    "set": """
        a 0-9 add "x"
        b 0-9 add "y"
        c 0-  remove "x"
        d 1-8 read -> ["x", "y"]
        e 10-11 read -> ["y"]
    """,
    "queue": """
        a 0-9 enqueue "x"
        b 0-9 enqueue "y"
        c 0-  dequeue
        d 1-8 dequeue -> "x"
        e 10-11 dequeue -> None
    """,
    "tree": """
        a 0-9 create {"path": "/a", "session": "s"}
        b 0-9 create {"path": "/b", "session": "s"}
        c 0-  close "s"
        d 10-11 children "/" -> ["a"]
        e 12-13 children "/" -> ["b"]
    """,
}


def test_the_verdict_does_not_depend_on_how_texts_are_hashed() -> None:
    asked = [each for model, text in RUNS.items() for each in (model, jsonlines.write(told(text)))]
    answers = {
        subprocess.run(
            [sys.executable, "-c", ASK, *asked],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        for seed in ("0", "1", "2")
    }
    (answer,) = answers
    assert answer.count("Verdict(") == len(RUNS)
    assert answer.count("VIOLATED") == 2


def test_the_order_in_which_operations_are_listed_does_not_matter() -> None:
    one = told(RUNS["cas-register"])
    other: History = history(reversed(one.operations))
    assert linearizable(one, CasRegister()) == linearizable(other, CasRegister())


# --- long histories ---------------------------------------------------------------------------------------


def test_a_long_history_costs_as_much_as_it_is_long() -> None:
    """Six clients, two thousand writes and readings: a few steps each."""
    operations = []
    for number in range(2_000):
        function = ("write", "read")[number % 2]
        value = number - number % 2
        operations.append(
            Operation(
                index=number,
                process=number % 6,
                function=function,
                argument=value if function == "write" else None,
                result=value if function == "read" else None,
                called=10 * number,
                returned=10 * number + 25,
                status=Status.OK,
            )
        )
    told_ = history(operations)
    verdict = linearizable(told_, Register())
    assert verdict.holds
    assert verdict.steps < 40 * len(operations)
    assert replay.verdict(told_, Register(), verdict) == []


def test_additions_that_nobody_saw_cost_nothing() -> None:
    lost = [Operation(n, n, "add", n, None, n, None, Status.INFO) for n in range(5_000)]
    seen = Operation(9_999, "r", "read", None, [3], 6_000, 6_001, Status.OK)
    verdict = linearizable(history([*lost, seen]), Set())
    assert verdict.holds
    assert verdict.steps < 100


def test_importing_the_judge_needs_nothing_of_ours() -> None:
    """It judges other systems as well: of this package it knows types, errors and its version, no more."""
    program = "import sys, agreed.check; print(*sorted(m for m in sys.modules if m.startswith('agreed')))"
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60, cwd=Path("/")
    ).stdout.split()
    below = ("agreed", "agreed.errors", "agreed.types", "agreed.version")
    assert not [each for each in said if not each.startswith("agreed.check") and each not in below]
