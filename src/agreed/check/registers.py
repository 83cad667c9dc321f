"""Registers whose writes can be told apart: who read what from whom is then a fact, not a guess.

Causal consistency and its relatives are NP-complete to check in general, and polynomial where every value
that was read was written once (Bouajjani, Enea, Guerraoui, Hamza, POPL 2017: "differentiated" histories).
This file reads a history so: the operations that count, by session and by key, and for each read its
writer.

| function     | argument  | result    |
| ------------ | --------- | --------- |
| read, get    |           | the value |
| write, put   | the value |           |

What counts.  Answered reads and writes; writes without an answer if somebody read their value (then they
happened; else nobody can tell, and they are left out).  A write that surely failed did not happen: who read
its value read it from nobody.

What is not a fact.  A read whose value was written twice to its key, or written as well as initial, may have
several writers.  It is left out, and `doubt` says so; and where there are operations of other kinds (a
compare-and-set), all reads of their key are.  What is violated without them is violated with them (every
consistency model here is closed under leaving out reads); but that the rest holds says nothing then.  A value
that was written twice and never read does no harm.
"""
from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from agreed.check.history import Operation, Process, Status
from agreed.check.models.values import frozen

READS = frozenset({"read", "get"})
WRITES = frozenset({"write", "put"})

INITIAL = -1
"""As a writer: nobody, the value was there before everything."""
NOBODY = -2
"""As a writer: a value that no operation wrote, and that is not the initial one."""
NOT_A_READ = -3

Number: TypeAlias = int
"""Of an operation in `Registers.operations`."""


@dataclass(frozen=True, slots=True)
class Registers:
    """A history as reads and writes of many registers.  Sessions are numbered in the order of their first
    calls; operations as well, and each has a place in its session."""

    operations: tuple[Operation, ...]
    sessions: tuple[tuple[Number, ...], ...]
    session: tuple[int, ...]
    """By operation."""
    place: tuple[int, ...]
    """By operation: its position in its session, from 0."""
    writer: tuple[Number, ...]
    """By operation: whom a read read from (INITIAL, NOBODY); NOT_A_READ for writes."""
    writes: dict[Hashable, tuple[tuple[Number, ...], ...]]
    """By key: the writes of each session that writes it, in order."""
    initial: Hashable
    doubt: str
    """Why leaving something out was necessary; empty if nothing was."""

    def keeping(self, numbers: Iterable[Number]) -> Registers:
        """These operations alone, in the order of the calls."""
        return _arranged([self.operations[number] for number in sorted(numbers)], self.initial, self.doubt)

    def process(self, session: int) -> Process:
        return self.operations[self.sessions[session][0]].process

    def says(self, number: Number) -> str:
        """The operation in words, as part of a sentence."""
        operation = self.operations[number]
        reads = self.writer[number] != NOT_A_READ
        what, value = ("read", operation.result) if reads else ("write", operation.argument)
        where = "" if operation.key is None else f" {operation.key}"
        return f"{what}{where} = {value!r} (#{operation.index}, client {operation.process})"


def registers(operations: Iterable[Operation], initial: object = None) -> Registers:
    """Reads `operations` (in the order of their calls) so; each register begins with `initial`.

    Raises MalformedInput for values that cannot be compared."""
    everything = list(operations)
    candidates = _candidates(everything)
    strange, doubts = _strangers(everything)
    beginning = frozen(initial)
    kept: list[Operation] = []
    wanted: set[tuple[Hashable, Hashable]] = set()
    """Values (with their keys) that somebody read."""
    for operation in everything:
        if operation.function in WRITES and operation.status is not Status.FAIL:
            kept.append(operation)
        elif operation.function in READS and _answered(operation, initial) and not strange(operation.key):
            value = (operation.key, frozen(operation.result))
            writers = candidates.get(value, [])
            if len(writers) + (value[1] == beginning) > 1:
                doubts.append(_ambiguous(operation, writers))
            else:
                wanted.add(value)
                kept.append(operation)
    seen = [
        operation
        for operation in kept
        if operation.status is Status.OK or (operation.key, frozen(operation.argument)) in wanted
    ]
    return _arranged(seen, beginning, doubts[0] if doubts else "")


def _answered(read: Operation, initial: object) -> bool:
    """Test tools write None for an answer that they did not look at."""
    return read.status is Status.OK and (read.result is not None or initial is None)


def _strangers(operations: Iterable[Operation]) -> tuple[Callable[[Hashable], bool], list[str]]:
    """Of which keys one cannot tell who wrote what, because of other kinds of operations; and a doubt of
    each."""
    strange = [
        operation
        for operation in operations
        if operation.function not in READS | WRITES and operation.status is not Status.FAIL
    ]
    keys = {operation.key for operation in strange}
    doubts = [f"operation {each.index} ({each.function}) is neither a read nor a write" for each in strange]
    return lambda key: None in keys or key in keys, doubts


def _candidates(operations: Iterable[Operation]) -> dict[tuple[Hashable, Hashable], list[Operation]]:
    """Who may have written each value of each key."""
    found: dict[tuple[Hashable, Hashable], list[Operation]] = {}
    for operation in operations:
        if operation.function in WRITES and operation.status is not Status.FAIL:
            found.setdefault((operation.key, frozen(operation.argument)), []).append(operation)
    return found


def _ambiguous(read: Operation, writers: Sequence[Operation]) -> str:
    where = "" if read.key is None else f" of {read.key}"
    numbers = " and ".join(str(writer.index) for writer in writers[:2])
    also = "is the initial one as well as written" if len(writers) == 1 else "was written more than once"
    return f"the value {read.result!r}{where}, read by operation {read.index}, {also} (by {numbers})"


def _arranged(operations: Sequence[Operation], beginning: Hashable, doubt: str) -> Registers:
    sessions: dict[Process, list[Number]] = {}
    numbers: dict[Process, int] = {}
    session: list[int] = []
    place: list[int] = []
    wrote: dict[tuple[Hashable, Hashable], Number] = {}
    writes: dict[Hashable, dict[int, list[Number]]] = {}
    for number, operation in enumerate(operations):
        own = sessions.setdefault(operation.process, [])
        mine = numbers.setdefault(operation.process, len(numbers))
        session.append(mine)
        place.append(len(own))
        own.append(number)
        if operation.function in WRITES:
            wrote[operation.key, frozen(operation.argument)] = number
            writes.setdefault(operation.key, {}).setdefault(mine, []).append(number)
    writer: list[Number] = []
    for operation in operations:
        if operation.function in WRITES:
            writer.append(NOT_A_READ)
            continue
        value = frozen(operation.result)
        writer.append(wrote.get((operation.key, value), INITIAL if value == beginning else NOBODY))
    return Registers(
        operations=tuple(operations),
        sessions=tuple(tuple(own) for own in sessions.values()),
        session=tuple(session),
        place=tuple(place),
        writer=tuple(writer),
        writes={key: tuple(tuple(own) for own in of.values()) for key, of in writes.items()},
        initial=beginning,
        doubt=doubt,
    )
