"""A million znodes: `python -m bench.million`.

For each system in turn, three fresh nodes:

1. load      every znode created once, pipelined, on the leader 2. memory    resident memory of each node, and
for a JVM its heap after a full collection as well 3. tail      reads and writes at a fixed rate, latency
counted from the instant each was due, with slices of half a second told apart by whether a node was writing a
snapshot; long enough for one to fall due 4. restart   all nodes are ended, and started again on their data:
how long until all serve, with every znode

and the number of elections during 1 to 3, which should be none: a node that stops for a collection of garbage
or for a snapshot longer than its followers wait has lost its leadership.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import msgspec

from bench import generator, report
from bench.cluster import Cluster
from bench.compare import to_terminal
from bench.generator import CannotMeasure, Load, LoadResult, Slice, percentile_us
from bench.java_heap import live_heap_kib
from bench.machine import Machine, describe
from bench.snapshot_watch import SnapshotSeen, SnapshotWatch
from bench.systems import Agreed, System, ZooKeeper

CONNECTIONS, OUTSTANDING = 10, 50
MOST_LOAD_S = 900.0
SLICE_S = 0.5
# The stall that a snapshot causes may show in the replies just after it.
AFTERMATH_S = 0.5
RESTART_PATIENCE_S = 300.0
# ZooKeeper takes a snapshot after 50,000 to 100,000 writes, about 16 MiB of these; our default is 64 MiB.
# What a snapshot does to the tail is compared where both take them equally often, at the cost of ours.
SNAPSHOTS_AS_OFTEN = ("--snapshot-bytes=16777216",)


class Plan(msgspec.Struct, frozen=True):
    """Rates in requests a second, against the leader."""

    znodes: int
    tail_s: float
    write_rate: float
    read_rate: float


class Memory(msgspec.Struct, frozen=True):
    """Of one node, in KiB.  `live_heap_kib`: of a JVM, after a full collection; None for ours."""

    leads: bool
    empty_kib: int
    loaded_kib: int
    peak_kib: int
    live_heap_kib: int | None


class Pair(msgspec.Struct, frozen=True):
    """One percentile without and with a snapshot being written anywhere; None: no slice was of that kind."""

    without_us: float | None
    with_us: float | None


class Tail(msgspec.Struct, frozen=True):
    p99: Pair
    p999: Pair
    max_us: float
    slices_with: int
    slices: int


class Outcome(msgspec.Struct, frozen=True):
    """`elections_of_load` and `elections_of_tail` count terms begun; `disk_kib` is the leader's directory."""

    system: str
    version: str
    load: LoadResult
    memory: list[Memory]
    reads: Tail
    writes: Tail
    read_load: LoadResult
    write_load: LoadResult
    snapshots_of_load: list[SnapshotSeen]
    snapshots_of_tail: list[SnapshotSeen]
    elections_of_load: int
    elections_of_tail: int
    disk_kib: int
    restart_s: float
    znodes_after_restart: int


class Million(msgspec.Struct, frozen=True):
    taken: str
    machine: Machine
    plan: Plan
    outcomes: list[Outcome]


def measure(system: System, plan: Plan, directory: Path, say: Callable[[str], None]) -> Outcome:
    with Cluster(system, directory) as cluster:
        empty = cluster.usage()
        term = cluster.term()
        with SnapshotWatch(cluster.directories) as load_watch:
            load = fill(cluster, plan)
        say(f"{system.name}: {load.answered:,} znodes in {load.wall_s:.1f} s")
        elections_of_load = cluster.term() - term
        memory = weigh(cluster, [usage.resident_kib for usage in empty])
        say(f"{system.name}: {max(each.loaded_kib for each in memory) / 1024:,.0f} MiB in the largest node")
        term = cluster.term()
        with SnapshotWatch(cluster.directories) as tail_watch:
            reads, writes = press(cluster, plan)
        elections_of_tail = cluster.term() - term
        say(f"{system.name}: {len(tail_watch.seen)} snapshots while reading and writing; restarting")
        disk_kib = _disk_kib(cluster.directories[cluster.leader()])
        cluster.stop()
        restart_s = cluster.start(RESTART_PATIENCE_S)
        states = [state for state in cluster.states() if state is not None]
        return Outcome(
            system=system.name,
            version=system.version(),
            load=load,
            memory=memory,
            reads=tail_of(reads, tail_watch.seen),
            writes=tail_of(writes, tail_watch.seen),
            read_load=msgspec.structs.replace(reads, slices=[]),
            write_load=msgspec.structs.replace(writes, slices=[]),
            snapshots_of_load=load_watch.seen,
            snapshots_of_tail=tail_watch.seen,
            elections_of_load=elections_of_load,
            elections_of_tail=elections_of_tail,
            disk_kib=disk_kib,
            restart_s=round(restart_s, 2),
            znodes_after_restart=min((state.nodes for state in states), default=0),
        )


