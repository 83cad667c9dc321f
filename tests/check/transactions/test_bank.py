"""Banks: what is read adds up."""
from __future__ import annotations

from typing import Any

import pytest

from agreed.check.history import History, Operation, Status, history
from agreed.check.transactions import bank
from agreed.check.verdict import Outcome
from agreed.errors import MalformedInput


def reads(*results: Any, status: Status = Status.OK) -> History:
    return history(
        Operation(at, at, "read", None, result, 2 * at, 2 * at + 1, status)
        for at, result in enumerate(results)
    )


GOOD = [
    ("money moves", reads({"a": 10, "b": 0}, {"a": 4, "b": 6}), {}),
    ("names of any kind", reads({0: 10, 1: 0}, {"0": 4, "1": 6}), {}),
    ("a debt that is allowed", reads({"a": 10, "b": 0}, {"a": 12, "b": -2}), {"negative_balances": True}),
    ("what is said is there", reads({"a": 10, "b": 0}), {"accounts": ["a", "b"], "total": 10}),
]
BAD = [
    ("money appears", reads({"a": 10, "b": 0}, {"a": 10, "b": 6}), {}, "wrong-total"),
    ("money vanishes", reads({"a": 10, "b": 0}, {"a": 4, "b": 0}), {}, "wrong-total"),
    ("a debt", reads({"a": 10, "b": 0}, {"a": 12, "b": -2}), {}, "negative-balance"),
    ("an account of nobody", reads({"a": 10, "b": 0}, {"a": 10, "c": 0}), {}, "unknown-account"),
    ("no balance", reads({"a": 10, "b": 0}, {"a": 10, "b": None}), {}, "missing-balance"),
    ("not what is said", reads({"a": 10, "b": 0}), {"total": 20}, "wrong-total"),
    ("not who is said", reads({"a": 10, "b": 0}), {"accounts": ["a"]}, "unknown-account"),
]


@pytest.mark.parametrize(("case", "told", "said"), GOOD)
def test_what_adds_up_holds(case: str, told: History, said: dict[str, Any]) -> None:
    assert bank(told, **said).holds, case


@pytest.mark.parametrize(("case", "told", "said", "name"), BAD)
def test_what_does_not_is_named(case: str, told: History, said: dict[str, Any], name: str) -> None:
    verdict = bank(told, **said)
    assert verdict.outcome is Outcome.VIOLATED
    assert [finding.name for finding in verdict.findings] == [name], case


def test_the_read_that_was_answered_first_says_the_total() -> None:
    told = history(
        [
            Operation(0, 0, "read", None, {"a": 3}, 0, 9, Status.OK),
            Operation(1, 1, "read", None, {"a": 4}, 1, 2, Status.OK),
        ]
    )
    (finding,) = bank(told).findings
    assert finding.operations == (1, 0)
    assert finding.steps == ("Operation 0 found 3 in all, and operation 1 had found 4.",)


def test_without_reads_nothing_is_known() -> None:
    assert bank(reads({"a": 1}, status=Status.FAIL)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("result", [None, [1, 2], {"a": "much"}, {"a": True}])
def test_what_is_no_read_is_refused(result: object) -> None:
    with pytest.raises(MalformedInput, match="operation 0"):
        bank(reads(result))
