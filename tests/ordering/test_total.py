"""Total order broadcast from consensus and back, over Raft in a storm: lost messages, crashes, changes of
leader."""
from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest

from agreed.consensus.machine import Entry, EntryKind, Proposed
from agreed.errors import MalformedInput
from agreed.ordering.total import Decisions, Delivered, Published, Publisher, TotalOrder
from tests.consensus import world
from tests.consensus.multipaxos.world import World as MultiPaxosWorld
from tests.consensus.nodes import Node, Weather
from tests.consensus.raft.world import World as RaftWorld
from tests.consensus.vr.world import World as ViewstampedWorld
from tests.consensus.zab.world import World as ZabWorld

SEEDS = 8
NAMES = ("p1", "p2", "p3")
DECISIONS = 8


class Publishing(world.World[Any]):
    """Three publishers say things through whichever node they meet, again and again until they are
    delivered."""

    def __init__(self, seed: int, made: type[TotalOrder] = TotalOrder) -> None:
        self.made = made
        self.publishers = {name: Publisher(name) for name in NAMES}
        self.said: dict[str, int] = dict.fromkeys(NAMES, 0)
        self.orders: dict[str, TotalOrder] = {}
        self.decisions: dict[str, Decisions] = {}
        self.past: dict[str, bytes] = {}
        """What anybody has ever decided."""
        weather = Weather.draw(Random(f"published {seed}"))
        weather.changes, weather.snapshot_every = False, 1_000_000
        super().__init__(seed, 3, weather=weather)

    def start(self, node: Node) -> None:
        self.orders[node.name], self.decisions[node.name] = self.made(), Decisions()
        super().start(node)

    def propose(self, node: Node, waiting: tuple[str, ...] = ()) -> bytes:
        name = self.dice.choice(NAMES)
        publisher = self.publishers[name]
        if not publisher.unconfirmed() or (self.stormy and self.dice.random() < 0.6):
            self.said[name] += 1
            decision = f"d{self.dice.randrange(DECISIONS)}"
            publisher.publish(Decisions.propose(decision, f"{name} {self.said[name]}".encode()))
        said = publisher.unconfirmed()
        if self.dice.random() < 0.3:
            said = said[-1:]  # the others are still on their way
        for payload in said:
            self.contract.proposed(payload)
            self.turn(node, Proposed(payload, waiting))
        return said[-1]

    def commit(self, node: Node, entries: list[Entry]) -> None:
        super().commit(node, entries)
        for entry in entries:
            if entry.kind != EntryKind.PAYLOAD:
                continue
            delivered = self.orders[node.name].apply(entry.payload)
            if delivered is not None:
                for publisher in self.publishers.values():
                    publisher.confirm(delivered.message)
                decisions = self.decisions[node.name]
                decisions.deliver(delivered.message.payload)
                for name, value in decisions.decided.items():
                    assert self.past.setdefault(name, value) == value, "agreement, and integrity"

    def play(self) -> Publishing:
        self.storm(400)
        self.converge()
        deadline = self.now + 10_000
        while not self.finished():
            assert self.now < deadline, "liveness"
            leader = self.leader()
            if leader is not None:
                self.propose(leader)
            self.run(self.now + 20)
        return self

    def finished(self) -> bool:
        """Whether everything was delivered by everybody."""
        sizes = {len(order.delivered) for order in self.orders.values()}
        return len(sizes) == 1 and not any(each.unconfirmed() for each in self.publishers.values())

    def broken(self) -> str:
        """Which promise; empty if none."""
        orders = [[each.message for each in self.orders[name].delivered] for name in self.nodes]
        if any(order != orders[0] for order in orders):
            return "total order"
        for name in NAMES:
            numbers = [message.number for message in orders[0] if message.publisher == name]
            if numbers != list(range(1, self.said[name] + 1)):
                return "exactly once"
        return ""


class OverRaft(Publishing, RaftWorld):
    pass


class OverMultiPaxos(Publishing, MultiPaxosWorld):
    pass


class OverViewstamped(Publishing, ViewstampedWorld):
    pass


class OverZab(Publishing, ZabWorld):
    pass


@pytest.mark.parametrize("over", [OverRaft, OverMultiPaxos, OverViewstamped, OverZab])
def test_everybody_delivers_the_same_exactly_once(over: type[Publishing]) -> None:
    repeated = 0
    for seed in range(SEEDS):
        world = over(seed).play()
        assert world.broken() == ""
        payloads = [each.payload for each in world.contract.agreed.values() if each.kind == EntryKind.PAYLOAD]
        repeated += len(payloads) - len(set(payloads))
        proposals = {
            msgspec.msgpack.decode(each.message.payload)[1] for each in world.orders["n1"].delivered
        }
        assert set(world.past.values()) <= proposals, "validity"
        assert all(world.decisions[name].decided == world.past for name in world.nodes), "termination"
    assert repeated > 0, "a log in which nothing is repeated shows nothing"


class DeliversWhatIsRepeated(TotalOrder):
    def apply(self, payload: bytes) -> Delivered | None:
        message = msgspec.msgpack.decode(payload, type=Published)
        self._last[message.publisher] = message.number - 1
        return super().apply(payload)


class DeliversWhatHasOvertaken(TotalOrder):
    """Takes what is newer, and what it has overtaken for old."""

    def apply(self, payload: bytes) -> Delivered | None:
        message = msgspec.msgpack.decode(payload, type=Published)
        if message.number > self._last.get(message.publisher, 0):
            self._last[message.publisher] = message.number - 1
        return super().apply(payload)


@pytest.mark.parametrize("mutant", [DeliversWhatIsRepeated, DeliversWhatHasOvertaken])
def test_what_the_numbers_are_good_for(mutant: type[TotalOrder]) -> None:
    assert "exactly once" in (OverRaft(seed, mutant).play().broken() for seed in range(SEEDS))


def test_a_subscriber_goes_on_where_it_was() -> None:
    publisher, order = Publisher("p"), TotalOrder()
    for word in (b"a", b"b", b"c"):
        order.apply(publisher.publish(word))
    assert [(each.offset, each.message.payload) for each in order.since(1)] == [(1, b"b"), (2, b"c")]
    publisher.confirm(order.delivered[1].message)
    assert publisher.unconfirmed() == [msgspec.msgpack.encode(Published("p", 3, b"c"))]
    publisher.confirm(Published("somebody else", 3, b"c"))
    assert len(publisher.unconfirmed()) == 1


def test_what_is_delivered_first_is_decided() -> None:
    decisions = Decisions()
    for value in (b"one", b"two"):
        decisions.deliver(Decisions.propose("who leads", value))
    assert decisions.decided == {"who leads": b"one"}


NO_NUMBER = msgspec.msgpack.encode(["p", "one", b""])


@pytest.mark.parametrize("payload", [b"", b"\x93", b"\x01", b"\xc1", NO_NUMBER])
def test_what_nobody_made_is_refused(payload: bytes) -> None:
    with pytest.raises(MalformedInput):
        TotalOrder().apply(payload)
    with pytest.raises(MalformedInput):
        Decisions().deliver(payload)
