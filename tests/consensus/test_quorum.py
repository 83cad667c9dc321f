"""Who is a majority, and of what."""
from __future__ import annotations

import itertools

import pytest

from agreed.consensus.members import Member, Members
from agreed.consensus.quorum import Quorum, majority


def of(text: str, identity: int = 0) -> tuple[Member, ...]:
    return tuple(Member(f"n{digit}", identity, "") for digit in text)


@pytest.mark.parametrize(("size", "needed"), [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)])
def test_a_majority_is_more_than_half(size: int, needed: int) -> None:
    assert majority(size) == needed


@pytest.mark.parametrize(
    ("voters", "outgoing", "reached", "agreed"),
    [
        ("1", "", {"n1": 7}, 7),
        ("12", "", {"n1": 7, "n2": 3}, 3),
        ("123", "", {"n1": 7, "n2": 3, "n3": 5}, 5),
        ("123", "", {"n1": 7}, 0),
        ("12345", "", {"n1": 9, "n2": 8, "n3": 1}, 1),
        ("", "", {"n1": 9}, 0),
        ("123", "", {"n1": 1, "n2": 1, "n9": 9, "n8": 9}, 1),
        ("145", "123", {"n1": 9, "n4": 8, "n5": 8}, 0),
        ("145", "123", {"n1": 9, "n4": 8, "n2": 4}, 4),
        ("12", "123", {"n1": 9, "n2": 2, "n3": 9}, 2),
    ],
)
def test_what_a_quorum_has_reached(voters: str, outgoing: str, reached: dict[str, int], agreed: int) -> None:
    assert Quorum(Members(of(voters), (), of(outgoing))).agreed(reached) == agreed


@pytest.mark.parametrize(
    ("voters", "outgoing"), [("1", ""), ("123", ""), ("1234", ""), ("145", "123"), ("12", "1")]
)
def test_quorums_share_a_voter_and_what_is_left_of_one_is_none(voters: str, outgoing: str) -> None:
    quorum = Quorum(Members(of(voters), (), of(outgoing)))
    everybody = sorted(set(quorum.names))
    sets = [set(c) for size in range(len(everybody) + 1) for c in itertools.combinations(everybody, size)]
    quorums = [names for names in sets if quorum.has(names)]
    assert quorums
    assert all(first & second for first in quorums for second in quorums)
    for names in sets:
        rest = set(everybody) - names
        assert quorum.lost(names) == (not quorum.has(rest))
        assert quorum.has(names) == (quorum.agreed(dict.fromkeys(names, 1)) == 1)


def test_the_new_holder_of_a_name_says_nothing_for_the_old_one() -> None:
    voters = of("12", 1)
    members = Members(voters, of("3", 33), outgoing=(*voters, *of("3", 3)))
    quorum = Quorum(members)
    assert quorum.outgoing == ("n1", "n2")
    assert not quorum.has({"n1", "n3"})
    assert quorum.has({"n1", "n2"})
    alone = Quorum(Members(of("1"), of("2", 22), outgoing=of("12")))
    assert alone.agreed({"n1": 5, "n2": 5}) == 0
