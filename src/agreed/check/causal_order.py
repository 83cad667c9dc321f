"""What must have come before what: session order and reads-from, closed under transitivity, as vector clocks.

The causal order of a history is the least one that contains the order of each session and leads from each
write to its readers (written co; Lamport's happened-before with reads for messages).  Others put more in:
`extra` leads from operations to operations as well.

An operation's clock says, session by session, how many operations are before it.  A bit for each pair would
be n * n / 8 bytes; this is n times the number of sessions, and most operations share their clock with the
one before them in their session, because what they read was known there already.
"""
from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import TypeAlias

from agreed.check.registers import Number, Registers

Clock: TypeAlias = tuple[int, ...]


class Cyclic(Exception):
    """There is no such order: each of `cycle` would have to be before the next, and the last before the
    first."""

    def __init__(self, cycle: Sequence[Number]) -> None:
        super().__init__(cycle)
        self.cycle = list(cycle)


def line(
    registers: Registers,
    reads: Iterable[Number],
    extra: Mapping[Number, Sequence[Number]],
    rank: Sequence[int] | None = None,
) -> list[Number]:
    """All operations in one order that contains the sessions, leads from its writer to each of `reads`, and
    from each key of `extra` to its values.  Where it is free to choose it takes the lowest rank, then the
    earliest call.  Raises Cyclic if there is no such order."""
    after, waits = _edges(registers, reads, extra)
    count = len(waits)
    urgency = range(count) if rank is None else [rank[number] * count + number for number in range(count)]
    ready = [urgency[number] for number in range(count) if not waits[number]]
    heapify(ready)
    found: list[Number] = []
    while ready:
        number = heappop(ready) % count
        found.append(number)
        for later in after[number]:
            waits[later] -= 1
            if not waits[later]:
                heappush(ready, urgency[later])
    if len(found) < count:
        raise Cyclic(_cycle(after, waits))
    return found


def _edges(
    registers: Registers, reads: Iterable[Number], extra: Mapping[Number, Sequence[Number]]
) -> tuple[list[list[Number]], list[int]]:
    count = len(registers.operations)
    after: list[list[Number]] = [[] for _ in range(count)]
    waits = [0] * count
    for own in registers.sessions:
        for earlier, later in pairwise(own):
            after[earlier].append(later)
            waits[later] += 1
    for number in reads:
        writer = registers.writer[number]
        if writer >= 0:
            after[writer].append(number)
            waits[number] += 1
    for number, targets in extra.items():
        after[number].extend(targets)
        for target in targets:
            waits[target] += 1
    return after, waits


def _cycle(after: list[list[Number]], waits: list[int]) -> list[Number]:
    """Some cycle.  Operations that still wait have one before them that waits as well: going back long enough
    comes around."""
    before: dict[Number, Number] = {}
    for number, targets in enumerate(after):
        if waits[number]:
            for target in targets:
                before.setdefault(target, number)
    walked: dict[Number, int] = {}
    number = next(number for number, count in enumerate(waits) if count)
    while number not in walked:
        walked[number] = len(walked)
        number = before[number]
    path = list(walked)[walked[number] :]
    return path[::-1]


class CausalOrder:
    """The order as clocks.  Raises Cyclic if it is none."""

    def __init__(self, registers: Registers, extra: Mapping[Number, Sequence[Number]] | None = None) -> None:
        extra = extra or {}
        self.registers = registers
        self.line = line(registers, range(len(registers.operations)), extra)
        """All operations, each after those that are before it."""
        self._clocks = self._count(extra)

    def _count(self, extra: Mapping[Number, Sequence[Number]]) -> list[Clock]:
        registers = self.registers
        session, place, writer = registers.session, registers.place, registers.writer
        sources: dict[Number, list[Number]] = {}
        for number, targets in extra.items():
            for target in targets:
                sources.setdefault(target, []).append(number)
        known: list[Clock] = [(0,) * len(registers.sessions)] * len(registers.sessions)
        clocks: list[Clock] = [()] * len(registers.operations)
        for number in self.line:
            mine = session[number]
            clock = known[mine]
            for source in (writer[number], *sources.get(number, ())):
                if source < 0 or session[source] == mine or clock[session[source]] > place[source]:
                    continue
                merged = list(map(max, clock, clocks[source]))
                merged[session[source]] = place[source] + 1
                clock = tuple(merged)
            clocks[number] = known[mine] = clock
        return clocks

    def entries(self) -> int:
        """How many numbers it keeps, for bounding memory."""
        return len({id(clock) for clock in self._clocks}) * len(self.registers.sessions)

    def clock(self, number: Number) -> Clock:
        """How many operations of each session are before it; of its own, no more than that."""
        return self._clocks[number]

    def count(self, session: int, number: Number) -> int:
        """How many operations of the session are before it."""
        if session == self.registers.session[number]:
            return self.registers.place[number]
        return self._clocks[number][session]

    def before(self, first: Number, second: Number) -> bool:
        registers = self.registers
        return self.count(registers.session[first], second) > registers.place[first]

    def latest(self, writes: Sequence[Number], number: Number) -> Number | None:
        """Of `writes`, which are of one session and in its order, the last that is before the operation."""
        registers = self.registers
        known = self.count(registers.session[writes[0]], number)
        found = bisect_left(writes, known, key=registers.place.__getitem__)
        return writes[found - 1] if found else None

    def first(self, writes: Sequence[Number], number: Number) -> Number | None:
        """Of `writes`, which are of one session and in its order, the first that is after the operation."""
        found = bisect_left(writes, True, key=lambda write: self.before(number, write))
        return writes[found] if found < len(writes) else None

    def path(self, first: Number, second: Number) -> list[Number]:
        """Why `first` is before `second`: operations from one to the other, each of which is before the next
        because they share a session, or because the next reads what it wrote.  (Without `extra`.)"""
        registers = self.registers
        found = [second]
        while registers.session[found[-1]] != registers.session[first]:
            own = registers.sessions[registers.session[found[-1]]]
            place = registers.place[found[-1]]
            knows = bisect_left(own, True, hi=place, key=lambda number: self.before(first, number))
            if knows != place:
                found.append(own[knows])
            found.append(registers.writer[own[knows]])
        if found[-1] != first:
            found.append(first)
        return found[::-1]
