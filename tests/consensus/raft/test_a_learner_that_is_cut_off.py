"""A learner may not campaign, but its clients must not be told for ever that all is well: their sessions end
where the leader is, and somebody else holds their locks."""
from __future__ import annotations

import pytest

from agreed.consensus.machine import Ballot, Received, TimePassed
from agreed.consensus.members import Members
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.raft.messages import AppendEntries
from agreed.consensus.raft.raft import Raft
from tests.consensus.stage import OrderedDice, member

MEMBERS = Members((member("n1"),), (member("n2"),))


def pass_ms(raft: Raft, until: int) -> None:
    """As a driver does that only wakes it when it wants to be woken."""
    while raft.wake is not None and raft.wake <= until:
        raft.step(TimePassed(raft.wake))
        raft.take()
    raft.step(TimePassed(until))
    raft.take()


@pytest.mark.parametrize("lease_reads", [False, True])
def test_it_knows_no_leader_after_an_election_timeout_of_silence(lease_reads: bool) -> None:
    config = RaftConfig(lease_reads=lease_reads)
    raft = Raft("n2", MEMBERS, Ballot(0, None), None, [], config, OrderedDice(2), 0)
    for now in range(1_000, 4_000, 100):
        pass_ms(raft, now)
        raft.step(Received("n1", AppendEntries(1, 0, 0, 0, 1, [])))
        raft.take()
        assert raft.leader == "n1"
    pass_ms(raft, 4_300)
    assert raft.leader == "n1"
    pass_ms(raft, 6_000)
    assert raft.leader is None
    assert raft.term == 1, "it did not campaign"
    raft.step(Received("n1", AppendEntries(1, 0, 0, 0, 1, [])))
    assert raft.leader == "n1"
    pass_ms(raft, 9_000)
    assert raft.leader is None
