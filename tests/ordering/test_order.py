"""What each broadcast promises about order, and what it does not: by the deliveries, and by the judge.

Each kind is the mutant of the next one: what the stronger promises, the weaker is seen to break.
"""
from __future__ import annotations

import pytest

from agreed.check.causal import Kind, causal
from agreed.check.models import Register
from agreed.check.sequential import sequential
from agreed.check.verdict import Outcome
from agreed.ordering import CausalBroadcast, FifoBroadcast, ReliableBroadcast
from tests.ordering.world import World

SEEDS = 60


def outcomes(kind: type[ReliableBroadcast], model: Kind) -> set[Outcome]:
    return {causal(World(kind, seed).run().history(), model).outcome for seed in range(SEEDS)}


HOLDS, VIOLATED = {Outcome.HOLDS}, {Outcome.HOLDS, Outcome.VIOLATED}


@pytest.mark.parametrize(
    ("kind", "model", "expected"),
    [
        (ReliableBroadcast, "PRAM", VIOLATED),
        (FifoBroadcast, "PRAM", HOLDS),
        (FifoBroadcast, "CC", VIOLATED),
        (CausalBroadcast, "CC", HOLDS),
        (CausalBroadcast, "CM", HOLDS),
        (CausalBroadcast, "CCv", VIOLATED),
    ],
)
def test_a_memory_that_is_kept_by_it(
    kind: type[ReliableBroadcast], model: Kind, expected: set[Outcome]
) -> None:
    assert outcomes(kind, model) == expected


def test_causal_order_is_kept_and_there_is_no_total_order() -> None:
    worlds = [World(CausalBroadcast, seed).run() for seed in range(SEEDS)]
    assert not any(world.out_of_causal_order() for world in worlds)
    assert any(world.in_different_orders() for world in worlds)
    verdicts = {sequential(world.history(), Register()).outcome for world in worlds}
    assert verdicts == VIOLATED


def test_fifo_breaks_causal_order_and_reliable_the_order_of_one_sender() -> None:
    assert any(World(FifoBroadcast, seed).run().out_of_causal_order() for seed in range(SEEDS))
    for kind, kept in ((FifoBroadcast, True), (ReliableBroadcast, False)):
        worlds = [World(kind, seed).run() for seed in range(SEEDS)]
        assert all(map(by_sender, worlds)) is kept


def by_sender(world: World) -> bool:
    """Whether everybody delivers the messages of each sender in its order.  (A sender delivers its own at
    once.)"""
    for name in world.names:
        own = [each for each in world.delivered[name] if writer(world, each) == name]
        for delivered in world.delivered.values():
            if [each for each in delivered if each in own] != own:
                return False
    return True


def writer(world: World, message: str) -> object:
    return world.operations[int(message.partition("=")[2])].process
