"""Views: an order of all writes for each session, or why there is none."""
from __future__ import annotations

from random import Random

import pytest

from agreed.check.registers import INITIAL, NOT_A_READ, Registers, registers
from agreed.check.session_views import SessionView
from tests.check.litmus import parsed
from tests.check.weak_histories import Shape, replicas


def sees_what_it_saw(read: Registers, session: int, order: list[int]) -> bool:
    latest: dict[object, int] = {}
    for number in order:
        key = read.operations[number].key
        if read.writer[number] == NOT_A_READ:
            latest[key] = number
        elif latest.get(key, INITIAL) != read.writer[number]:
            return False
    return True


@pytest.mark.parametrize("every_read", [True, False])
@pytest.mark.parametrize("seed", range(60))
def test_a_view_shows_the_session_what_it_saw(seed: int, every_read: bool) -> None:
    """Long histories: no brute force could judge them, but a view speaks for itself."""
    read = registers(replicas(Random(seed), Shape(operations=60, sessions=4)).operations)
    for session, own in enumerate(read.sessions):
        view = SessionView(read, session, every_read)
        if view.wrong is None:
            assert sees_what_it_saw(read, session, view.order)
            assert [number for number in view.order if read.session[number] == session] == list(own)


def test_what_a_session_reads_twice_it_reads_in_order() -> None:
    read = registers(parsed("x=1 x=2 | x?2 x?1").operations)
    view = SessionView(read, 1, every_read=False)
    assert view.wrong is not None
    assert view.wrong.name == "CyclicHB"
    assert SessionView(read, 0, every_read=False).wrong is None


def test_what_others_read_matters_to_causal_memory_alone() -> None:
    """Client 2 sees y, of which client 1 thought after seeing x, and does not see x."""
    read = registers(parsed("x=1 | x?1 y=1 | y?1 x?-").operations)
    assert SessionView(read, 2, every_read=False).wrong is None
    wrong = SessionView(read, 2, every_read=True).wrong
    assert wrong is not None
    assert wrong.name == "WriteHBInitRead"


def test_the_order_reaches_back_through_what_was_demanded() -> None:
    """x=2 was found when x=1 was known, so x=1 was before x=2; and z=1 was before x=1."""
    read = registers(parsed("z=1 x=1 y=1 | x=2 z?- y?1 x?2").operations)
    wrong = SessionView(read, 1, every_read=True).wrong
    assert wrong is not None
    assert wrong.name == "WriteHBInitRead"
    assert any("for client 1 the first comes before the second" in step for step in wrong.steps)
