"""A register with many leaders: every node answers at once, and they agree in the end.

A write is taken by the node that was asked, answered, and then told to the others; a read is answered from
what is there.  Nobody waits for anybody, so a node goes on alone in any partition: that is what one gets
for giving up linearizability, and by the CAP theorem one gets it no other way.

Each write has a dot and knows what its node held (`clocks.dotted`), so nodes recognize what overwrites what
and what is concurrent.  Of concurrent values a read shows the one with the greatest dot; the others are
kept until a write has seen them all.  Nodes hold everything they ever heard of that was not overwritten,
and pass on all they hold, so lost messages do no harm.

* Convergence: nodes that have heard of the same writes show the same value.
* Causality: who stays with one node never reads what was overwritten by something that he knew of.

It is not linearizable: a read elsewhere is old until the news has come, and of two concurrent writes, both
answered, one is never seen by some.
"""
from __future__ import annotations

from collections.abc import Iterable

import msgspec

from agreed.clocks.dotted import Siblings
from agreed.consensus.machine import Received, Send, TimePassed
from agreed.registers.machine import Answered, Asked, Effects, Event, Write
from agreed.types import Instant, NodeId


class Held(msgspec.Struct, frozen=True):
    """All that a node holds.  Always as a whole (`clocks.dotted` says why)."""

    siblings: Siblings[bytes]


class MultiLeaderRegister:
    """One node.  Every `gossip_ms` it tells one peer, in turns, what it holds."""

    def __init__(self, node: NodeId, peers: Iterable[NodeId], gossip_ms: int = 100) -> None:
        self.node = node
        self.peers = tuple(peer for peer in peers if peer != node)
        self.gossip_ms = gossip_ms
        self.held: Siblings[bytes] = Siblings()
        self.wake: Instant | None = 0
        self._turn = 0
        self._effects = Effects()

    def step(self, event: Event) -> None:
        if isinstance(event, Asked):
            self._answer(event)
        elif isinstance(event, TimePassed):
            self._gossip(event.now)
        elif isinstance(event, Received) and isinstance(event.message, Held):
            self.held = self.held.merge(event.message.siblings)

    def take(self) -> Effects:
        effects, self._effects = self._effects, Effects()
        return effects

    @property
    def value(self) -> bytes | None:
        """Of concurrent ones the one with the greatest number, then name: the same for all who hold the
        same."""
        shown = max(self.held.members, key=lambda each: (each.dot.counter, each.dot.node), default=None)
        return None if shown is None else shown.value

    def _answer(self, asked: Asked) -> None:
        if isinstance(asked.request, Write):
            self.held = self.held.put(asked.request.value, self.held.context, self.node)
            self._effects.send += [Send(peer, Held(self.held)) for peer in self.peers]
            self._effects.answers.append(Answered(asked.ticket, None))
        else:
            self._effects.answers.append(Answered(asked.ticket, self.value))

    def _gossip(self, now: Instant) -> None:
        if self.wake is None or now < self.wake or not self.peers:
            return
        self.wake = now + self.gossip_ms
        self._turn = (self._turn + 1) % len(self.peers)
        self._effects.send.append(Send(self.peers[self._turn], Held(self.held)))
