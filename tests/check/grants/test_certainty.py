"""Who was told that nobody else can have it: each rule has a history that breaks it."""

from __future__ import annotations

import pytest

from agreed.check.grants import Tenure, certain_holders
from tests.check.grants.told import came, found, tenure

ALLOWED: dict[str, list[Tenure]] = {
    "nobody": [],
    "one after the other": [tenure("A", 1, 0, 10, 50, 20), tenure("B", 2, 0, 20, 60)],
    "killed, and waited for": [tenure("A", 1, 0, 10, 50), tenure("B", 2, 0, 50, 60)],
    "never certain": [tenure("A", 1, 0, 10), tenure("B", 2, 0, 11, 60)],
    "granted to who stood still, and never certain": [tenure("B", 2, 0, 11, 60), tenure("A", 1, 0, 12)],
    "given back before it was over": [tenure("A", 1, 0, 10, 90, 12), tenure("B", 2, 0, 13, 60)],
    "other names": [tenure("A", 1, 0, 10, 50), tenure("B", 2, 0, 20, 60, name="b")],
}

REFUSED: dict[str, tuple[list[Tenure], list[str]]] = {
    "two at once": ([tenure("A", 1, 0, 10, 50), tenure("B", 2, 0, 49, 60)], ["too many holders"]),
    "two at once, told in the other order": (
        [tenure("B", 2, 0, 49, 60), tenure("A", 1, 0, 10, 50)],
        ["too many holders"],
    ),
    "given back too late": ([tenure("A", 1, 0, 10, 50, 30), tenure("B", 2, 0, 29, 60)], ["too many holders"]),
    "one within the other": ([tenure("A", 1, 0, 10, 90), tenure("B", 2, 0, 20, 30)], ["too many holders"]),
    "from larger to smaller": (
        [tenure("A", 7, 0, 10, 15), tenure("B", 2, 0, 20, 30)],
        ["handed on backwards"],
    ),
    "three at once are two findings": (
        [tenure("A", 1, 0, 10, 90), tenure("B", 2, 0, 20, 90), tenure("C", 3, 0, 30, 90)],
        ["too many holders", "too many holders"],
    ),
}


@pytest.mark.parametrize("story", ALLOWED)
def test_what_may_be(story: str) -> None:
    assert found(certain_holders(ALLOWED[story])) == []


@pytest.mark.parametrize("story", REFUSED)
def test_what_must_not_be(story: str) -> None:
    tenures, names = REFUSED[story]
    assert found(certain_holders(tenures)) == names


def test_a_semaphore_has_as_many_holders_as_permits() -> None:
    three = [tenure("A", 1, 0, 10, 50), tenure("B", 2, 0, 20, 60), tenure("C", 3, 0, 50, 90)]
    assert found(certain_holders(three, permits=2)) == []
    assert found(certain_holders([*three, tenure("D", 4, 0, 59, 90)], permits=2)) == ["too many holders"]


def test_permits_may_be_had_in_any_order() -> None:
    later_has_the_smaller = [tenure("A", 7, 0, 10, 50), tenure("B", 2, 0, 20, 60)]
    assert found(certain_holders(later_has_the_smaller, permits=2)) == []


def test_who_is_certain_is_not_refused() -> None:
    holds = tenure("A", 1, 0, 10, 50)
    assert found(certain_holders([holds], [came(51, "A", 1, False), came(9, "A", 1, False)])) == []
    assert found(certain_holders([holds], [came(50, "A", 1, False)])) == ["a holder refused"]
    assert found(certain_holders([holds], [came(20, "B", 1, False)])) == []
