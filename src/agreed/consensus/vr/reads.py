"""Linearizable reads without writing to the log, on every replica.

A read may be answered from any store that has applied at least what was agreed when the read was asked for.
The primary knows that if (a) all that its view began with is agreed, for until then it does not know how much
of it already was; and (b) no later view has begun.  (b) is proven by a *round*: a number in every Prepare and
Commit; when a quorum has answered a round that began after the read was asked for, none of them had sent a
DoViewChange for a later view before, and no later view began without one of them.

The paper reads at the primary under leases (section 6.3); a round needs no clock.
"""
from __future__ import annotations

from agreed.consensus.vr.messages import ReadIndex, ReadIndexReply
from agreed.consensus.vr.state import VrState
from agreed.types import Index, Instant, NodeId


class Reads:
    """A primary's reads: its own clients' and those that backups forward."""

    def __init__(self, vr: VrState) -> None:
        self._vr = vr
        self.round = 1
        """The round that every message now carries."""
        self._queued: list[tuple[NodeId | None, int, Instant]] = []
        """(who asked: None for ourselves, ticket or context, deadline); their round has not begun."""
        self._asked: list[tuple[NodeId | None, int, Instant]] = []
        self._asked_round = 0
        self._asked_index: Index = 0

    def request(self, asker: NodeId | None, ticket: int) -> None:
        deadline = self._vr.now + self._vr.config.read_timeout_ms
        self._queued.append((asker, ticket, deadline))
        self._vr.arm(deadline)

    def begin_round(self, *, ready: bool) -> bool:
        """Start a round for the reads that wait, unless one is under way; True if one was started.
        `ready`: all that our view began with is agreed."""
        if self._asked or not self._queued or not ready:
            return False
        self._asked, self._queued = self._queued, []
        self._asked_index = self._vr.commit
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
            self._vr.read_ready(ticket, index)
        else:
            self._vr.send(asker, ReadIndexReply(ticket, index))


class ForwardedReads:
    """The reads of a replica that does not lead: asked of the primary, all of one turn in one message.

    A ticket waits for a primary to appear, but once asked it fails with that primary: whether the question
    was heard cannot be known, and asking again is the reader's choice.
    """

    def __init__(self, vr: VrState) -> None:
        self._vr = vr
        self._queued: list[tuple[int, Instant]] = []
        self._asked: dict[int, tuple[NodeId, Instant, list[int]]] = {}
        # A context of an earlier life must not be taken for one of ours, or an old index answers a new read.
        self._context = vr.dice.between(1, 1 << 61)

    def request(self, ticket: int) -> None:
        deadline = self._vr.now + self._vr.config.read_timeout_ms
        self._queued.append((ticket, deadline))
        self._vr.arm(deadline)

    def forward(self) -> None:
        """Ask the primary, if there is one to ask."""
        vr = self._vr
        if not self._queued or vr.leader is None or vr.leader == vr.me:
            return
        self._context += 1
        self._asked[self._context] = (vr.leader, self._queued[0][1], [ticket for ticket, _ in self._queued])
        self._queued = []
        vr.send(vr.leader, ReadIndex(self._context))

    def take_queued(self) -> list[int]:
        """We lead now: what nobody was asked for is ours to answer."""
        tickets = [ticket for ticket, _ in self._queued]
        self._queued = []
        return tickets

    def on_reply(self, source: NodeId, message: ReadIndexReply) -> None:
        asked = self._asked.get(message.context)
        if asked is not None and asked[0] == source:
            del self._asked[message.context]
            self._finish(asked[2], message.index)

    def fail_asked(self) -> None:
        """The primary that was asked is gone."""
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
            self._vr.read_ready(ticket, index)
