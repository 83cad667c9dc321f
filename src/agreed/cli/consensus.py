"""`agreed consensus`: the four protocols beside each other.

    agreed consensus compare                         what each costs, and does when something breaks
    agreed consensus compare --only raft,zab --json  some of them, for programs
    agreed consensus compare --real                  and with three processes each on this machine

Counted in simulation: the same command prints the same everywhere, but for what `--real` adds.
"""
from __future__ import annotations

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor

import click
import msgspec

from agreed.cli import consensus_real
from agreed.cli.as_json import as_json
from agreed.cli.consensus_tables import real, simulated
from agreed.consensus import protocols
from agreed.errors import ConfigurationError
from agreed.sim import compare


class Compared(msgspec.Struct, frozen=True):
    """For programs."""

    simulated: list[compare.Comparison]
    real: list[consensus_real.Real]


@click.group("consensus")
def command() -> None:
    """The protocols that a cluster can agree by, beside each other."""


@command.command("compare")
@click.option("--only", default=",".join(protocols.NAMES), show_default=True, help="Any of these.")
@click.option("--nodes", default=3, show_default=True, type=click.IntRange(3, 9), help="How many.")
@click.option("--ends", default=20, show_default=True, type=click.IntRange(1), help="Of leaders, each way.")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="For each fault.")
@click.option("--real", "with_processes", is_flag=True, help="Processes on this machine as well.")
@click.option("--json", "in_json", is_flag=True, help="All figures as JSON.")
def compare_command(
    only: str, nodes: int, ends: int, seeds: int, with_processes: bool, in_json: bool
) -> None:
    """Measure on the spot what a write costs, how long it takes until another leads, and what faults do.

    A minute or two on all cores; nothing else is touched.
    """
    names = [name.strip() for name in only.split(",")]
    for name in names:
        if name not in protocols.NAMES:
            raise ConfigurationError(f"--only: {name!r} is none of {', '.join(protocols.NAMES)}")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(len(names), os.cpu_count() or 1), mp_context=context) as pool:
        under_way = [pool.submit(compare.measure, name, nodes, ends, seeds) for name in names]
        counted = []
        for name, each in zip(names, under_way, strict=True):
            counted.append(each.result())
            _tell(f"{name} is measured in simulation")
    timed = []
    for name in names if with_processes else ():
        timed.append(consensus_real.measure(name))
        _tell(f"{name} is measured with processes")
    if in_json:
        click.echo(as_json(Compared(counted, timed)))
        return
    parts = [*simulated(counted), *(real(timed) if timed else ())]
    click.echo("\n\n".join(parts))


def _tell(sentence: str) -> None:
    """To whoever waits before a terminal."""
    if sys.stderr.isatty():
        click.echo(sentence, err=True)
