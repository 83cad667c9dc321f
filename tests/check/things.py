"""Real objects, one for each model, and what clients do to them: where drawn histories come from.

They share no code with the models.  What a thing answers at one instant is linearizable by construction, so a
model that refuses it is wrong; what is made up may be or not be.
"""
from __future__ import annotations

import copy
from collections import Counter as Bag
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from agreed.check import models
from agreed.check.history import Process

Request = tuple[str, Any]


class Refused(Exception):
    """It did not happen; an answer if `error` is empty or one that the model knows."""

    def __init__(self, error: str | None) -> None:
        super().__init__(error)
        self.error = error


class Thing:
    """`draw` says what a client asks, `do` what it is told, `invent` what it might be told by a liar."""

    keys: tuple[Any, ...] = (None,)

    def draw(self, random: Random, process: Process) -> Request:
        raise NotImplementedError

    def do(self, function: str, argument: Any, process: Process) -> Any:
        raise NotImplementedError

    def invent(self, random: Random, function: str, result: Any) -> Any:
        raise NotImplementedError


@dataclass
class Register(Thing):
    value: Any = None
    keys = (None, None, "x", "y")
    functions = ("read", "read", "write")

    def draw(self, random: Random, process: Process) -> Request:
        function = random.choice(self.functions)
        value = random.randrange(3)
        return function, {"read": None, "write": value, "cas": (random.randrange(3), value)}[function]

    def do(self, function: str, argument: Any, process: Process) -> Any:
        if function == "read":
            return self.value
        if function == "cas" and argument[0] != self.value:
            raise Refused(None)
        self.value = argument if function == "write" else argument[1]
        return None

    def invent(self, random: Random, function: str, result: Any) -> Any:
        return random.choice([None, 0, 1, 2]) if function == "read" else result


class CasRegister(Register):
    functions = ("read", "write", "cas", "cas")


@dataclass
class MultiRegister(Thing):
    values: dict[str, Any] = field(default_factory=dict)

    def draw(self, random: Random, process: Process) -> Request:
        steps = []
        for _ in range(random.randint(1, 3)):
            if random.random() < 0.5:
                steps.append([random.choice(["r", "read"]), random.choice("xyz"), None])
            else:
                steps.append([random.choice(["w", "write"]), random.choice("xyz"), random.randrange(3)])
        return "txn", steps

    def do(self, function: str, argument: Any, process: Process) -> Any:
        told = []
        for name, key, value in argument:
            if name[0] == "w":
                self.values[key] = value
            told.append([name, key, self.values.get(key)])
        return told

    def invent(self, random: Random, function: str, result: Any) -> Any:
        return [
            [name, key, random.choice([value, None, 0, 1, 2]) if name[0] == "r" else value]
            for name, key, value in result
        ]


@dataclass
class KeyValue(Thing):
    text: str = ""
    keys = (None, "a", "b")

    def draw(self, random: Random, process: Process) -> Request:
        function = random.choice(["get", "put", "append"])
        return function, None if function == "get" else random.choice(["", "a", "b", "ab"])

    def do(self, function: str, argument: Any, process: Process) -> Any:
        if function == "get":
            return self.text
        self.text = argument if function == "put" else self.text + argument
        return None

    def invent(self, random: Random, function: str, result: Any) -> Any:
        return random.choice(["", "a", "b", "ab", "aa", "aab"]) if function == "get" else result


@dataclass
class Set(Thing):
    elements: set[int] = field(default_factory=set)

    def draw(self, random: Random, process: Process) -> Request:
        function = random.choice(["add", "add", "remove", "contains", "read"])
        return function, None if function == "read" else random.randrange(4)

    def do(self, function: str, argument: Any, process: Process) -> Any:
        match function:
            case "add":
                self.elements.add(argument)
            case "remove":
                self.elements.discard(argument)
            case "contains":
                return argument in self.elements
            case "read":
                return sorted(self.elements)
        return None

    def invent(self, random: Random, function: str, result: Any) -> Any:
        if function == "contains":
            return random.random() < 0.5
        return [each for each in range(4) if random.random() < 0.5] if function == "read" else result


