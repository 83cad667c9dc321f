"""The four protocols beside each other: the same nodes, the same disk, the same load, another agreement.

    python -m bench.protocols [--quick] [--publish]

Rounds are those of the comparison with ZooKeeper (`compare.py`): three fresh nodes that speak one protocol,
a warm-up, every case with all connections at the leader, the end; then the next protocol; and the next round
in the opposite order.  Whatever a figure is worth, the ratio to Raft in the same run is worth more.

The bar: with fifty clients that each wait for their reply none writes less than 0.6 times what Raft does.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from agreed.consensus import protocols
from bench import compare, report
from bench.bars import median
from bench.compare import Measurement, to_terminal
from bench.generator import CannotMeasure
from bench.machine import Machine, describe
from bench.systems import Agreed

BAR = 0.6
BARRED = ("set 50x1", "create 50x1")

QUICK = compare.Plan(rounds=1, seconds=1.5, warmup_s=0.5, system_warmup_s=2.0, spread=False)
FULL = compare.Plan(rounds=3, seconds=4.0, warmup_s=1.0, system_warmup_s=6.0, spread=False)


class Protocols(msgspec.Struct, frozen=True):
    """One whole run, as it is kept."""

    taken: str
    machine: Machine
    plan: compare.Plan
    measurements: list[Measurement]
    missed: list[str]


def missed_bars(found: Sequence[Measurement]) -> list[str]:
    """One sentence for each protocol and case that does not reach the bar, or was not clean."""
    sentences = []
    for case in BARRED:
        raft = median(found, protocols.RAFT, case, lambda load: load.throughput)
        for name in protocols.NAMES:
            own = median(found, name, case, lambda load: load.throughput)
            if raft and own is not None and own < BAR * raft:
                others = max(each.foreign_share for each in found if each.case == case)
                sentences.append(
                    f"{name}, {case}: {own / raft:.2f}x Raft's, and {BAR}x is the bar "
                    f"(others took up to {others:.0%} of the processors)"
                )
    for each in found:
        if not each.load.clean or each.elections:
            sentences.append(
                f"{each.system}, {each.case}: {each.load.errors} errors, {each.load.lost} lost connections, "
                f"{each.elections} elections"
            )
    return sentences


def throughput_table(found: Sequence[Measurement]) -> str:
    rows = []
    for case in report.in_order(each.case for each in found):
        raft = median(found, protocols.RAFT, case, lambda load: load.throughput)
        cells = [case]
        for name in protocols.NAMES:
            own = median(found, name, case, lambda load: load.throughput)
            if own is None:
                cells.append("")
            elif raft and name != protocols.RAFT:
                cells.append(f"{own:,.0f} ({own / raft:.2f}x)")
            else:
                cells.append(f"{own:,.0f}")
        rows.append(cells)
    return report.table(["requests /s", *protocols.NAMES], rows)


def latency_table(found: Sequence[Measurement]) -> str:
    rows = []
    for case in report.in_order(each.case for each in found):
        cells = [case]
        for name in protocols.NAMES:
            p50 = median(found, name, case, lambda load: load.p50_us)
            p99 = median(found, name, case, lambda load: load.p99_us)
            cells.append("" if p50 is None or p99 is None else f"{p50 / 1000:.2f} / {p99 / 1000:.2f}")
        rows.append(cells)
    return report.table(["p50 / p99 ms", *protocols.NAMES], rows)


def cost_table(found: Sequence[Measurement]) -> str:
    rows = []
    for case in report.in_order(each.case for each in found):
        cells = [case]
        for name in protocols.NAMES:
            of = [each.cpu_us_per_operation for each in found if (each.system, each.case) == (name, case)]
            cells.append(f"{sorted(of)[len(of) // 2]:.1f}" if of else "")
        rows.append(cells)
    return report.table(["processor µs of all nodes per request", *protocols.NAMES], rows)


def as_text(result: Protocols) -> str:
    """Everything of one run, in Markdown."""
    machine, plan, found = result.machine, result.plan, result.measurements
    head = (
        f"Taken {result.taken} on {machine.processors} x {machine.processor}, {machine.memory_mib:,} MiB,\n"
        f"Linux {machine.kernel}, {machine.file_system}; an append of 4 KiB with fdatasync takes "
        f"{machine.sync_us:.0f} µs there.\n"
        f"{plan.rounds} rounds of {plan.seconds:g} s a case; medians of the rounds; in brackets beside Raft. "
        f"Others took at most {max(each.foreign_share for each in found):.0%} of the processors."
    )
    verdict = "; ".join(result.missed) or f"None writes less than {BAR}x of Raft's at 50x1: the bar holds."
    return "\n\n".join([head, throughput_table(found), latency_table(found), cost_table(found), verdict])


def measure(plan: compare.Plan, names: Sequence[str], directory: Path) -> Protocols:
    """Raises CannotMeasure as soon as one of them cannot be measured."""
    machine = describe(directory)
    if machine.file_system == "tmpfs":
        raise CannotMeasure(
            f"{directory} is in memory, where a sync costs nothing: choose another with --directory"
        )
    systems = [Agreed(("--consensus", name), name) for name in names]
    found = compare.run(plan, systems, directory, to_terminal)
    return Protocols(report.now(), machine, plan, found, missed_bars(found))


@click.command()
@click.option(
    "--quick", is_flag=True, help="Two minutes, to see that it works. The bar is shown, not judged."
)
@click.option("--only", default=",".join(protocols.NAMES), show_default=True, help="Any of these.")
@click.option("--operations", default="get,set,create", show_default=True, help="Any of these.")
@click.option("--seconds", type=click.FloatRange(0.1, 120), help="Per case and round.")
@click.option("--rounds", type=click.IntRange(1, 20))
@click.option(
    "--directory",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Where the nodes keep their data; default: the directory for temporary files.",
)
@click.option("--publish", is_flag=True, help="Write the tables into docs/benchmarks.md.")
def main(
    quick: bool,
    only: str,
    operations: str,
    seconds: float | None,
    rounds: int | None,
    directory: Path | None,
    publish: bool,
) -> None:
    """Three nodes of each protocol, never two clusters at the same time.

    Exit status: 0, 1 if the bar was missed, 2 if it could not be measured.
    """
    names, chosen = tuple(only.split(",")), tuple(operations.split(","))
    for unknown in (set(names) - set(protocols.NAMES)) | (set(chosen) - set(compare.OPERATIONS)):
        raise click.BadParameter(f"{unknown!r} is not known")
    plan = QUICK if quick else FULL
    plan = msgspec.structs.replace(
        plan, operations=chosen, seconds=seconds or plan.seconds, rounds=rounds or plan.rounds
    )
    with report.or_cannot_measure():
        result = measure(plan, names, directory or Path(tempfile.gettempdir()))
    report.deliver("protocols", result, as_text(result), published=publish)
    if result.missed and not quick:
        sys.exit(1)


if __name__ == "__main__":
    main()
