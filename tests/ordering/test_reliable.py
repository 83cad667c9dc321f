"""Everybody or nobody, and once: with messages doubled, out of order, and a node that crashes while it
sends."""
from __future__ import annotations

import pytest

from agreed.consensus.machine import Received, Send
from agreed.ordering import Broadcast, CausalBroadcast, FifoBroadcast, Message, ReliableBroadcast
from tests.ordering.world import World

SEEDS = 40
KINDS = [ReliableBroadcast, FifoBroadcast, CausalBroadcast]


def broken(world: World) -> str:
    """Which promise; empty if none."""
    delivered = {name: world.delivered[name] for name in world.alive}
    for name, messages in delivered.items():
        if len(set(messages)) != len(messages):
            return "integrity"
        own = [f"{each.key}={each.argument}" for each in world.operations if each.function == "write"]
        if not set(messages) <= set(own):
            return "integrity"
        mine = [
            f"{each.key}={each.argument}"
            for each in world.operations
            if each.function == "write" and each.process == name
        ]
        if not set(mine) <= set(messages):
            return "validity"
    return "agreement" if len({frozenset(each) for each in delivered.values()}) > 1 else ""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("crash", [False, True])
def test_everybody_or_nobody_once(kind: type[ReliableBroadcast], crash: bool) -> None:
    for seed in range(SEEDS):
        world = World(kind, seed, nodes=4, crash=crash).run()
        assert broken(world) == ""
        assert crash or not any(machine.held_back for machine in world.machines.values())


class PassesNothingOn(FifoBroadcast):
    def _hear(self, message: Message, source: str) -> None:
        kept = len(self._effects.send)
        super()._hear(message, source)
        del self._effects.send[kept:]


class RemembersNothing(ReliableBroadcast):
    def _pass_on(self, message: Message, except_for: object = ()) -> None:
        self._effects.send += [Send(peer, message) for peer in self.peers if message.origin == self.node]

    def _knows(self, message: Message) -> bool:
        return False


@pytest.mark.parametrize(
    ("mutant", "promise"), [(PassesNothingOn, "agreement"), (RemembersNothing, "integrity")]
)
def test_what_it_is_good_for(mutant: type[ReliableBroadcast], promise: str) -> None:
    found = {broken(World(mutant, seed, nodes=4, crash=True).run()) for seed in range(SEEDS)}
    assert promise in found


def test_a_message_waits_for_the_one_before_it() -> None:
    sender, receiver = FifoBroadcast("n1", ["n1", "n2"]), FifoBroadcast("n2", ["n1", "n2"])
    for word in (b"first", b"second"):
        sender.step(Broadcast(word))
    first, second = (send.message for send in sender.take().send)
    receiver.step(Received("n1", second))
    assert receiver.take().deliver == []
    receiver.step(Received("n1", first))
    assert [message.payload for message in receiver.take().deliver] == [b"first", b"second"]


def test_an_answer_waits_for_its_question() -> None:
    names = ["asker", "expert", "reader"]
    asker, expert, reader = (CausalBroadcast(name, names) for name in names)
    asker.step(Broadcast(b"why?"))
    question = asker.take().send[0].message
    expert.step(Received("asker", question))
    expert.step(Broadcast(b"because"))
    answer = expert.take().send[-1].message
    reader.step(Received("expert", answer))
    assert reader.take().deliver == []
    assert reader.held_back == [answer]
    reader.step(Received("asker", question))
    assert [message.payload for message in reader.take().deliver] == [b"why?", b"because"]


def test_what_is_no_message_is_not_for_us() -> None:
    machine = ReliableBroadcast("n1", ["n1", "n2"])
    machine.step(Received("n2", "hello"))
    effects = machine.take()
    assert effects.send == []
    assert effects.deliver == []