def fill(cluster: Cluster, plan: Plan) -> LoadResult:
    load = Load(
        operation="fill",
        connections=CONNECTIONS,
        outstanding=OUTSTANDING,
        keys=plan.znodes,
        seconds=MOST_LOAD_S,
    )
    result = generator.run(load, cluster.addresses(cluster.leader()))
    if result.answered < plan.znodes or not result.clean:
        raise CannotMeasure(
            f"{cluster.system.name} took {result.answered:,} of {plan.znodes:,} znodes "
            f"in {result.wall_s:.0f} s, "
            f"{result.errors} errors (first {result.first_error}), {result.lost} connections lost"
        )
    return result


def weigh(cluster: Cluster, empty_kib: Sequence[int]) -> list[Memory]:
    """Resident memory is read before the collection of garbage: it is what an operator sees."""
    time.sleep(1.0)  # the followers apply what is on its way
    leader = cluster.leader()
    loaded = cluster.usage()
    is_java = isinstance(cluster.system, ZooKeeper)
    return [
        Memory(
            leads=number == leader,
            empty_kib=empty_kib[number],
            loaded_kib=usage.resident_kib,
            peak_kib=usage.peak_kib,
            live_heap_kib=live_heap_kib(process.pid) if is_java else None,
        )
        for number, (usage, process) in enumerate(zip(loaded, cluster.processes, strict=True))
    ]


def press(cluster: Cluster, plan: Plan) -> tuple[LoadResult, LoadResult]:
    """Reads and writes beside each other, by two generators; returns both, with their slices."""
    addresses = cluster.addresses(cluster.leader())
    loads = [
        Load(
            operation=operation,
            connections=CONNECTIONS,
            outstanding=OUTSTANDING,
            keys=plan.znodes,
            existing=True,
            rate=rate,
            seconds=plan.tail_s,
            warmup_s=2.0,
            slice_s=SLICE_S,
        )
        for operation, rate in (("get", plan.read_rate), ("set", plan.write_rate))
    ]
    running = [generator.start(load, addresses) for load in loads]
    try:
        # Both at once: a generator whose output nobody reads stands still as soon as the pipe is full, and in
        # the end its server takes it for dead.
        with ThreadPoolExecutor(len(loads)) as readers:
            reads, writes = readers.map(generator.finish, running, loads)
    finally:
        for process in running:
            process.kill()  # only where the other one failed: a finished process is not touched
    return reads, writes


def tail_of(result: LoadResult, snapshots: Sequence[SnapshotSeen]) -> Tail:
    def meets(each: Slice) -> bool:
        return any(one.from_s < each.to_s and each.from_s < one.to_s + AFTERMATH_S for one in snapshots)

    during = [each for each in result.slices if meets(each)]
    quiet = [each for each in result.slices if not meets(each)]
    return Tail(
        p99=Pair(percentile_us(quiet, 0.99), percentile_us(during, 0.99)),
        p999=Pair(percentile_us(quiet, 0.999), percentile_us(during, 0.999)),
        max_us=result.max_us,
        slices_with=len(during),
        slices=len(result.slices),
    )


def as_text(result: Million) -> str:
    machine, plan = result.machine, result.plan
    head = (
        f"Taken {result.taken} on {machine.processors} x {machine.processor}, {machine.memory_mib:,} MiB, "
        f"{machine.file_system}.\n{plan.znodes:,} znodes of 128 B; tail: {plan.tail_s:g} s of "
        f"{plan.write_rate:,.0f} writes/s and {plan.read_rate:,.0f} reads/s on the leader."
    )
    versions = "\n".join(f"{each.system}: {each.version}." for each in result.outcomes)
    columns = [_column(each, plan) for each in result.outcomes]
    rows = [[name, *(column[name] for column in columns)] for name in columns[0]]
    return f"{head}\n{versions}\n\n{report.table(['', *(each.system for each in result.outcomes)], rows)}"


