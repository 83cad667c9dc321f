"""Commands that are sent again are not done again."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.store.commands import Batch, Checkpoint
from agreed.store.once import Admission, Once, Verdict


def batch(first: int, count: int, life: int = 7, origin: str = "n1") -> Batch:
    return Batch(origin, life, first, [Checkpoint()] * count)


TABLE = [
    ("the next ones", batch(4, 2), Admission(0, Verdict.FRESH)),
    ("all done", batch(1, 3), Admission(3, Verdict.REPEATED)),
    ("some done", batch(2, 5), Admission(2, Verdict.REPEATED)),
    ("long done", batch(1, 1), Admission(1, Verdict.REPEATED)),
    ("one is missing before it", batch(5, 2), Admission(2, Verdict.GAP)),
    ("an earlier life", batch(4, 2, life=6), Admission(2, Verdict.EARLIER_LIFE)),
    ("a new life", batch(1, 2, life=8), Admission(0, Verdict.FRESH)),
    ("a new life, but its first batch is missing", batch(2, 2, life=8), Admission(2, Verdict.GAP)),
    ("another node", batch(1, 2, origin="n2"), Admission(0, Verdict.FRESH)),
    ("nothing", batch(4, 0), Admission(0, Verdict.FRESH)),
]


@pytest.mark.parametrize(("_", "sent", "verdict"), TABLE, ids=[row[0] for row in TABLE])
def test_after_three_commands_of_life_seven(_: str, sent: Batch, verdict: Admission) -> None:
    once = Once()
    assert once.admit(batch(1, 3)) == 0
    assert once.judge(sent) == verdict
    assert once.admit(sent) == verdict.skip


def test_what_is_missing_can_still_come() -> None:
    once = Once()
    assert once.admit(batch(1, 2)) == 0
    assert once.admit(batch(5, 2)) == 2
    assert once.admit(batch(3, 2)) == 0
    assert once.admit(batch(5, 2)) == 0
    assert once.last("n1", 7) == 6


def test_a_new_life_ends_the_earlier_one_though_nothing_of_it_is_done_yet() -> None:
    once = Once()
    once.admit(batch(1, 2, life=7))
    once.admit(batch(3, 1, life=8))
    assert once.judge(batch(3, 1, life=7)).verdict is Verdict.EARLIER_LIFE
    assert once.last("n1", 8) == 0
    assert once.last("n1", 7) == 0


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 5)), max_size=12))
def test_every_number_is_done_once_and_in_order(sent: list[tuple[int, int]]) -> None:
    once = Once()
    done: list[int] = []
    for first, count in sent:
        skip = once.admit(batch(first, count))
        done.extend(range(first + skip, first + count))
    assert done == list(range(1, len(done) + 1))
    assert once.last("n1", 7) == len(done)
