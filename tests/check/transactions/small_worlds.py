"""Histories of a few transactions, as systems of several strengths might make them; some with a lie."""
from __future__ import annotations

from random import Random
from typing import Any

from agreed.check.history import History, Operation, Status, history

KEYS = "xyz"


class Client:
    """One process: it has a transaction under way, or is about to begin one."""

    def __init__(self, process: int) -> None:
        self.process = process
        self.steps: list[list[Any]] = []
        self.done: list[list[Any]] = []
        self.called = 0
        self.seen: dict[str, Any] = {}
        self.revision = 0
        self.heard: set[int] = set()


class World:
    """A store that runs transactions of some clients at a time.

    `isolation`: "serial" (all at once), "snapshot" (reads what was there in the beginning, writes in the
    end, unless another wrote in between), "parallel" (the same, but each client hears of the others'
    commits when it pleases: long forks), "careless" (like snapshot without looking), or "none" (step by
    step)."""

    def __init__(self, random: Random, *, lists: bool, most: int) -> None:
        self.random = random
        self.lists = lists
        self.isolation = random.choice(("serial", "snapshot", "parallel", "parallel", "careless", "none"))
        self.keys = KEYS[: random.randint(1, 3)]
        self.state: dict[str, Any] = {}
        self.version = dict.fromkeys(KEYS, 0)
        self.next_value = dict.fromkeys(KEYS, 0)
        self.commits: list[list[list[Any]]] = []
        self.left = random.randint(2, most)
        self.revision = 0
        self.clock = 0
        self.operations: list[Operation] = []
        self.clients = [Client(process) for process in range(random.randint(1, 4))]

    def play(self) -> History:
        while self.clients:
            self.clock += 1
            client = self.random.choice(self.clients)
            if not client.steps and not client.done:
                if not self.left:
                    self.clients.remove(client)
                    continue
                self._begin(client)
            elif client.steps:
                self._step(client)
            else:
                self._end(client)
        return history(self.operations)

    def _begin(self, client: Client) -> None:
        self.left -= 1
        client.called = self.clock
        if self.isolation == "parallel":
            client.seen = self._heard(client)
        else:
            client.seen = dict(self.state) | {f"version of {key}": self.version[key] for key in self.keys}
        for _ in range(self.random.randint(1, 3)):
            key = self.random.choice(self.keys)
            if self.random.random() < 0.5:
                client.steps.append(["r", key, None])
            else:
                self.next_value[key] += 1
                client.steps.append(["append" if self.lists else "w", key, self.next_value[key]])

    def _heard(self, client: Client) -> dict[str, Any]:
        """What is there by the commits that a client has heard of: perhaps some more than last time.  Those
        of one key are heard of in their order."""
        deaf: set[str] = set()
        seen: dict[str, Any] = {}
        version = dict.fromkeys(KEYS, 0)
        for number, writes in enumerate(self.commits):
            keys = {key for _, key, _ in writes}
            if number in client.heard or (not keys & deaf and self.random.random() < 0.6):
                client.heard.add(number)
                for step in writes:
                    self._do(step, seen)
                    version[step[1]] += 1
            else:
                deaf |= keys
        return seen | {f"version of {key}": version[key] for key in self.keys}

    def _step(self, client: Client) -> None:
        if self.isolation in ("serial", "none"):
            while client.steps:
                client.done.append(self._do(client.steps.pop(0), self.state))
                if self.isolation == "none":
                    break
        else:
            client.done.append(self._do(client.steps.pop(0), client.seen))
        if not client.steps:
            self.revision += 1
            client.revision = self.revision

    def _do(self, step: list[Any], state: dict[str, Any]) -> list[Any]:
        function, key, value = step
        if function == "r":
            return [function, key, state.get(key)]
        state[key] = (*state.get(key, ()), value) if self.lists else value
        return step

    def _end(self, client: Client) -> None:
        status = self.random.choices((Status.OK, Status.INFO, Status.FAIL), (12, 1, 1))[0]
        wrote = {key for function, key, _ in client.done if function != "r"}
        if self.isolation in ("snapshot", "parallel", "careless"):
            late = any(client.seen[f"version of {key}"] != self.version[key] for key in wrote)
            if late and self.isolation != "careless":
                status = Status.FAIL
            if status is not Status.FAIL and not (status is Status.INFO and self.random.random() < 0.5):
                client.heard.add(len(self.commits))
                self.commits.append([step for step in client.done if step[0] != "r"])
                for step in self.commits[-1]:
                    self._do(step, self.state)
                    self.version[step[1]] += 1
        argument = [
            [function, key, None if function == "r" else value] for function, key, value in client.done
        ]
        self.operations.append(
            Operation(
                index=len(self.operations),
                process=client.process,
                function="txn",
                argument=argument,
                result=client.done if status is Status.OK else None,
                called=client.called,
                returned=None if status is Status.INFO else self.clock,
                status=status,
                revision=client.revision,
            )
        )
        client.done = []
        if status is Status.INFO:
            self.clients.remove(client)


def small_world(random: Random, *, lists: bool, most: int = 6, revisions: bool = False) -> History:
    """A history of up to `most` transactions; with the order of the server's commits if `revisions`."""
    made = list(World(random, lists=lists, most=most).play())
    if random.random() < 0.4 and made:
        _lie(random, made, lists)
    if not revisions:
        made = [_with(operation, revision=None) for operation in made]
    return history(made)


def _lie(random: Random, operations: list[Operation], lists: bool) -> None:
    """Changes one read to something else that it might have read."""
    at = random.randrange(len(operations))
    result: Any = operations[at].result
    places = [place for place, step in enumerate(result or ()) if step[0] == "r"]
    if not places:
        return
    place = random.choice(places)
    key = result[place][1]
    others: list[Any] = [None]
    for operation in operations:
        known: Any = operation.argument if operation.result is None else operation.result
        others += [
            value for f, its, value in known if its == key and (f == "r") == lists and value is not None
        ]
    other = random.choice(others)
    if lists and random.random() < 0.3:
        elements = [value for operation in operations for f, its, value in _written(operation) if its == key]
        other = tuple(random.sample(elements, random.randint(0, min(3, len(elements)))))
    changed = [list(step) for step in result]
    changed[place][2] = other
    operations[at] = _with(operations[at], result=changed)


def _written(operation: Operation) -> list[Any]:
    known: Any = operation.argument
    return [step for step in known if step[0] != "r"]


def _with(operation: Operation, **changes: Any) -> Operation:
    fields = {name: getattr(operation, name) for name in operation.__struct_fields__}
    return Operation(**(fields | changes))
