"""Whoever reaches the port of the peers may call himself anything; that must not harm who believes him."""

from __future__ import annotations

import pytest

from agreed.consensus.members import Member, Members
from agreed.replica import events
from agreed.replica.operators import MAX_STRANGERS
from agreed.replica.reconfiguration import configuration_text
from agreed.wire.peer.messages import MemberAdd, OperatorReply
from tests.replica.alone import Alone


@pytest.mark.parametrize(
    ("address", "client_address"),
    [("", ""), ("n4", "n4"), ("n4:" + "9" * 5_000, "n4:1"), ("n4:1", "n4:x"), ("n4:1", "n4:²"), ("::", ":")],
)
def test_every_leader_can_print_a_member_however_it_calls_its_address(
    address: str, client_address: str
) -> None:
    """A leader prints them all when it begins to lead: if it could not, nobody would ever lead again."""
    assert b"server.4=" in configuration_text(Members((Member("n4", 4, address, client_address),)))


def test_one_with_a_strange_address_is_added_and_nothing_breaks() -> None:
    node = Alone()
    node.turn(events.StrangerSeen("n4", 4, "nowhere", "nowhere:at:all"))
    node.turn(events.OperatorAsked(1, MemberAdd("n4")))
    replies = [reply for effects in node.effects for reply in effects.operator_replies]
    assert replies == [(1, OperatorReply(None))]
    assert b"server.4=nowhere" in node.replica.store.configuration


def test_they_are_not_remembered_without_end() -> None:
    node = Alone()
    for number in range(3 * MAX_STRANGERS):
        node.turn(events.StrangerSeen(f"s{number}", number, "s:1", ""))
        node.turn(events.StrangerSeen("n4", 4, "n4:1", ""))
    assert len(node.replica.operators.strangers) == MAX_STRANGERS
    assert "n4" in node.replica.operators.strangers, "who calls again and again is not forgotten"
