"""The command `agreed`: which commands there are, and with which code they end.

A command's module is imported when that command is typed, so that `agreed --help` answers at once and a
server does not carry the tables and colours of `agreed status` in its memory.

Codes at the end:

    0    done
    1    refused: the cluster or the node said no, and nothing was changed; or a node reports a problem
    2    misused: an unknown flag, a contradiction in the configuration
    3    no answer: nothing could be reached, or the answer was lost (then the message says so)
    4    damaged: the data directory does not hold what was written there, or belongs to another node
    70   a bug of ours, with a traceback
    130  interrupted
"""
from __future__ import annotations

import importlib
import sys

import click

from agreed.errors import AgreedError, ConfigurationError, CorruptData, DiskFailed, WrongIdentity

REFUSED, MISUSED, NO_ANSWER, DAMAGED, INTERRUPTED = 1, 2, 3, 4, 130

COMMANDS = {
    "serve": ("agreed.cli.serve", "Run one node of a cluster."),
    "dev": ("agreed.cli.dev", "A cluster of three in this terminal, to play with."),
    "status": ("agreed.cli.status", "What the nodes of a cluster say of themselves."),
    "member": ("agreed.cli.member", "Add, promote, remove or replace members."),
    "transfer-leader": ("agreed.cli.transfer", "Hand leadership over, say before maintenance."),
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

    Start with `agreed dev`, and connect any ZooKeeper client.
    """


def exit_code(error: AgreedError) -> int:
    """Which of the codes above an error ends with."""
    if isinstance(error, ConfigurationError):
        return MISUSED
    if isinstance(error, CorruptData | DiskFailed | WrongIdentity):
        return DAMAGED
    return REFUSED if error.surely_not_done else NO_ANSWER


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
        sys.exit(70)
