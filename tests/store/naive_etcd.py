"""etcd's rules for keys and leases a second time, as plainly and slowly as possible.

Every revision is a whole copy of all keys, so that a read at a revision is a look into a dict; a transaction
works on a copy, and whatever is wrong throws it away; ranges are found by looking at all keys."""
from __future__ import annotations

from dataclasses import dataclass, field, replace

from agreed.store import commands
from agreed.store.commands import DeleteRange, Guard, Put, Range, Transaction
from tests.store.naive import Refused, require


@dataclass(frozen=True)
class Pair:
    value: bytes | None
    created: int
    modified: int
    version: int
    lease: int


Keys = dict[bytes, Pair]
Told = tuple[object, ...]


def inside(key: bytes, end: bytes | None, candidate: bytes) -> bool:
    if end is None:
        return candidate == key
    return candidate >= key and (end == b"\0" or candidate < end)


def select(keys: Keys, key: bytes, end: bytes | None) -> list[bytes]:
    return sorted(candidate for candidate in keys if inside(key, end, candidate))


@dataclass
class NaiveEtcd:
    revision: int = 0
    compacted: int = 0
    past: list[Keys] = field(default_factory=lambda: [{}])
    """At each index what was true at that revision."""
    events: list[tuple[int, bytes, bytes | None]] = field(default_factory=list)
    """(revision, key, value or None for a deletion)"""
    leases: dict[int, int] = field(default_factory=dict)
    """The number of the grant of each."""
    granted: int = 0

    @property
    def keys(self) -> Keys:
        return self.past[-1]

    def execute(self, command: commands.Command) -> Told:
        """What is told, or the name of the refusal."""
        try:
            if isinstance(command, Put | DeleteRange | Transaction):
                return self.write(command)
            return getattr(self, "do_" + type(command).__name__.lower())(command) or ("done",)
        except Refused as refusal:
            return (str(refusal),)

    def write(self, command: Put | DeleteRange | Transaction) -> Told:
        attempt = _Attempt(self, dict(self.keys))
        if isinstance(command, Put):
            require(command.key, "EMPTY_KEY")
            require(command.lease is None or command.lease in (0, *self.leases), "NO_LEASE")
            require(command.key in self.keys or None not in (command.value, command.lease), "NO_KEY")
        elif isinstance(command, DeleteRange):
            require(command.key, "EMPTY_KEY")
        else:
            twice(command)
            chosen = choose(self.keys, command)
            attempt.look_over(chosen, Put)
            attempt.look_over(chosen, Range)
            told = attempt.all(command, chosen)
            self.commit(attempt)
            return told
        told = attempt.one(command)
        self.commit(attempt)
        return told

    def commit(self, attempt: _Attempt) -> None:
        if attempt.events:
            self.revision += 1
            self.past.append(attempt.keys)
            self.events += attempt.events

    def do_compact(self, command: commands.Compact) -> None:
        require(command.revision <= self.revision, "FUTURE_REVISION")
        require(command.revision > self.compacted, "COMPACTED")
        self.compacted = command.revision

    def do_sweep(self, command: commands.Sweep) -> None:
        pass

    def do_grantlease(self, command: commands.GrantLease) -> Told:
        require(command.lease not in self.leases, "LEASE_EXISTS")
        self.granted += 1
        self.leases[command.lease] = self.granted
        return ("granted",)

    def do_revokelease(self, command: commands.RevokeLease) -> None:
        require(command.lease in self.leases, "NO_LEASE")
        attempt = _Attempt(self, dict(self.keys))
        for key in sorted(self.keys):
            if self.keys[key].lease == command.lease:
                attempt.one(DeleteRange(key, None))
        self.commit(attempt)
        del self.leases[command.lease]

    def do_expirelease(self, command: commands.ExpireLease) -> None:
        require(command.lease in self.leases, "NO_LEASE")
        require(self.leases[command.lease] == command.attach_revision, "STALE")
        self.do_revokelease(commands.RevokeLease(command.lease))

    def read(self, asked: Range) -> Told:
        return read(self, self.keys, self.revision, asked)


def read(naive: NaiveEtcd, keys: Keys, revision: int, asked: Range) -> Told:
    require(asked.key, "EMPTY_KEY")
    require(asked.revision <= revision, "FUTURE_REVISION")
    require(asked.revision <= 0 or asked.revision >= naive.compacted, "COMPACTED")
    then = naive.past[asked.revision] if 0 < asked.revision < len(naive.past) else keys
    found = select(then, asked.key, asked.range_end)
    shown = found[: asked.limit] if asked.limit > 0 else found
    return ("range", [(key, then[key]) for key in shown], len(found), len(found) > len(shown))


