"""Linearizable reads without writing to the history (what ZooKeeper's `sync` is for).

A read may be answered from any store that has applied at least what was committed when the read was asked
for.  The leader of an established epoch knows that index, if it still leads: a newer leader may have
committed more.  That it leads is proven by a *round*, a number in every ping.  Who answers a ping has
accepted no newer epoch; if a quorum answers a ping that left after the read was asked for, no newer epoch
had a quorum then. One round serves all reads that wait when it begins, on whichever node they were asked
for.

ZooKeeper's `sync` flushes the channel from the leader and asks no quorum, so a deposed leader can answer it.
"""
from __future__ import annotations

from agreed.consensus.zab.messages import ReadIndex, ReadIndexReply
from agreed.consensus.zab.state import ZabState
from agreed.types import Index, Instant, NodeId


class Reads:
    """A leader's reads: its own clients' and those that followers forward."""

    def __init__(self, zab: ZabState) -> None:
        self._zab = zab
        self.round = 1
        """The round that every ping now carries.  A reply of round 0 belongs to no ping."""
        self._queued: list[tuple[NodeId | None, int, Instant]] = []
        """(who asked: None for ourselves, ticket or context, deadline); their round has not begun."""
        self._asked: list[tuple[NodeId | None, int, Instant]] = []
        self._asked_round = 0
        self._asked_index: Index = 0

    def request(self, asker: NodeId | None, ticket: int) -> None:
        zab = self._zab
        deadline = zab.now + zab.config.read_timeout_ms
        self._queued.append((asker, ticket, deadline))
        zab.arm(deadline)

    def begin_round(self) -> bool:
        """Start a round for the reads that wait, unless one is under way; True if one was started."""
        if self._asked or not self._queued:
            return False
        self._asked, self._queued = self._queued, []
        self._asked_index = self._zab.commit
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
            self._zab.read_ready(ticket, index)
        else:
            self._zab.send(asker, ReadIndexReply(ticket, index))


class ForwardedReads:
    """The reads of a node that does not lead: asked of the leader, all of one turn in one message.

    A ticket waits for a leader to appear, but once asked it fails with that leader: whether the question was
    heard cannot be known, and asking again is the reader's choice.
    """

    def __init__(self, zab: ZabState) -> None:
        self._zab = zab
        self._queued: list[tuple[int, Instant]] = []
        self._asked: dict[int, tuple[NodeId, Instant, list[int]]] = {}
        # A context of an earlier life must not be taken for one of ours, or an old index answers a new read.
        self._context = zab.dice.between(1, 1 << 61)

    def request(self, ticket: int) -> None:
        deadline = self._zab.now + self._zab.config.read_timeout_ms
        self._queued.append((ticket, deadline))
        self._zab.arm(deadline)

    def forward(self) -> None:
        """Ask the leader, if there is one to ask."""
        leader = self._zab.leader
        if not self._queued or leader is None or leader == self._zab.me:
            return
        self._context += 1
        self._asked[self._context] = (leader, self._queued[0][1], [ticket for ticket, _ in self._queued])
        self._queued = []
        self._zab.send(leader, ReadIndex(self._context))

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
            self._zab.read_ready(ticket, index)
