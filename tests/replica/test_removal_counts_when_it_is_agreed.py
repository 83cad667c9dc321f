"""A node that finds itself removed stops serving for good.  Members are in force from the moment they are in
the log, agreed upon or not; so the node must not believe a removal before it is."""

from __future__ import annotations

from agreed.consensus.machine import Entry, EntryKind
from agreed.consensus.members import Member, Members, encode_members
from agreed.consensus.raft.messages import AppendEntries
from agreed.replica import events
from tests.replica.alone import Alone

N1, N2, N3, N4 = (Member(f"n{number}", number, f"n{number}:1") for number in range(1, 5))


def members(index: int, members: Members) -> Entry:
    return Entry(index, 1, EntryKind.MEMBERS, encode_members(members))


WITH_N4 = members(1, Members((N1, N2, N3), (N4,)))
WITHOUT_N1 = members(2, Members((N2, N3), (N4,)))
WITH_N1_AGAIN = members(3, Members((N2, N3), (N4, N1)))


def follower(entries: list[Entry], commit: int) -> Alone:
    node = Alone(members=("n1", "n2", "n3"))
    node.turn(events.PeerMessage("n2", AppendEntries(1, 0, 0, 0, 1, entries)))
    node.turn(events.PeerMessage("n2", AppendEntries(1, 0, 0, commit, 1, entries)))
    assert node.replica.applied == commit
    return node


def test_what_may_still_be_taken_back_is_not_believed() -> None:
    node = follower([WITH_N4, WITHOUT_N1], 1)
    assert node.replica.problem is None
    node = follower([WITH_N4, WITHOUT_N1], 2)
    assert node.replica.problem == "n1 was removed from the cluster"


def test_who_came_back_later_is_not_removed_by_its_history() -> None:
    node = follower([WITH_N4, WITHOUT_N1, WITH_N1_AGAIN], 2)
    assert node.replica.problem is None
    node = follower([WITH_N4, WITHOUT_N1, WITH_N1_AGAIN], 3)
    assert node.replica.problem is None


OF_OLD = members(1, Members((N2, N3)))
JOINS = members(2, Members((N2, N3), (N1,)))


def newcomer(entries: list[Entry]) -> Alone:
    """A node that has joined: the first members of this cluster were others."""
    node = Alone(members=("n1", "n2", "n3"), founders=("n2", "n3"))
    node.turn(events.PeerMessage("n2", AppendEntries(1, 0, 0, 0, 1, entries)))
    node.turn(events.PeerMessage("n2", AppendEntries(1, len(entries), 1, len(entries), 1, [])))
    assert node.replica.applied == len(entries)
    return node


def test_who_joins_is_not_removed_by_the_time_before() -> None:
    """It gets the log from its beginning, and the entry that makes it a member with a later message."""
    assert newcomer([OF_OLD]).replica.problem is None
    assert newcomer([OF_OLD, JOINS]).replica.problem is None
    removed = newcomer([OF_OLD, JOINS, members(3, Members((N2, N3)))])
    assert removed.replica.problem == "n1 was removed from the cluster"


def test_a_name_that_went_to_another_machine_is_not_ours_any_more() -> None:
    node = follower([members(1, Members((Member("n1", 99, "n1:1"), N2, N3)))], 1)
    assert node.replica.problem == "n1 was removed from the cluster"
