"""What only the leader can answer is asked of any node; nobody is left without an answer."""

from __future__ import annotations

import pytest

from agreed.replica import events
from agreed.wire.etcd import errors
from agreed.wire.etcd.messages import MemberAddRequest, MemberListRequest
from agreed.wire.etcd.protobuf import encode
from agreed.wire.grpc.status import Code
from agreed.wire.peer.messages import CallAnswered, CallForwarded
from tests.replica.etcd.together import Together

ADD = MemberAddRequest(("http://127.0.0.1:7424",))


def test_the_answer_says_who_was_asked_and_is_seen_there() -> None:
    nodes = Together("n1", "n2", "n3")
    follower = nodes.follower
    reply = nodes.caller(follower).ask("Cluster/MemberAdd", ADD).reply
    assert reply.header.member_id == nodes.replica(follower).identity
    assert len(nodes.caller(follower).ask("Cluster/MemberList", MemberListRequest()).reply.members) == 4


def test_a_leader_that_is_lost_meanwhile_leaves_the_outcome_open() -> None:
    nodes = Together("n1", "n2", "n3")
    follower = nodes.follower
    nodes.cut.add(nodes.leader)
    asked = nodes.caller(follower).begin("Cluster/MemberAdd", ADD)
    nodes.until_led()
    assert asked.status == errors.LEADER_CHANGED


def test_an_answer_that_never_comes_is_not_waited_for_for_ever() -> None:
    """The question is lost, and the leader stays."""
    nodes = Together("n1", "n2", "n3")
    follower = nodes.follower
    asked = nodes.caller(follower).begin("Cluster/MemberAdd", ADD)
    nodes.replica(follower).effects.send.clear()
    nodes.pass_ms(7_500)
    assert asked.status == errors.TIMEOUT


def test_whoever_gave_up_is_forgotten() -> None:
    nodes = Together("n1", "n2", "n3")
    follower = nodes.follower
    asked = nodes.caller(follower).begin("Cluster/MemberAdd", ADD)
    asked.call.abandoned()
    nodes.pass_ms(1_000)
    assert asked.messages == []


@pytest.mark.parametrize(
    "message",
    [
        CallForwarded(9, "/no.Such/Method", b""),
        CallForwarded(9, "/etcdserverpb.Watch/Watch", b""),
        CallForwarded(9, "/etcdserverpb.Cluster/MemberAdd", b"\xff"),
    ],
)
def test_what_makes_no_sense_is_answered_and_harms_nobody(message: CallForwarded) -> None:
    nodes = Together("n1", "n2", "n3")
    leader = nodes.replica(nodes.leader)
    leader.step(events.PeerMessage(nodes.follower, message))
    said = [sent for _, sent in leader.take().send if isinstance(sent, CallAnswered)]
    assert [(answer.ticket, answer.code != Code.OK) for answer in said] == [(9, True)]
    # The same of an answer: nobody asked, or it cannot be read.
    follower = nodes.replica(nodes.follower)
    follower.step(events.PeerMessage(nodes.leader, CallAnswered(77, Code.OK, "", b"\xff")))
    asked = nodes.caller(nodes.follower).begin("Cluster/MemberAdd", ADD)
    ticket = next(sent.ticket for _, sent in follower.effects.send if isinstance(sent, CallForwarded))
    follower.step(events.PeerMessage(nodes.leader, CallAnswered(ticket, Code.OK, "", b"\xff")))
    assert asked.status is not None
    assert asked.status.code is Code.INTERNAL


def test_only_a_leader_answers() -> None:
    nodes = Together("n1", "n2", "n3")
    follower = nodes.replica(nodes.follower)
    message = CallForwarded(9, "/etcdserverpb.Cluster/MemberAdd", encode(ADD))
    follower.step(events.PeerMessage(nodes.leader, message))
    (said,) = [sent for _, sent in follower.take().send if isinstance(sent, CallAnswered)]
    assert said.text == errors.LEADER_CHANGED.message
