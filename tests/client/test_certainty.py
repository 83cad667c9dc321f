"""What an answer proves, by whom it is given; over whole connections it is tested in `test_machine.py`."""

from __future__ import annotations

import pytest

from agreed.client.certainty import UNREPORTED_S, Certainty


def remaining(certainty: Certainty) -> list[float]:
    """Of a session of half a second that asks ten times a second, a twentieth of a second after each."""
    certainty.greeted(0.0)
    found = []
    for tenth in range(1, 60):
        certainty.answered(tenth / 10)
        found.append(certainty.remaining_s(tenth / 10 + 0.05, 0.5))
    return found


def test_who_answers_for_a_cluster_of_one_is_the_leader() -> None:
    """So short a session can be held there: nobody else decides about it."""
    assert remaining(Certainty(by_sync=False, alone=True)) == pytest.approx([0.5 * 0.95 - 0.05] * 59)


def test_who_answers_for_others_may_be_cut_off_from_the_leader() -> None:
    assert remaining(Certainty(by_sync=False, alone=False))[-1] == 0
    assert UNREPORTED_S > 0.5
