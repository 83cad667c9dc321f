"""Which of the registers are linearizable, by the judge and over many seeds, and the shortest stories of
those that are not."""
from __future__ import annotations

import pytest

from agreed.check import linearizable
from agreed.check.causal import causal
from agreed.check.convergence import converges
from agreed.check.models import Register
from agreed.check.verdict import Outcome
from agreed.clocks import LamportTime
from agreed.consensus.machine import Received, Send, TimePassed
from agreed.registers import AbdRegister, Answered, Asked, MultiLeaderRegister, QuorumRegister, Read, Write
from agreed.registers.multileader import Held
from agreed.registers.quorum import Query, State, Store, Versioned
from tests.registers.world import Made, World

SEEDS = 150


def refuted(made: Made, seeds: int, nodes: int = 3) -> int | None:
    """The first seed whose history is not linearizable; None if all of them are."""
    for seed in range(seeds):
        outcome = linearizable(World(made, seed, nodes).run().history(), Register()).outcome
        assert outcome is not Outcome.UNKNOWN
        if outcome is Outcome.VIOLATED:
            return seed
    return None


def test_many_leaders_are_not_linearizable_but_causal_and_converge() -> None:
    assert refuted(MultiLeaderRegister, SEEDS) is not None
    for seed in range(SEEDS // 3):
        world = World(MultiLeaderRegister, seed).run()
        assert converges(world.history_at_the_end()).holds
        assert causal(world.history(), "CC").holds


class LastWriterWins(MultiLeaderRegister):
    """What comes last replaces what is there, whatever it knew."""

    def step(self, event: Asked | Received | TimePassed) -> None:
        if isinstance(event, Received) and isinstance(event.message, Held):
            self.held = event.message.siblings
        else:
            super().step(event)


def test_without_versions_many_leaders_do_not_even_keep_causes_before_effects() -> None:
    verdicts = [causal(World(LastWriterWins, seed).run().history(), "CC") for seed in range(10)]
    assert not all(verdict.holds for verdict in verdicts)


def test_quorums_are_not_linearizable() -> None:
    assert refuted(QuorumRegister, SEEDS) is not None


def test_abd_is_linearizable() -> None:
    assert refuted(AbdRegister, 80) is None
    assert refuted(AbdRegister, 20, nodes=5) is None


# --- mutants of the one that is ---------------------------------------------------------------------------


class GivesATimeTwice(AbdRegister):
    """Two writes of one node that are under way at once get the same time."""

    def step(self, event: Asked | Received | TimePassed) -> None:
        self._counter = 0
        super().step(event)


class HoldsTheLast(AbdRegister):
    """Whatever came last, though it be older."""

    def _hold(self, version: Versioned) -> None:
        self.held = version


class AsksAMinority(AbdRegister):
    def __init__(self, node: str, peers: list[str]) -> None:
        super().__init__(node, peers)
        self.read_quorum = self.write_quorum = 1


class CountsAnswersAndNotNodes(AbdRegister):
    """A doubled answer is taken for another node's."""

    def _answered(self, source: str, number: int, held: Versioned | None) -> None:
        phase = self._phases.get(number)
        if phase is not None and source in phase.answers:
            source += "'"
        super()._answered(source, number, held)


@pytest.mark.parametrize(
    ("mutant", "nodes"),
    [(GivesATimeTwice, 3), (HoldsTheLast, 3), (AsksAMinority, 3), (CountsAnswersAndNotNodes, 5)],
)
def test_its_mutants_are_refuted(mutant: Made, nodes: int) -> None:
    assert refuted(mutant, SEEDS, nodes) is not None


# --- stories ----------------------------------------------------------------------------------------------


def test_the_read_of_a_quorum_that_goes_back() -> None:
    """n1 is writing, and only n2 has heard.  A first read meets n2, a second does not."""
    old, new = Versioned(LamportTime(1, "n1"), b"old"), Versioned(LamportTime(2, "n1"), b"new")
    first, second = (QuorumRegister("n3", ["n1", "n2", "n3"]), QuorumRegister("n1", ["n1", "n2", "n3"]))
    first.held = second.held = old
    first.step(Asked(1, Read()))
    assert first.take().send == [Send("n1", Query(1)), Send("n2", Query(1))]
    first.step(Received("n2", State(1, new)))
    assert first.take().answers == [Answered(1, b"new")]
    second.step(Asked(2, Read()))
    second.step(Received("n3", State(1, old)))
    assert second.take().answers == [Answered(2, b"old")]


def test_abd_does_not_answer_before_a_majority_has_it() -> None:
    old, new = Versioned(LamportTime(1, "n1"), b"old"), Versioned(LamportTime(2, "n1"), b"new")
    reader = AbdRegister("n3", ["n1", "n2", "n3"])
    reader.held = old
    reader.step(Asked(1, Read()))
    reader.take()
    reader.step(Received("n2", State(1, new)))
    effects = reader.take()
    assert effects.send == [Send("n1", Store(2, new)), Send("n2", Store(2, new))]
    assert effects.answers == []
    assert reader.held == new


def test_a_write_of_many_leaders_is_answered_at_once() -> None:
    node = MultiLeaderRegister("n1", ["n1", "n2"])
    node.step(Asked(1, Write(b"x")))
    assert node.take().answers == [Answered(1, None)]
    node.step(Asked(2, Read()))
    assert node.take().answers == [Answered(2, b"x")]
