"""What an operator asks of a node, and what it is told."""

from __future__ import annotations

from agreed.replica import events
from agreed.wire.peer.messages import (
    LeadershipTransfer,
    MemberAdd,
    MemberPromote,
    MemberRemove,
    MemberReplace,
    OperatorReply,
    StatusReply,
    StatusRequest,
)
from tests.replica.alone import Alone

STRANGER = events.StrangerSeen("n2", 77, "127.0.0.1:7422", "127.0.0.1:2182")


def ask(node: Alone, request: object) -> object:
    before = len(node.effects)
    node.turn(events.OperatorAsked(5, request))
    node.pass_ms(100)
    answers = [reply for effects in node.effects[before:] for reply in effects.operator_replies]
    assert len(answers) == 1, "each question has one answer"
    ticket, reply = answers[0]
    assert ticket == 5
    return reply


def refusal(node: Alone, request: object) -> str | None:
    reply = ask(node, request)
    assert isinstance(reply, OperatorReply)
    return reply.refusal


def test_a_node_tells_how_it_sees_itself() -> None:
    node = Alone()
    node.client()
    status = ask(node, StatusRequest())
    assert isinstance(status, StatusReply)
    assert (status.name, status.role, status.leader) == ("n1", "leader", "n1")
    assert (status.sessions, status.connections) == (1, 1)
    assert status.applied_index == status.commit_index == status.last_index > 0
    assert status.problem is None


def test_one_without_a_leader_names_its_problem() -> None:
    node = Alone(members=("n1", "n2", "n3"))
    node.pass_ms(5_000)
    status = ask(node, StatusRequest())
    assert isinstance(status, StatusReply)
    assert status.problem is not None


def test_who_has_not_called_cannot_be_added_or_replace_anybody() -> None:
    node = Alone()
    for request in (MemberAdd("n2"), MemberReplace("n2")):
        assert "n2 has not called yet" in (refusal(node, request) or "")


def test_who_has_called_is_added_as_a_learner_and_shown_in_the_configuration() -> None:
    node = Alone()
    node.turn(STRANGER)
    assert refusal(node, MemberAdd("n2")) is None
    [learner] = node.replica.members.learners
    assert (learner.name, learner.identity) == ("n2", 77)
    assert b"server.2=" in node.replica.store.configuration
    assert refusal(node, MemberAdd("n2")) is not None, "it is a member already"


def test_a_learner_that_has_not_caught_up_is_not_promoted_but_may_be_removed() -> None:
    node = Alone()
    node.turn(STRANGER)
    assert refusal(node, MemberAdd("n2")) is None
    assert refusal(node, MemberPromote("n2")) is not None
    assert refusal(node, MemberRemove("n2")) is None
    assert node.replica.members.learners == ()


def test_who_was_removed_is_not_added_again_in_the_place_of_its_successor() -> None:
    """n2 was a member, is removed, and its successor, with an empty directory, has not called yet."""
    node = Alone()
    node.turn(STRANGER)
    assert refusal(node, MemberAdd("n2")) is None
    node.turn(STRANGER)  # it has not heard yet that it is a member
    assert refusal(node, MemberRemove("n2")) is None
    assert "n2 has not called yet" in (refusal(node, MemberAdd("n2")) or "")
    node.turn(events.StrangerSeen("n2", 78, "127.0.0.1:7422", "127.0.0.1:2182"))
    assert refusal(node, MemberAdd("n2")) is None
    [learner] = node.replica.members.learners
    assert learner.identity == 78


def test_the_last_voter_is_not_removed() -> None:
    assert refusal(Alone(), MemberRemove("n1")) is not None


def test_who_does_not_lead_says_so() -> None:
    node = Alone(members=("n1", "n2", "n3"))
    assert refusal(node, MemberRemove("n2")) == "not the leader"


def test_leadership_is_not_handed_to_nobody_or_to_strangers() -> None:
    node = Alone()
    assert refusal(node, LeadershipTransfer(None)) is not None
    assert refusal(node, LeadershipTransfer("n9")) == "n9 is not a voter"
