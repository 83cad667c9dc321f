"""The command `agreed`: which commands there are, and what becomes of their errors (`exits.py`).

A command's module is imported when that command is typed, so that `agreed --help` answers at once and a
server does not carry the tables and colours of `agreed status` in its memory.
"""

from __future__ import annotations

import importlib
import sys

import click

from agreed.cli.exits import BUG, INTERRUPTED, REFUSED, exit_code
from agreed.errors import AgreedError

COMMANDS = {
    "serve": ("agreed.cli.serve", "Run one node of a cluster."),
    "dev": ("agreed.cli.dev", "A cluster of three in this terminal, to play with."),
    "status": ("agreed.cli.status", "What the nodes of a cluster say of themselves."),
    "member": ("agreed.cli.member", "Add, promote, remove or replace members."),
    "transfer-leader": ("agreed.cli.transfer", "Hand leadership over, say before maintenance."),
    "certs": ("agreed.cli.certs", "Make a private certificate authority and certificates."),
    "lock": ("agreed.cli.lock", "Run a command while a lock is held."),
    "run": ("agreed.cli.run", "Run a command where it leads, and nowhere else."),
    "elect": ("agreed.cli.elect", "Who leads, and who waits to."),
    "kv": ("agreed.cli.kv", "Read and write keys."),
    "tree": ("agreed.cli.tree", "Print what stands below a name, and what becomes of it."),
    "queue": ("agreed.cli.queue", "Put jobs, and run a command for each."),
    "watch": ("agreed.cli.watch", "Tell what becomes of a key."),
    "copy": ("agreed.cli.copy", "Copy an etcd or a ZooKeeper into a cluster, or back."),
    "snapshot": ("agreed.cli.snapshot", "Save, verify and restore what a cluster holds."),
    "simulate": ("agreed.cli.simulate", "Break whole clusters in simulation, each from its seed."),
    "consensus": ("agreed.cli.consensus", "Compare the protocols by which a cluster can agree."),
    "explore": ("agreed.cli.explore", "Play all that can happen to a small cluster of Raft."),
    "check": ("agreed.cli.check", "Judge a history: could what clients saw have happened?"),
    "torture": ("agreed.cli.torture", "Break real clusters, and judge what clients saw."),
    "atomic": ("agreed.cli.atomic", "Look at, resolve and recover transactions over databases."),
    "disk": ("agreed.cli.disk", "Look into a data directory."),
    "version": ("agreed.cli.version", "Print the version."),
}
"""Name -> (module, one line).  The module's `command` is the command."""


class CommandTable(click.Group):
    """A group that knows the names of its commands and fetches the one that was typed."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _ = COMMANDS[name]
        command: click.Command = importlib.import_module(module).command
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=CommandTable, context_settings={"help_option_names": ["-h", "--help"]})
def agreed() -> None:
    """Consensus and coordination: a small, durable, watchable store kept by several nodes.

    Start with `agreed dev`, and connect any ZooKeeper or etcd client.
    """


def main() -> None:
    """Run what was typed and leave the process; mistakes of the user end with a sentence, not a traceback."""
    try:
        left_with = agreed.main(prog_name="agreed", standalone_mode=False)
        sys.exit(left_with if isinstance(left_with, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except AgreedError as error:
        click.echo(f"agreed: {error}", err=True)
        sys.exit(exit_code(error))
    except BrokenPipeError:
        sys.exit(REFUSED)
    except Exception:
        sys.excepthook(*sys.exc_info())
        sys.exit(BUG)
