"""`agreed kv`: keys and values at a terminal, and in scripts.

    agreed kv put config/price 10
    agreed kv get config/price                      the bytes as they are; a line end more on a terminal
    agreed kv put config/price 11 --if-version 42   ends with 1 if it is at another version
    agreed kv list config

Keys are names between slashes, below the path of the URL.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable

import click
import msgspec

from agreed.backends.contract import Entry
from agreed.cli.as_json import as_json
from agreed.cli.exits import REFUSED
from agreed.cli.service import Service, Signals, play, with_service
from agreed.cli.table import draw
from agreed.recipes.kv import KeyValues


class Row(msgspec.Struct, frozen=True):
    """A key for people and for programs: `value` as text where it is text, else None and `base64`;
    `session`: with whom it goes, "" without one."""

    key: str
    version: int
    session: str
    value: str | None
    base64: bytes | None


def row(entry: Entry) -> Row:
    session = f"{entry.owner:x}" if entry.owner else ""
    try:
        return Row(entry.key, entry.version, session, entry.value.decode(), None)
    except UnicodeDecodeError:
        return Row(entry.key, entry.version, session, None, entry.value)


class Line(msgspec.Struct, frozen=True):
    """The same in a table."""

    key: str
    version: int
    session: str
    value: str


def line(entry: Entry) -> Line:
    told = row(entry)
    return Line(told.key, told.version, told.session, repr(told.base64) if told.value is None else told.value)


def ask(service: Service, question: Callable[[KeyValues], Awaitable[int]]) -> None:
    async def story(signals: Signals) -> int:
        async with service.client() as client:
            return await question(client.kv)

    play(story)


@click.group("kv")
def command() -> None:
    """Read and write keys."""


@command.command()
@click.argument("key")
@with_service
@click.option("--json", "in_json", is_flag=True, help="For programs: with its version and its session.")
def get(key: str, service: Service, in_json: bool) -> None:
    """Print the value of KEY; ends with 1 if it is not there."""

    async def question(kv: KeyValues) -> int:
        entry = await kv.get(key)
        if entry is None:
            click.echo(f"agreed: {key} is not there", err=True)
            return REFUSED
        if in_json:
            click.echo(as_json(row(entry)))
        else:
            click.echo(entry.value, nl=sys.stdout.isatty())
        return 0

    ask(service, question)


@command.command()
@click.argument("key")
@click.argument("value")
@with_service
@click.option("--if-absent", is_flag=True, help="Only if it is not there; else ends with 1.")
@click.option("--if-version", type=int, metavar="VERSION", help="Only at this version; else ends with 1.")
def put(key: str, value: str, service: Service, if_absent: bool, if_version: int | None) -> None:
    """Make or change KEY, and print its version. VALUE `-`: what comes on standard input."""
    if if_absent and if_version is not None:
        raise click.UsageError("what is absent has no version")
    raw = sys.stdin.buffer.read() if value == "-" else value.encode()

    async def question(kv: KeyValues) -> int:
        click.echo(await kv.put(key, raw, if_absent=if_absent, if_version=if_version))
        return 0

    ask(service, question)


@command.command()
@click.argument("key")
@with_service
@click.option("--if-version", type=int, metavar="VERSION", help="Only at this version; else ends with 1.")
def delete(key: str, service: Service, if_version: int | None) -> None:
    """Delete KEY, if it is there."""

    async def question(kv: KeyValues) -> int:
        await kv.delete(key, if_version=if_version)
        return 0

    ask(service, question)


@command.command("list")
@click.argument("directory", default="")
@with_service
@click.option("--names", is_flag=True, help="Names alone, also those that only have keys below them.")
@click.option("--json", "in_json", is_flag=True, help="For programs.")
def list_(directory: str, service: Service, names: bool, in_json: bool) -> None:
    """List the keys directly below DIRECTORY, with their values."""

    async def question(kv: KeyValues) -> int:
        if names:
            found = await kv.names(directory)
            click.echo(as_json(found) if in_json else "\n".join(found), nl=bool(found) or in_json)
            return 0
        entries = await kv.list(directory)
        if in_json:
            click.echo(as_json([row(entry) for entry in entries]))
        else:
            draw([line(entry) for entry in entries], Line)
        return 0

    ask(service, question)
