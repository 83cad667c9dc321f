"""Atomic commit by entries of a replicated log, over every protocol of consensus in a storm."""
from __future__ import annotations

import msgspec
import pytest

from agreed.atomic_commit.invariants import InvariantBroken
from agreed.atomic_commit.messages import (
    Agreed,
    Begun,
    Decided,
    Decision,
    Inquiry,
    Prepare,
    Vote,
    Voted,
)
from agreed.atomic_commit.replicated import DecisionLog, Proposal, ReplicatedCoordinator
from agreed.consensus.machine import Received, Send, TimePassed
from agreed.errors import MalformedInput
from tests.atomic_commit.mutants import (
    CommitsWithOneUndecided,
    PresumesAbort,
    T8NobodyEndsWhatOthersBegan,
    T10CommitsWithOneUndecided,
    TellsWhatItProposes,
    TheLastProposalWins,
)
from tests.atomic_commit.transacting import NODES, OVER, OverRaft, Transacting
from tests.atomic_commit.world import VOTES
from tests.consensus.nodes import Weather

SEEDS = 6

@pytest.mark.parametrize("over", OVER)
def test_all_or_nothing_in_a_storm(over: type[Transacting]) -> None:
    ended = set()
    for seed in range(SEEDS):
        world = over(seed).play()
        world.check()
        ended |= {decision for seen in world.witness.seen.values() for decision in seen.decided.values()}
    assert ended == set(Decision)


# --- mutants ----------------------------------------------------------------------------------------------

MUTANTS = [
    (T10CommitsWithOneUndecided, "AC3"),
    (TheLastProposalWins, "AC1"),
    (TellsWhatItProposes, "AC1"),
    (T8NobodyEndsWhatOthersBegan, "AC5"),
    (PresumesAbort, "AC1"),
]


def broken_by(mutant: type[ReplicatedCoordinator], seed: int) -> str:
    try:
        OverRaft(seed, mutant).play().check()
    except InvariantBroken as broken:
        return str(broken)[:3]
    return ""


@pytest.mark.parametrize(("mutant", "invariant"), MUTANTS)
def test_mistakes_are_found(mutant: type[ReplicatedCoordinator], invariant: str) -> None:
    assert any(broken_by(mutant, seed) == invariant for seed in range(30))


def test_the_log_itself_passes_over_a_commit_without_all_votes() -> None:
    """So a coordinator that counts wrongly can hold things up, but not break them."""
    for seed in range(4):
        OverRaft(seed, CommitsWithOneUndecided).play()  # raises for AC1, AC2, AC3


# --- stories ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("over", OVER)
def test_it_does_not_block_while_the_coordinator_is_away(over: type[Transacting]) -> None:
    """The node that coordinates dies after the votes, for good.  The others abort, and the locks are let go:
    just where two-phase commit waits for ever."""
    world = over(0, weather=Weather())
    world.stormy = False
    while world.leader() is None:
        world.run(world.now + 10)
    node = world.nodes["n1"]
    world.begin(node, {"p1": Vote.YES, "p2": Vote.YES})
    while not all(world.sites[name].holds("t1") for name in ("p1", "p2")):
        world.run(world.now + 1)
    world.crash(node)
    deadline = world.now + 20_000
    while any(world.sites[name].machine.unfinished for name in ("p1", "p2")):
        assert world.now < deadline, "blocked"
        world.run(world.now + 20)
    assert not node.up
    assert set(world.witness.seen["t1"].decided) == {"p1", "p2"}


def test_what_can_commit_does_where_nothing_fails() -> None:
    for seed in range(3):
        world = OverRaft(seed, weather=Weather())
        world.stormy = False
        while world.leader() is None:
            world.run(world.now + 10)
        world.run(world.now + 500)  # everybody knows who leads: nothing is dropped
        for _ in range(10):
            node = world.nodes[world.dice.choice(NODES)]
            world.begin(node, {name: world.dice.choice(VOTES) for name in world.some_participants()})
            world.run(world.now + 10)
        world.run(world.now + 1000)
        world.witness.check_non_triviality()
        world.check()


COMMIT = Proposal("t", Decision.COMMIT, ("p", "q"), (Vote.YES, Vote.READ_ONLY))
ABORT = Proposal("t", Decision.ABORT)


@pytest.mark.parametrize(
    ("proposals", "decided"),
    [
        ([COMMIT, ABORT], COMMIT),
        ([ABORT, COMMIT], ABORT),
        ([msgspec.structs.replace(COMMIT, votes=(Vote.YES, None)), ABORT, COMMIT], ABORT),
        ([msgspec.structs.replace(COMMIT, votes=(Vote.YES,)), COMMIT], COMMIT),
        ([msgspec.structs.replace(COMMIT, votes=(Vote.YES, Vote.NO))], None),
        ([], None),
    ],
)
def test_the_first_that_may_be_is_the_decision(proposals: list[Proposal], decided: Proposal | None) -> None:
    log = DecisionLog()
    for proposal in proposals:
        log.apply(msgspec.msgpack.encode(proposal))
    assert log.decided.get("t") == decided


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\x93", msgspec.msgpack.encode(["t", "perhaps"])])
def test_what_is_no_proposal_is_refused(payload: bytes) -> None:
    with pytest.raises(MalformedInput):
        DecisionLog().apply(payload)


def test_a_node_that_is_asked_waits_and_then_proposes_abort() -> None:
    machine = ReplicatedCoordinator("n2", NODES, patience_ms=500)
    machine.step(Received("p", Inquiry("t")))
    assert machine.take().proposals == []
    machine.step(TimePassed(500))
    assert machine.take().proposals == [msgspec.msgpack.encode(ABORT)]
    machine.step(Agreed(msgspec.msgpack.encode(COMMIT)))
    machine.step(Agreed(msgspec.msgpack.encode(ABORT)))
    machine.step(Received("p", Inquiry("t")))
    assert machine.take().send == [Send("p", Decided("t", Decision.COMMIT))], "the coordinator came first"
    assert machine.wake is None


def test_a_proposal_that_was_dropped_is_made_again() -> None:
    machine = ReplicatedCoordinator("n1", NODES, retry_ms=100)
    machine.step(Begun("t", ("p", "q")))
    assert machine.take().send == [Send(each, Prepare("t", NODES)) for each in ("p", "q")]
    machine.step(Received("p", Voted("t", Vote.YES)))
    machine.step(Received("q", Voted("t", Vote.READ_ONLY)))
    assert machine.take().proposals == [msgspec.msgpack.encode(COMMIT)]
    machine.step(TimePassed(100))
    assert machine.take().proposals == [msgspec.msgpack.encode(COMMIT)]
    machine.step(Agreed(msgspec.msgpack.encode(COMMIT)))
    effects = machine.take()
    assert effects.send == [Send("p", Decided("t", Decision.COMMIT))]
    assert [outcome.decision for outcome in effects.outcomes] == [Decision.COMMIT]
