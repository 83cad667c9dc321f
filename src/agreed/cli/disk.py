"""`agreed disk`: look into a data directory without changing it (`disk/inspect.py`)."""
from __future__ import annotations

from pathlib import Path

import click

from agreed.cli.as_json import as_json
from agreed.cli.exits import NOT_STARTED
from agreed.disk.inspect import describe, render


@click.group("disk")
def command() -> None:
    """Look into a data directory."""


@command.command()
@click.argument("directory")
@click.option("--entries", is_flag=True, help="List every record of the log.")
@click.option("--json", "in_json", is_flag=True, help="For programs: the whole report as JSON.")
def inspect(directory: str, entries: bool, in_json: bool) -> None:
    """Tell what lies in DIRECTORY, and whether a node could start on it.

    Reads everything, changes nothing, and may be used beside a running node. Ends with 78 if a node would
    refuse to start.
    """
    report = describe(Path(directory), entries=entries)
    if in_json:
        click.echo(as_json(report))
    else:
        click.echo(render(report))
    click.get_current_context().exit(NOT_STARTED if report.problems else 0)
