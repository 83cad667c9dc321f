"""What the commands for users of a service share: its URL, a client of it, and the signals that end us.

@click.command("elect")
@with_service
def command(service: Service, ...) -> None:
    play(lambda signals: ...)
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, Protocol

import click
import msgspec

from agreed.coordination.client import Client, connect
from agreed.coordination.schemes import ENVIRONMENT
from agreed.errors import AgreedError, ConfigurationError

CONNECT_WITHIN_S: Final = 15.0

LEAVE_WITHIN_S: Final = 3.0
"""What a client gives back when it goes; a service that does not answer finds out by itself, after `ttl`."""

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
"""Who sends one of these does not want us to begin anything anew."""

PASSED_ON: Final = (*ENDING, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class Service(msgspec.Struct, frozen=True):
    url: str | None
    ttl_s: float

    @contextlib.asynccontextmanager
    async def client(self, timeout_s: float | None = None) -> AsyncIterator[Client]:
        """A client, connected within so many seconds.  Raises as `connect`, and ConfigurationError for a
        service that other processes do not share."""
        within_s = CONNECT_WITHIN_S if timeout_s is None else min(timeout_s, CONNECT_WITHIN_S)
        client = await connect(self.url, ttl=self.ttl_s, connect_timeout=within_s)
        try:
            if not client.capabilities.shared:
                raise ConfigurationError(
                    f"{client.capabilities.name} lives in one process, and ends with this command: nobody "
                    f"else would see what is done there"
                )
            yield client
        finally:
            with contextlib.suppress(TimeoutError, AgreedError):
                async with asyncio.timeout(LEAVE_WITHIN_S):
                    await client.close()


def with_service(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options by which a service is found; the command is given them as `service`."""

    @click.option(
        "--url",
        envvar=ENVIRONMENT,
        show_envvar=True,
        metavar="URL",
        help="The service: agreed://HOST:PORT,..., zk://..., etcd://... (+tls for TLS), file:///PATH.",
    )
    @click.option(
        "--ttl",
        "ttl_s",
        type=click.FloatRange(min=0, min_open=True),
        default=10.0,
        show_default=True,
        metavar="SECONDS",
        help="How long the service keeps what this command holds without hearing from it.",
    )
    @functools.wraps(function)
    def given(*arguments: Any, url: str | None, ttl_s: float, **named: Any) -> Any:
        return function(*arguments, service=Service(url, ttl_s), **named)

    return given


# --- signals -----------------------------------------------------------------------------------------------


class Receiver(Protocol):
    def signal(self, number: int) -> None: ...


class Signals:
    """Go to the command that runs, and end us where none does."""

    def __init__(self) -> None:
        self.receiver: Receiver | None = None
        self.ending: int | None = None
        """The newest of those that are to end us."""
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        loop = asyncio.get_running_loop()
        for number in PASSED_ON:
            loop.add_signal_handler(number, self._came, number)

    def _came(self, number: int) -> None:
        if number in ENDING or (number == signal.SIGHUP and self.receiver is None):
            self.ending = number
        if self.receiver is not None:
            self.receiver.signal(number)
        elif self.ending is not None:
            self._task.cancel()


def play(story: Callable[[Signals], Awaitable[int]]) -> None:
    """Run it on an event loop, and leave with the code that it returns; 128 and its number for a signal that
    came while no command ran."""

    async def told() -> int:
        signals = Signals()
        try:
            return await story(signals)
        except asyncio.CancelledError:
            if signals.ending is None:
                raise
            return 128 + signals.ending

    click.get_current_context().exit(asyncio.run(told()))
