"""`agreed serve`: one node in this process, until it is told to end.

Its flags are drawn from `node/config.py`, one for each knob; nothing is decided here.  With `--fake` it is a
server for tests instead (`fake.py`), and none of the knobs applies.
"""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

import click

from agreed.cli.fake import KINDS, serve_fake
from agreed.node import telemetry
from agreed.node.config import Config
from agreed.node.loading import ENVIRONMENT_PREFIX, FILE_VARIABLE, load
from agreed.node.reference import describe_default


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
    flags.append(
        click.Option(
            ["--fake"],
            type=click.Choice(KINDS),
            help="Instead of a node: a server for tests, in memory, whose time and faults stand at your "
            "command. It says its address, then it is told what to do by lines of its input.",
        )
    )
    flags.append(
        click.Option(
            ["--port"],
            type=click.IntRange(0, 65535),
            help="Of the server for tests. [default: 0, a free one]",
        )
    )
    return flags


HELP = f"""Run one node of a cluster.

Every flag can also be set by an environment variable ({ENVIRONMENT_PREFIX}HEARTBEAT_MS) or in the file."""


def serve(file: str | None, fake: str | None, port: int | None, **flags: object) -> None:
    """Read the configuration, run the node, and leave with its code."""
    if fake is not None:
        serve_fake(fake, port or 0)
        return
    if port is not None:
        raise click.UsageError("--port is for --fake; a node listens where --zookeeper and --etcd say")
    config = load(flags, os.environ, Path(file) if file else None)
    telemetry.set_up(config.log_level, config.log_format, config.name)
    # Imported here: a mistake in the flags is told before asyncio, uvloop and the codecs are loaded.
    from agreed.node.start import serve as run

    click.get_current_context().exit(run(config))


command = click.Command("serve", params=_flags(), callback=serve, help=HELP)
