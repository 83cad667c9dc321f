"""The smallest cycle of each kind in a knot, or certainty that it has none.

Each anomaly is a recipe of edges (dep = ww and wr; the forms -process and -realtime add their edges to dep):

    G0              ww alone
    G1c             dep, and not G0
    G-single        one rw, and dep
    G-nonadjacent   two or more rw, no two of them in a row, and dep
    G2-item         anything else with rw

Whether there is one is decided in time about linear in the knot, without looking for it:

* G0 and G1c: some knot of ww, or of dep, has such an edge inside.
* G-single: for some rw edge its target leads to its source by dep.  For all rw edges at once: dep without
  its knots has no cycles, so that sets of sources, as bits of a number, can be handed from each node to
  those before it.
* G-nonadjacent: walk on pairs (transaction, whether one came by rw), where rw may only follow what is not
  rw.  A knot there is a closed walk without two rw in a row.  It may visit a transaction twice, but then
  one of its two parts is such a walk as well, and shorter.  (Where there is a G1c too, nothing more than
  that may be left of it, and a G-nonadjacent may stay untold; what it would rule out is ruled out then.)
* G2-item: what is left.

A shortest cycle through a given edge is then a breadth-first search.  From how many edges it is tried is
bounded, so in a large knot the cycle shown is small, and perhaps not the smallest.

A transaction of which nobody knows whether it took effect, though somebody read from it, is in no G0: had it
aborted, its readers would have had an aborted read (G1a), and nothing would overwrite it.  Such a cycle is
given as G1c, for then it is either of both, and read-committed is broken in both cases.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from typing import Final, NamedTuple

from agreed.check.transactions.anomalies import PROCESS, REALTIME, implied_by
from agreed.check.transactions.graph import Graph, Kind, components, knots
from agreed.check.transactions.meter import Meter

MOST_EFFORT: Final = 300_000
"""Edges that may be followed in search of a still smaller cycle of one kind in one knot."""

SOURCES_AT_ONCE: Final = 4096
"""How many bits a set of sources has."""

DEPENDENCIES: Final = {
    "": (Kind.WW, Kind.WR),
    PROCESS: (Kind.WW, Kind.WR, Kind.PROCESS),
    REALTIME: (Kind.WW, Kind.WR, Kind.PROCESS, Kind.REALTIME),
}


class Edge(NamedTuple):
    before: int
    after: int
    kind: Kind


class Start(NamedTuple):
    """An edge through which a cycle is sought; its target may be a point."""

    source: int
    target: int
    kind: Kind


class Misses(Enum):
    """Where a walk may go along rw."""

    NEVER = "never"
    APART = "apart"
    """Not directly after rw."""
    ANYWHERE = "anywhere"


class Walk(NamedTuple):
    kinds: Sequence[Kind]
    misses: Misses


def form_of(edges: Iterable[Edge]) -> str:
    kinds = {edge.kind for edge in edges}
    return REALTIME if Kind.REALTIME in kinds else PROCESS if Kind.PROCESS in kinds else ""


def apart(edges: Sequence[Edge]) -> bool:
    """Whether no two edges of the circle are rw in a row."""
    return not any(
        edge.kind is Kind.RW and edges[position - 1].kind is Kind.RW for position, edge in enumerate(edges)
    )


def name_of(edges: Sequence[Edge], acknowledged: Sequence[bool]) -> str:
    """What this circle of edges is called."""
    form = form_of(edges)
    rw = sum(edge.kind is Kind.RW for edge in edges)
    if rw == 1:
        return "G-single-item" + form
    if rw:
        return ("G-nonadjacent-item" if apart(edges) else "G2-item") + form
    overwrites_only = all(edge.kind is not Kind.WR and acknowledged[edge.before] for edge in edges)
    return ("G0" if overwrites_only else "G1c") + form


class Knot:
    """One knot of a graph, as a graph of its own.  `acknowledged[n]`: transaction n is surely committed."""

    def __init__(self, graph: Graph, acknowledged: Sequence[bool], meter: Meter) -> None:
        self.graph = graph
        self.acknowledged = acknowledged
        self.meter = meter

    def cycles(self, form: str, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Sequence[Edge]]]:
        """The smallest cycle found of each anomaly in this form, with its name, the worst first; none of an
        anomaly that is implied by one found before."""
        if not knots(self.graph.merged((*DEPENDENCIES[form], Kind.RW))):
            return
        implied: frozenset[str] = frozenset()
        for name, search in (
            ("G0", self._overwrites),
            ("G1c", self._flow),
            ("G-single-item", self._one_miss),
            ("G-nonadjacent-item", self._misses_apart),
            ("G2-item", self._misses),
        ):
            if name + form in implied or not wanted(name + form):
                continue
            edges = search(form)
            if edges is not None:
                found = name_of(edges, self.acknowledged)
                implied |= implied_by(frozenset((found,)))
                yield found, edges

    def _overwrites(self, form: str) -> Sequence[Edge] | None:
        kinds = tuple(kind for kind in DEPENDENCIES[form] if kind is not Kind.WR)
        graph = self.graph
        known = [node for node, name in enumerate(graph.names) if self.acknowledged[name]]
        if len(known) < graph.size:
            graph = graph.within([*known, *range(graph.size, graph.size + len(graph.via))])
        component = components(graph.merged(kinds))
        starts = (
            start for start in _starts(graph, Kind.WW) if component[start.source] == component[start.target]
        )
        return self._smallest(graph, starts, Walk(kinds, Misses.NEVER))

    def _flow(self, form: str) -> Sequence[Edge] | None:
        kinds = DEPENDENCIES[form]
        component = components(self.graph.merged(kinds))
        starts = (
            start
            for kind in (Kind.WR, Kind.WW)
            for start in _starts(self.graph, kind)
            if component[start.source] == component[start.target]
            and (kind is Kind.WR or not self._known(start.source) or not self._known(start.target))
        )
        return self._smallest(self.graph, starts, Walk(kinds, Misses.NEVER))

    def _known(self, node: int) -> bool:
        """Whether this is an acknowledged transaction (a point is none)."""
        return node < self.graph.size and self.acknowledged[self.graph.names[node]]

    def _one_miss(self, form: str) -> Sequence[Edge] | None:
        walk = Walk(DEPENDENCIES[form], Misses.NEVER)
        return self._smallest(self.graph, self._closed_by_one_miss(walk.kinds), walk)

    def _closed_by_one_miss(self, kinds: Sequence[Kind]) -> Iterator[Start]:
        """The rw edges whose target leads to their source by other edges."""
        adjacency = self.graph.merged(kinds)
        component = components(adjacency)
        members: list[list[int]] = [[] for _ in range(max(component) + 1)]
        for node, number in enumerate(component):
            members[number].append(node)
        rows = self.graph.edges[Kind.RW]
        sources = [node for node, row in enumerate(rows) if row]
        for first in range(0, len(sources), SOURCES_AT_ONCE):
            block = sources[first : first + SOURCES_AT_ONCE]
            leads_to = [0] * len(members)
            for bit, node in enumerate(block):
                leads_to[component[node]] |= 1 << bit
            for number, nodes in enumerate(members):
                reached = leads_to[number]
                for node in nodes:
                    for target in adjacency[node]:
                        reached |= leads_to[component[target]]
                leads_to[number] = reached
                self.meter.spend(len(nodes))
            for bit, node in enumerate(block):
                for target in rows[node]:
                    if leads_to[component[target]] >> bit & 1:
                        yield Start(node, target, Kind.RW)

    def _misses_apart(self, form: str) -> Sequence[Edge] | None:
        kinds = DEPENDENCIES[form]
        rows = self.graph.edges[Kind.RW]
        adjacency: list[list[int]] = []
        for node, row in enumerate(self.graph.merged(kinds)):
            onward = [2 * target for target in row]
            if node < self.graph.size:
                adjacency += (onward + [2 * target + 1 for target in rows[node]], onward)
            else:
                adjacency += (onward, [2 * target + 1 for target in row])
        component = components(adjacency)
        starts = (
            start
            for start in _starts(self.graph, Kind.RW)
            if component[2 * start.source] == component[2 * start.target + 1]
        )
        return self._smallest(self.graph, starts, Walk(kinds, Misses.APART))

    def _misses(self, form: str) -> Sequence[Edge] | None:
        kinds = DEPENDENCIES[form]
        component = components(self.graph.merged((*kinds, Kind.RW)))
        starts = (
            start
            for start in _starts(self.graph, Kind.RW)
            if component[start.source] == component[start.target]
        )
        return self._smallest(self.graph, starts, Walk(kinds, Misses.ANYWHERE))

    def _smallest(self, graph: Graph, starts: Iterable[Start], walk: Walk) -> Sequence[Edge] | None:
        best: Sequence[Edge] | None = None
        effort = self.meter.steps + MOST_EFFORT
        for start in starts:
            edges = way_back(graph, start, walk, None if best is None else len(best) - 1, self.meter)
            if edges is not None and walk.misses == Misses.APART:
                edges = _simple(edges)
            if edges is not None and (best is None or len(edges) < len(best)):
                best = edges
            if (best is not None and len(best) == 2) or self.meter.steps > effort:
                break
        if best is None:
            return None
        return [Edge(graph.names[edge.before], graph.names[edge.after], edge.kind) for edge in best]


def _starts(graph: Graph, kind: Kind) -> Iterator[Start]:
    return (Start(source, target, kind) for source, row in enumerate(graph.edges[kind]) for target in row)


def way_back(graph: Graph, start: Start, walk: Walk, most: int | None, meter: Meter) -> Sequence[Edge] | None:
    """A shortest cycle through an edge, of at most so many edges.

    What is visited are pairs: a node, and whether one came by rw (always false unless that matters)."""
    matters = walk.misses == Misses.APART
    rows = [(kind, graph.edges[kind], 0) for kind in walk.kinds]
    if walk.misses != Misses.NEVER:
        rows.append((Kind.RW, graph.edges[Kind.RW], 1 if matters else 0))
    begin = 2 * start.target + (1 if matters and start.kind is Kind.RW else 0)
    goal = 2 * start.source
    came: dict[int, tuple[int, Kind | None]] = {}
    seen = {begin}
    row = [begin]
    length = 1
    while row:
        for place in row:
            node, by_rw = place >> 1, place & 1
            if node >= graph.size:
                for target in graph.via[node - graph.size]:
                    there = 2 * target + by_rw
                    if there not in seen:
                        seen.add(there)
                        came[there] = place, None
                        row.append(there)
        if goal in seen:
            return _edges(graph, start, begin, goal, came)
        length += 1
        if most is not None and length > most:
            return None
        ahead: list[int] = []
        for place in row:
            node, by_rw = place >> 1, place & 1
            if node >= graph.size:
                continue
            for kind, targets, then_by_rw in rows:
                if by_rw and then_by_rw:
                    continue
                for target in targets[node]:
                    there = 2 * target + then_by_rw
                    if there not in seen:
                        seen.add(there)
                        came[there] = place, kind
                        ahead.append(there)
        meter.spend(len(row) + len(ahead))
        row = ahead
    return None


def _edges(
    graph: Graph, start: Start, begin: int, goal: int, came: dict[int, tuple[int, Kind | None]]
) -> list[Edge]:
    """The way that was found, from transaction to transaction: what leads through points is one edge."""
    way: list[tuple[int, Kind | None]] = []
    place = goal
    while place != begin:
        before, kind = came[place]
        way.append((place >> 1, kind))
        place = before
    way.append((start.target, start.kind))
    edges: list[Edge] = []
    source, by = start.source, start.kind
    for node, kind in reversed(way):
        by = by if kind is None else kind
        if node < graph.size:
            edges.append(Edge(source, node, by))
            source = node
    return edges


def _simple(edges: Sequence[Edge]) -> Sequence[Edge] | None:
    """From a closed walk without two rw in a row, one that visits nothing twice; None if it has fewer than
    two rw.

    Cut where a transaction is visited twice, one of the two parts has no two rw in a row either: the one
    that is left and entered by other edges there, or both."""
    while True:
        first_at: dict[int, int] = {}
        for position, edge in enumerate(edges):
            if edge.before in first_at:
                first = first_at[edge.before]
                parts = [
                    part
                    for part in (edges[first:position], [*edges[:first], *edges[position:]])
                    if apart(part)
                ]
                edges = max(parts, key=lambda part: sum(edge.kind is Kind.RW for edge in part))
                break
            first_at[edge.before] = position
        else:
            return edges if sum(edge.kind is Kind.RW for edge in edges) > 1 else None
