"""Three nodes of ours beside three of Debian's etcd, spoken to in etcd's language, never at the same time.

    python -m bench.etcd [--quick] [--publish]

A round is: three fresh nodes of one system, keys, a warm-up, every case, the end; then the other system; the
next round in the opposite order.  All calls go to the leader.  What a figure is worth says its ratio: both
systems had the same load from the same process (`etcd_load.py`), on the same machine, a minute apart.

Memory is that of all three nodes, after a million keys of 128 bytes were put, in transactions of a hundred.

Exit status: 0, 1 if a bar was missed, 2 if it could not be measured.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import msgspec

from bench import report
from bench.compare import to_terminal
from bench.etcd_load import Load, Result
from bench.etcd_systems import Agreed, Etcd, EtcdCluster
from bench.generator import CannotMeasure
from bench.machine import Machine, Sharing, describe
from bench.systems import System

ROOT = Path(__file__).parents[1]
ALLOWANCE_S = 120.0
SHAPES = ((1, 1), (50, 1), (10, 50))
KEYS = 1000
MANY_KEYS = 1_000_000


class Plan(msgspec.Struct, frozen=True):
    rounds: int
    seconds: float
    warmup_s: float
    memory_keys: int


QUICK = Plan(rounds=1, seconds=1.0, warmup_s=0.3, memory_keys=0)
FULL = Plan(rounds=3, seconds=4.0, warmup_s=1.0, memory_keys=MANY_KEYS)


class Case(msgspec.Struct, frozen=True):
    """`counts`: what the figures are of."""

    name: str
    load: Load
    counts: str = "calls"


class Measurement(msgspec.Struct, frozen=True):
    """One case, one system, one round."""

    system: str
    case: str
    round: int
    result: Result
    foreign_share: float
    elections: int


class Memory(msgspec.Struct, frozen=True):
    """`resident_mib` of all nodes together, `seconds` to put the keys."""

    system: str
    keys: int
    resident_mib: list[float]
    seconds: float


class Bar(msgspec.Struct, frozen=True):
    """Ours divided by etcd's: at least (`at_least`) or at most `bound`.  Median of the rounds."""

    case: str
    figure: str
    bound: float
    at_least: bool


class Etcds(msgspec.Struct, frozen=True):
    """One whole run, as it is kept."""

    taken: str
    machine: Machine
    versions: dict[str, str]
    plan: Plan
    measurements: list[Measurement]
    memory: list[Memory]
    missed: list[str]


FIGURES: dict[str, Callable[[Result], float]] = {
    "per s": lambda result: result.per_s,
    "p50": lambda result: result.p50_us,
}
WATCH_ONE, WATCH_MANY = "1,000 watchers, one key", "10,000 watchers, 10,000 keys"
KEEP_ALIVE = "keep-alive of 10,000 leases"
BARS = (
    *(
        Bar(f"{name} {shape}", "per s", 1.0, True)
        for name in ("put", "get", "serializable get")
        for shape in ("50x1", "10x50")
    ),
    *(Bar(f"{name} 1x1", "p50", 1.0, False) for name in ("put", "get", "serializable get")),
    Bar(WATCH_ONE, "per s", 1.0, True),
    Bar(WATCH_MANY, "per s", 1.0, True),
)


def cases(plan: Plan) -> list[Case]:
    def load(operation: str, connections: int, outstanding: int, **more: int) -> Load:
        return Load(
            operation=operation,
            addresses=[],
            connections=connections,
            outstanding=outstanding,
            seconds=plan.seconds,
            warmup_s=plan.warmup_s,
            **{"keys": KEYS, **more},
        )

    found = [
        Case(f"{name} {connections}x{outstanding}", load(operation, connections, outstanding))
        for name, operation in (("get", "get"), ("serializable get", "local-get"), ("put", "put"))
        for connections, outstanding in SHAPES
    ]
    found += [
        Case(WATCH_ONE, load("watch-one", 10, 1, watchers=1000), "events"),
        Case(WATCH_MANY, load("watch-many", 10, 50, watchers=10_000, keys=10_000), "events"),
        Case(KEEP_ALIVE, load("keep-alive", 10, 5, leases=10_000)),
    ]
    return found


