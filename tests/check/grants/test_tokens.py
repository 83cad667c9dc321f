"""What tokens must be like, and what a fence must not let through: each rule has a history that breaks it."""

from __future__ import annotations

import pytest

from agreed.check.grants import Access, Look, Tenure, fenced, leaders_seen
from tests.check.grants.told import came, found, tenure

A, B = tenure("A", 1, 0, 10), tenure("B", 2, 20, 30)

ALLOWED: dict[str, tuple[list[Tenure], list[Access]]] = {
    "nothing at all": ([], []),
    "one after the other": ([A, B], [came(11, "A", 1), came(12, "A", 1), came(31, "B", 2)]),
    "an older one comes late and is refused": ([A, B], [came(31, "B", 2), came(32, "A", 1, False)]),
    "who waited for long is older than who came later and was refused": (
        [tenure("A", 1, 0, 100), tenure("B", 2, 20, 30)],
        [],
    ),
    "two names have the same token": ([A, tenure("B", 1, 20, 30, name="b")], []),
    "two names know nothing of each other": ([], [came(1, "B", 2), came(2, "A", 1, name="b")]),
}

REFUSED: dict[str, tuple[list[Tenure], list[Access], list[str]]] = {
    "the same token for two": ([A, tenure("B", 1, 5, 30)], [], ["one token twice"]),
    "a later one is smaller": ([tenure("A", 5, 0, 10), B], [], ["not larger"]),
    "A, B, A": ([A, B], [came(11, "A", 1), came(31, "B", 2), came(32, "A", 1)], ["went back"]),
    "two come with one token": ([], [came(11, "A", 1), came(12, "B", 1)], ["one token twice"]),
    "smaller than the largest of two before": (
        [tenure("A", 9, 0, 10), tenure("B", 2, 0, 11), tenure("C", 5, 20, 30)],
        [],
        ["not larger"],
    ),
}


@pytest.mark.parametrize("story", ALLOWED)
def test_what_may_be(story: str) -> None:
    tenures, accesses = ALLOWED[story]
    assert found(fenced(tenures, accesses)) == []


@pytest.mark.parametrize("story", REFUSED)
def test_what_must_not_be(story: str) -> None:
    tenures, accesses, names = REFUSED[story]
    assert found(fenced(tenures, accesses)) == names


def test_where_several_hold_at_once_they_may_come_in_any_order() -> None:
    accesses = [came(11, "B", 2), came(12, "A", 1), came(13, "B", 2)]
    assert found(fenced([A, B], accesses, exclusive=False)) == []
    assert found(fenced([A, tenure("B", 1, 0, 10)], [], exclusive=False)) == ["one token twice"]


def look(by: str, asked: int, answered: int, token: int | None) -> Look:
    return Look(name="e", by=by, asked=asked, answered=answered, token=token)


def test_leaders_follow_one_another() -> None:
    looks = [look("A", 0, 1, 5), look("B", 2, 3, None), look("A", 4, 9, 5), look("B", 5, 6, 7)]
    assert found(leaders_seen(looks)) == []  # A asked before B was told of 7


def test_nobody_is_told_of_an_older_leader_than_somebody_before() -> None:
    looks = [look("A", 0, 1, 7), look("B", 2, 3, 5)]
    assert found(leaders_seen(looks)) == ["older leader"]
    assert found(leaders_seen(looks, by_everybody=False)) == []
    assert found(leaders_seen([look("A", 0, 1, 7), look("A", 2, 3, 5)], by_everybody=False)) == [
        "older leader"
    ]
