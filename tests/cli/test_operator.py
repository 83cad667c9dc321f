"""An operator asks any node, is sent to the leader, and is never told "not done" of what may be done."""
from __future__ import annotations

import pytest

from agreed.cli.operator import NoAnswer, addresses_of, change, status
from agreed.consensus.members import Members
from agreed.errors import ConfigurationError, MembershipRefused
from agreed.replica.operators import OUTCOME_UNKNOWN
from agreed.wire.peer.codec import encode
from agreed.wire.peer.messages import (
    PROTOCOL_VERSION,
    Hello,
    HelloReply,
    MemberAdd,
    MemberPromote,
    MemberReplace,
    OperatorHello,
    OperatorReply,
    StatusRequest,
)

from .fake_node import FakeNode, a_status

DONE = OperatorReply(None)


def a_hello_reply(node: FakeNode, refusal: str | None) -> HelloReply:
    hello = Hello(
        version=PROTOCOL_VERSION,
        cluster=7,
        member=node.member("n1"),
        life=1,
        boot=1,
        founders=Members(()),
        members=Members(()),
        log_term=0,
        log_index=0,
    )
    return HelloReply(hello, refusal)


def test_a_status_is_asked_for_and_given() -> None:
    with FakeNode(lambda request: a_status("n1")) as node:
        assert status(node.address, 5).name == "n1"
        assert node.heard == [OperatorHello(PROTOCOL_VERSION), StatusRequest()]


def test_a_greeting_before_the_answer_is_no_answer() -> None:
    with FakeNode(lambda request: encode(a_hello_reply(node, None)) + encode(a_status("n1"))) as node:
        assert status(node.address, 5).name == "n1"


def test_a_node_that_will_not_talk_to_us_says_why() -> None:
    with (
        FakeNode(lambda request: a_hello_reply(node, "another version")) as node,
        pytest.raises(NoAnswer, match="another version") as error,
    ):
        change([node.address], MemberAdd("n4"), 5)
    assert error.value.surely_not_done


def test_a_follower_sends_us_to_the_leader() -> None:
    with FakeNode(lambda request: DONE) as leader:
        redirection = OperatorReply("not the leader", leader.address)
        with FakeNode(lambda request: redirection) as follower:
            assert change([follower.address], MemberAdd("n4"), 5) == leader.address
    assert leader.heard[-1] == MemberAdd("n4")


def test_a_dead_node_is_passed_over() -> None:
    with FakeNode(lambda request: DONE) as dead:
        pass
    with FakeNode(lambda request: DONE) as living:
        assert change([dead.address, living.address], MemberAdd("n4"), 5) == living.address


def test_a_refusal_is_told_in_the_words_of_the_leader() -> None:
    refusal = OperatorReply("n4 has not caught up", None)
    with (
        FakeNode(lambda request: refusal) as leader,
        pytest.raises(MembershipRefused, match="n4 has not caught up"),
    ):
        change([leader.address], MemberAdd("n4"), 5)


def test_a_node_that_lost_its_disk_refuses_but_the_leader_among_the_others_has_the_word() -> None:
    refusal = OperatorReply("the data directory of n1 is empty", None)
    with FakeNode(lambda request: refusal) as lost, FakeNode(lambda request: DONE) as leader:
        assert change([lost.address, leader.address], MemberReplace("n1"), 5) == leader.address


def test_a_leader_that_refused_is_not_asked_again() -> None:
    with FakeNode(lambda request: OperatorReply("n4 has not caught up", None)) as leader:
        redirection = OperatorReply("not the leader", leader.address)
        with (
            FakeNode(lambda request: redirection) as follower,
            pytest.raises(MembershipRefused, match="n4 has not caught up"),
        ):
            change([leader.address, follower.address], MemberPromote("n4"), 5)
    assert leader.heard.count(MemberPromote("n4")) == 1


def test_a_node_without_a_cluster_says_so_when_asked_for_its_status() -> None:
    with (
        FakeNode(lambda request: OperatorReply("it still waits for n2", None)) as node,
        pytest.raises(NoAnswer, match="it still waits for n2"),
    ):
        status(node.address, 5)


def test_nodes_that_send_us_in_circles_are_left_after_a_while() -> None:
    with FakeNode(lambda request: OperatorReply("not the leader", second.address)) as first:
        with (
            FakeNode(lambda request: OperatorReply("not the leader", first.address)) as second,
            pytest.raises(NoAnswer, match="no leader") as error,
        ):
            change([first.address], MemberAdd("n4"), 5)
        assert error.value.surely_not_done


@pytest.mark.parametrize("reply", [None, b"\x00\x00\x00\x04\x00\x00\x00\x00junk"])
def test_a_change_whose_answer_is_lost_may_have_been_made_and_is_not_repeated(reply: bytes | None) -> None:
    with (
        FakeNode(lambda request: reply) as node,
        FakeNode(lambda request: DONE) as other,
        pytest.raises(NoAnswer, match="may have been done") as error,
    ):
        change([node.address, other.address], MemberAdd("n4"), 5)
    assert not error.value.surely_not_done
    assert other.heard == []


def test_a_change_that_was_overtaken_by_another_leader_may_have_been_made() -> None:
    with (
        FakeNode(lambda request: OperatorReply(OUTCOME_UNKNOWN)) as node,
        pytest.raises(NoAnswer, match="not known") as error,
    ):
        change([node.address], MemberAdd("n4"), 5)
    assert not error.value.surely_not_done


def test_a_question_whose_answer_is_lost_has_done_nothing() -> None:
    with FakeNode(lambda request: None) as node, pytest.raises(NoAnswer) as error:
        status(node.address, 5)
    assert error.value.surely_not_done


def test_a_silent_node_is_not_waited_for_beyond_the_time_given() -> None:
    with (
        FakeNode(lambda request: b"\x00") as node,
        pytest.raises(NoAnswer, match="took too long"),
    ):
        status(node.address, 0.2)


def test_addresses() -> None:
    assert addresses_of("7421, n2.example:7421") == ["127.0.0.1:7421", "n2.example:7421"]
    for wrong in ("", ",", "n2"):
        with pytest.raises(ConfigurationError, match="--node"):
            addresses_of(wrong)
