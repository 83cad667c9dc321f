"""A node hears the leader on one connection and speaks to it on another.  If only the second is cut, the
leader takes the node's clients for silent and ends their sessions; they must not go on in good faith here."""

from __future__ import annotations

from agreed.consensus.raft.messages import AppendEntries
from agreed.replica import events
from agreed.replica.upkeep import NOTED_WITHIN_MS
from agreed.wire.peer.messages import Heard, HeardNoted
from tests.replica.alone import Alone, Client


def beats(node: Alone, duration_ms: int, *, noted: bool) -> None:
    """The leader's heartbeats, and its answers to reports if there are any."""
    for _ in range(duration_ms // 100):
        node.now += 100
        effects = node.turn(events.PeerMessage("n2", AppendEntries(1, 0, 0, 0, 1, [])))
        if noted and any(isinstance(message, Heard) for _, message in effects.send):
            node.turn(events.PeerMessage("n2", HeardNoted()))


def test_clients_are_let_go_and_come_back_when_the_leader_hears_again() -> None:
    node = Alone(members=("n1", "n2", "n3"))
    beats(node, 10_000, noted=True)
    client = Client(node)
    beats(node, 10_000, noted=True)
    assert not client.closed
    beats(node, NOTED_WITHIN_MS - 600, noted=False)
    assert not client.closed
    beats(node, 1_000, noted=False)
    assert client.closed
    assert node.replica.machine.leader == "n2"
    refused = Client(node)
    refused.connect()
    assert refused.closed
    beats(node, 1_000, noted=True)
    welcome = Client(node)
    welcome.connect()
    assert not welcome.closed


def test_only_the_leaders_answer_counts() -> None:
    node = Alone(members=("n1", "n2", "n3"))
    client = Client(node)
    for _ in range(NOTED_WITHIN_MS // 100 + 10):
        beats(node, 100, noted=False)
        node.turn(events.PeerMessage("n3", HeardNoted()))
    assert client.closed


def test_a_leader_answers_each_report() -> None:
    node = Alone()
    effects = node.turn(events.PeerMessage("n2", Heard([])))
    assert ("n2", HeardNoted()) in effects.send
    follower = Alone(members=("n1", "n2", "n3"))
    effects = follower.turn(events.PeerMessage("n2", Heard([])))
    assert not effects.send