@dataclass
class _Attempt:
    naive: NaiveEtcd
    keys: Keys
    events: list[tuple[int, bytes, bytes | None]] = field(default_factory=list)

    def look_over(self, chosen: list[object], kind: type) -> None:
        """What is wrong with the operations of this kind."""
        for operation in chosen:
            if isinstance(operation, list):
                self.look_over(operation, kind)
            elif isinstance(operation, Put) and kind is Put:
                there = operation.key in self.naive.keys
                require(there or None not in (operation.value, operation.lease), "NO_KEY")
                require(operation.lease is None or operation.lease in (0, *self.naive.leases), "NO_LEASE")
            elif isinstance(operation, Range) and kind is Range:
                read(self.naive, self.keys, self.naive.revision, operation)

    def all(self, command: Transaction, chosen: list[object]) -> Told:
        holds = all(judge(self.naive.keys, guard) for guard in command.guards)
        done: list[Told] = []
        operations = command.then if holds else command.otherwise
        for operation, inner in zip(operations, chosen, strict=True):
            if isinstance(operation, Transaction):
                assert isinstance(inner, list)
                done.append(self.all(operation, inner))
            else:
                done.append(self.one(operation))
        return ("txn", holds, done)

    def one(self, operation: Put | DeleteRange | Range) -> Told:
        revision = self.naive.revision + 1
        if isinstance(operation, Range):
            return read(self.naive, self.keys, revision, operation)
        if isinstance(operation, DeleteRange):
            found = select(self.keys, operation.key, operation.range_end)
            gone = [(key, self.keys.pop(key)) for key in found]
            self.events += [(revision, key, None) for key in found]
            return ("deleted", gone)
        before = self.keys.get(operation.key)
        require(before or None not in (operation.value, operation.lease), "NO_KEY")
        base = before or Pair(None, revision, revision, 0, 0)
        value = operation.value if operation.value is not None or before is None else before.value
        after = replace(
            base,
            value=value,
            modified=revision,
            version=base.version + 1,
            lease=base.lease if operation.lease is None else operation.lease,
        )
        self.keys[operation.key] = after
        self.events.append((revision, operation.key, value))
        return ("put", before)


def choose(keys: Keys, command: Transaction) -> list[object]:
    holds = all(judge(keys, guard) for guard in command.guards)
    branch = command.then if holds else command.otherwise
    return [choose(keys, each) if isinstance(each, Transaction) else each for each in branch]


def judge(keys: Keys, guard: Guard) -> bool:
    found = [keys[key] for key in select(keys, guard.key, guard.range_end)]
    if not found and guard.target == "value":
        return False
    names = {"create_revision": "created", "modify_revision": "modified"}
    for pair in found or [Pair(None, 0, 0, 0, 0)]:
        left: object = getattr(pair, names.get(guard.target, guard.target))
        right = guard.operand
        before = left < right  # type: ignore[operator]
        if not {"=": left == right, "!=": left != right, "<": before, ">": not before and left != right}[
            guard.relation
        ]:
            return False
    return True


def twice(command: Transaction) -> None:
    """By walking over every pair of operations that may both be done, in the order of the list."""
    for branch in (command.then, command.otherwise):
        written = flat(branch, ())
        for position, (place, first) in enumerate(written):
            for other, second in written[position + 1 :]:
                if exclusive(place, other):
                    continue
                require(not clash(first, second, place, other), "DUPLICATE_KEY")


Place = tuple[tuple[int, str], ...]
"""Of an operation in a tree of transactions: which operation of which branch, from the outside in."""


def flat(branch: tuple[object, ...], place: Place) -> list[tuple[Place, Put | DeleteRange]]:
    found: list[tuple[Place, Put | DeleteRange]] = []
    for number, operation in enumerate(branch):
        if isinstance(operation, Transaction):
            found += flat(operation.then, (*place, (number, "then")))
            found += flat(operation.otherwise, (*place, (number, "otherwise")))
        elif isinstance(operation, Put | DeleteRange):
            found.append(((*place, (number, "")), operation))
    return found


def exclusive(one: Place, other: Place) -> bool:
    """Whether they stand in the two branches of one transaction."""
    for (number, branch), (second, second_branch) in zip(one, other, strict=False):
        if number == second and branch != second_branch:
            return True
        if number != second:
            return False
    return False


def clash(first: Put | DeleteRange, second: Put | DeleteRange, place: Place, other: Place) -> bool:
    if isinstance(first, Put) and isinstance(second, Put):
        return first.key == second.key
    if isinstance(first, DeleteRange) and isinstance(second, DeleteRange):
        return False
    deletion, put = (first, second) if isinstance(first, DeleteRange) else (second, first)
    assert isinstance(deletion, DeleteRange)
    if deletion.range_end == b"\0" or not inside(deletion.key, deletion.range_end, put.key):
        return False
    # etcd's gap: a deletion in a nested transaction is not compared with puts in earlier ones beside it.
    shared = next(i for i, (a, b) in enumerate(zip(place, other, strict=False)) if a != b)
    both_nested = len(place) > shared + 1 and len(other) > shared + 1
    return not (both_nested and deletion is second)