def generate(load: Load) -> Result:
    """Raises CannotMeasure if the generator gives no result."""
    command = [sys.executable, "-m", "bench.etcd_load", msgspec.json.encode(load).decode()]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
            timeout=load.seconds + load.warmup_s + ALLOWANCE_S,
        )
    except subprocess.TimeoutExpired:
        raise CannotMeasure(f"{load.name}: the generator did not end in its time") from None
    if done.returncode or not done.stdout:
        raise CannotMeasure(f"{load.name}: {done.stderr.strip()[-500:]}")
    return msgspec.json.decode(done.stdout, type=Result)


def measure(cluster: EtcdCluster, case: Case, number: int) -> Measurement:
    leader, term = cluster.leader(), cluster.term()
    load = msgspec.structs.replace(case.load, addresses=cluster.addresses(leader))
    sharing, before = Sharing(), cluster.usage()
    result = generate(load)
    used_s = sum(new.cpu_s - old.cpu_s for old, new in zip(before, cluster.usage(), strict=True))
    return Measurement(
        system=cluster.system.name,
        case=case.name,
        round=number,
        result=result,
        foreign_share=round(sharing.foreign_share(used_s + result.busy_share * result.seconds), 3),
        elections=cluster.term() - term,
    )


def run(
    plan: Plan, systems: Sequence[System], directory: Path, say: Callable[[str], None]
) -> tuple[list[Measurement], list[Memory]]:
    found: list[Measurement] = []
    memory: list[Memory] = []
    for number in range(plan.rounds):
        for system in systems if number % 2 == 0 else list(reversed(systems)):
            say(f"round {number + 1} of {plan.rounds}: {system.name}")
            with EtcdCluster(system, directory) as cluster:
                warm_up(cluster, plan)
                for case in cases(plan):
                    found.append(measure(cluster, case, number))
                    say(f"  {line_of(found[-1], case)}")
    for system in systems if plan.memory_keys else ():
        say(f"{plan.memory_keys:,} keys: {system.name}")
        with EtcdCluster(system, directory) as cluster:
            memory.append(fill(cluster, plan.memory_keys))
            say(f"  {sum(memory[-1].resident_mib):,.0f} MiB after {memory[-1].seconds:.0f} s")
    return found, memory


def warm_up(cluster: EtcdCluster, plan: Plan) -> None:
    addresses = cluster.addresses(cluster.leader())
    generate(Load(operation="fill", addresses=addresses, keys=KEYS))
    for operation in ("put", "get"):
        generate(
            Load(
                operation=operation,
                addresses=addresses,
                connections=10,
                outstanding=50,
                seconds=plan.seconds,
                warmup_s=0,
            )
        )


def fill(cluster: EtcdCluster, keys: int) -> Memory:
    load = Load(
        operation="fill",
        addresses=cluster.addresses(cluster.leader()),
        connections=4,
        outstanding=2,
        keys=keys,
    )
    result = generate(load)
    if result.errors:
        raise CannotMeasure(f"{cluster.system.name}: {result.errors} of the transactions failed")
    resident = [round(usage.resident_kib / 1024, 1) for usage in cluster.usage()]
    return Memory(cluster.system.name, keys, resident, result.seconds)


def line_of(found: Measurement, case: Case) -> str:
    result = found.result
    parts = [
        f"{found.case:<30} {result.per_s:>10,.0f} {case.counts}/s",
        f"p50/99 {result.p50_us / 1000:.2f} / {result.p99_us / 1000:.2f} ms",
        f"generator busy {result.busy_share:.0%}",
        f"others {found.foreign_share:.0%}",
    ]
    if result.errors:
        parts.append(f"{result.errors} ERRORS")
    if found.elections:
        parts.append(f"{found.elections} ELECTIONS")
    return "  ".join(parts)


