"""Total order broadcast from consensus, and consensus from total order broadcast: each in a few lines.

(That they are the same problem: Chandra and Toueg 1996.)

From consensus.  Agree on what comes first, then on what comes second, and so on: that is the log of any
protocol of `consensus`.  What is missing is only that a publisher cannot know whether a proposal was
dropped on its way, so it says it again, and then it may be in the log twice, or behind its successor.  So a
message has the name of its publisher and a number, and `TotalOrder` delivers it when it is the next of that
publisher, whatever the log repeats.  Everybody leaves out the same, because everybody reads the same log.

* Total order: everybody delivers the same messages in the same order, with the same offsets.
* Exactly once: of each publisher 1, 2, 3, ..., once each, however often it said them.

A subscriber that remembers up to which offset it has worked goes on from there (`since`).  If it crashes
between its work and its remembering, it sees a message again: for it that is at least once, unless it keeps
the offset with what it did.  A publisher that crashes and has forgotten its number comes back under another
name.

To consensus.  Everybody broadcasts what it proposes; what is delivered first is the decision
(`Decisions`).  All deliver the same first, so all decide the same (agreement), once (integrity), and what
somebody proposed (validity); and if broadcasts are delivered in the end, everybody decides (termination).
"""
from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from agreed.errors import MalformedInput


class Published(msgspec.Struct, frozen=True, array_like=True):
    """The `number`-th message of a publisher, from 1 on."""

    publisher: str
    number: int
    payload: bytes


class Delivered(msgspec.Struct, frozen=True):
    """At an offset, from 0 on and without gaps: the same for everybody."""

    offset: int
    message: Published


class Publisher:
    """Numbers messages, and keeps each until it is known to be delivered."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._last = 0
        self._unconfirmed: deque[Published] = deque()

    def publish(self, payload: bytes) -> bytes:
        """What is to be proposed."""
        self._last += 1
        message = Published(self.name, self._last, payload)
        self._unconfirmed.append(message)
        return msgspec.msgpack.encode(message)

    def unconfirmed(self) -> list[bytes]:
        """What is to be proposed again, in this order, now and then, and after a change of leader at once."""
        return [msgspec.msgpack.encode(message) for message in self._unconfirmed]

    def confirm(self, message: Published) -> None:
        """It was delivered, by anybody; and so were those of this publisher before it."""
        if message.publisher == self.name:
            while self._unconfirmed and self._unconfirmed[0].number <= message.number:
                self._unconfirmed.popleft()


class TotalOrder:
    """What one member delivers, of the payloads that consensus agrees on, in their order."""

    def __init__(self) -> None:
        self.delivered: list[Delivered] = []
        self._last: dict[str, int] = {}

    def apply(self, payload: bytes) -> Delivered | None:
        """The next payload of the log; None if it repeats a message, or has overtaken the one before it (it
        will be said again).  Raises MalformedInput for what no `Publisher` makes."""
        try:
            message = msgspec.msgpack.decode(payload, type=Published)
        except msgspec.MsgspecError as error:
            raise MalformedInput("a payload that no publisher has made") from error
        if message.number != self._last.get(message.publisher, 0) + 1:
            return None
        self._last[message.publisher] = message.number
        delivered = Delivered(len(self.delivered), message)
        self.delivered.append(delivered)
        return delivered

    def since(self, offset: int) -> Sequence[Delivered]:
        """From this offset on: for a subscriber that has worked up to it."""
        return self.delivered[offset:]


class Proposal(msgspec.Struct, frozen=True, array_like=True):
    """For one of many decisions, by name."""

    decision: str
    value: bytes


class Decisions:
    """Consensus on each of many decisions, fed with what is delivered in total order."""

    def __init__(self) -> None:
        self._decided: dict[str, bytes] = {}

    @staticmethod
    def propose(decision: str, value: bytes) -> bytes:
        """What is to be broadcast."""
        return msgspec.msgpack.encode(Proposal(decision, value))

    def deliver(self, payload: bytes) -> None:
        """The next delivery.  Raises MalformedInput for what `propose` does not make."""
        try:
            proposal = msgspec.msgpack.decode(payload, type=Proposal)
        except msgspec.MsgspecError as error:
            raise MalformedInput("a payload that is no proposal") from error
        self._decided.setdefault(proposal.decision, proposal.value)

    @property
    def decided(self) -> Mapping[str, bytes]:
        return MappingProxyType(self._decided)
