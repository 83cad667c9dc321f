"""Atomic commit by entries of a replicated log, over every protocol of consensus in a storm."""
from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

import msgspec
import pytest

from agreed.atomic.invariants import InvariantBroken, Witness
from agreed.atomic.messages import (
    Agreed,
    Begun,
    Decided,
    Decision,
    Inquiry,
    Prepare,
    Record,
    Vote,
    Voted,
    Worked,
)
from agreed.atomic.participant import Participant
from agreed.atomic.replicated import DecisionLog, Proposal, ReplicatedCoordinator
from agreed.atomic.voting import Poll
from agreed.consensus.machine import Entry, EntryKind, Proposed, Received, Send, TimePassed
from agreed.errors import MalformedInput
from tests.atomic.site import Site
from tests.atomic.world import VOTES
from tests.consensus import world
from tests.consensus.multipaxos.world import World as MultiPaxosWorld
from tests.consensus.nodes import Node, Weather
from tests.consensus.raft.world import World as RaftWorld
from tests.consensus.vr.world import World as ViewstampedWorld
from tests.consensus.zab.world import World as ZabWorld

SEEDS = 6
NODES = ("n1", "n2", "n3")
PARTICIPANTS = ("p1", "p2", "p3")
TICK_MS = 5


class Transacting(world.World[Any]):
    """Each node of the log is a coordinator besides; the participants stand outside, with disks of their
    own, and crash as well."""

    def __init__(
        self,
        seed: int,
        made: Callable[..., ReplicatedCoordinator] = ReplicatedCoordinator,
        weather: Weather | None = None,
    ) -> None:
        self.made = made
        self.witness = Witness()
        self.coordinators: dict[str, ReplicatedCoordinator] = {}
        self.begun = itertools.count(1)
        self.now = 0

        def takes_part(name: str, records: Sequence[Record], now: int) -> Participant:
            return Participant(name, records, now, work_ms=400, patience_ms=60, retry_ms=60, remembered=3)

        self.sites = {name: Site(name, takes_part, self.witness) for name in PARTICIPANTS}
        if weather is None:
            weather = Weather.draw(Random(f"transacted {seed}"))
        weather.changes, weather.snapshot_every = False, 1_000_000
        weather.weights["propose"] = 40
        super().__init__(seed, 3, weather=weather)
        for site in self.sites.values():
            self.carry(site.name, site.start(self.now))
        self.tick()

    # --- the nodes of the log -------------------------------------------------------------------------

    def start(self, node: Node) -> None:
        self.coordinators[node.name] = self.made(
            node.name, NODES, self.now, vote_ms=150, patience_ms=80, retry_ms=100
        )
        super().start(node)

    def commit(self, node: Node, entries: list[Entry]) -> None:
        super().commit(node, entries)
        for entry in entries:
            if entry.kind == EntryKind.PAYLOAD:
                self.coordinate(node, Agreed(entry.payload))

    def coordinate(self, node: Node, event: Begun | Agreed | Received | TimePassed) -> None:
        machine = self.coordinators[node.name]
        machine.step(TimePassed(self.now))
        machine.step(event)
        effects = machine.take()
        self.carry(node.name, effects.send)
        for outcome in effects.outcomes:
            self.witness.decided(outcome.transaction, f"client of {node.name}", outcome.decision)
        for payload in effects.proposals:
            self.contract.proposed(payload)
            self.later(self.dice.randint(0, 5), node, lambda payload=payload: self.forward(node, payload))

    def forward(self, node: Node, payload: bytes) -> None:
        """To whom it takes for the leader."""
        leader = self.nodes.get(node.machine.leader or node.name)
        if leader is not None:
            self.turn(leader, Proposed(payload))

    def propose(self, node: Node, waiting: tuple[str, ...] = ()) -> bytes:
        """In a storm transactions are begun; in peace the log is asked for something that we know again."""
        if self.stormy and node.up:
            self.begin(node, {name: self.dice.choice(VOTES) for name in self.some_participants()})
            return b""
        payload = msgspec.msgpack.encode(Proposal(f"nobody's {next(self.payloads)}", Decision.ABORT))
        self.contract.proposed(payload)
        self.turn(node, Proposed(payload, waiting))
        return payload

    # --- the participants -----------------------------------------------------------------------------

    def some_participants(self) -> list[str]:
        return self.dice.sample(PARTICIPANTS, self.dice.choice((1, 2, 2, 3)))

    def begin(self, node: Node, work: dict[str, Vote]) -> str:
        transaction = f"t{next(self.begun)}"
        self.witness.begun(transaction, tuple(work))
        for name, vote in work.items():
            if self.sites[name].up:
                self.step_site(name, Worked(transaction, vote))
        self.coordinate(node, Begun(transaction, tuple(work)))
        return transaction

    def step_site(self, name: str, event: Worked | Received) -> None:
        self.carry(name, self.sites[name].step(event))

    def carry(self, source: str, sends: Iterable[Send]) -> None:
        for send in sends:
            for _ in range(2 if self.dice.random() < self.weather.doubling else 1):
                if self.dice.random() >= self.weather.loss:
                    delay = self.dice.randint(0, self.weather.slowest_ms)
                    self.at(delay, lambda send=send: self.deliver(source, send))

    def deliver(self, source: str, send: Send) -> None:
        received = Received(source, send.message)
        if send.target in self.sites:
            if self.sites[send.target].up:
                self.step_site(send.target, received)
        elif self.nodes[send.target].up:
            self.coordinate(self.nodes[send.target], received)

    def tick(self) -> None:
        """Time passes for all that are not consensus."""
        self.at(TICK_MS, self.tick)
        for site in self.sites.values():
            self.carry(site.name, site.time_passes(self.now))
            if site.up and self.dice.random() < 0.5:
                self.carry(site.name, site.saved())
        for node in self.nodes.values():
            wake = self.coordinators[node.name].wake
            if node.up and wake is not None and wake <= self.now:
                self.coordinate(node, TimePassed(self.now))

    def mischief(self) -> None:
        super().mischief()
        if self.dice.random() < 0.05:
            site = self.sites[self.dice.choice(PARTICIPANTS)]
            site.crash(self.dice)
            self.at(self.dice.choice((10, 100)), lambda: self.come_back(site))

    def come_back(self, site: Site) -> None:
        if not site.up:
            self.carry(site.name, site.start(self.now))

    # --- a run ----------------------------------------------------------------------------------------

    def play(self) -> Transacting:
        self.storm(600)
        for site in self.sites.values():
            self.come_back(site)
        self.converge()
        deadline = self.now + 3000
        while self.unfinished() and self.now < deadline:
            self.run(self.now + 20)
        return self

    def unfinished(self) -> list[str]:
        machines = [*self.coordinators.values(), *(site.machine for site in self.sites.values())]
        return [transaction for machine in machines for transaction in machine.unfinished]

    def check(self) -> None:
        self.witness.check_termination()
        if self.unfinished():
            raise InvariantBroken(f"AC5: not finished with {self.unfinished()}")
        read: dict[str, Proposal] = {}
        for coordinator in self.coordinators.values():  # one may be behind
            for transaction, proposal in coordinator.log.decided.items():
                if read.setdefault(transaction, proposal) != proposal:
                    raise InvariantBroken(f"AC1: two nodes read the log differently: {transaction}")


