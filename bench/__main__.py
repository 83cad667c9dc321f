"""The command line of the comparison: `python -m bench --help`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from bench import compare, generator, report
from bench.compare import FULL, OPERATIONS, QUICK, to_terminal
from bench.generator import CannotMeasure
from bench.machine import describe
from bench.systems import Agreed, System, ZooKeeper


@click.command()
@click.option(
    "--quick", is_flag=True, help="Two minutes, to see that it works. The bars are shown, not judged."
)
@click.option("--only", type=click.Choice(["ours", "zookeeper"]), help="One system alone; no ratios.")
@click.option("--operations", default=",".join(OPERATIONS), show_default=True, help="Any of get,set,create.")
@click.option("--seconds", type=click.FloatRange(0.1, 120), help="Per case and round.")
@click.option("--rounds", type=click.IntRange(1, 20))
@click.option(
    "--directory",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Where the nodes keep their data; default: the directory for temporary files.",
)
@click.option("--heap", default=1000, show_default=True, help="ZooKeeper's -Xmx, in MiB.")
@click.option("--publish", is_flag=True, help="Write the tables into docs/benchmarks.md.")
def main(
    quick: bool,
    only: str | None,
    operations: str,
    seconds: float | None,
    rounds: int | None,
    directory: Path | None,
    heap: int,
    publish: bool,
) -> None:
    """Three nodes of ours beside three of ZooKeeper, never at the same time.

    Exit status: 0, 1 if a bar was missed, 2 if it could not be measured.
    """
    chosen = tuple(operations.split(","))
    if unknown := set(chosen) - set(OPERATIONS):
        raise click.BadParameter(f"unknown operations: {', '.join(sorted(unknown))}")
    plan = QUICK if quick else FULL
    plan = msgspec.structs.replace(
        plan, operations=chosen, seconds=seconds or plan.seconds, rounds=rounds or plan.rounds
    )
    with report.or_cannot_measure():
        systems = [system for system in (Agreed(), ZooKeeper(heap)) if only in (None, system.name)]
        result = measure(plan, present(systems, needed=only), directory or Path(tempfile.gettempdir()))
    report.deliver("compare", result, report.as_text(result), published=publish, section="comparison")
    if not quick and not all(verdict.holds for verdict in result.verdicts):
        sys.exit(1)


def present(systems: Sequence[System], needed: str | None) -> list[System]:
    """Without those that are not installed here, unless just that one was asked for."""
    found = []
    for system in systems:
        try:
            system.version()
        except CannotMeasure as reason:
            if system.name in ("ours", needed):
                raise
            to_terminal(f"without {system.name}, hence without ratios: {reason}")
        else:
            found.append(system)
    return found


def measure(plan: compare.Plan, systems: list[System], directory: Path) -> report.Comparison:
    machine = describe(directory)
    if machine.file_system == "tmpfs":
        raise CannotMeasure(
            f"{directory} is in memory, where a sync costs nothing: choose another with --directory"
        )
    versions = {system.name: system.version() for system in systems}
    ceiling = generator.ceiling()
    found = compare.run(plan, systems, directory, to_terminal)
    return report.Comparison(report.now(), machine, versions, plan, ceiling, found, report.verdicts_of(found))


if __name__ == "__main__":
    main()
