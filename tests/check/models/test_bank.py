"""Accounts and transfers."""
from __future__ import annotations

import pytest

from agreed.check.models import Bank
from agreed.errors import MalformedInput
from tests.check.judged import holds
from tests.check.told import told

BEGIN = {"a": 3, "b": 2}


def transfer(source: str, target: str, amount: int) -> str:
    return f'transfer {{"from": "{source}", "to": "{target}", "amount": {amount}}}'


STORIES = {
    "it begins as said": ("r 0-1 read -> {'a': 3, 'b': 2}", True),
    "it moves": (f"t 0-1 {transfer('a', 'b', 2)} \n r 2-3 read -> {{'a': 1, 'b': 4}}", True),
    "it is seen half": (f"t 0-9 {transfer('a', 'b', 2)} \n r 2-3 read -> {{'a': 1, 'b': 2}}", False),
    "money vanishes": ("r 0-1 read -> {'a': 3, 'b': 0}", False),
    "an account vanishes": ("r 0-1 read -> {'a': 3}", False),
    "more than there is": (f"t 0-1 {transfer('a', 'b', 4)}", False),
    "unless more comes before": (
        f"t 0-9 {transfer('a', 'b', 4)} \n u 0-9 {transfer('b', 'a', 1)}",
        True,
    ),
    "to nowhere": (f"t 0-1 {transfer('a', 'z', 1)}", False),
    "from oneself to oneself": (f"t 0-1 {transfer('a', 'a', 1)} \n r 2-3 read -> {{'a': 3, 'b': 2}}", True),
    "two of which both are needed, one only": (
        f"t 0-9 {transfer('a', 'b', 3)} \n u 0-9 {transfer('a', 'b', 1)}",
        False,
    ),
    "what failed did not move": (
        f"t 0-1 {transfer('a', 'b', 2)} ! \n r 2-3 read -> {{'a': 1, 'b': 4}}",
        False,
    ),
    "what was never answered may have": (
        f"t 0- {transfer('a', 'b', 2)} \n r 2-3 read -> {{'a': 1, 'b': 4}}",
        True,
    ),
    "a stale view": (f"t 0-1 {transfer('a', 'b', 2)} \n r 2-3 read -> {{'a': 3, 'b': 2}}", False),
}


@pytest.mark.parametrize("story", STORIES)
def test_bank(story: str) -> None:
    text, possible = STORIES[story]
    assert holds(told(text), Bank(BEGIN)) is possible


FOUND_OUT = {
    "the first reading tells": ("r 0-1 read -> {'a': 9, 'b': 0} \n r 2-3 read -> {'a': 9, 'b': 0}", True),
    "and holds from then on": ("r 0-1 read -> {'a': 9} \n r 2-3 read -> {'a': 8}", False),
    "transfers before it count": (
        f"t 0-1 {transfer('a', 'b', 5)} \n r 2-3 read -> {{'a': 0, 'b': 5}}",
        True,
    ),
    "nobody is overdrawn": ("r 0-1 read -> {'a': -1, 'b': 5}", False),
    "accounts that were used are there": (
        f"t 0-1 {transfer('a', 'z', 5)} \n r 2-3 read -> {{'a': 0}}",
        False,
    ),
}


@pytest.mark.parametrize("story", FOUND_OUT)
def test_it_may_begin_unknown(story: str) -> None:
    text, possible = FOUND_OUT[story]
    assert holds(told(text), Bank()) is possible


@pytest.mark.parametrize(
    "line",
    [
        "a 0-1 audit",
        "a 0-1 read -> 7",
        "a 0-1 read -> {'a': 'much'}",
        "a 0-1 transfer",
        'a 0-1 transfer {"from": "a"}',
        'a 0-1 transfer {"from": "a", "to": "b", "amount": "much"}',
    ],
)
def test_what_it_does_not_know(line: str) -> None:
    with pytest.raises(MalformedInput, match="operation 0"):
        holds(told(line), Bank(BEGIN))
    with pytest.raises(MalformedInput, match="begins with a map"):
        Bank([1])
