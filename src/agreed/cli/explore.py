"""`agreed explore`: everything that can happen to a small cluster of Raft, to the end.

    agreed explore                                    two nodes, two terms, a crash
    agreed explore --nodes 3 --terms 1 --callers 1    three nodes, one of which may call elections
    agreed explore --seconds 600 --messages 4         as far as one gets in ten minutes

What is within the scope is explored without a gap, with the machines that ship; what is not in it is not.
Ends with 0 if nothing is broken, 1 if something is (with a shortest way there), 2 if it was misused.
"""
from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import click

from agreed.cli.as_json import as_json
from agreed.cli.exits import REFUSED
from agreed.sim.explore import explore
from agreed.sim.explore_scope import Progress, Scope
from agreed.sim.explore_story import summary, told

DEFAULT = Scope(nodes=2, terms=2, crashes=1)
"""Small enough for half a minute, and large enough for two leaders and a lost memory."""

Function = TypeVar("Function", bound=Callable[..., Any])


def number(flag: str, least: int, told: str, most: int | None = None) -> Callable[[Function], Function]:
    """An option for the field of the scope that has this name."""
    default = getattr(DEFAULT, flag.removeprefix("--"))
    kind = click.IntRange(least, most)
    return click.option(flag, type=kind, default=default, show_default=default is not None, help=told)


@click.command()
@number("--nodes", 1, "All of them members.", most=5)
@number("--terms", 1, "No node enters a higher one.")
@number("--operations", 0, "Proposals of a client.")
@number("--reads", 0, "Linearizable ones, on any node.")
@number("--crashes", 0, "With each outcome for the saves under way.")
@number("--compactions", 0, "Snapshots of what is agreed; the log before goes.")
@number("--transfers", 0, "Of leadership.")
@number("--disconnects", 0, "Connections that break.")
@number("--duplicates", 0, "Messages that are delivered again.")
@number("--messages", 1, "In flight at a time, at most; any others are lost.")
@number("--timers", 1, "How often a timer fires in one term and role.")
@number("--callers", 1, "Nodes whose timers fire at all; without it all.")
@click.option("--prompt-disks", is_flag=True, help="No save is ever found under way.")
@click.option("--symmetry/--no-symmetry", default=True, help="Whether names alone make no new state.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Stop after so long.")
@click.option("--json", "in_json", is_flag=True, help="The report as JSON.")
def command(*, symmetry: bool, seconds: float | None, in_json: bool, **asked: int | bool | None) -> int:
    """Play all that can happen to a small cluster of Raft."""
    scope = Scope(**asked)  # type: ignore[arg-type]
    line = _Line()
    report = explore(scope, seconds=seconds, clock=time.monotonic, symmetry=symmetry, progress=line.tell)
    line.clear()
    if in_json:
        click.echo(as_json(summary(report)))
    else:
        for each in told(report):
            click.echo(each)
    return REFUSED if report.broken is not None else 0


class _Line:
    """How far it is, on one line of a terminal."""

    def __init__(self) -> None:
        self._shown = False

    def tell(self, progress: Progress) -> None:
        if not sys.stderr.isatty():
            return
        self._shown = True
        rate = progress.states / progress.seconds if progress.seconds else 0
        line = (
            f"depth {progress.depth}, {progress.states:,} states, {progress.waiting:,} to expand, "
            f"{rate:,.0f} states/s, {progress.seconds:.0f} s"
        )
        click.echo(f"\r\x1b[K{line}", nl=False, err=True)

    def clear(self) -> None:
        if self._shown:
            click.echo("\r\x1b[K", nl=False, err=True)
