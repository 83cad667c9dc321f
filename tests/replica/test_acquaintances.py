"""Whom a node dials: whoever is listened to must be answered."""
from __future__ import annotations

from agreed.consensus.members import Member, Members
from agreed.replica.acquaintances import Acquaintances

N1, N2, N3, N4 = (Member(f"n{number}", number, f"n{number}:1") for number in range(1, 5))


def test_members_are_dialled_at_what_the_operator_says_here_or_else_at_what_was_agreed() -> None:
    known = Acquaintances("n1", {"n2": "elsewhere:1", "n9": "n9:1"})
    known.members_changed(Members((N1, N2), (N3,)))
    assert known.addresses == {"n2": "elsewhere:1", "n3": "n3:1"}


def test_who_leaves_is_dialled_for_a_while() -> None:
    known = Acquaintances("n1", {})
    known.members_changed(Members((N1, N2, N3)))
    leaving = known.members_changed(Members((N1, N2)))
    assert leaving == {"n3"}
    assert known.addresses == {"n2": "n2:1", "n3": "n3:1"}
    known.forget(leaving)
    assert known.addresses == {"n2": "n2:1"}


def test_who_came_back_meanwhile_stays() -> None:
    known = Acquaintances("n1", {})
    known.members_changed(Members((N1, N2)))
    leaving = known.members_changed(Members((N1,)))
    known.members_changed(Members((N1, N2)))
    known.forget(leaving)
    assert known.addresses == {"n2": "n2:1"}


def test_a_leader_that_joined_while_this_node_was_away_can_be_answered() -> None:
    known = Acquaintances("n3", {})
    known.members_changed(Members((N1, N2, N3)))
    known.called(N4)
    assert known.addresses == {"n1": "n1:1", "n2": "n2:1", "n4": "n4:1"}
    known.members_changed(Members((N1, N2, N3, N4)))
    known.hung_up("n4")
    assert known.addresses == {"n1": "n1:1", "n2": "n2:1", "n4": "n4:1"}


def test_a_caller_is_forgotten_with_its_last_connection() -> None:
    known = Acquaintances("n3", {})
    known.called(N4)
    known.called(N4)
    known.hung_up("n4")
    assert known.addresses == {"n4": "n4:1"}
    known.hung_up("n4")
    assert known.addresses == {}
