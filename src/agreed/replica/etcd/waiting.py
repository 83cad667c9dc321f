"""What a call of an etcd client waits for: a command to be applied, a read to be linearizable, its own end.

    CommandTicket    stands among the tickets of `requests.py` until its command is applied here
    ReadTicket       stands behind the barrier of its turn (`reads.py`)
    Deadlines        when to give up whom

Each ends in one of three ways: what it waits for comes; the call ends before (then whatever comes is nobody's
any more); or it takes too long, and the call fails.  A write that was given up may still be done.  A command
may also be done and its result never be known here, where a snapshot of the leader came instead (`lost`).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import takewhile
from typing import TYPE_CHECKING

from agreed.store.results import Result
from agreed.types import Instant
from agreed.wire.etcd import errors

if TYPE_CHECKING:
    from agreed.replica.etcd.calls import Call


class CommandTicket:
    """`then` is given the result right after the command was applied to the store of this node.

    `may_be_withdrawn`: it need not be done any more once it has waited in vain."""

    __slots__ = ("call", "over", "then", "waiting")

    may_be_withdrawn = True

    def __init__(self, call: Call, then: Callable[[Result], None]) -> None:
        self.call = call
        self.then = then
        self.over = False
        self.waiting: Waiting | None = None

    @property
    def closed(self) -> bool:
        return self.over or self.call.closed

    def done(self, result: Result) -> None:
        if self.waiting is not None:
            self.waiting.pop(self, None)
        if not self.over:
            self.over = True
            if not self.call.closed:
                self.then(result)

    def lost(self) -> None:
        """It was applied elsewhere, and came here as a part of a snapshot."""
        if self.waiting is not None:
            self.waiting.pop(self, None)
        if not self.closed:
            self.over = True
            self.call.abandon(errors.TIMEOUT_CONNECTION_LOST)


class ReadTicket:
    """`then` is called when the store of this node shows all that was acknowledged before it was asked."""

    __slots__ = ("call", "over", "then", "waiting")

    def __init__(self, call: Call, then: Callable[[], None]) -> None:
        self.call = call
        self.then = then
        self.over = False
        self.waiting: Waiting | None = None

    @property
    def closed(self) -> bool:
        return self.over or self.call.closed

    def opened(self) -> None:
        if self.waiting is not None:
            self.waiting.pop(self, None)
        if not self.over:
            self.over = True
            if not self.call.closed:
                self.then()


Waiting = dict[CommandTicket | ReadTicket, Instant]
"""Who waits, and until when at most; all for the same time, so those that began first stand first."""


def overdue(waiting: Waiting, now: Instant) -> list[CommandTicket | ReadTicket]:
    """Takes them out."""
    late = list(takewhile(lambda ticket: waiting[ticket] <= now, waiting))
    for ticket in late:
        del waiting[ticket]
    return late


BUCKET_MS = 64
"""Deadlines are kept to this; the rounds of upkeep, which look at them, are about as far apart."""

FAR_MS = 60_000
"""A deadline that is farther away is looked at again when so much of it is over."""


class Deadlines:
    """Calls that their clients want to have ended at an instant of their own.

    A call that ends before is taken out by itself (`Call.timer`): of thirty thousand calls a second, which
    have five seconds each and take one millisecond, none may be kept until its time has come.  Nor may its
    bucket, where its client would have waited for years: so there are buckets for the next minute only."""

    def __init__(self) -> None:
        self._buckets: dict[int, dict[Call, None]] = {}
        self._order: list[int] = []

    def add(self, call: Call, deadline: Instant, now: Instant) -> None:
        number = min(deadline, now + FAR_MS) // BUCKET_MS + 1
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = {}
            heapq.heappush(self._order, number)
        bucket[call] = None
        call.timer = bucket

    def overdue(self, now: Instant) -> list[Call]:
        late: list[Call] = []
        while self._order and self._order[0] * BUCKET_MS <= now:
            for call in self._buckets.pop(heapq.heappop(self._order)):
                if call.deadline is not None and call.deadline > now:
                    self.add(call, call.deadline, now)
                else:
                    late.append(call)
        return late