@dataclass
class FifoQueue(Thing):
    """Into half of them nothing is put twice: of such queues more is known."""

    inside: list[int] = field(default_factory=list)
    put_in: list[int] = field(default_factory=list)
    often: float | None = None
    """How often an element may come again."""

    def draw(self, random: Random, process: Process) -> Request:
        if self.often is None:
            self.often = random.choice([0.0, 0.6])
        if random.random() < 0.5:
            return "dequeue", None
        again = random.random() < self.often
        self.put_in.append(random.randrange(3) if again else len(self.put_in))
        return "enqueue", self.put_in[-1]

    def do(self, function: str, argument: Any, process: Process) -> Any:
        if function == "enqueue":
            self.inside.append(argument)
            return None
        return self.inside.pop(0) if self.inside else None

    def invent(self, random: Random, function: str, result: Any) -> Any:
        return random.choice([None, *self.put_in]) if function == "dequeue" else result


@dataclass
class Queue(FifoQueue):
    bag: Bag[int] = field(default_factory=Bag)

    def do(self, function: str, argument: Any, process: Process) -> Any:
        if function == "enqueue":
            self.bag[argument] += 1
            return None
        if not self.bag.total():
            return None
        taken = sorted(self.bag.elements())[self.bag.total() // 2]
        self.bag[taken] -= 1
        return taken


@dataclass
class Mutex(Thing):
    held: bool = False

    def draw(self, random: Random, process: Process) -> Request:
        return random.choice(["acquire", "release"]), None

    def do(self, function: str, argument: Any, process: Process) -> Any:
        if self.held == (function == "acquire"):
            raise Refused("held" if self.held else "free")
        self.held = not self.held

    def invent(self, random: Random, function: str, result: Any) -> Any:
        return result


@dataclass
class Lock(Thing):
    holder: Process | None = None
    token: int = 0
    seen: int = 0

    def draw(self, random: Random, process: Process) -> Request:
        function = random.choice(["acquire", "acquire", "release", "release", "expire", "use"])
        if function == "acquire":
            return function, None
        token = random.choice([self.token, self.token, random.randint(0, self.token + 1)])
        return function, token if function == "use" or random.random() < 0.5 else None

    def do(self, function: str, argument: Any, process: Process) -> Any:
        if function == "use":
            if argument < self.seen:
                return False
            self.seen = argument
            return True
        if function == "acquire":
            if self.holder is not None:
                raise Refused("held")
            self.holder, self.token = process, self.token + 1
            return self.token
        mine = self.holder is not None and (function == "expire" or self.holder == process)
        if not mine or argument not in (None, self.token):
            raise Refused("not held")
        self.holder = None
        return None

    def invent(self, random: Random, function: str, result: Any) -> Any:
        if function == "use":
            return random.random() < 0.5
        return random.randint(0, 4) if function == "acquire" else result


@dataclass
class Counter(Thing):
    value: int = 0

    def draw(self, random: Random, process: Process) -> Request:
        function = random.choice(["add", "add", "add-and-get", "read"])
        return function, None if function == "read" else random.randint(-1, 2)

    def do(self, function: str, argument: Any, process: Process) -> Any:
        self.value += argument or 0
        return None if function == "add" else self.value

    def invent(self, random: Random, function: str, result: Any) -> Any:
        return None if result is None else result + random.choice([-1, 1, 2])


@dataclass
class Bank(Thing):
    accounts: dict[str, int] = field(default_factory=lambda: {"a": 3, "b": 2, "c": 0})

    def draw(self, random: Random, process: Process) -> Request:
        if random.random() < 0.4:
            return "read", None
        source, target = random.choice("abc"), random.choice("abc")
        return "transfer", {"from": source, "to": target, "amount": random.randint(1, 3)}

    def do(self, function: str, argument: Any, process: Process) -> Any:
        if function == "read":
            return dict(self.accounts)
        if self.accounts[argument["from"]] < argument["amount"]:
            raise Refused("too little")
        self.accounts[argument["from"]] -= argument["amount"]
        self.accounts[argument["to"]] += argument["amount"]
        return None

    def invent(self, random: Random, function: str, result: Any) -> Any:
        if function != "read":
            return result
        moved = random.choice([-1, 1, 2])
        source, target = random.sample("abc", 2)
        return {**result, source: result[source] - moved, target: result[target] + moved}


@dataclass
class Znode:
    data: Any = None
    version: int = 0
    made: int = 0
    owner: int | None = None


class Tree(Thing):
    def __init__(self) -> None:
        self.nodes: dict[str, Znode] = {"/": Znode()}

    def draw(self, random: Random, process: Process) -> Request:
        if random.random() < 0.08:
            return "close", random.randrange(2)
        if random.random() < 0.15:
            return "multi", [self._one(random, multi=True) for _ in range(random.randint(1, 3))]
        return self._one(random, multi=False)

    def _one(self, random: Random, multi: bool) -> Request:
        path = random.choice(["/a", "/a", "/b", "/a/c", "/a/d", "/a/0000000000"])
        version = random.choice([None, None, 0, 1])
        kinds = ["create", "create", "delete", "set"]
        function = random.choice([*kinds, "check"] if multi else [*kinds, "get", "exists", "children"])
        match function:
            case "get" | "exists" | "children":
                return function, path if random.random() < 0.9 else "/"
            case "create" if random.random() < 0.2:
                above = random.choice(["/", "/a/"])
                return function, {"path": above, "sequential": True, "data": random.randrange(2)}
            case "create":
                session = random.choice([None, None, 0, 1])
                return function, {"path": path, "data": random.randrange(2), "session": session}
            case "set":
                return function, {"path": path, "data": random.randrange(2), "version": version}
        return function, {"path": path, "version": version}

    def do(self, function: str, argument: Any, process: Process) -> Any:
        if function == "multi":
            before = copy.deepcopy(self.nodes)
            try:
                return [self.do(part, each, process) for part, each in argument]
            except Refused:
                self.nodes = before
                raise
        if function == "close":
            for path in [path for path, node in self.nodes.items() if node.owner == argument]:
                del self.nodes[path]
            return None
        if function == "create":
            return self._create(argument)
        path = argument if isinstance(argument, str) else argument["path"]
        node = self.nodes.get(path)
        if node is None:
            raise Refused("NoNode")
        if isinstance(argument, dict) and argument.get("version") not in (None, node.version):
            raise Refused("BadVersion")
        return self._answer(function, argument, path, node)

    def _answer(self, function: str, argument: Any, path: str, node: Znode) -> Any:
        names = [each.rsplit("/", 1)[1] for each in self.nodes if each != "/" and self._above(each) == path]
        match function:
            case "delete":
                if names:
                    raise Refused("NotEmpty")
                del self.nodes[path]
            case "set":
                node.data, node.version = argument["data"], node.version + 1
                return {"version": node.version}
            case "get":
                return {"data": node.data, "version": node.version}
            case "exists":
                return {"cversion": 2 * node.made - len(names), "owner": node.owner}
            case "children":
                return names
        return None

    def _create(self, argument: dict[str, Any]) -> str:
        path: str = argument["path"]
        parent = self.nodes.get(self._above(path))
        if parent is None:
            raise Refused("NoNode")
        if argument.get("sequential"):
            path += str(parent.made).zfill(10)
        if path in self.nodes:
            raise Refused("NodeExists")
        if parent.owner is not None:
            raise Refused("NoChildrenForEphemerals")
        parent.made += 1
        self.nodes[path] = Znode(argument["data"], owner=argument.get("session"))
        return path

    @staticmethod
    def _above(path: str) -> str:
        return path[: path.rindex("/")] or "/"

    def invent(self, random: Random, function: str, result: Any) -> Any:
        match result:
            case {"version": version, **rest}:
                return {**rest, "version": max(0, version + random.choice([-1, 1]))}
            case {"cversion": version, **rest}:
                return {**rest, "cversion": version + random.choice([-1, 1])}
            case [*names] if function == "children":
                return names[1:] if random.random() < 0.5 else [*names, "c"]
        return result


THINGS: dict[str, Callable[[], Thing]] = {
    "register": Register,
    "cas-register": CasRegister,
    "multi-register": MultiRegister,
    "key-value": KeyValue,
    "set": Set,
    "queue": Queue,
    "fifo-queue": FifoQueue,
    "mutex": Mutex,
    "lock": Lock,
    "counter": Counter,
    "bank": Bank,
    "tree": Tree,
}
assert THINGS.keys() == models.MODELS.keys()

INITIAL = {"bank": {"a": 3, "b": 2, "c": 0}}
"""With what the model begins, where the thing does not begin as it does."""
