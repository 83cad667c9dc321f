"""A management command whose `handle` runs on one machine at a time.

    class Command(LeaderCommand):
        leader_name = "invoices"                    of the election; the command's own name without it

        def handle(self, *args, **options):
            for invoice in due():
                self.term.check()                   raises LeadershipLost; nothing was sent then
                send(invoice, token=self.term.token)

    manage.py send_invoices                         waits until it leads
    manage.py send_invoices --leader-timeout 0      ends with 75 if another machine leads
    manage.py send_invoices --leader-url file:///x   another service than that of the settings

The checks of the project run where it leads, right before `handle`.  Leadership is given back when `handle`
ends, in whatever way.

A `handle` that never asks runs to its end after a loss, beside that of the next leader; the command tells so
then, and ends with 76.  What must be ended is for `manage.py run_leader`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from agreed.client.errors import Unanswered
from agreed.coordination.synchronous import connect
from agreed.coordination.synchronous.election import Term
from agreed.errors import ConfigurationError
from agreed.integrations.django import settings
from agreed.integrations.extras import missing
from agreed.recipes.errors import AcquireTimeout, LeadershipLost

try:
    from django.core.management.base import BaseCommand, CommandError, CommandParser
except ImportError as error:
    raise missing("django", error) from error

NOT_OBTAINED = 75
LOST = 76
UNANSWERED = 3
"""The codes of `agreed run`."""


class LeaderCommand(BaseCommand):
    leader_name: ClassVar[str] = ""
    term: Term

    def create_parser(self, prog_name: str, subcommand: str, **named: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **named)
        parser.add_argument("--leader-url", help="Of the service; AGREED_URL of the settings.")
        parser.add_argument(
            "--leader-timeout",
            type=float,
            metavar="SECONDS",
            help="How long to wait for leadership (0: only if nobody leads); for ever by default.",
        )
        return parser

    def execute(self, *args: Any, **options: Any) -> Any:
        """Raises CommandError with the codes above."""
        name = self.leader_name or type(self).__module__.rpartition(".")[2]
        url = options.pop("leader_url", None)
        timeout = options.pop("leader_timeout", None)
        led = False
        try:
            with (
                connect(url or settings.url(), ttl=settings.ttl_s()) as client,
                client.election(name).lead(timeout) as self.term,
            ):
                led = True
                return super().execute(*args, **options)
        except AcquireTimeout as error:
            if led:
                raise  # something else that `handle` wanted; who hears 75 believes that another one works
            raise CommandError(str(error), returncode=NOT_OBTAINED) from error
        except LeadershipLost as error:
            raise CommandError(str(error), returncode=LOST) from error
        except Unanswered as error:
            raise CommandError(str(error), returncode=UNANSWERED) from error
        except ConfigurationError as error:
            raise CommandError(str(error), returncode=2) from error
