"""`agreed serve`: one node in this process, until it is told to end.

Its flags are drawn from `node/config.py`, one for each knob; nothing is decided here.
"""
from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

import click

from agreed.node import telemetry
from agreed.node.config import ENVIRONMENT_PREFIX, FILE_VARIABLE, Config, describe_default, load


def _flags() -> list[click.Parameter]:
    plain = Config()
    flags: list[click.Parameter] = [
        click.Option(
            ["--config", "file"],
            metavar="FILE",
            envvar=FILE_VARIABLE,
            help="TOML file with any of the knobs below, named as in the variables: heartbeat_ms = 100.",
        )
    ]
    for each in fields(Config):
        flag = each.name.replace("_", "-")
        default = describe_default(each.name, getattr(plain, each.name)).strip("`")
        is_switch = isinstance(getattr(plain, each.name), bool)
        flags.append(
            click.Option(
                [f"--{flag}/--no-{flag}" if is_switch else f"--{flag}", each.name],
                default=None,
                metavar=None if is_switch else each.metadata["unit"].upper(),
                help=f"{each.metadata['reason']} [default: {default}]",
            )
        )
    return flags


HELP = f"""Run one node of a cluster.

Every flag can also be set by an environment variable ({ENVIRONMENT_PREFIX}HEARTBEAT_MS) or in the file."""


def serve(file: str | None, **flags: object) -> None:
    """Read the configuration, run the node, and leave with its code."""
    config = load(flags, os.environ, Path(file) if file else None)
    telemetry.set_up(config.log_level, config.log_format, config.name)
    # Imported here: a mistake in the flags is told before asyncio, uvloop and the codecs are loaded.
    from agreed.node.start import serve as run

    click.get_current_context().exit(run(config))


command = click.Command("serve", params=_flags(), callback=serve, help=HELP)
