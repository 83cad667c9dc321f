"""Ballot numbers: each is one member's, and there is always a higher one of one's own."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.consensus.multipaxos.ballots import RANKS, Ballots
from agreed.errors import ConfigurationError
from tests.consensus.lone import members_of

NAMES = tuple(f"n{i}" for i in range(1, RANKS + 1))


@given(st.integers(0, 1 << 50), st.sampled_from(NAMES))
def test_the_next_ballot_is_higher_and_ours(ballot: int, me: str) -> None:
    ballots = Ballots(me, members_of(len(NAMES)))
    following = ballots.after(ballot)
    assert following > ballot
    assert ballots.owner(following) == me


def test_the_number_0_is_never_used_and_a_number_without_a_member_is_nobodys() -> None:
    ballots = Ballots("n1", members_of(3))
    assert ballots.after(0) == 64
    assert [ballots.owner(number) for number in (64, 65, 66, 67)] == ["n1", "n2", "n3", None]


def test_the_order_in_which_members_are_listed_does_not_matter() -> None:
    assert Ballots("n3", members_of(3)).after(0) == 66


def test_more_members_than_numbers_are_refused() -> None:
    with pytest.raises(ConfigurationError):
        Ballots("n1", members_of(RANKS + 1))
