"""Transactions and what comes before what, as a graph; its knots; the shortest ways back.

An edge from T to U of some kind says that T comes before U.  Where each of many transactions comes before
each of many others (all that returned by some instant, and all that were called after it), the edges meet
in a *point*: an edge of the kind leads to the point, and from there ways lead on (`via`), through further
points perhaps, without a kind of their own.  So real time costs one point per instant instead of one edge
per pair, and a graph stays about as large as its history.

Nodes are numbers: transactions from 0 to `size` - 1, points above.

A *knot* is a strongly connected component with more than one node.  Each cycle lies within one knot, so
what is outside of knots is never searched; of a history that is as it should be, nothing is.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from heapq import heappop, heappush

Adjacency = Sequence[Sequence[int]]


class Kind(Enum):
    """Why one transaction comes before another."""

    WW = "ww"
    """It wrote the version before the one that the other wrote."""
    WR = "wr"
    """It wrote the version that the other read."""
    RW = "rw"
    """It read the version before the one that the other wrote."""
    PROCESS = "process"
    """Both are of one process, in this order."""
    REALTIME = "realtime"
    """It returned before the other was called."""


class Graph:
    """Edges by kind, and points."""

    __slots__ = ("edges", "names", "size", "via")

    def __init__(self, size: int, names: Sequence[int] | None = None) -> None:
        self.size = size
        self.edges: dict[Kind, list[list[int]]] = {kind: [[] for _ in range(size)] for kind in Kind}
        self.via: list[list[int]] = []
        self.names = range(size) if names is None else names
        """The number of each transaction in the graph from which this one was cut."""

    def point(self, targets: Iterable[int] = ()) -> int:
        """A new point, from which ways lead to these nodes."""
        self.via.append(list(targets))
        return self.size + len(self.via) - 1

    def merged(self, kinds: Iterable[Kind]) -> list[list[int]]:
        """For each node, where it leads by edges of these kinds (and, of points, at all)."""
        chosen = [self.edges[kind] for kind in kinds]
        if not chosen:
            return [[] for _ in range(self.size)] + self.via
        if len(chosen) == 1:
            return chosen[0] + self.via
        return [[target for row in rows for target in row] for rows in zip(*chosen, strict=True)] + self.via

    def fan(self, kind: Kind, sources: Iterable[int], targets: Sequence[int]) -> None:
        """An edge from each source to each target other than itself, by points: as many ways as there are
        sources and targets, instead of their product.

        Of `targets` in a row, a source that is none of them leads to all; one that is in the row leads to
        those before it and to those after it."""
        place = {target: position for position, target in enumerate(targets)}
        before = self._chain(targets)
        after: list[int] = []
        rows = self.edges[kind]
        for source in sources:
            position = place.get(source)
            if position is None:
                rows[source].append(before[-1])
                continue
            if not after:
                after = self._chain(targets[::-1])[::-1]
            if position > 0:
                rows[source].append(before[position - 1])
            if position + 1 < len(targets):
                rows[source].append(after[position + 1])

    def _chain(self, targets: Sequence[int]) -> list[int]:
        """A point for each target, from which ways lead to it and to all before it."""
        points: list[int] = []
        for target in targets:
            points.append(self.point([*points[-1:], target]))
        return points

    def within(self, nodes: Iterable[int]) -> Graph:
        """What is left if only these nodes are, numbered anew."""
        kept = sorted(nodes)
        size = sum(1 for node in kept if node < self.size)
        number = {node: position for position, node in enumerate(kept)}
        part = Graph(size, [self.names[node] for node in kept[:size]])
        for kind, rows in self.edges.items():
            part.edges[kind] = [
                [number[target] for target in rows[node] if target in number] for node in kept[:size]
            ]
        for node in kept[size:]:
            part.point(number[target] for target in self.via[node - self.size] if target in number)
        return part


def unresolved(adjacency: Adjacency) -> list[int]:
    """The nodes that are left when those to which nothing leads are taken away, again and again: all knots,
    and what lies between and behind them."""
    incoming = [0] * len(adjacency)
    for row in adjacency:
        for target in row:
            incoming[target] += 1
    free = [node for node, count in enumerate(incoming) if not count]
    for node in free:
        for target in adjacency[node]:
            incoming[target] -= 1
            if not incoming[target]:
                free.append(target)
    return [node for node, count in enumerate(incoming) if count]


def components(adjacency: Adjacency) -> list[int]:
    """For each node the number of its strongly connected component.  No way leads from a component to one
    with a greater number (Tarjan 1972, without recursion)."""
    unseen = -1
    found_at = [unseen] * len(adjacency)
    low = [0] * len(adjacency)
    component = [unseen] * len(adjacency)
    open_nodes: list[int] = []
    clock = 0
    count = 0
    for root in range(len(adjacency)):
        if found_at[root] != unseen:
            continue
        found_at[root] = low[root] = clock
        clock += 1
        open_nodes.append(root)
        walk = [(root, iter(adjacency[root]))]
        while walk:
            node, targets = walk[-1]
            for target in targets:
                if found_at[target] == unseen:
                    found_at[target] = low[target] = clock
                    clock += 1
                    open_nodes.append(target)
                    walk.append((target, iter(adjacency[target])))
                    break
                if component[target] == unseen and found_at[target] < low[node]:
                    low[node] = found_at[target]
            else:
                walk.pop()
                if walk and low[node] < low[walk[-1][0]]:
                    low[walk[-1][0]] = low[node]
                if low[node] == found_at[node]:
                    while True:
                        member = open_nodes.pop()
                        component[member] = count
                        if member == node:
                            break
                    count += 1
    return component


def knots(adjacency: Adjacency) -> list[list[int]]:
    """The strongly connected components with more than one node, in the order of their first nodes."""
    rest = unresolved(adjacency)
    if not rest:
        return []
    number = {node: position for position, node in enumerate(rest)}
    inner = [[number[target] for target in adjacency[node] if target in number] for node in rest]
    members: dict[int, list[int]] = {}
    for position, component in enumerate(components(inner)):
        members.setdefault(component, []).append(rest[position])
    return sorted(nodes for nodes in members.values() if len(nodes) > 1)


def in_order(graph: Graph, kinds: Iterable[Kind], wanted: Sequence[bool]) -> list[int] | None:
    """The wanted transactions in an order that follows all edges of these kinds, those with small numbers as
    early as may be; None if there is no such order."""
    adjacency = graph.merged(kinds)
    incoming = [0] * len(adjacency)
    for row in adjacency:
        for target in row:
            incoming[target] += 1
    ready = [node for node in range(graph.size) if not incoming[node]]
    points = [node for node in range(graph.size, len(adjacency)) if not incoming[node]]
    order: list[int] = []
    done = 0
    while ready or points:
        node = points.pop() if points else heappop(ready)
        done += 1
        if node < graph.size and wanted[node]:
            order.append(node)
        for target in adjacency[node]:
            incoming[target] -= 1
            if not incoming[target]:
                if target < graph.size:
                    heappush(ready, target)
                else:
                    points.append(target)
    return order if done == len(adjacency) else None
