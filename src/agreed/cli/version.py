"""`agreed version`: one line, for a bug report."""
from __future__ import annotations

import platform

import click

import agreed


@click.command("version")
def command() -> None:
    """Print the version of agreed, of Python and of the system."""
    click.echo(f"agreed {agreed.__version__}, Python {platform.python_version()}, {platform.system()}")
