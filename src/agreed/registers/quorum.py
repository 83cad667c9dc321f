"""A leaderless register: a write is on w nodes, a read asks r of n, and r + w > n.

(The scheme is Gifford's of 1979, with all votes equal; Dynamo made it popular.)  Any node takes requests:

    write  ask r nodes for their time; take a greater one; tell everybody the value with it; w have stored
    it: done read  ask r nodes for their value; answer with the newest; tell those that had an older one
    (read repair)

Times are Lamport's, (counter, node): no two writes have the same.

Any r nodes and any w nodes have one in common, so a read sees every write that was done before it began, or
a newer one.  It looks linearizable, and is not: a write that is under way is on one node, a first read
happens to ask that node and answers with the new value, a second read begins after that, asks two others,
and answers with the old one.  The repair that would have helped is on its way.  `abd` waits for it, and
that is all there is to it.
"""
from __future__ import annotations

from collections.abc import Iterable

import msgspec

from agreed.clocks.lamport import LamportTime
from agreed.consensus.machine import Received, Send, TimePassed
from agreed.registers.machine import Answered, Asked, Effects, Event, Write
from agreed.types import Instant, NodeId


class Versioned(msgspec.Struct, frozen=True):
    """A value and the time of the write that it is of."""

    time: LamportTime
    value: bytes | None


class Query(msgspec.Struct, frozen=True, gc=False):
    """What do you hold?  `phase` comes back with the answer."""

    phase: int


class State(msgspec.Struct, frozen=True):
    phase: int
    held: Versioned


class Store(msgspec.Struct, frozen=True):
    """Hold this, unless you hold something newer."""

    phase: int
    version: Versioned


class Stored(msgspec.Struct, frozen=True, gc=False):
    phase: int


class Phase(msgspec.Struct):
    """One round of messages for a client, which waits until enough nodes have answered."""

    asked: Asked
    said: Query | Store
    needed: int
    retry_at: Instant
    answers: dict[NodeId, Versioned | None] = msgspec.field(default_factory=dict)
    result: bytes | None = None
    """What the client is told after a store."""


class QuorumRegister:
    """One node: it holds a copy, and coordinates the requests of its clients.

    Raises ValueError if r + w is not more than n."""

    def __init__(
        self,
        node: NodeId,
        peers: Iterable[NodeId],
        read_quorum: int | None = None,
        write_quorum: int | None = None,
        retry_ms: int = 100,
    ) -> None:
        self.node = node
        self.peers = tuple(peer for peer in peers if peer != node)
        size = len(self.peers) + 1
        self.read_quorum = read_quorum or size // 2 + 1
        self.write_quorum = write_quorum or size // 2 + 1
        self._check_quorums(size)
        self.retry_ms = retry_ms
        self.held = Versioned(LamportTime(0, ""), None)
        self.wake: Instant | None = None
        self._now: Instant = 0
        self._counter = 0
        """The greatest that we have given to a write.  Two writes of ours may be under way at once, and have
        asked before either is stored: without this they would have one time and two values."""
        self._phases: dict[int, Phase] = {}
        self._last_phase = 0
        self._effects = Effects()

    def _check_quorums(self, size: int) -> None:
        if self.read_quorum + self.write_quorum <= size:
            raise ValueError(f"r + w must be more than n: {self.read_quorum} + {self.write_quorum}, {size}")

    def step(self, event: Event) -> None:
        if isinstance(event, Asked):
            self._begin(event, None, self.read_quorum)
        elif isinstance(event, TimePassed):
            self._retry(event.now)
        elif isinstance(event, Received):
            self._receive(event.source, event.message)
        self.wake = min((phase.retry_at for phase in self._phases.values()), default=None)

    def take(self) -> Effects:
        effects, self._effects = self._effects, Effects()
        return effects

    # --- as a copy ------------------------------------------------------------------------------------

    def _hold(self, version: Versioned) -> None:
        if version.time > self.held.time:
            self.held = version

    def _receive(self, source: NodeId, message: object) -> None:
        if isinstance(message, Query):
            self._effects.send.append(Send(source, State(message.phase, self.held)))
        elif isinstance(message, Store):
            self._hold(message.version)
            self._effects.send.append(Send(source, Stored(message.phase)))
        elif isinstance(message, State):
            self._answered(source, message.phase, message.held)
        elif isinstance(message, Stored):
            self._answered(source, message.phase, None)

    # --- as a coordinator -----------------------------------------------------------------------------

    def _begin(self, asked: Asked, store: Versioned | None, needed: int, result: bytes | None = None) -> None:
        """A phase: `store` is to be held by `needed` nodes, or they are asked what they hold."""
        self._last_phase += 1
        number = self._last_phase
        said = Query(number) if store is None else Store(number, store)
        self._phases[number] = Phase(asked, said, needed, self._now + self.retry_ms, result=result)
        self._effects.send += [Send(peer, said) for peer in self.peers]
        if store is not None:
            self._hold(store)
        self._answered(self.node, number, self.held if store is None else None)

    def _answered(self, source: NodeId, number: int, held: Versioned | None) -> None:
        phase = self._phases.get(number)
        if phase is None:
            return  # It had enough without this one.
        phase.answers[source] = held
        if len(phase.answers) < phase.needed:
            return
        del self._phases[number]
        if isinstance(phase.said, Store):
            self._effects.answers.append(Answered(phase.asked.ticket, phase.result))
            return
        states = {name: state for name, state in phase.answers.items() if state is not None}
        newest = max(states.values(), key=lambda each: each.time)
        if isinstance(phase.asked.request, Write):
            self._counter = max(self._counter, newest.time.counter) + 1
            version = Versioned(LamportTime(self._counter, self.node), phase.asked.request.value)
            self._begin(phase.asked, version, self.write_quorum)
        else:
            self._read(phase.asked, newest, states)

    def _read(self, asked: Asked, newest: Versioned, states: dict[NodeId, Versioned]) -> None:
        """The newest of a quorum is known: answer, and repair the others meanwhile."""
        self._effects.answers.append(Answered(asked.ticket, newest.value))
        self._hold(newest)
        self._effects.send += [
            Send(name, Store(0, newest))
            for name, state in states.items()
            if state.time < newest.time and name != self.node
        ]

    def _retry(self, now: Instant) -> None:
        self._now = now
        for phase in self._phases.values():
            if now >= phase.retry_at:
                phase.retry_at = now + self.retry_ms
                silent = [peer for peer in self.peers if peer not in phase.answers]
                self._effects.send += [Send(peer, phase.said) for peer in silent]
