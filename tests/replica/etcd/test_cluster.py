"""Members come and go through the etcd API: announced, taken in, promoted, changed, removed."""

from __future__ import annotations

import pytest

from agreed.consensus.members import AddLearner
from agreed.consensus.multipaxos.config import MultiPaxosConfig
from agreed.replica.etcd.cluster import Census, urls_of
from agreed.store.etcd_members import PublishMember, publish
from agreed.wire.etcd import errors
from agreed.wire.etcd.messages import (
    Member,
    MemberAddRequest,
    MemberListRequest,
    MemberPromoteRequest,
    MemberRemoveRequest,
    MemberUpdateRequest,
    PutRequest,
    RangeRequest,
)
from agreed.wire.grpc.status import Code
from agreed.wire.peer.messages import CallAnswered
from tests.replica.etcd.together import Together, member

N4 = ("http://127.0.0.1:7424",)
"""Where the node with identity 4 is."""


def members(nodes: Together, name: str) -> dict[str, Member]:
    """By their peer address, as that node tells them."""
    reply = nodes.caller(name).ask("Cluster/MemberList", MemberListRequest()).reply
    assert reply.header.revision == 0
    assert list(reply.members) == sorted(reply.members, key=lambda each: each.ID)
    return {each.peerURLs[0]: each for each in reply.members}


def test_each_node_publishes_how_it_is_called_and_found() -> None:
    nodes = Together("n1", "n2", "n3")
    for name in nodes.nodes:
        told = members(nodes, name)
        for n in (1, 2, 3):
            peer, client = f"http://127.0.0.1:742{n}", f"http://127.0.0.1:237{n}"
            assert told[peer] == Member(n, f"n{n}", (peer,), (client,))


def test_a_member_that_is_announced_becomes_a_voter_once_it_runs_and_has_caught_up() -> None:
    nodes = Together("n1", "n2", "n3")
    follower = nodes.caller(nodes.follower)
    added = follower.ask("Cluster/MemberAdd", MemberAddRequest(N4)).reply
    assert added.header.member_id == nodes.replica(nodes.follower).identity
    assert added.member == Member(added.member.ID, "", N4)
    assert len(added.members) == 4
    # Whoever was told so sees it on the node that told him.
    assert members(nodes, nodes.follower)[N4[0]] == added.member

    nodes.start("n4", 4)
    nodes.pass_ms(6_000)
    assert {voter.name for voter in nodes.replica(nodes.leader).members.voters} == {"n1", "n2", "n3", "n4"}
    assert members(nodes, "n4")[N4[0]] == Member(added.member.ID, "n4", N4, ("http://127.0.0.1:2374",))
    nodes.caller("n4").ask("KV/Put", PutRequest(b"k", b"v"))
    reply = nodes.caller("n4").ask("KV/Range", RangeRequest(b"k")).reply
    assert [each.value for each in reply.kvs] == [b"v"]
    assert reply.header.member_id == added.member.ID, "the id of the announcement is kept for good"


def test_a_member_that_comes_is_never_shown_twice() -> None:
    """It has its own identity for a moment, until the leader has noted whose announcement it is."""
    nodes = Together("n1", "n2", "n3")
    leader = nodes.replica(nodes.leader)
    added = nodes.caller(nodes.leader).ask("Cluster/MemberAdd", MemberAddRequest(N4)).reply.member
    publish(leader.store, PublishMember(4, "n4", N4, ("http://127.0.0.1:2374",)), "n4")
    leader.operators.change(AddLearner(member("n4", 4)), lambda refusal, revision: None)
    nodes.settle()
    row = leader.store.etcd_members.of(4)
    assert row is not None
    assert row.id == 4, "it is not recognized yet"
    shown = Census(leader).shown()
    assert Member(added.ID, "n4", N4, ("http://127.0.0.1:2374",)) in shown
    assert len(shown) == 4


