"""What is left of a failing plan: everything that is needed, and nothing else."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.sim.shrink import minimal


@given(st.integers(0, 60), st.sets(st.integers(0, 59), max_size=6))
def test_what_is_needed_is_left_and_nothing_else(size: int, needed: set[int]) -> None:
    needed &= set(range(size))
    asked = []

    def fails(items: tuple[int, ...]) -> bool:
        asked.append(items)
        return needed <= set(items)

    assert minimal(tuple(range(size)), fails) == tuple(sorted(needed))
    assert len(asked) <= 3 * size + 20, "a bound far below trying everything"


@given(st.lists(st.sets(st.integers(0, 19), min_size=1, max_size=4), min_size=1, max_size=3))
def test_where_several_parts_fail_no_single_item_can_go(causes: list[set[int]]) -> None:
    def fails(items: tuple[int, ...]) -> bool:
        return any(cause <= set(items) for cause in causes)

    left = minimal(tuple(range(20)), fails)
    assert fails(left)
    for number in range(len(left)):
        assert not fails(left[:number] + left[number + 1 :])


def test_what_comes_after_the_failure_goes_first() -> None:
    asked = []

    def fails(items: tuple[int, ...]) -> bool:
        asked.append(items)
        return 0 in items

    assert minimal(tuple(range(8)), fails) == (0,)
    assert asked[:2] == [(), (0, 1, 2, 3)]


def test_a_failure_without_any_of_them_needs_none_of_them() -> None:
    assert minimal((1, 2, 3), lambda _: True) == ()


def test_whatever_is_raised_ends_the_search() -> None:
    def fails(_: tuple[int, ...]) -> bool:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        minimal((1, 2), fails)
