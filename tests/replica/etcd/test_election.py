"""The Election service: to stand, to be elected, to say something, to give up (texts as recorded)."""

from __future__ import annotations

import pytest

from agreed.replica.etcd.election import UNTAKEN_MOST_BYTES, ElectionService
from agreed.wire.etcd import errors
from agreed.wire.etcd.messages import (
    CampaignRequest,
    DeleteRangeRequest,
    LeaderKey,
    LeaderRequest,
    LeaseGrantRequest,
    LeaseRevokeRequest,
    ProclaimRequest,
    RangeRequest,
    ResignRequest,
)
from tests.replica.alone import Alone
from tests.replica.etcd.calling import Asked, Caller


@pytest.fixture
def caller() -> Caller:
    caller = Caller(Alone())
    for number in (1, 2, 3):
        caller.ask("Lease/LeaseGrant", LeaseGrantRequest(100, number))
    return caller


def campaign(caller: Caller, number: int, value: bytes = b"v") -> Asked:
    return caller.ask("Election/Campaign", CampaignRequest(b"el", number, value))


def leader(caller: Caller) -> tuple[bytes, bytes]:
    kv = caller.ask("Election/Leader", LeaderRequest(b"el")).reply.kv
    return kv.key, kv.value


def test_who_stands_alone_is_elected_and_says_what_he_says(caller: Caller) -> None:
    assert caller.ask("Election/Leader", LeaderRequest(b"el")).status == errors.ELECTION_NO_LEADER
    elected = campaign(caller, 1).reply
    assert elected.leader == LeaderKey(b"el", b"el/1", elected.header.revision, 1)
    assert leader(caller) == (b"el/1", b"v")
    said = caller.ask("Election/Proclaim", ProclaimRequest(elected.leader, b"v2")).reply
    assert said.header.revision == elected.header.revision + 1
    assert leader(caller) == (b"el/1", b"v2")
    assert caller.ask("Election/Resign", ResignRequest(elected.leader)).reply.header.revision
    late = caller.ask("Election/Proclaim", ProclaimRequest(elected.leader, b"v3"))
    assert late.status == errors.ELECTION_NOT_LEADER
    assert caller.ask("Election/Resign", ResignRequest(elected.leader)).reply


def test_proclaiming_and_resigning_ask_for_the_key(caller: Caller) -> None:
    assert caller.ask("Election/Proclaim", ProclaimRequest()).status == errors.ELECTION_LEADER_FIELD
    assert caller.ask("Election/Resign", ResignRequest()).status == errors.ELECTION_LEADER_FIELD


def test_candidates_wait_until_those_before_them_are_gone(caller: Caller) -> None:
    first = campaign(caller, 3).reply
    second, third = campaign(caller, 2), campaign(caller, 1)
    assert (second.status, third.status) == (None, None)
    caller.ask("Election/Resign", ResignRequest(first.leader))
    assert second.reply.leader.key == b"el/2"
    assert second.reply.header.revision == second.reply.leader.rev
    caller.ask("Lease/LeaseRevoke", LeaseRevokeRequest(2))
    assert third.reply.leader.key == b"el/1"


def test_who_stands_again_says_something_else(caller: Caller) -> None:
    first = campaign(caller, 1).reply
    again = campaign(caller, 1, b"other").reply
    assert again.leader == first.leader
    assert leader(caller) == (b"el/1", b"other")
    revision = again.header.revision
    assert campaign(caller, 1, b"other").reply.header.revision >= revision


def test_a_candidate_that_goes_away_stands_no_more(caller: Caller) -> None:
    first = campaign(caller, 1).reply
    campaign(caller, 2).call.abandoned()
    caller.node.turn()
    caller.ask("Election/Resign", ResignRequest(first.leader))
    assert caller.ask("Election/Leader", LeaderRequest(b"el")).status == errors.ELECTION_NO_LEADER


def test_a_candidate_that_lost_his_lease_is_not_elected(caller: Caller) -> None:
    campaign(caller, 1)
    second = campaign(caller, 2)
    caller.ask("Lease/LeaseRevoke", LeaseRevokeRequest(2))
    assert second.status == errors.ELECTION_NOT_LEADER


def test_proclaiming_without_a_lease_is_given_one(caller: Caller) -> None:
    key = campaign(caller, 1).reply.leader
    bare = LeaderKey(key.name, key.key, key.rev, 0)
    assert caller.ask("Election/Proclaim", ProclaimRequest(bare, b"w")).reply
    (kv,) = caller.ask("KV/Range", RangeRequest(key.key)).reply.kvs
    assert kv.lease not in (0, 1)


def test_observers_are_told_who_leads_and_what_is_said(caller: Caller) -> None:
    watching = caller.ask("Election/Observe", LeaderRequest(b"el"))
    assert watching.messages == []
    first = campaign(caller, 1, b"a").reply
    campaign(caller, 2, b"b")
    caller.ask("Election/Proclaim", ProclaimRequest(first.leader, b"a2"))
    late = caller.ask("Election/Observe", LeaderRequest(b"el"))
    caller.ask("Election/Resign", ResignRequest(first.leader))
    caller.ask("KV/DeleteRange", DeleteRangeRequest(b"el/2"))
    third = campaign(caller, 3, b"c")
    assert third.reply
    assert [each.kv.value for each in watching.messages] == [b"a", b"a2", b"b", b"c"]
    assert [each.kv.value for each in late.messages] == [b"a2", b"b", b"c"]
    watching.call.abandoned()
    caller.ask("Election/Resign", ResignRequest(third.reply.leader))
    assert len(watching.messages) == 4


class Deaf(Caller):
    unread = 0

    def backlog(self, call: object) -> int:
        return self.unread


def test_an_observer_who_reads_slowly_is_told_the_newest_when_he_is_done() -> None:
    caller = Deaf(Alone())
    caller.ask("Lease/LeaseGrant", LeaseGrantRequest(100, 1))
    watching = caller.ask("Election/Observe", LeaderRequest(b"el"))
    key = campaign(caller, 1, b"first").reply.leader
    caller.unread = UNTAKEN_MOST_BYTES + 1
    for value in (b"second", b"third"):
        assert caller.ask("Election/Proclaim", ProclaimRequest(key, value)).reply
    assert [each.kv.value for each in watching.messages] == [b"first"]
    caller.unread = 0
    assert watching.call.on_drained is not None
    watching.call.on_drained()
    assert [each.kv.value for each in watching.messages] == [b"first", b"third"]
    (service,) = (each for each in caller.node.replica.etcd.services if isinstance(each, ElectionService))
    watching.call.abandoned()
    assert service._rows._rows == {}
