"""Points stand for many edges, knots are what is left to search, and circles in knots are found."""
from __future__ import annotations

from itertools import pairwise
from random import Random

from agreed.check.transactions.cycles import Edge, Knot, apart, name_of
from agreed.check.transactions.graph import Graph, Kind, components, in_order, knots
from agreed.check.transactions.meter import Meter
from tests.check.transactions.definitions import acyclic


def reachable(adjacency: list[list[int]], start: int) -> set[int]:
    found: set[int] = set()
    waiting = [start]
    while waiting:
        for target in adjacency[waiting.pop()]:
            if target not in found:
                found.add(target)
                waiting.append(target)
    return found


def some_graph(random: Random, nodes: int, edges: int, kinds: tuple[Kind, ...]) -> Graph:
    graph = Graph(nodes)
    for _ in range(edges):
        source, target = random.sample(range(nodes), 2)
        graph.edges[random.choice(kinds)][source].append(target)
    return graph


def test_a_fan_leads_from_each_source_to_each_target_but_to_itself() -> None:
    for seed in range(50):
        random = Random(seed)
        targets = random.sample(range(12), random.randint(1, 8))
        sources = random.sample(range(12), random.randint(1, 8))
        graph = Graph(12)
        graph.fan(Kind.RW, sources, targets)
        adjacency = graph.merged([Kind.RW])
        for source in range(12):
            reached = {node for node in reachable(_only_points(adjacency, 12, source), source) if node < 12}
            assert reached == (set(targets) - {source} if source in sources else set())
        assert sum(map(len, adjacency)) <= 2 * len(sources) + 4 * len(targets)


def _only_points(adjacency: list[list[int]], size: int, source: int) -> list[list[int]]:
    """Where one gets from a source without passing another transaction."""
    return [row if node == source or node >= size else [] for node, row in enumerate(adjacency)]


def test_components_and_knots_are_those_of_mutual_reach() -> None:
    for seed in range(100):
        random = Random(seed)
        graph = some_graph(random, 9, random.randint(1, 16), (Kind.WW,))
        adjacency = graph.merged([Kind.WW])
        reach = [reachable(adjacency, node) for node in range(9)]
        component = components(adjacency)
        for one in range(9):
            for other in range(9):
                together = one == other or (other in reach[one] and one in reach[other])
                assert (component[one] == component[other]) == together
            assert all(component[target] <= component[one] for target in adjacency[one])
        classes = {
            frozenset(other for other in reach[one] if one in reach[other]) | {one} for one in range(9)
        }
        assert sorted(sorted(each) for each in classes if len(each) > 1) == [
            sorted(knot) for knot in knots(adjacency)
        ]


def test_an_order_follows_all_edges_or_there_is_none() -> None:
    for seed in range(100):
        random = Random(seed)
        graph = some_graph(random, 8, random.randint(1, 10), (Kind.WW, Kind.RW))
        order = in_order(graph, (Kind.WW, Kind.RW), [True] * 8)
        edges = {
            (node, target) for node, row in enumerate(graph.merged((Kind.WW, Kind.RW))) for target in row
        }
        assert (order is not None) == acyclic(edges)
        if order is not None:
            assert all(order.index(one) < order.index(other) for one, other in edges)


def every_circle(graph: Graph) -> list[list[tuple[int, int, Kind]]]:
    """All simple circles, by trying all ways."""
    edges = [
        (node, target, kind)
        for kind in (Kind.WW, Kind.WR, Kind.RW)
        for node, row in enumerate(graph.edges[kind])
        for target in row
    ]
    found: list[list[tuple[int, int, Kind]]] = []

    def walk(way: list[tuple[int, int, Kind]]) -> None:
        for edge in edges:
            if edge[0] != way[-1][1]:
                continue
            if edge[1] == way[0][0]:
                found.append([*way, edge])
            elif edge[1] > way[0][0] and edge[1] not in {each[0] for each in way}:
                walk([*way, edge])

    for edge in edges:
        if edge[1] > edge[0]:
            walk([edge])
    return found


def test_the_smallest_circle_of_each_kind_is_found_if_there_is_one() -> None:
    """Against all circles there are: whatever is not found or implied by what is found is not there."""
    seen: set[str] = set()
    for seed in range(150):
        random = Random(seed)
        graph = some_graph(random, 6, random.randint(3, 11), (Kind.WW, Kind.WR, Kind.RW, Kind.RW))
        known = [True] * 6
        circles = every_circle(graph)
        by_name: dict[str, int] = {}
        for circle in circles:
            edges = [Edge(*each) for each in circle]
            name = name_of(edges, known)
            by_name[name] = min(len(edges), by_name.get(name, 99))
        found: dict[str, int] = {}
        for nodes in knots(graph.merged((Kind.WW, Kind.WR, Kind.RW))):
            for name, edges in Knot(graph.within(nodes), known, Meter(None)).cycles("", lambda name: True):
                assert all(one.after == other.before for one, other in pairwise([*edges, edges[0]]))
                assert name_of(edges, known) == name
                found[name] = min(len(edges), found.get(name, 99))
        assert set(found) <= set(by_name)
        assert bool(found) == bool(by_name)
        for name in ("G0", "G1c", "G-single-item"):
            if name in found:
                assert found[name] == by_name[name]
        if "G-single-item" in by_name:
            assert "G-single-item" in found
        elif "G-nonadjacent-item" in by_name and not {"G0", "G1c"} & set(by_name):
            assert found.get("G-nonadjacent-item") == by_name["G-nonadjacent-item"]
        seen |= set(found)
    assert seen == {"G0", "G1c", "G-single-item", "G-nonadjacent-item", "G2-item"}


def test_a_walk_that_meets_itself_is_cut_to_a_circle() -> None:
    """The closed walk without two rw in a row through 0 -rw-> 1 visits 2 twice; a smaller one does not."""
    graph = Graph(5)
    for source, target, kind in (
        (0, 1, Kind.RW),
        (1, 2, Kind.WR),
        (2, 3, Kind.RW),
        (3, 2, Kind.WR),
        (2, 0, Kind.WW),
    ):
        graph.edges[kind][source].append(target)
    names = [name for name, _ in Knot(graph, [True] * 5, Meter(None)).cycles("", lambda name: True)]
    assert names == ["G-single-item"]


def test_two_rw_in_a_row_are_seen_also_where_the_circle_closes() -> None:
    edges = [Edge(0, 1, Kind.RW), Edge(1, 2, Kind.WW), Edge(2, 0, Kind.RW)]
    assert not apart(edges)
    assert name_of(edges, [True] * 3) == "G2-item"


def test_a_large_knot_of_write_skews_hides_no_single_miss() -> None:
    """Two rings of rw of thousands, and one way back by wr: that is found, and only that is needed."""
    size = 6_000
    graph = Graph(size)
    for node in range(size):
        graph.edges[Kind.RW][node].append((node + 1) % size)
        graph.edges[Kind.RW][node].append((node + 7) % size)
    names = [name for name, _ in Knot(graph, [True] * size, Meter(None)).cycles("", lambda name: True)]
    assert names == ["G2-item"]
    graph.edges[Kind.WR][4_000].append(3_999)
    names = [name for name, _ in Knot(graph, [True] * size, Meter(None)).cycles("", lambda name: True)]
    assert names == ["G-single-item"]
