"""What was measured of the protocols, as tables: Markdown that also lines up in a terminal.

A column is a protocol, a row is a scenario.  Whoever wants to compute with it takes the JSON.
"""
from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence

from agreed.cli.consensus_real import Real
from agreed.sim.compare import COSTS, FAILURES, SERVED_SPARE_MS, Comparison, Cost, Disturbance, Ruler
from agreed.sim.world import MS

AT_ONCE = "Every follower is told at once, as in the papers:"
THRIFTY = (
    f"As `agreed serve` has it: followers that a quorum can do without are told up to {SERVED_SPARE_MS} ms "
    "later, of several entries together:"
)
TELLING = "a client of the leader"
"""The load whose messages are told by kind."""


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(heads), line(["-" * width for width in widths]), *map(line, rows)])


def simulated(found: Sequence[Comparison]) -> Iterator[str]:
    """Paragraphs and tables, of all protocols that were measured."""
    names = [each.protocol for each in found]
    first = found[0]
    yield f"{first.nodes} nodes in simulation. One write, undisturbed; {_ruler(COSTS)}. {AT_ONCE}"
    yield table(["clients", "of a write", *names], list(_cost_rows(found, 0)))
    yield THRIFTY
    yield table(["clients", "of a write", *names], list(_cost_rows(found, SERVED_SPARE_MS)))
    yield f"Which messages these are, for each write of {TELLING}:"
    yield table(["protocol", "told at once", "as served"], [_kinds(each) for each in found])
    yield (
        f"Time to a new leader, and to the first write under it: least / median / most ms of "
        f"{len(first.failovers[0].led_ms)} ends of leaders; {_ruler(FAILURES)}."
    )
    yield table(["the leader is", "until", *names], list(_failover_rows(found)))
    yield (
        f"Faults that last two seconds, {first.seeds} times each, with one client at each node, watched for "
        f"three seconds; {_ruler(FAILURES)}. The longest time without an acknowledged write (at worst), "
        "writes beside the same seconds undisturbed, messages of nodes for each write, elections:"
    )
    undisturbed = ["(nothing)", *(f"{each.undisturbed_messages:.1f} msg" for each in found)]
    yield table(["what happens", *names], [undisturbed, *_fault_rows(found)])


def real(found: Sequence[Real]) -> Iterator[str]:
    yield (
        "Three processes of this machine, every write synced. These figures depend on the machine and on "
        "what else it does: look at the ratios."
    )
    rows = [
        ["a client of the leader writes: p50 / p99 ms", *(f"{r.p50_ms:.2f} / {r.p99_ms:.2f}" for r in found)],
        [
            f"no write when a leader is killed: least / median / most ms of {len(found[0].failover_ms)}",
            *(_spread(each.failover_ms) for each in found),
        ],
    ]
    yield table(["", *(each.protocol for each in found)], rows)


def _ruler(ruler: Ruler) -> str:
    return f"a message takes {ruler.one_way_us / MS:g} ms, a sync {ruler.sync_us / MS:g} ms"


def _cost_rows(found: Sequence[Comparison], spare_ms: int) -> Iterator[list[str]]:
    """Three rows for each load."""
    told: tuple[tuple[str, Callable[[Cost], str]], ...] = (
        ("messages", lambda cost: _some(cost.messages)),
        ("syncs", lambda cost: _some(cost.syncs)),
        ("latency", _latency),
    )
    for costs in zip(*(each.costs for each in found), strict=True):
        if costs[0].spare_delay_ms == spare_ms:
            for what, figure in told:
                name = costs[0].load if what == "messages" else ""
                yield [name, what, *map(figure, costs)]


def _some(figure: float) -> str:
    return f"{figure:.1f}" if figure >= 0.95 else f"{figure:.2f}"


def _latency(cost: Cost) -> str:
    if cost.delays is None or cost.syncs_waited is None:
        return f"{cost.latency_ms:.1f} ms, at most {cost.latency_most_ms:.1f}"
    plural = "" if round(cost.syncs_waited) == 1 else "s"
    return f"{cost.latency_ms:.1f} ms: {cost.delays:.0f} messages, {cost.syncs_waited:.0f} sync{plural}"


def _kinds(comparison: Comparison) -> list[str]:
    cells = [
        ", ".join(f"{times:.1f} {kind}" for kind, times in cost.by_kind.items() if times >= 0.05)
        for cost in comparison.costs
        if cost.load == TELLING
    ]
    return [comparison.protocol, *cells]


def _failover_rows(found: Sequence[Comparison]) -> Iterator[list[str]]:
    for failovers in zip(*(each.failovers for each in found), strict=True):
        yield [failovers[0].how, "another leads", *(_spread(each.led_ms) for each in failovers)]
        yield ["", "a write", *(_spread(each.written_ms) for each in failovers)]


def _spread(times_ms: Sequence[float]) -> str:
    return f"{min(times_ms):.0f} / {statistics.median(times_ms):.0f} / {max(times_ms):.0f}"


def _fault_rows(found: Sequence[Comparison]) -> Iterator[list[str]]:
    for faults in zip(*(each.disturbances for each in found), strict=True):
        yield [faults[0].fault, *map(_disturbed, faults)]


def _disturbed(found: Disturbance) -> str:
    times = f"{found.unavailable_ms} ({found.unavailable_most_ms}) ms"
    return f"{times}, {found.throughput:.0%}, {found.messages:.1f} msg, {found.elections:.1f} el."
