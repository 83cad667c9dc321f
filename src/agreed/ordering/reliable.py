"""Reliable broadcast: what one node that does not crash delivers, all of them deliver, once.

Whoever hears a message for the first time passes it on to everybody before it delivers it.  So a sender
that crashes half-way through telling the others leaves nobody behind: either no node that stays heard of
it, or one did, and tells the rest.  (Hadzilacos and Toueg 1994; the price is n² messages.)

* Validity: if a node broadcasts a message and does not crash, it delivers it.
* Agreement: if a node that does not crash delivers a message, all such nodes deliver it.
* Integrity: a message is delivered at most once, and only if it was broadcast.

Nothing is promised about order; `fifo` and `causal` hold messages back until `_may_be_delivered`.
"""
from __future__ import annotations

from collections.abc import Iterable

from agreed.clocks.version import VersionVector
from agreed.consensus.machine import Send
from agreed.ordering.machine import Broadcast, Effects, Event, Message
from agreed.types import NodeId


class ReliableBroadcast:
    """One node's part.  `peers` are the others."""

    def __init__(self, node: NodeId, peers: Iterable[NodeId]) -> None:
        self.node = node
        self.peers = tuple(peer for peer in peers if peer != node)
        self.delivered = VersionVector()
        """How many messages of each node were delivered here."""
        self.held_back: list[Message] = []
        """Heard, and not delivered yet, in the order in which they were heard."""
        self._broadcast = 0
        self._heard = VersionVector()
        """Of each node, how many of its first messages were heard without a gap ..."""
        self._heard_beyond: set[tuple[NodeId, int]] = set()
        """... and which after a gap: a set with gaps has no vector."""
        self._effects = Effects()

    def step(self, event: Event) -> None:
        if isinstance(event, Broadcast):
            self._say(event.payload)
        elif isinstance(event.message, Message):
            self._hear(event.message, event.source)

    def take(self) -> Effects:
        effects, self._effects = self._effects, Effects()
        return effects

    def _say(self, payload: bytes) -> None:
        self._broadcast += 1
        message = Message(self.node, self._broadcast, payload, self._stamp())
        self._note(message)
        self._pass_on(message)
        self._deliver(message)

    def _hear(self, message: Message, source: NodeId) -> None:
        if self._knows(message):
            return
        self._note(message)
        self._pass_on(message, (source, message.origin))
        self.held_back.append(message)
        # One delivery may be what others wait for.
        while ready := next((each for each in self.held_back if self._may_be_delivered(each)), None):
            self.held_back.remove(ready)
            self._deliver(ready)

    def _stamp(self) -> VersionVector:
        """What a message of ours says of what was before it."""
        return VersionVector()

    def _may_be_delivered(self, message: Message) -> bool:
        return True

    def _knows(self, message: Message) -> bool:
        before = self._heard.counter(message.origin)
        return message.number <= before or (message.origin, message.number) in self._heard_beyond

    def _note(self, message: Message) -> None:
        origin = message.origin
        self._heard_beyond.add((origin, message.number))
        while (origin, self._heard.counter(origin) + 1) in self._heard_beyond:
            self._heard = self._heard.increment(origin)
            self._heard_beyond.remove((origin, self._heard.counter(origin)))

    def _pass_on(self, message: Message, except_for: Iterable[NodeId] = ()) -> None:
        self._effects.send += [Send(peer, message) for peer in self.peers if peer not in except_for]

    def _deliver(self, message: Message) -> None:
        self.delivered = self.delivered.increment(message.origin)
        self._effects.deliver.append(message)
