"""Where two histories part: a table, and any two histories that ZAB can make."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.consensus.log import Log
from agreed.consensus.machine import Entry, EntryKind, SnapshotMark
from agreed.consensus.members import Members
from agreed.consensus.zab.synchronization import history_of, is_history, last_common


def log_of(epochs: str, mark: SnapshotMark | None = None) -> Log:
    """`"112"` -> a log whose first two entries are of epoch 1, and the third of epoch 2."""
    mark = mark if mark is not None else SnapshotMark(0, 0, Members(()))
    entries = [Entry(i, int(epoch), EntryKind.PAYLOAD, b"") for i, epoch in enumerate(epochs, mark.index + 1)]
    return Log(mark, entries)


@pytest.mark.parametrize(
    ("leader", "follower", "common"),
    [
        ("", "", 0),
        ("111", "", 0),
        ("111", "11", 2),
        ("111", "111", 3),
        ("11", "1111", 2),
        ("1111333", "11111122", 4),
        ("1133", "1122", 2),
        ("222", "111", 0),
        ("1122", "1133", 2),
        ("1", "12345", 1),
    ],
)
def test_the_last_common_entry(leader: str, follower: str, common: int) -> None:
    assert last_common(log_of(leader), history_of(log_of(follower), 0)) == common


@pytest.mark.parametrize(
    ("base", "leader", "follower", "common"),
    [
        (SnapshotMark(4, 2, Members(())), "22", "1122", 4),
        (SnapshotMark(4, 2, Members(())), "22", "11222", 5),
        (SnapshotMark(4, 2, Members(())), "22", "112", None),
        (SnapshotMark(4, 2, Members(())), "22", "1111", None),
        (SnapshotMark(4, 2, Members(())), "33", "1144", None),
    ],
)
def test_what_is_before_our_log_needs_a_snapshot(
    base: SnapshotMark, leader: str, follower: str, common: int | None
) -> None:
    assert last_common(log_of(leader, base), history_of(log_of(follower), 0)) == common


@st.composite
def two_histories(draw: st.DrawFn) -> tuple[str, str]:
    """Primaries take over a history that somebody has, or a part of it, and add to it."""
    histories = ["", ""]
    for epoch in range(1, draw(st.integers(1, 6)) + 1):
        primary = draw(st.integers(0, 1))
        kept = draw(st.integers(0, len(histories[primary])))
        taken = histories[primary][:kept] + str(epoch) * draw(st.integers(1, 4))
        histories[primary] = taken
        if draw(st.booleans()):
            first = draw(st.integers(0, len(taken)))
            histories[1 - primary] = taken[: max(first, kept + 1)]
    return histories[0], histories[1]


@given(two_histories())
def test_it_is_the_longest_common_prefix(histories: tuple[str, str]) -> None:
    leader, follower = histories
    ends = history_of(log_of(follower), 0)
    assert is_history(ends)
    common = last_common(log_of(leader), ends)
    same = [a == b for a, b in zip(leader, follower, strict=False)]
    assert common == [*same, False].index(False)


def test_what_is_committed_need_not_be_told() -> None:
    assert history_of(log_of("1122333"), 4) == [(3, 7), (2, 4)]


@pytest.mark.parametrize("ends", [[], [(1, 3), (2, 1)], [(2, 3), (1, 3)], [(2, 3), (2, 1)]])
def test_what_cannot_be_a_history(ends: list[tuple[int, int]]) -> None:
    assert not is_history(ends)
