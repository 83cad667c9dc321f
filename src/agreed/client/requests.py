"""What was asked and has no answer yet: what waits for a connection, and what was sent on this one.

    waiting     not sent, or to be sent again: if it fails now, it was surely not done
    sent        on the present connection, oldest first; answers come in this order
    both        each with the moment at which its asker gives up

A *group* is what one asker wants in one packet, mostly one request; `sync` and the read that is to see
everything are a group of two.  It is answered, repeated and given up as one.

When the connection is lost, groups that may be repeated (reads) wait again, in front of what has waited
already; the others may have been done.
"""
from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Hashable
from typing import Final

from agreed.client.watches import Watcher
from agreed.wire.zookeeper.connection import Answer
from agreed.wire.zookeeper.messages import Request

IN_FLIGHT_MAX: Final = 1_000
"""Requests sent and unanswered.  More of them would not make a server faster, and each is one of which nobody
knows what became when the connection is lost."""


class Group:
    """`repeatable`: it changes nothing, or nothing more when it is done twice.  `watcher` hears of the watch
    that the last request sets.  `ticket` is the asker's own affair."""

    __slots__ = ("answers", "deadline", "is_open", "repeatable", "requests", "sent", "ticket", "watcher")

    def __init__(
        self,
        ticket: Hashable,
        requests: tuple[Request, ...],
        deadline: float,
        *,
        repeatable: bool = False,
        watcher: Watcher | None = None,
    ) -> None:
        self.ticket = ticket
        self.requests = requests
        self.deadline = deadline
        self.repeatable = repeatable
        self.watcher = watcher
        self.answers: list[Answer] = []
        self.is_open = True
        self.sent = False


class Sent:
    """One request on the connection.  `group` None: the session's own (credentials, watches)."""

    __slots__ = ("at", "group", "request")

    def __init__(self, request: Request, group: Group | None, at: float) -> None:
        self.request = request
        self.group = group
        self.at = at


class Requests:
    def __init__(self) -> None:
        self._waiting: dict[Group, None] = {}
        self._sent: deque[Sent] = deque()
        self._deadlines: list[tuple[float, int, Group]] = []
        self._asked = 0
        self._open = 0

    def __len__(self) -> int:
        """Groups that somebody waits for."""
        return self._open

    def ask(self, group: Group) -> None:
        self._open += 1
        self._asked += 1
        self._waiting[group] = None
        heapq.heappush(self._deadlines, (group.deadline, self._asked, group))

    def send(self, now: float) -> list[Request]:
        """What may be sent now, in order; from here on it is sent."""
        requests: list[Request] = []
        while self._waiting and len(self._sent) < IN_FLIGHT_MAX:
            group = next(iter(self._waiting))
            del self._waiting[group]
            group.sent = True
            for request in group.requests:
                self._sent.append(Sent(request, group, now))
                requests.append(request)
        return requests

    def sent_unasked(self, request: Request, now: float) -> None:
        self._sent.append(Sent(request, None, now))

    def answered(self) -> Sent:
        """The oldest that was sent."""
        return self._sent.popleft()

    def close(self, group: Group) -> None:
        """Nobody waits for it any more: it was answered, has failed, or its asker has gone away."""
        if group.is_open:
            group.is_open = False
            self._open -= 1
            self._waiting.pop(group, None)
            if len(self._deadlines) > 2 * self._open + 64:
                self._deadlines = [each for each in self._deadlines if each[2].is_open]
                heapq.heapify(self._deadlines)

    def connection_lost(self) -> list[Group]:
        """Those which may have been done, or may still be.  Those that may be repeated wait again."""
        lost: dict[Group, None] = {}
        again: dict[Group, None] = {}
        for each in self._sent:
            group = each.group
            if group is not None and group.is_open:
                (again if group.repeatable else lost)[group] = None
        self._sent.clear()
        for group in again:
            group.sent = False
            group.answers.clear()
        self._waiting = again | self._waiting
        return list(lost)

    def overdue(self, now: float) -> list[Group]:
        """Those whose askers give up, each named once."""
        overdue = []
        while self._deadlines and self._deadlines[0][0] <= now:
            group = heapq.heappop(self._deadlines)[2]
            if group.is_open:
                overdue.append(group)
        return overdue

    @property
    def next_deadline(self) -> float | None:
        return self._deadlines[0][0] if self._deadlines else None

    def open_groups(self) -> list[Group]:
        """All that somebody waits for, in the order in which they were or will be sent."""
        sent = dict.fromkeys(each.group for each in self._sent if each.group and each.group.is_open)
        return [*filter(None, sent), *self._waiting]