def test_a_learner_answers_little_and_votes_when_it_is_promoted() -> None:
    nodes = Together("n1", "n2", "n3")
    leader = nodes.caller(nodes.leader)
    added = leader.ask("Cluster/MemberAdd", MemberAddRequest(N4, isLearner=True)).reply.member
    assert added.isLearner
    promote = MemberPromoteRequest(added.ID)
    assert leader.ask("Cluster/MemberPromote", promote).status == errors.LEARNER_NOT_READY
    second = MemberAddRequest(("http://127.0.0.1:7425",), isLearner=True)
    assert leader.ask("Cluster/MemberAdd", second).status == errors.TOO_MANY_LEARNERS

    nodes.start("n4", 4)
    nodes.pass_ms(6_000)
    assert members(nodes, nodes.leader)[N4[0]] == Member(
        added.ID, "n4", N4, ("http://127.0.0.1:2374",), True
    )
    learner = nodes.caller("n4")
    assert learner.ask("KV/Put", PutRequest(b"k", b"v")).status == errors.LEARNER_UNSUPPORTED
    assert learner.ask("KV/Range", RangeRequest(b"k")).status == errors.LEARNER_UNSUPPORTED
    assert learner.ask("Cluster/MemberList", MemberListRequest()).status == errors.LEARNER_UNSUPPORTED
    assert learner.ask("KV/Range", RangeRequest(b"k", serializable=True)).reply.count == 0

    reply = nodes.caller(nodes.follower).ask("Cluster/MemberPromote", promote).reply
    assert [each.isLearner for each in reply.members] == [False] * 4
    nodes.pass_ms(1_000)
    assert learner.ask("KV/Put", PutRequest(b"k", b"v")).reply


def test_a_removed_member_is_gone_and_its_address_may_be_used_again() -> None:
    nodes = Together("n1", "n2", "n3")
    leader = nodes.caller(nodes.leader)
    gone = nodes.replica(nodes.follower).identity
    reply = leader.ask("Cluster/MemberRemove", MemberRemoveRequest(gone)).reply
    assert gone not in [each.ID for each in reply.members]
    assert len(reply.members) == 2
    assert leader.ask("Cluster/MemberRemove", MemberRemoveRequest(gone)).status == errors.MEMBER_NOT_FOUND
    nodes.pass_ms(2_000)
    assert gone not in nodes.replica(nodes.leader).store.etcd_members.table


def test_a_member_that_is_asked_to_be_removed_says_that_it_was() -> None:
    """Whoever names all members as endpoints asks any of them, also the one that is to go."""
    nodes = Together("n1", "n2", "n3")
    goes = nodes.follower
    replica = nodes.replica(goes)
    # The leader takes leave of it before the answer is there.
    replica._peer_messages[CallAnswered] = lambda source, message: None
    asked = nodes.caller(goes).ask("Cluster/MemberRemove", MemberRemoveRequest(replica.identity))
    assert replica.problem == f"{goes} was removed from the cluster"
    assert asked.status is not None
    assert asked.status.code is Code.OK, asked.status
    assert len(asked.reply.members) == 2
    assert goes not in [each.name for each in asked.reply.members]


def test_an_announced_member_that_never_came_is_removed() -> None:
    nodes = Together("n1", "n2", "n3")
    leader = nodes.caller(nodes.leader)
    added = leader.ask("Cluster/MemberAdd", MemberAddRequest(N4)).reply.member
    assert len(leader.ask("Cluster/MemberRemove", MemberRemoveRequest(added.ID)).reply.members) == 3
    nodes.start("n4", 4)
    nodes.pass_ms(2_000)
    assert len(members(nodes, nodes.leader)) == 3, "nobody asked for it any more"


def test_what_would_endanger_the_majority_is_refused() -> None:
    nodes = Together("n1", "n2", "n3")
    nodes.cut.add(dead := nodes.follower)
    nodes.pass_ms(2_500)
    leader = nodes.caller(nodes.leader)
    alive = nodes.replica(nodes.follower).identity
    assert leader.ask("Cluster/MemberAdd", MemberAddRequest(N4)).status == errors.UNHEALTHY
    assert leader.ask("Cluster/MemberRemove", MemberRemoveRequest(alive)).status == errors.UNHEALTHY
    assert leader.ask("Cluster/MemberRemove", MemberRemoveRequest(nodes.replica(dead).identity)).reply


