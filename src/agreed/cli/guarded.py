"""A command that runs while something is held, and not longer.

    code = await run_while(grant, Guarded(words, name, grace_s), warden, signals)       raises Lost

It starts when the grant is certain.  When the grant is lost it is ended, with all that it has started; it
outlives the grant by its grace at most, whatever becomes of this process (`warden.py`).  The grant is given
back when nobody of it is left.  It finds its fencing token in `AGREED_TOKEN`, and the name in
`AGREED_LOCK_NAME`.
"""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import subprocess
from collections.abc import Callable
from typing import Any, Final

import click
import msgspec

from agreed.backends.contract import Layout
from agreed.cli.child import Child
from agreed.cli.exits import NOT_EXECUTABLE, NOT_FOUND
from agreed.cli.service import Signals
from agreed.cli.warden import Warden
from agreed.client.driver import seconds
from agreed.recipes.grant import Grant

TOKEN: Final = "AGREED_TOKEN"
NAME: Final = "AGREED_LOCK_NAME"

VOUCH_EVERY_S: Final = 0.25


class Guarded(msgspec.Struct, frozen=True):
    """What is to run, and for how long after the loss."""

    words: tuple[str, ...]
    grace_s: float

    def cannot_start(self) -> int | None:
        """The exit code of a shell for a command that is not there: better said now than after an hour of
        waiting."""
        if shutil.which(self.words[0]) is not None:
            return None
        there = os.path.exists(self.words[0]) and os.sep in self.words[0]
        click.echo(f"agreed: {self.words[0]}: {'cannot be run' if there else 'not found'}", err=True)
        return NOT_EXECUTABLE if there else NOT_FOUND


class Vouching:
    """Tells the warden until when the grant is certain."""

    def __init__(self, grant: Grant, warden: Warden) -> None:
        self._grant = grant
        self._warden = warden
        self._until = seconds() + grant.remaining()

    def born(self, group: int) -> None:
        """What the new process says of itself."""
        self._warden.vouch(group, self._until)

    def tell(self, group: int) -> None:
        """If the time that was told last is over, this process stood still, and the warden has ended the
        command: then it is lost, though the session may have lived on."""
        if self._grant.held and seconds() >= self._until:
            self._grant.lose("this process stood still for too long")
        if self._grant.held:
            self._until = seconds() + self._grant.remaining()
            self._warden.vouch(group, self._until)

    async def go_on(self, group: int) -> None:
        while True:
            self.tell(group)
            await asyncio.sleep(VOUCH_EVERY_S)


async def run_while(
    grant: Grant, guarded: Guarded, warden: Warden, signals: Signals, given: bytes | None = None
) -> int:
    """The exit code of the command.  Raises what `Grant.check` does if it was lost, WardenGone, and OSError
    where the command cannot be started.  `given` comes on its standard input, else it has ours.  The grant is
    not given back here."""
    environment = {**os.environ, TOKEN: str(grant.token), NAME: grant.name}
    grant.check()
    vouching = Vouching(grant, warden)
    try:
        child = await Child.start(guarded.words, environment, given, vouching.born)
    except (OSError, subprocess.SubprocessError):
        warden.settle()
        raise
    signals.receiver = child
    ended = asyncio.create_task(child.ended())
    others = [asyncio.create_task(vouching.go_on(child.group)), asyncio.create_task(grant.wait_lost())]
    try:
        done, _ = await asyncio.wait([ended, *others], return_when=asyncio.FIRST_COMPLETED)
        if ended in done:
            vouching.tell(child.group)
        elif others[0] in done:
            others[0].result()
    finally:
        for task in others:
            task.cancel()
        await child.end(guarded.grace_s)
        signals.receiver = None
        warden.settle()
    if grant.lost:
        raise grant.loss()
    return await ended


def with_command(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of those who run a command; they are given `guarded` and `timeout_s`."""

    @click.option(
        "--timeout",
        "timeout_s",
        type=click.FloatRange(min=0),
        metavar="SECONDS",
        help="How long to wait; 0: only if it can be had at once. [default: as long as it takes]",
    )
    @click.option(
        "--grace",
        "grace_s",
        type=click.FloatRange(min=0),
        default=5.0,
        show_default=True,
        metavar="SECONDS",
        help="How long COMMAND has between SIGTERM and SIGKILL once it is to end.",
    )
    @click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
    @functools.wraps(function)
    def given(*arguments: Any, command: tuple[str, ...], grace_s: float, **named: Any) -> Any:
        return function(*arguments, guarded=Guarded(command, grace_s), **named)

    return given


def with_place(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of those who stand in a line; they are given `value` and `layout`."""

    @click.option("--value", metavar="TEXT", help="What others see of the holder. [default: host:process]")
    @click.option(
        "--layout",
        type=click.Choice([each.value for each in Layout]),
        default=Layout.KAZOO.value,
        show_default=True,
        help="On ZooKeeper: whose users it excludes.",
    )
    @functools.wraps(function)
    def given(*arguments: Any, value: str | None, layout: str, **named: Any) -> Any:
        raw = None if value is None else value.encode()
        return function(*arguments, value=raw, layout=Layout(layout), **named)

    return given
