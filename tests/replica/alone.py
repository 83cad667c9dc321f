"""One node whose disk obeys the test: a real replica, Raft and store, and clients that speak bytes.

node = Alone()                  a cluster of one, which leads
node.turn(event, ...)           what happened in one turn; its effects are kept in `node.effects`
node.saving = False             the disk hangs: nothing more is committed until it is True again
client = node.client()          connected, with a session
client.ask(request, ...)        sent in one piece; `client.replies` holds what came back, in order
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from agreed.consensus.machine import Ballot, Entry, Save
from agreed.consensus.members import Member, Members
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.raft.raft import Raft
from agreed.replica import events
from agreed.replica.replica import Replica
from agreed.replica.settings import Settings
from agreed.replica.words import Surroundings
from agreed.store.machine import Store
from agreed.types import Instant
from agreed.wire.zookeeper.connection import ClientConnection, FromServer
from agreed.wire.zookeeper.messages import ConnectRequest, Request

WALL_MS = 1_700_000_000_000


class Dice:
    def between(self, low: int, high: int) -> int:
        return low


class Alone:
    def __init__(
        self,
        settings: Settings | None = None,
        members: tuple[str, ...] = ("n1",),
        surroundings: Callable[[], Surroundings] = Surroundings,
        founders: tuple[str, ...] | None = None,
        log: Sequence[Entry] = (),
        life: int = 1,
    ) -> None:
        known = [Member(name, number, f"{name}:1") for number, name in enumerate(members, start=1)]
        first = Members(tuple(member for member in known if founders is None or member.name in founders))
        self.now: Instant = 0
        self.saving = True
        self.unsaved: list[Save] = []
        self.effects: list[events.Effects] = []
        self.clients: dict[int, Client] = {}
        ballot = Ballot(log[-1].term if log else 0, None)
        raft = Raft("n1", first, ballot, None, list(log), RaftConfig(), Dice(), 0)
        self.replica = Replica(
            "n1",
            1,
            life,
            settings if settings is not None else Settings(),
            raft,
            Store(),
            0,
            random.Random(1).randbytes,
            surroundings,
            0,
            WALL_MS,
        )
        self.turn()

    @property
    def logs(self) -> str:
        return "\n".join(sentence for effects in self.effects for _, sentence in effects.logs)

    def turn(self, *happened: object) -> events.Effects:
        """One turn, and those that the disk brings about."""
        self.replica.step(events.TimePassed(self.now, WALL_MS + self.now))
        for event in happened:
            self.replica.step(event)
        effects = self._taken()
        for identifier, data in effects.write:
            self.clients[identifier].replies += self.clients[identifier].connection.receive_data(data)
        for identifier in effects.close:
            self.clients[identifier].closed = True
        for identifier in effects.pause:
            self.clients[identifier].paused = True
        for identifier in effects.resume:
            self.clients[identifier].paused = False
        while self.saving and self.unsaved:
            self.turn(events.Saved(self.unsaved.pop(0).serial))
        return effects

    def _taken(self) -> events.Effects:
        """The last effects of the turn; those before it only speak to peers and to the disk."""
        while True:
            effects = self.replica.take()
            self.effects.append(effects)
            self.unsaved += effects.saves
            if not effects.more:
                return effects
            assert not effects.write

    def pass_ms(self, duration_ms: int, step_ms: int = 50) -> None:
        end = self.now + duration_ms
        while self.now < end:
            self.now += step_ms
            self.turn()

    def client(self, timeout_ms: int = 10_000) -> Client:
        client = Client(self)
        client.connect(timeout_ms=timeout_ms)
        return client


class Client:
    def __init__(self, node: Alone) -> None:
        self.node = node
        self.id = len(node.clients) + 1
        node.clients[self.id] = self
        self.connection = ClientConnection()
        self.replies: list[FromServer] = []
        self.closed = False
        self.paused = False
        node.turn(events.ClientOpened(self.id, "127.0.0.1", 40_000 + self.id))

    def connect(
        self, session_id: int = 0, password: bytes = bytes(16), timeout_ms: int = 10_000
    ) -> None:
        self.say(self.connection.connect(ConnectRequest(0, 0, timeout_ms, session_id, password, None)))

    def ask(self, *requests: Request) -> None:
        self.say(b"".join(self.connection.send(request)[1] for request in requests))

    def say(self, data: bytes) -> None:
        self.node.turn(events.ClientBytes(self.id, data))
