"""In which order the versions of a key came, as far as a history tells; and why.

Versions are numbered from 0, which is the initial one (the empty list, or nothing).  `later[v]` are
versions that come after version v; what follows from others by transitivity need not be listed.  Of a list,
a read tells the whole order up to it (its elements), and what is never read comes after all that is; of a
register, only what reasons can be found for.

A version has a writer only if that transaction is known to have taken effect.  Versions without one
(written by an aborted transaction, or by nobody) are passed over: `followers` gives for each version those
that come next and have a writer.
"""
from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Final, NamedTuple

from agreed.check.transactions.graph import Graph, Kind, knots
from agreed.check.transactions.micro import Transactions

INITIAL: Final = 0
NOBODY: Final = -1


class Reason(NamedTuple):
    """Why one version comes before another.

    kind: "read" (transaction 0 read the one before the other), "unread" (transaction 0 read the one, and
    not yet the other), "initial", "wfr" (transaction 0 read the one, then wrote the other), "process" and
    "realtime" (transaction 0 saw the one, then transaction 1 the other), "revision" (the server says so of
    the writers, transactions 0 and 1)."""

    kind: str
    transactions: tuple[int, ...] = ()


class Versions:
    """The versions of one key."""

    __slots__ = (
        "key", "later", "longest_reader", "number", "readers", "reasons", "uncertain", "values", "writers",
    )  # fmt: skip

    def __init__(self, key: Hashable, initial: Hashable) -> None:
        self.key = key
        self.values: list[Hashable] = [initial]
        self.number: dict[Hashable, int] = {initial: INITIAL}
        self.writers: list[int] = [NOBODY]
        self.readers: list[list[int]] = [[]]
        """By transaction number, each once for each time that it read it as others left it."""
        self.uncertain: set[int] = set()
        """Those of which nobody knows whether their writer committed (but somebody saw what it wrote)."""
        self.later: list[list[int]] = [[]]
        self.reasons: dict[tuple[int, int], Reason] = {}
        self.longest_reader = NOBODY
        """Of a list: who read most of it.  Where `reasons` says nothing, this read is the reason."""

    def __len__(self) -> int:
        return len(self.values)

    def add(self, value: Hashable, transactions: Transactions) -> int:
        """A version more; who wrote it is looked up."""
        version = len(self.values)
        source = transactions.writer(self.key, value)
        writer = NOBODY
        if source is not None and transactions.present[source.transaction]:
            writer = source.transaction
            if not transactions.transactions[writer].committed:
                self.uncertain.add(version)
        self.values.append(value)
        self.number[value] = version
        self.writers.append(writer)
        self.readers.append([])
        self.later.append([])
        return version

    def before(self, first: int, second: int, reason: Reason) -> None:
        """Notes that one version comes before another; the first reason stays."""
        if first != second and (first, second) not in self.reasons:
            self.reasons[first, second] = reason
            self.later[first].append(second)

    def forget_order(self) -> None:
        """Leaves the versions, and takes away all that is said of their order."""
        self.later = [[] for _ in self.values]
        self.reasons = {}

    def reason(self, first: int, second: int) -> Reason:
        known = self.reasons.get((first, second))
        if known is not None:
            return known
        if self.longest_reader == NOBODY:
            return Reason("initial")
        return Reason("read", (self.longest_reader,))

    def circle(self) -> list[int] | None:
        """A shortest circle of versions that come each before the next, in the first knot that there is."""
        for knot in knots(self.later):
            inside = set(knot)
            return min((self._way(start, start, inside) for start in knot[:100]), key=len)
        return None

    def way(self, first: int, second: int) -> list[int]:
        """The versions on a shortest way from one to another, of which none between is surely of
        somebody."""
        passable = {version for version in range(len(self)) if not self._is_end(version, certain=True)}
        return self._way(first, second, passable | {second})

    def followers(self) -> Sequence[Sequence[int]]:
        """For each version those with a writer that come next."""
        if NOBODY not in self.writers[1:]:
            return self.later
        return [self.next_written(version) for version in range(len(self))]

    def next_written(self, version: int, *, certain: bool = False) -> Sequence[int]:
        """The versions with a writer that come next after this one; or, if `certain`, with a writer that is
        known to have committed."""
        direct = self.later[version]
        if all(self._is_end(target, certain) for target in direct):
            return direct
        found: dict[int, None] = {}
        passed = {version}
        waiting = direct[::-1]
        while waiting:
            target = waiting.pop()
            if self._is_end(target, certain):
                found[target] = None
            elif target not in passed:
                passed.add(target)
                waiting.extend(self.later[target])
        return list(found)

    def _is_end(self, version: int, certain: bool) -> bool:
        return self.writers[version] != NOBODY and not (certain and version in self.uncertain)

    def _way(self, first: int, second: int, allowed: set[int]) -> list[int]:
        came_from: dict[int, int] = {}
        row = [first]
        while row:
            ahead: list[int] = []
            for version in row:
                for target in self.later[version]:
                    if target in came_from or target not in allowed:
                        continue
                    came_from[target] = version
                    if target == second:
                        return _trace(came_from, first, second)
                    ahead.append(target)
            row = ahead
        raise AssertionError(f"no way from version {first} to version {second} of {self.key!r}")


def _trace(came_from: Mapping[int, int], first: int, last: int) -> list[int]:
    way = [last]
    while True:
        way.append(came_from[way[-1]])
        if way[-1] == first:
            return way[::-1]


def add_dependencies(graph: Graph, versions: Versions) -> None:
    """The edges that follow from the order of the versions of one key: ww from writer to writer, wr from
    writer to reader, rw from reader to the writer of what comes next."""
    ww, wr, rw = graph.edges[Kind.WW], graph.edges[Kind.WR], graph.edges[Kind.RW]
    writers = versions.writers
    for version, following in enumerate(versions.followers()):
        writer = writers[version]
        if versions.uncertain and writer != NOBODY:
            _add_overwrites_for_sure(graph, versions, version)
        readers = [reader for reader in versions.readers[version] if reader != writer]
        if writer != NOBODY:
            wr[writer].extend(readers)
        if not following:
            continue
        if len(following) == 1:
            target = writers[following[0]]
            if writer not in (NOBODY, target):
                ww[writer].append(target)
            for reader in readers:
                if reader != target:
                    rw[reader].append(target)
            continue
        targets = list(dict.fromkeys(writers[target] for target in following))
        if writer != NOBODY:
            graph.fan(Kind.WW, [writer], targets)
        if readers:
            graph.fan(Kind.RW, readers, targets)


def _add_overwrites_for_sure(graph: Graph, versions: Versions, version: int) -> None:
    """The ww edges past writers of which nobody knows whether they committed: without them the one would
    have overwritten the other directly."""
    writer = versions.writers[version]
    beyond = set(versions.next_written(version, certain=True)).difference(versions.next_written(version))
    targets = {versions.writers[target] for target in beyond} - {writer}
    graph.edges[Kind.WW][writer].extend(sorted(targets))
