"""manage.py run_leader NAME -- COMMAND: a management command that runs where NAME leads, and nowhere else.

It becomes `agreed run --leader NAME -- manage.py COMMAND`: the command is a process of its own, which is
ended on loss, begun again when leadership is won again, and finds its fencing token in AGREED_TOKEN.  What it
ends with is what this ends with; 75 is "not obtained", 76 with `--once` "lost".

The process is replaced, so that signals and exit codes are those of `agreed run` itself.  From within a
program (`call_command`) that would replace the program: there it is refused.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, ClassVar

from agreed.coordination.schemes import ENVIRONMENT
from agreed.errors import ConfigurationError
from agreed.integrations.django import settings
from agreed.integrations.extras import missing

try:
    from django.core.management.base import BaseCommand, CommandError, CommandParser
except ImportError as error:
    raise missing("django", error) from error


class Command(BaseCommand):
    help = "Run a management command where NAME leads, and nowhere else; write -- before it."
    requires_system_checks: ClassVar[list[str]] = []  # the command has its own

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="Of the election.")
        parser.add_argument("--once", action="store_true", help="Do not stand again after a loss.")
        parser.add_argument(
            "--timeout", type=float, metavar="SECONDS", help="How long to wait for leadership."
        )
        parser.add_argument("--grace", type=float, metavar="SECONDS", help="Between SIGTERM and SIGKILL.")
        parser.add_argument("command", nargs="+", metavar="COMMAND", help="And its arguments.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not getattr(self, "_called_from_command_line", False):
            raise CommandError("run_leader replaces its process: start it from a command line", returncode=2)
        try:
            url = settings.url()
        except ConfigurationError as error:
            raise CommandError(str(error), returncode=2) from error
        arguments = arguments_of(options, settings.ttl_s(), manage())
        sys.stdout.flush()
        sys.stderr.flush()
        # In the environment, because arguments are seen by all users of a machine, and a URL may hold a
        # password.
        os.execve(sys.executable, arguments, {**os.environ, ENVIRONMENT: url})


def arguments_of(options: dict[str, Any], ttl_s: float, manage: list[str]) -> list[str]:
    chosen = ["--leader", options["name"], "--ttl", f"{ttl_s:g}"]
    if options["once"]:
        chosen.append("--once")
    for option in ("timeout", "grace"):
        if options[option] is not None:
            chosen += [f"--{option}", f"{options[option]:g}"]
    return [sys.executable, "-m", "agreed", "run", *chosen, "--", *manage, *options["command"]]


def manage() -> list[str]:
    """What this very process was started with: manage.py, django-admin, or `python -m django`."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return [sys.executable, "-m", "django"]
    return [sys.executable, str(program)]
