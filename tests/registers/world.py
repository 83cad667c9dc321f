"""A few nodes with a register, and clients of them, in one thread and from one seed.

Messages are lost, doubled, and overtake each other; now and then a node is cut off.  At the end all is
healed, every client gets its answers, and then each of them reads once more.  What the clients saw is a
history.
"""
from __future__ import annotations

from collections.abc import Callable
from random import Random

from agreed.check.history import History, Operation, Status, history
from agreed.consensus.machine import Received, TimePassed
from agreed.registers.machine import Asked, Read, RegisterMachine, Write
from tests.ordering.links import Links

Made = Callable[[str, list[str]], RegisterMachine]


class World:
    def __init__(self, made: Made, seed: int, nodes: int = 3, clients: int = 6) -> None:
        self.random = Random(f"{seed} {nodes} {clients}")
        self.names = [f"n{number}" for number in range(1, nodes + 1)]
        self.machines = {name: made(name, self.names) for name in self.names}
        self.links = Links(self.random, lost=self.random.choice((0.0, 0.2)))
        self.node_of = {client: self.names[client % nodes] for client in range(clients)}
        self.waiting: dict[int, tuple[int, int, Read | Write]] = {}
        """By client: since when, with which ticket, for what."""
        self.operations: list[Operation] = []
        self.values = 0
        self.calm_since = 0
        self.now = 0

    def run(self, steps: int = 400) -> World:
        writes = self.random.uniform(0.05, 0.5)
        for _ in range(steps):
            self.now += 3
            if self.random.random() < 0.03:
                self.links.cut_off = {self.random.choice(self.names)} if self.random.random() < 0.3 else set()
            self.time_passes()
            idle = [client for client in self.node_of if client not in self.waiting]
            if idle and self.random.random() < 0.2:
                client = self.random.choice(idle)
                self.ask(client, self.a_write() if self.random.random() < writes else Read())
            for _ in range(2):
                self.arrive()
        self.calm()
        self.calm_since = self.now
        for client in self.node_of:
            self.ask(client, Read())
        self.calm()
        return self

    def a_write(self) -> Write:
        self.values += 1
        return Write(str(self.values).encode())

    def ask(self, client: int, request: Read | Write) -> None:
        self.now += 1
        ticket = len(self.operations) + len(self.waiting)
        self.waiting[client] = self.now, ticket, request
        self.step(self.node_of[client], Asked(ticket, request))

    def calm(self) -> None:
        """Heal everything, and wait until everybody has an answer and everything has been said twice."""
        self.links.cut_off, self.links.lost, self.links.calm = set(), 0.0, True
        for _ in range(2 * len(self.names)):
            while self.arrive():
                self.now += 1
            self.now += 200
            self.time_passes()
        while self.arrive():
            self.now += 1
        assert not self.waiting, "somebody was never answered"

    def time_passes(self) -> None:
        for name, machine in self.machines.items():
            if machine.wake is not None and machine.wake <= self.now:
                self.step(name, TimePassed(self.now))

    def arrive(self) -> bool:
        letter = self.links.take()
        if letter is not None:
            self.step(letter.target, Received(letter.source, letter.message))
        return letter is not None

    def step(self, name: str, event: Asked | Received | TimePassed) -> None:
        machine = self.machines[name]
        machine.step(event)
        effects = machine.take()
        self.links.put(name, effects.send)
        for answer in effects.answers:
            self.answered(answer.ticket, answer.value)

    def answered(self, ticket: int, value: bytes | None) -> None:
        client = next(client for client, (_, number, _) in self.waiting.items() if number == ticket)
        called, _, request = self.waiting.pop(client)
        self.now += 1
        self.operations.append(
            Operation(
                index=ticket,
                process=client,
                function="write" if isinstance(request, Write) else "read",
                argument=int(request.value) if isinstance(request, Write) else None,
                result=None if value is None else int(value),
                called=called,
                returned=self.now,
                status=Status.OK,
            )
        )

    def history(self) -> History:
        return history(self.operations)

    def history_at_the_end(self) -> History:
        """All that was written, and what was read once everybody had heard of it."""
        return history(
            each for each in self.operations if each.function == "write" or each.called > self.calm_since
        )