def median(found: Sequence[Measurement], system: str, case: str, figure: str) -> float | None:
    values = [FIGURES[figure](each.result) for each in found if (each.system, each.case) == (system, case)]
    return statistics.median(values) if values else None


def missed_bars(found: Sequence[Measurement]) -> list[str]:
    sentences = []
    for bar in BARS:
        ours, theirs = (median(found, system, bar.case, bar.figure) for system in ("ours", "etcd"))
        if ours is None or not theirs:
            continue
        ratio = ours / theirs
        if ratio < bar.bound if bar.at_least else ratio > bar.bound:
            others = max(each.foreign_share for each in found if each.case == bar.case)
            sentences.append(
                f"{bar.case}, {bar.figure}: {ratio:.2f}x etcd's, the bar is {bar.bound}x"
                f" (others took up to {others:.0%} of the processors)"
            )
    sentences += [
        f"{each.system}, {each.case}: {each.result.errors} errors, {each.elections} elections"
        for each in found
        if each.result.errors or each.elections
    ]
    return sentences


def as_text(result: Etcds) -> str:
    found, rows = result.measurements, []
    for case in report.in_order(each.case for each in found):
        row = [case]
        for figure, scale, digits in (("per s", 1.0, 0), ("p50", 1000.0, 2)):
            ours, theirs = (median(found, system, case, figure) for system in ("ours", "etcd"))
            row += ["" if each is None else f"{each / scale:,.{digits}f}" for each in (ours, theirs)]
            row.append(f"{ours / theirs:.2f}x" if ours and theirs else "")
        rows.append(row)
    heads = ["case", "ours /s", "etcd /s", "ratio", "ours p50 ms", "etcd p50 ms", "ratio"]
    parts = [
        f"Taken {result.taken}; {result.machine.processors} processors"
        f"; {'; '.join(result.versions.values())}; median of {result.plan.rounds} rounds.",
        report.table(heads, rows),
    ]
    if result.memory:
        heads = ["memory", "keys", "nodes, MiB", "together, MiB", "seconds to put them"]
        rows = [
            [
                each.system,
                f"{each.keys:,}",
                " + ".join(f"{size:,.0f}" for size in each.resident_mib),
                f"{sum(each.resident_mib):,.0f}",
                f"{each.seconds:.0f}",
            ]
            for each in result.memory
        ]
        parts.append(report.table(heads, rows))
    parts.append(
        "\n".join(["Bars missed:", *(f"* {each}" for each in result.missed)])
        if result.missed
        else "All bars hold."
    )
    return "\n\n".join(parts)


@click.command()
@click.option(
    "--quick", is_flag=True, help="One short round, without memory. The bars are shown, not judged."
)
@click.option("--publish", is_flag=True, help="Write the tables into docs/benchmarks.md.")
@click.option("--rounds", type=click.IntRange(1, 20))
@click.option(
    "--directory",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Where the nodes keep their data; default: the directory for temporary files.",
)
def main(quick: bool, publish: bool, rounds: int | None, directory: Path | None) -> None:
    plan = QUICK if quick else FULL
    plan = msgspec.structs.replace(plan, rounds=rounds or plan.rounds)
    where = directory or Path(tempfile.gettempdir())
    with report.or_cannot_measure():
        machine = describe(where)
        if machine.file_system == "tmpfs":
            raise CannotMeasure(f"{where} is in memory, where a sync costs nothing: choose another directory")
        systems: list[System] = [Agreed(), Etcd()]
        versions = {system.name: system.version() for system in systems}
        found, memory = run(plan, systems, where, to_terminal)
    result = Etcds(report.now(), machine, versions, plan, found, memory, missed_bars(found))
    report.deliver("etcd", result, as_text(result), published=publish)
    if result.missed and not quick:
        sys.exit(1)


if __name__ == "__main__":
    main()
