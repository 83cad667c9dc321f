"""One thing a client is after, while it is after it: a conversation (`workload.py`), and its account."""
from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from agreed.check.history import Status
from agreed.sim.history import Call
from agreed.sim.plan import Ask
from agreed.sim.streams import Stream
from agreed.sim.workload import FUNCTIONS, JUDGED, Conversation
from agreed.sim.world import MS

if TYPE_CHECKING:
    from agreed.sim.clients import Client


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
        if ask.function in JUDGED:
            model, function = JUDGED[ask.function]
            key = None if model == "multi-register" else ask.key
            self.call = client.begin_call(function, (model, key))
        self.conversation: Conversation = FUNCTIONS[ask.function](self)

    @cached_property
    def dice(self) -> Stream:
        """Made when it is first thrown: few conversations do, and a stream costs more than an event."""
        return self.client.world.stream("ask", self.ask.number, self.attempt)

    def data(self, value: int, tag: bytes = b"") -> bytes:
        """What to write: the value, and behind it what makes it unlike anything that anybody else writes."""
        self._tags += 1
        return b"%d %d.%d%b" % (value, self.value, self._tags, tag)

    def argument(self, argument: object) -> None:
        if self.call is not None:
            self.call.argument = argument

    def holds(self, token: int) -> None:
        """The lock is ours: one operation has ended, and the next one is to let go of it."""
        client = self.client
        assert self.call is not None
        client.end_call(self.call, Status.OK, token, token)
        client.world.mark("lock taken")
        client.cluster.lock_taken(client.session, self.ask.key, token)
        self.call = client.begin_call("release", ("lock", self.ask.key))
        self.call.argument = token
