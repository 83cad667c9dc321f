"""One thing a client is after, while it is after it: a conversation, and its account.

What conversations say differs between protocols (`workload.py`, `etcd_workload.py`); that they may pause, and
how they end badly, does not.
"""
from __future__ import annotations

from collections.abc import Generator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from agreed.check.history import Status
from agreed.sim.history import Call
from agreed.sim.plan import Ask
from agreed.sim.streams import Stream
from agreed.sim.world import MS

if TYPE_CHECKING:
    from agreed.sim.clients import Client


class Failed(Exception):
    """It has surely not happened."""


class Unclear(Exception):
    """It may have happened."""


class Pause:
    """Say nothing for so long."""

    def __init__(self, pause_ms: int) -> None:
        self.pause_ms = pause_ms


class Task:
    def __init__(self, client: Client, ask: Ask, attempt: int) -> None:
        self.client, self.ask, self.attempt = client, ask, attempt
        self.value = ask.number * 8 + attempt
        """Nobody else ever writes it."""
        self.wrote = False
        self.awaited: list[Any] = []
        """Answers to the requests that were sent together."""
        self.missing = 0
        self.deadline = client.world.now + ask.patience_ms * MS
        self.told_path: bytes | None = None
        self.waiting_since = 0
        self._tags = 0
        self.call: Call | None = None
        self.place: bytes | None = None
        """Where it stands in the row for a lock."""
        self.token: int | None = None
        if ask.function in client.judged:
            model, function = client.judged[ask.function]
            key = None if model == "multi-register" else ask.key
            self.call = client.processes.begin(function, (model, key), client.world.now)
        self.conversation: Generator[Any, Any, Any] = client.functions[ask.function](self)

    @cached_property
    def dice(self) -> Stream:
        """Made when it is first thrown: few conversations do, and a stream costs more than an event."""
        return self.client.world.stream("ask", self.ask.number, self.attempt)

    def data(self, value: int, tag: bytes = b"") -> bytes:
        """What to write: the value, and behind it what makes it unlike anything that anybody else writes."""
        self._tags += 1
        padding = b"." * self.client.cluster.plan.conditions.value_bytes
        return b"%d %d.%d%b%b" % (value, self.value, self._tags, tag, padding)

    def argument(self, argument: object) -> None:
        if self.call is not None:
            self.call.argument = argument

    def holds(self, token: int) -> None:
        """The lock is ours: one operation has ended, and the next one is to let go of it."""
        client = self.client
        assert self.call is not None
        client.processes.end(self.call, Status.OK, client.world.now, token, token)
        client.world.mark("lock taken")
        client.cluster.lock_taken(client.holder, self.ask.key, token)
        self.call = client.processes.begin("release", ("lock", self.ask.key), client.world.now)
        self.call.argument = token
