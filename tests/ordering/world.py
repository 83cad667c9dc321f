"""A few nodes that broadcast, in one thread and from one seed, and a memory that each of them keeps with it.

A client of a node reads and writes the node's own copy of two registers; a write is broadcast, and applied
where it is delivered.  What clients saw is a history for the judge.  What the nodes delivered is a list for
each, with causal order worked out beside it: the past of a message is what its sender had delivered.
"""
from __future__ import annotations

from random import Random
from typing import Any

from agreed.check.history import History, Operation, Status, history
from agreed.consensus.machine import Received
from agreed.ordering import Broadcast, ReliableBroadcast
from tests.ordering.links import Links

KEYS = ("x", "y")


class World:
    def __init__(self, kind: type[ReliableBroadcast], seed: int, nodes: int = 3, crash: bool = False) -> None:
        self.random = Random(f"{seed} {nodes}")
        self.names = [f"n{number}" for number in range(1, nodes + 1)]
        self.machines = {name: kind(name, self.names) for name in self.names}
        self.links = Links(self.random)
        self.delivered: dict[str, list[str]] = {name: [] for name in self.names}
        self.past: dict[str, set[str]] = {}
        """By message: all that its sender had delivered when it sent it."""
        self.memory: dict[str, dict[str, int]] = {name: {} for name in self.names}
        self.crashes = self.random.choice(self.names) if crash else None
        self.crashed: set[str] = set()
        self.operations: list[Operation] = []
        self.now = 0

    def run(self, steps: int = 80) -> World:
        crash_at = self.random.randrange(steps)
        talkative = self.random.uniform(0.1, 0.5)
        for step in range(steps):
            if step == crash_at and self.crashes:
                self.crashed.add(self.crashes)
                self.links.crash(self.crashes)
            name = self.random.choice(self.alive) if self.random.random() < talkative else self.arrive()
            if name in self.alive:
                # Who has something new looks at it, and may say something to it.
                for key in self.random.sample(KEYS, self.random.randint(0, len(KEYS))):
                    self.read(name, key)
                if self.random.random() < talkative:
                    self.write(name, self.random.choice(KEYS))
        self.links.calm = True
        while self.arrive():
            pass
        return self

    @property
    def alive(self) -> list[str]:
        return [name for name in self.names if name not in self.crashed]

    def read(self, name: str, key: str) -> None:
        self.record(name, "read", key, None, self.memory[name].get(key))

    def write(self, name: str, key: str) -> None:
        value = len(self.operations)
        self.past[f"{key}={value}"] = set(self.delivered[name])
        self.machines[name].step(Broadcast(f"{key}={value}".encode()))
        self.effects(name)
        self.record(name, "write", key, value, None)

    def record(self, name: str, function: str, key: str, argument: Any, result: Any) -> None:
        self.now += 2
        number = len(self.operations)
        self.operations.append(
            Operation(number, name, function, argument, result, self.now, self.now + 1, Status.OK, key)
        )

    def arrive(self) -> str:
        """Where; empty if nothing is under way."""
        letter = self.links.take()
        if letter is None:
            return ""
        if letter.target not in self.crashed:
            self.machines[letter.target].step(Received(letter.source, letter.message))
            self.effects(letter.target)
        return letter.target

    def effects(self, name: str) -> None:
        effects = self.machines[name].take()
        self.links.put(name, effects.send)
        for message in effects.deliver:
            told = message.payload.decode()
            self.delivered[name].append(told)
            key, _, value = told.partition("=")
            self.memory[name][key] = int(value)

    # --- what came of it ------------------------------------------------------------------------------

    def history(self) -> History:
        return history(self.operations)

    def out_of_causal_order(self) -> list[tuple[str, str]]:
        """Messages with a predecessor that was delivered later or not at all at the same node."""
        found = []
        for delivered in self.delivered.values():
            seen: set[str] = set()
            for message in delivered:
                found += [(message, each) for each in sorted(self.past[message] - seen)]
                seen.add(message)
        return found

    def in_different_orders(self) -> bool:
        """Whether two nodes have delivered two messages in opposite orders."""
        for one in self.delivered.values():
            for other in self.delivered.values():
                both = [message for message in one if message in other]
                if both != [message for message in other if message in one]:
                    return True
        return False
