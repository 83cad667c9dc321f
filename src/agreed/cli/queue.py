"""`agreed queue`: jobs that are put by whoever has them, and done by a command, on any machine.

    agreed queue put mail -- '{"to": "..."}'
    agreed queue work mail -- ./send.sh             a job on its standard input, one after the other
    agreed queue count mail

A job is done when its command ends with 0.  Else somebody has it again, after a pause.  It is had by one at a
time; when that one loses it, his command is ended, as by `agreed lock`, and another one has it with a larger
token: what the command does elsewhere may be begun twice, and `AGREED_TOKEN` is what tells.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

import click

from agreed.cli.exits import NOT_EXECUTABLE
from agreed.cli.guarded import Guarded, run_while, with_command
from agreed.cli.service import Service, Signals, play, with_service
from agreed.cli.warden import Warden
from agreed.coordination.client import Client
from agreed.errors import AgreedError
from agreed.recipes.errors import AcquireTimeout, JobLost
from agreed.recipes.job import Job
from agreed.recipes.queue import Queue


@click.group("queue")
def command() -> None:
    """Put jobs into a queue, and run a command for each."""


@command.command()
@click.argument("name")
@click.argument("value")
@with_service
@click.option("--priority", type=click.IntRange(0, 9), default=5, show_default=True, help="0 goes before 9.")
@click.option(
    "--delay", type=click.FloatRange(min=0), default=0.0, metavar="SECONDS", help="Not before then."
)
def put(name: str, value: str, service: Service, priority: int, delay: float) -> None:
    """Put the job VALUE into the queue NAME. VALUE `-`: what comes on standard input."""
    raw = sys.stdin.buffer.read() if value == "-" else value.encode()

    async def story(signals: Signals) -> int:
        async with service.client() as client:
            await client.queue(name, bytes).put(raw, priority=priority, delay=delay)
        return 0

    play(story)


@command.command()
@click.argument("name")
@with_service
def count(name: str, service: Service) -> None:
    """Print how many jobs of the queue NAME are not done."""

    async def story(signals: Signals) -> int:
        async with service.client() as client:
            click.echo(await client.queue(name, bytes).count())
        return 0

    play(story)


async def taken(queue: Queue[bytes], timeout_s: float | None) -> Job[bytes]:
    """Raises AcquireTimeout; with 0 seconds there is one at once or none."""
    if timeout_s is None or timeout_s > 0:
        return await queue.take(timeout_s)
    job = await queue.try_take()
    if job is None:
        raise AcquireTimeout(f"there is no job in {queue.name}")
    return job


class Worker:
    def __init__(self, guarded: Guarded, pause_s: float, warden: Warden, signals: Signals) -> None:
        self._guarded = guarded
        self._pause_s = pause_s
        self._warden = warden
        self._signals = signals

    async def do(self, job: Job[bytes]) -> int:
        """Raises JobLost, and what a backend does."""
        try:
            code = await run_while(job, self._guarded, self._warden, self._signals, job.raw)
        except OSError as error:
            click.echo(f"agreed: {self._guarded.words[0]}: {error.strerror}", err=True)
            code = NOT_EXECUTABLE
        if not code:
            await job.ack()
        elif self._signals.ending is not None:
            await job.release()
        else:
            await job.postpone(self._pause_s)
        return code

    async def work(self, client: Client, name: str, timeout_s: float | None) -> int:
        """Until a signal ends us, or nothing comes for so long."""
        queue = client.queue(name, bytes)
        while True:
            job = await taken(queue, timeout_s)
            try:
                code = await self.do(job)
            except JobLost as loss:
                code = 0
                with contextlib.suppress(AgreedError):
                    await job.release()  # its claim may live on with our session
                click.echo(f"agreed: {loss}; somebody else does it", err=True)
            if code:
                click.echo(f"agreed: the command ended with {code}; its job is tried again", err=True)
            if self._signals.ending is not None:
                return 128 + self._signals.ending
            await asyncio.sleep(0)


@command.command()
@click.argument("name")
@click.option("--once", is_flag=True, help="One job; ends as its command does.")
@click.option(
    "--pause",
    "pause_s",
    type=click.FloatRange(min=0),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="For so long nobody has a job whose command failed.",
)
@with_service
@with_command
def work(
    name: str, once: bool, pause_s: float, service: Service, guarded: Guarded, timeout_s: float | None
) -> None:
    """Run COMMAND for each job of the queue NAME, with the job on its standard input; write `--` before it.

    A job is done if COMMAND ends with 0. Ends when a signal comes, or with 75 if there was no job within the
    timeout.
    """
    cannot = guarded.cannot_start()
    if cannot is not None:
        click.get_current_context().exit(cannot)
    warden = Warden(guarded.grace_s)

    async def story(signals: Signals) -> int:
        worker = Worker(guarded, pause_s, warden, signals)
        async with service.client(timeout_s or None) as client:
            if once:
                return await worker.do(await taken(client.queue(name, bytes), timeout_s))
            return await worker.work(client, name, timeout_s)

    play(story)
