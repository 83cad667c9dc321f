"""`agreed run --leader NAME -- COMMAND`: run a command where it leads, and nowhere else.

    agreed run --url etcd://10.0.0.1:2379/app --leader scheduler -- ./scheduler

Start it on every machine: one of them runs the command, the others wait for their turn.  When leadership is
lost the command is ended, and begun again when it is won again.  When the command ends by itself, so do we,
with its exit code: whether it is to be started again is for whoever has started us.

A service that cannot be reached for a while is waited for, unless it could not be reached in the beginning:
then the URL may be wrong.
"""

from __future__ import annotations

import asyncio
from typing import Final

import click

from agreed.backends.contract import Layout
from agreed.cli.guarded import Guarded, with_command, with_place
from agreed.cli.lock import hold_and_run
from agreed.cli.service import Service, Signals, play, with_service
from agreed.cli.warden import Warden
from agreed.client.errors import Unanswered
from agreed.coordination.client import Client
from agreed.recipes.election import Election
from agreed.recipes.errors import Lost

AGAIN_AFTER_S: Final = 1.0


class Candidacy:
    """Stands for election again and again."""

    def __init__(self, service: Service, name: str, value: bytes | None, layout: Layout) -> None:
        self._service = service
        self._name = name
        self._value = value
        self._layout = layout
        self._reached = False

    async def run(self, guarded: Guarded, timeout_s: float | None, warden: Warden, signals: Signals) -> int:
        while True:
            try:
                return await self.once(guarded, timeout_s, warden, signals)
            except Lost as loss:
                if signals.ending is not None:
                    raise
                click.echo(f"agreed: {loss}; it stands for election again", err=True)
            except Unanswered as error:
                if not self._reached or signals.ending is not None:
                    raise
                click.echo(f"agreed: {error}; it tries again", err=True)
                await asyncio.sleep(AGAIN_AFTER_S)

    async def once(self, guarded: Guarded, timeout_s: float | None, warden: Warden, signals: Signals) -> int:
        return await hold_and_run(self._service, self._election, guarded, timeout_s, warden, signals)

    def _election(self, client: Client) -> Election:
        self._reached = True
        return client.election(self._name, value=self._value, layout=self._layout)


@click.command("run")
@click.option("--leader", "name", required=True, metavar="NAME", help="Of which election.")
@click.option("--once", is_flag=True, help="Do not stand again after a loss: end with 76.")
@with_service
@with_command
@with_place
def command(
    name: str,
    once: bool,
    service: Service,
    guarded: Guarded,
    timeout_s: float | None,
    value: bytes | None,
    layout: Layout,
) -> None:
    """Run COMMAND while leading the election NAME; write `--` before it.

    COMMAND finds the fencing token of its term in AGREED_TOKEN. When leadership is lost it is sent SIGTERM,
    and SIGKILL after its grace; it begins again when leadership is won again. Ends when COMMAND ends by
    itself, and as it does; with 75 if it did not lead within the timeout.
    """
    cannot = guarded.cannot_start()
    if cannot is not None:
        click.get_current_context().exit(cannot)
    candidacy = Candidacy(service, name, value, layout)
    attempt = candidacy.once if once else candidacy.run
    warden = Warden(guarded.grace_s)
    play(lambda signals: attempt(guarded, timeout_s, warden, signals))