def _column(of: Outcome, plan: Plan) -> dict[str, str]:
    loaded = statistics.median(each.loaded_kib for each in of.memory)
    gained = statistics.median(each.loaded_kib - each.empty_kib for each in of.memory)
    heaps = [each.live_heap_kib for each in of.memory if each.live_heap_kib is not None]
    spans = [each.to_s - each.from_s for each in (*of.snapshots_of_load, *of.snapshots_of_tail)]
    return {
        "load, s": f"{of.load.wall_s:.1f}",
        "creates a second": f"{of.load.throughput:,.0f}",
        "create p99.9 / max, ms": f"{of.load.p999_us / 1000:.1f} / {of.load.max_us / 1000:.1f}",
        "resident memory a node (median), MiB": f"{loaded / 1024:,.0f}",
        "peak memory a node (largest), MiB": f"{max(each.peak_kib for each in of.memory) / 1024:,.0f}",
        "heap after a full collection (median), MiB": (
            f"{statistics.median(heaps) / 1024:,.0f}" if heaps else "-"
        ),
        "resident memory gained per znode, bytes": f"{gained * 1024 / plan.znodes:,.0f}",
        "live heap per znode, bytes": (
            f"{statistics.median(heaps) * 1024 / plan.znodes:,.0f}" if heaps else "-"
        ),
        "disk of the leader, MiB": f"{of.disk_kib / 1024:,.0f}",
        "snapshots while loading": f"{len(of.snapshots_of_load)}",
        "snapshots in the tail": f"{len(of.snapshots_of_tail)}",
        "a snapshot takes (median / longest), s": (
            f"{statistics.median(spans):.1f} / {max(spans):.1f}" if spans else "-"
        ),
        "read p99 without / with a snapshot, ms": _pair(of.reads.p99),
        "read p99.9 without / with a snapshot, ms": _pair(of.reads.p999),
        "write p99 without / with a snapshot, ms": _pair(of.writes.p99),
        "write p99.9 without / with a snapshot, ms": _pair(of.writes.p999),
        "longest read / write, ms": f"{of.reads.max_us / 1000:.1f} / {of.writes.max_us / 1000:.1f}",
        "requests lost or failed in the tail": str(
            sum(each.errors + each.unanswered + each.unsent for each in (of.read_load, of.write_load))
        ),
        "elections while loading / in the tail": f"{of.elections_of_load} / {of.elections_of_tail}",
        "restart of all nodes until they serve, s": f"{of.restart_s:.1f}",
        "znodes after the restart": f"{of.znodes_after_restart:,}",
    }


def _pair(pair: Pair) -> str:
    without, during = (
        "-" if value is None else f"{value / 1000:.1f}" for value in (pair.without_us, pair.with_us)
    )
    return f"{without} / {during}"


def _disk_kib(directory: Path) -> int:
    return sum(path.stat().st_blocks for path in directory.rglob("*") if path.is_file()) // 2


@click.command()
@click.option("--only", type=click.Choice(["ours", "zookeeper"]))
@click.option("--znodes", default=1_000_000, show_default=True, type=click.IntRange(1000, 10_000_000))
@click.option("--tail", default=60.0, show_default=True, type=click.FloatRange(1, 600), help="Seconds.")
@click.option("--write-rate", default=3_000.0, show_default=True, type=click.FloatRange(1, 1e6))
@click.option("--read-rate", default=3_000.0, show_default=True, type=click.FloatRange(1, 1e6))
@click.option("--heap", default=2000, show_default=True, help="ZooKeeper's -Xmx, in MiB.")
@click.option("--directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--publish", is_flag=True, help="Write the table into docs/benchmarks.md.")
def main(
    only: str | None,
    znodes: int,
    tail: float,
    write_rate: float,
    read_rate: float,
    heap: int,
    directory: Path | None,
    publish: bool,
) -> None:
    """A million znodes in ours and in ZooKeeper, one after the other.

    Exit status: 0, 2 if it could not be measured.
    """
    place = directory or Path(tempfile.gettempdir())
    plan = Plan(znodes, tail, write_rate, read_rate)
    systems: list[System] = [
        s for s in (Agreed(SNAPSHOTS_AS_OFTEN), ZooKeeper(heap)) if only in (None, s.name)
    ]
    with report.or_cannot_measure():
        for system in systems:
            system.version()  # before the first minute is spent: is it installed at all?
        outcomes = [measure(system, plan, place, to_terminal) for system in systems]
    result = Million(report.now(), describe(place), plan, outcomes)
    report.deliver("million", result, as_text(result), published=publish)


if __name__ == "__main__":
    main()
