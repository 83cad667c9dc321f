"""Linearizable reads without writing to the log: the part that is the same in every protocol.

A read may be answered from any store that has applied at least what was agreed when the read was asked for.
Who leads knows that index, once all that it began with is agreed, as long as it still leads: a newer leader
may have agreed on more.  That it leads is proven by a *round*: a number in its messages; the answer of a
quorum to a round that began after the read was asked for.  One round serves all reads that wait when it
begins, on whichever node they were asked for (Raft §8; Ongaro's thesis 6.4).

Why such an answer proves it differs from protocol to protocol, and is told in the `reads.py` of each.
"""
from __future__ import annotations

from typing import Any, ClassVar, Protocol

from agreed.consensus.machine import Dice
from agreed.types import Index, Instant, NodeId


class _Config(Protocol):
    @property
    def read_timeout_ms(self) -> int: ...


class Reader(Protocol):
    """What is needed of the machine whose reads these are."""

    now: Instant
    me: NodeId

    @property
    def leader(self) -> NodeId | None: ...

    @property
    def commit(self) -> Index: ...

    @property
    def config(self) -> _Config: ...

    @property
    def dice(self) -> Dice: ...

    def arm(self, instant: Instant) -> None: ...

    def send(self, target: NodeId, message: object) -> None: ...

    def read_ready(self, ticket: int, index: Index | None) -> None: ...


class LeaderReads:
    """A leader's reads: its own clients' and those that others forward."""

    reply: ClassVar[type[Any]]
    """The protocol's ReadIndexReply."""

    def __init__(self, machine: Reader) -> None:
        self._machine = machine
        self.round = 1
        """The round that every message now carries.  A reply of round 0 belongs to none."""
        self._queued: list[tuple[NodeId | None, int, Instant]] = []
        """(who asked: None for ourselves, ticket or context, deadline); their round has not begun."""
        self._asked: list[tuple[NodeId | None, int, Instant]] = []
        self._asked_round = 0
        self._asked_index: Index = 0

    @property
    def waiting(self) -> bool:
        return bool(self._asked)

    def agreed(self) -> Index:
        """Up to where we know all to be agreed."""
        return self._machine.commit

    def request(self, asker: NodeId | None, ticket: int) -> None:
        deadline = self._machine.now + self._machine.config.read_timeout_ms
        self._queued.append((asker, ticket, deadline))
        self._machine.arm(deadline)

    def begin_round(self, *, ready: bool) -> bool:
        """Start a round for the reads that wait, unless one is under way; True if one was started.

        `ready`: all that our leadership began with is agreed."""
        if self._asked or not self._queued or not ready:
            return False
        self._asked, self._queued = self._queued, []
        self._asked_index = self.agreed()
        self._asked_round = self.next_round()
        return True

    def next_round(self) -> int:
        self.round += 1
        return self.round

    def answered(self, round_number: int) -> None:
        """A quorum, ourselves included, has answered this round."""
        if self._asked and round_number >= self._asked_round:
            asked, self._asked = self._asked, []
            for asker, ticket, _ in asked:
                self._reply(asker, ticket, self._asked_index)

    def on_time(self, now: Instant) -> None:
        for late in (self._asked, self._queued):
            if late and late[0][2] <= now:
                for asker, ticket, deadline in late:
                    if deadline <= now:
                        self._reply(asker, ticket, None)
                late[:] = [read for read in late if read[2] > now]

    def next_deadline(self) -> Instant | None:
        return min((late[0][2] for late in (self._asked, self._queued) if late), default=None)

    def fail(self) -> None:
        """We lead no longer."""
        for asker, ticket, _ in self._asked + self._queued:
            self._reply(asker, ticket, None)
        self._asked, self._queued = [], []

    def _reply(self, asker: NodeId | None, ticket: int, index: Index | None) -> None:
        if asker is None:
            self._machine.read_ready(ticket, index)
        else:
            self._machine.send(asker, self.reply(ticket, index))


class ForwardedReads:
    """The reads of a node that does not lead: asked of the leader, all of one turn in one message.

    A ticket waits for a leader to appear, but once asked it fails with that leader: whether the question was
    heard cannot be known, and asking again is the reader's choice.
    """

    question: ClassVar[type[Any]]
    """The protocol's ReadIndex."""

    def __init__(self, machine: Reader) -> None:
        self._machine = machine
        self._queued: list[tuple[int, Instant]] = []
        self._asked: dict[int, tuple[NodeId, Instant, list[int]]] = {}
        # A context of an earlier life must not be taken for one of ours, or an old index answers a new read.
        self._context = machine.dice.between(1, 1 << 61)

    def request(self, ticket: int) -> None:
        deadline = self._machine.now + self._machine.config.read_timeout_ms
        self._queued.append((ticket, deadline))
        self._machine.arm(deadline)

    def forward(self) -> None:
        """Ask the leader, if there is one to ask."""
        leader = self._machine.leader
        if not self._queued or leader is None or leader == self._machine.me:
            return
        self._context += 1
        self._asked[self._context] = (leader, self._queued[0][1], [ticket for ticket, _ in self._queued])
        self._queued = []
        self._machine.send(leader, self.question(self._context))

    def take_queued(self) -> list[int]:
        """We lead now: what nobody was asked for is ours to answer."""
        tickets = [ticket for ticket, _ in self._queued]
        self._queued = []
        return tickets

    def on_reply(self, source: NodeId, context: int, index: Index | None) -> None:
        asked = self._asked.get(context)
        if asked is not None and asked[0] == source:
            del self._asked[context]
            self._finish(asked[2], index)

    def fail_asked(self) -> None:
        """The leader that was asked is gone."""
        asked, self._asked = self._asked, {}
        for _, _, tickets in asked.values():
            self._finish(tickets, None)

    def on_time(self, now: Instant) -> None:
        for context, (_, deadline, tickets) in list(self._asked.items()):
            if deadline <= now:
                del self._asked[context]
                self._finish(tickets, None)
        if self._queued and self._queued[0][1] <= now:
            self._finish([ticket for ticket, deadline in self._queued if deadline <= now], None)
            self._queued = [read for read in self._queued if read[1] > now]

    def next_deadline(self) -> Instant | None:
        deadlines = [deadline for _, deadline, _ in self._asked.values()]
        deadlines += [deadline for _, deadline in self._queued[:1]]
        return min(deadlines, default=None)

    def _finish(self, tickets: list[int], index: Index | None) -> None:
        for ticket in tickets:
            self._machine.read_ready(ticket, index)
