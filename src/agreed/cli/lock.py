"""`agreed lock NAME -- COMMAND`: run a command while its lock is held, one at a time on all machines.

    agreed lock --url zk://10.0.0.1/app nightly -- ./report.sh
    agreed lock --timeout 0 nightly -- ./report.sh              not at all while somebody else does

Ends as the command does; 75: the lock was not obtained in time, 76: it was lost, and the command was ended
for that (`exits.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeAlias

import click

from agreed.backends.contract import Layout
from agreed.cli.exits import NOT_EXECUTABLE
from agreed.cli.guarded import Guarded, run_while, with_command, with_place
from agreed.cli.service import Service, Signals, play, with_service
from agreed.cli.warden import Warden
from agreed.coordination.client import Client
from agreed.recipes.errors import AcquireTimeout
from agreed.recipes.grant import Grant
from agreed.recipes.lock import Lock
from agreed.recipes.obtaining import Obtainable

Wish: TypeAlias = Callable[[Client], Obtainable[Any]]
"""What is to be obtained, of this client."""


async def obtained(wanted: Obtainable[Any], timeout_s: float | None) -> Grant:
    """Raises AcquireTimeout; with 0 seconds it is had at once or not at all."""
    if timeout_s is None or timeout_s > 0:
        held: Grant = await wanted.acquire(timeout_s)
        return held
    grant: Grant | None = await wanted.try_acquire()
    if grant is None:
        raise AcquireTimeout(f"{wanted.name} is held by somebody else")
    return grant


async def hold_and_run(
    service: Service,
    wish: Wish,
    guarded: Guarded,
    timeout_s: float | None,
    warden: Warden,
    signals: Signals,
) -> int:
    """With a client of its own: obtain it, run the command, give it back (that is what the end of a client
    does).  After a loss a client is not used again: its session may live on with the place that was lost, and
    would wait for itself."""
    began = time.monotonic()
    async with service.client(timeout_s or None) as client:
        left_s = timeout_s and max(timeout_s - (time.monotonic() - began), 0.001)
        grant = await obtained(wish(client), left_s)
        try:
            return await run_while(grant, guarded, warden, signals)
        except OSError as error:
            click.echo(f"agreed: {guarded.words[0]}: {error.strerror}", err=True)
            return NOT_EXECUTABLE


@click.command("lock")
@click.argument("name")
@with_service
@with_command
@with_place
def command(
    name: str,
    service: Service,
    guarded: Guarded,
    timeout_s: float | None,
    value: bytes | None,
    layout: Layout,
) -> None:
    """Run COMMAND while the lock NAME is held; write `--` before it.

    COMMAND finds its fencing token in AGREED_TOKEN. When the lock is lost it is sent SIGTERM, and SIGKILL
    after its grace. Ends as COMMAND does, or with 75 if the lock was not obtained in time, 76 if it was lost.
    """
    cannot = guarded.cannot_start()
    if cannot is not None:
        click.get_current_context().exit(cannot)

    def wanted(client: Client) -> Lock:
        return client.lock(name, value=value, layout=layout)

    warden = Warden(guarded.grace_s)
    play(lambda signals: hold_and_run(service, wanted, guarded, timeout_s, warden, signals))