class OverRaft(Transacting, RaftWorld):
    pass


class OverMultiPaxos(Transacting, MultiPaxosWorld):
    pass


class OverViewstamped(Transacting, ViewstampedWorld):
    pass


class OverZab(Transacting, ZabWorld):
    pass


OVER = [OverRaft, OverMultiPaxos, OverViewstamped, OverZab]


@pytest.mark.parametrize("over", OVER)
def test_all_or_nothing_in_a_storm(over: type[Transacting]) -> None:
    ended = set()
    for seed in range(SEEDS):
        world = over(seed).play()
        world.check()
        ended |= {decision for seen in world.witness.seen.values() for decision in seen.decided.values()}
    assert ended == set(Decision)


# --- mutants ----------------------------------------------------------------------------------------------


class AnyLog(DecisionLog):
    """Takes the first proposal, with or without the votes."""

    def _decides(self, proposal: Proposal) -> bool:
        return proposal.transaction not in self._decided


class LastWinsLog(DecisionLog):
    def _decides(self, proposal: Proposal) -> bool:
        return proposal.valid


class CommitsWithOneUndecided(ReplicatedCoordinator):
    def _close(self, poll: Poll) -> None:
        if len(poll.missing()) == 1 and Vote.NO not in poll.votes.values():
            votes = tuple(poll.votes.get(each) for each in poll.participants)
            self._propose(Proposal(poll.transaction, Decision.COMMIT, poll.participants, votes))
        super()._close(poll)


class T10CommitsWithOneUndecided(CommitsWithOneUndecided):
    def _make_log(self) -> DecisionLog:
        return AnyLog()


class TheLastProposalWins(ReplicatedCoordinator):
    def _make_log(self) -> DecisionLog:
        return LastWinsLog()


class TellsWhatItProposes(ReplicatedCoordinator):
    """Before it is agreed."""

    def _propose(self, proposal: Proposal) -> None:
        super()._propose(proposal)
        poll = self._polls.get(proposal.transaction)
        for each in poll.told() if poll is not None else ():
            self._send(each, Decided(proposal.transaction, proposal.decision))


class T8NobodyEndsWhatOthersBegan(ReplicatedCoordinator):
    def _doubt(self, source: str, transaction: str) -> None:
        if transaction in self.log.decided:
            super()._doubt(source, transaction)


class PresumesAbort(ReplicatedCoordinator):
    """Though it may be behind."""

    def _doubt(self, source: str, transaction: str) -> None:
        super()._doubt(source, transaction)
        if transaction not in self.log.decided:
            self._send(source, Decided(transaction, Decision.ABORT))


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
