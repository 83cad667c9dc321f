"""Atomic commit by entries of a replicated log, over any protocol of consensus: a random world of both."""
from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

import msgspec

from agreed.atomic_commit.invariants import InvariantBroken, Witness
from agreed.atomic_commit.messages import Agreed, Begun, Decision, Record, Vote, Worked
from agreed.atomic_commit.participant import Participant
from agreed.atomic_commit.replicated import Proposal, ReplicatedCoordinator
from agreed.consensus.machine import Entry, EntryKind, Proposed, Received, Send, TimePassed
from tests.atomic_commit.site import Site
from tests.atomic_commit.world import VOTES
from tests.consensus import world
from tests.consensus.multipaxos.world import World as MultiPaxosWorld
from tests.consensus.nodes import Node, Weather
from tests.consensus.raft.world import World as RaftWorld
from tests.consensus.vr.world import World as ViewstampedWorld
from tests.consensus.zab.world import World as ZabWorld

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