def test_without_a_leader_a_change_is_refused_at_once_and_the_list_is_told() -> None:
    nodes = Together("n1", "n2", "n3")
    alone = nodes.follower
    nodes.cut |= nodes.nodes.keys() - {alone}
    nodes.pass_ms(5_000)
    assert nodes.caller(alone).ask("Cluster/MemberAdd", MemberAddRequest(N4)).status == errors.UNHEALTHY
    assert len(members(nodes, alone)) == 3


def test_the_last_member_stays() -> None:
    nodes = Together("n1")
    caller = nodes.caller("n1")
    last = MemberRemoveRequest(1)
    assert caller.ask("Cluster/MemberRemove", last).status == errors.MEMBER_NOT_ENOUGH_STARTED
    assert caller.ask("Cluster/MemberRemove", MemberRemoveRequest(9)).status == errors.MEMBER_NOT_FOUND
    assert caller.ask("Cluster/MemberPromote", MemberPromoteRequest(9)).status == errors.MEMBER_NOT_FOUND
    assert caller.ask("Cluster/MemberPromote", MemberPromoteRequest(1)).status == errors.MEMBER_NOT_LEARNER
    # One member may grow to two; but not to three before the second has ever run.
    assert caller.ask("Cluster/MemberAdd", MemberAddRequest(N4)).reply
    third = MemberAddRequest(("http://127.0.0.1:7425",))
    assert caller.ask("Cluster/MemberAdd", third).status == errors.MEMBER_NOT_ENOUGH_STARTED


def test_addresses_are_changed_and_are_nobody_elses() -> None:
    nodes = Together("n1", "n2", "n3")
    leader = nodes.caller(nodes.leader)
    taken = MemberUpdateRequest(3, ("http://127.0.0.1:7421",))
    assert leader.ask("Cluster/MemberUpdate", taken).status == errors.PEER_URL_EXISTS
    assert leader.ask("Cluster/MemberUpdate", MemberUpdateRequest(9, N4)).status == errors.MEMBER_NOT_FOUND
    assert leader.ask("Cluster/MemberUpdate", MemberUpdateRequest(3, ())).status == errors.MEMBER_BAD_URLS
    reply = leader.ask("Cluster/MemberUpdate", MemberUpdateRequest(3, ("http://10.0.0.3:7423",))).reply
    assert next(each for each in reply.members if each.ID == 3).peerURLs == ("http://10.0.0.3:7423",)
    third = next(each for each in nodes.replica(nodes.leader).members.voters if each.name == "n3")
    assert third.address == "10.0.0.3:7423", "where its peers will dial"


def test_where_another_protocol_agrees_members_stay_as_they_are() -> None:
    nodes = Together("n1", "n2", "n3", consensus=MultiPaxosConfig())
    for name in (nodes.leader, nodes.follower):
        status = nodes.caller(name).ask("Cluster/MemberAdd", MemberAddRequest(N4)).status
        assert status is not None
        assert status.code is Code.FAILED_PRECONDITION
        assert "are fixed" in status.message
        assert len(members(nodes, name)) == 3


@pytest.mark.parametrize(
    ("asked", "is_sound"),
    [
        (("http://127.0.0.1:2380",), True),
        (("https://n1.example:2380", "http://[::1]:2380"), True),
        (("unix://localhost:1",), True),
        ((), False),
        (("http://::1:2380",), False),
        (("http://127.0.0.1",), False),
        (("127.0.0.1:2380",), False),
        (("http://127.0.0.1:2380/path",), False),
        (("ftp://127.0.0.1:21",), False),
    ],
)
def test_what_is_an_address_of_a_member(asked: tuple[str, ...], is_sound: bool) -> None:
    assert (urls_of(asked) is not None) is is_sound
