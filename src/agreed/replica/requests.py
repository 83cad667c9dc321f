"""Numbers and tickets: who waits for which command, and what must be said again after a change of leader.

The commands of this node's clients are numbered 1, 2, 3, ... within this life of the node, and leave in
batches of consecutive numbers.  A batch may be lost (the leader died, a connection broke) or arrive twice;
the store applies each number once and never out of order (`store/once.py`).  So this file only has to keep
what is not yet applied and to say it again when in doubt:

* a new leader, or the same leader on a new connection: all of it, in order;
* nothing applied for a while although something is under way: the same.

A ticket is the client that waits (or an errand of the replica itself); tickets stand in the order of the
numbers, and since numbers are applied in order the first ticket always belongs to the next command that
comes back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Set

import msgspec

from agreed.replica.clients import Ticket
from agreed.replica.etcd.waiting import CommandTicket
from agreed.store.commands import Batch, Command
from agreed.types import Instant, NodeId

MAX_BATCH_COMMANDS = 1000
"""Bounds how long one entry takes to apply (a few milliseconds), and so how long anybody waits behind it."""

MAX_BATCH_BYTES = 2 * 1024 * 1024

MAX_BATCHES_UNDER_WAY = 8
"""More would not make the cluster faster, only the entries smaller: what comes in meanwhile makes the next
batch."""

REPEAT_AFTER_MS = 1000

_encoder = msgspec.msgpack.Encoder()


class Requests:
    def __init__(self, origin: NodeId, life: int) -> None:
        self.origin = origin
        self.life = life
        self.tickets: deque[Ticket] = deque()
        self.waiting_bytes = 0
        """About how many bytes the commands not yet cut into a batch have (kept up by who submits)."""
        self._waiting: list[Command] = []
        self._next = 1
        self._under_way: deque[tuple[int, int, bytes, Instant]] = deque()
        self._latency = (0, 0, 0, 0)
        """Of batches, from their departure to their return: least, most and sum in ms, and how many."""
        self._moved_at: Instant = 0

    def __len__(self) -> int:
        return len(self.tickets)

    @property
    def first_ticket(self) -> int:
        """Where to begin to number questions to the leader.  In each life somewhere else: an answer to one of
        the life before may still be on its way, and must not be taken for that to another question."""
        return (self.life % (1 << 30) << 32) + 1

    def submit(self, command: Command, ticket: Ticket) -> None:
        """The hot path: two appends."""
        self._waiting.append(command)
        self.tickets.append(ticket)

    def withdraw(self, tickets: Set[CommandTicket]) -> list[CommandTicket]:
        """Those of them whose commands have no number yet: they will not be done."""
        waiting = self._waiting
        withdrawn = []
        kept: list[tuple[Command, Ticket]] = []
        for command, ticket in zip(waiting, [self.tickets.pop() for _ in waiting][::-1], strict=True):
            if isinstance(ticket, CommandTicket) and ticket in tickets:
                withdrawn.append(ticket)
            else:
                kept.append((command, ticket))
        self._waiting = [command for command, _ in kept]
        self.tickets += [ticket for _, ticket in kept]
        return withdrawn

    def relaxed(self, tickets: int, waiting_bytes: int) -> bool:
        """Whether no more than that is unanswered, or waits to be cut."""
        if not self._waiting:
            self.waiting_bytes = 0
        return len(self.tickets) <= tickets and self.waiting_bytes <= waiting_bytes

    @property
    def may_cut(self) -> bool:
        """Whether `cut` would give a batch now."""
        return bool(self._waiting) and len(self._under_way) < MAX_BATCHES_UNDER_WAY

    def cut(self, now: Instant) -> bytes | None:
        """The next batch to send, encoded, or None where there is nothing or enough is under way."""
        waiting = self._waiting
        if len(self._under_way) >= MAX_BATCHES_UNDER_WAY:
            return None
        if not waiting:
            self.waiting_bytes = 0
            return None
        count = len(waiting)
        if count > MAX_BATCH_COMMANDS or self.waiting_bytes > MAX_BATCH_BYTES:
            count = self._how_many_fit()
        encoded = self._encoded(count)
        if len(encoded) > MAX_BATCH_BYTES and count > 1:
            # What waited behind a handshake was counted when it came, and has not been since.
            count = self._how_many_fit()
            encoded = self._encoded(count)
        self._waiting = waiting[count:]
        if not self._waiting:
            self.waiting_bytes = 0
        if not self._under_way:
            self._moved_at = now
        self._under_way.append((self._next, count, encoded, now))
        self._next += count
        return encoded

    def _encoded(self, count: int) -> bytes:
        waiting = self._waiting
        commands = waiting if count == len(waiting) else waiting[:count]
        return _encoder.encode(Batch(self.origin, self.life, self._next, commands))

    def _how_many_fit(self) -> int:
        """At least one; leaves `waiting_bytes` true for those that stay."""
        count = total = 0
        for command in self._waiting[:MAX_BATCH_COMMANDS]:
            size = len(_encoder.encode(command))
            if count and total + size > MAX_BATCH_BYTES:
                break
            count += 1
            total += size
        self.waiting_bytes = max(0, self.waiting_bytes - total) if count < len(self._waiting) else 0
        return count

    def applied(self, number: int, now: Instant) -> None:
        """All commands up to this number are applied (their tickets were taken by the caller)."""
        under_way = self._under_way
        while under_way and under_way[0][0] + under_way[0][1] - 1 <= number:
            took_ms = now - under_way.popleft()[3]
            least, most, total, count = self._latency
            self._latency = (
                min(least, took_ms) if count else took_ms,
                max(most, took_ms),
                total + took_ms,
                count + 1,
            )
        self._moved_at = now

    def latency_ms(self) -> tuple[int, float, int]:
        """Least, average and most since the last reset."""
        least, most, total, count = self._latency
        return least, total / count if count else 0.0, most

    def reset_latency(self) -> None:
        self._latency = (0, 0, 0, 0)

    def repeat(self, now: Instant) -> list[bytes]:
        """Everything that is under way, to be said again in order."""
        self._moved_at = now
        return [encoded for _, _, encoded, _ in self._under_way]

    def overdue(self, now: Instant) -> bool:
        return bool(self._under_way) and now - self._moved_at >= REPEAT_AFTER_MS

    def forget(self, number: int) -> list[Ticket]:
        """A snapshot took us past these numbers: they are applied, but their results are lost.

        Returns who waited for one of them; they must be told that the outcome is unknown."""
        lost: list[Ticket] = []
        first = self._next - (len(self.tickets) - len(self._waiting))
        while first <= number and self.tickets:
            lost.append(self.tickets.popleft())
            first += 1
        while self._under_way and self._under_way[0][0] <= number:
            start, count, _, _ = self._under_way[0]
            if start + count - 1 > number:
                break
            self._under_way.popleft()
        return lost
