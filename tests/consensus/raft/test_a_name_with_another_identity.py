"""A machine that was replaced is not the one that had its name: what that one was, in the sets of members
from before, it is not."""
from __future__ import annotations

import pytest

from agreed.consensus.machine import Ballot, Entry, EntryKind, Received, Saved, TimePassed
from agreed.consensus.members import Member, Members, encode_members
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.raft.messages import AppendEntries, RequestVote
from agreed.consensus.raft.raft import Raft


class Dice:
    def between(self, low: int, high: int) -> int:
        return low


BEFORE, NOW = Member("n1", 1, ""), Member("n1", 11, "")
N2, N3 = Member("n2", 2, ""), Member("n3", 3, "")

ALONE = Members((BEFORE,))
JOINED = Members((BEFORE, N2), (N3,))
REPLACING = Members((N2, N3), (NOW,), (BEFORE, N2, N3))
REPLACED = Members((NOW, N2, N3))


def with_a_log(identity: int, *sets: Members) -> Raft:
    """A node that starts with nothing but the founders, and is sent these sets of members."""
    raft = Raft("n1", ALONE, Ballot(0, None), None, [], RaftConfig(), Dice(), 0, identity)
    if sets:
        entries = [
            Entry(index, 1, EntryKind.MEMBERS, encode_members(each)) for index, each in enumerate(sets, 1)
        ]
        raft.step(Received("n2", AppendEntries(1, 0, 0, 0, 1, entries)))
    return raft


def campaigns(raft: Raft) -> bool:
    """Whether it asks for votes, or elects itself, when it hears nothing for long."""
    asks = False
    for now in range(0, 5_000, 50):
        raft.step(TimePassed(now))
        effects = raft.take()
        if effects.save is not None:
            raft.step(Saved(effects.save.serial))
            effects.send += raft.take().send
        asks = asks or any(isinstance(send.message, RequestVote) for send in effects.send)
    return asks or raft.leads


@pytest.mark.parametrize("sets", [(), (ALONE,), (JOINED,), (JOINED, REPLACING)])
def test_it_does_not_stand_for_election_in_its_predecessors_place(sets: tuple[Members, ...]) -> None:
    assert not campaigns(with_a_log(NOW.identity, *sets))


def test_the_founder_itself_does() -> None:
    assert campaigns(with_a_log(BEFORE.identity))
    assert campaigns(with_a_log(BEFORE.identity, JOINED))


def test_it_does_once_it_was_made_a_voter_itself() -> None:
    assert campaigns(with_a_log(NOW.identity, JOINED, REPLACING, REPLACED))
    assert not campaigns(with_a_log(BEFORE.identity, JOINED, REPLACING, REPLACED)), "and the old one no more"
