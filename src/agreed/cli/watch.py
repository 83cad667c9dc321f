"""`agreed watch KEY`: what is there, then what becomes of it, a line for each, until Ctrl-C.

    agreed watch config/price               the newest state whenever it is another; not each in between
    agreed watch --below config             of all that is directly below
    agreed watch --every --below config     every change, in order, from now on (or behind --since)

Every change is only known where the service keeps its history (etcd, and clusters of ours by etcd's
protocol); elsewhere `--every` is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

import click
import msgspec

from agreed.backends.contract import Entry, EventKind
from agreed.cli.kv import row
from agreed.cli.service import Service, Signals, play, with_service
from agreed.recipes.kv import KeyValues


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line: `kind` put, deleted or gap (some changes are not known any more: look again).  `version` of a
    put, `revision` with `--every`; `value` or `base64` as in `agreed kv get --json`."""

    kind: str
    key: str = ""
    version: int | None = None
    revision: int | None = None
    value: str | None = None
    base64: bytes | None = None


def put(entry: Entry, revision: int | None = None) -> Told:
    said = row(entry)
    return Told(EventKind.PUT.value, said.key, said.version, revision, said.value, said.base64)


def differences(before: Sequence[Entry], now: Sequence[Entry]) -> list[Told]:
    """What has happened at least, between two states."""
    old = {entry.key: entry for entry in before}
    new = {entry.key for entry in now}
    gone = [Told(EventKind.DELETED.value, key) for key in old if key not in new]
    return gone + [put(entry) for entry in now if old.get(entry.key) != entry]


def say(told: Told, in_json: bool) -> None:
    if in_json:
        click.echo(msgspec.json.encode(told))
        return
    value = told.value if told.base64 is None else repr(told.base64)
    click.echo(" ".join(word for word in (told.kind, told.key, value) if word))


async def newest(kv: KeyValues, key: str, below: bool, in_json: bool) -> None:
    before: Sequence[Entry] = ()
    if below:
        async with kv.follow_list(key) as states:
            async for entries in states:
                for told in differences(before, entries):
                    say(told, in_json)
                before = entries
    else:
        async with kv.follow(key) as single:
            async for entry in single:
                now = [] if entry is None else [entry]
                for told in differences(before, now):
                    say(told, in_json)
                before = now


async def every(kv: KeyValues, key: str, below: bool, since: int | None, in_json: bool) -> None:
    async with kv.watch(key, below=below, since=since) as events:
        async for event in events:
            if event.kind is EventKind.PUT and event.entry is not None:
                say(put(event.entry, event.revision), in_json)
            else:
                key_of = "" if event.entry is None else event.entry.key
                say(Told(event.kind.value, key_of, revision=event.revision), in_json)


@click.command("watch")
@click.argument("key")
@with_service
@click.option("--below", is_flag=True, help="All that is below KEY (without --every: directly below).")
@click.option("--every", "in_order", is_flag=True, help="Every change, in order.")
@click.option("--since", type=int, metavar="REVISION", help="With --every: those behind this revision.")
@click.option("--json", "in_json", is_flag=True, help="For programs: one object a line.")
def command(
    key: str, service: Service, below: bool, in_order: bool, since: int | None, in_json: bool
) -> None:
    """Tell what becomes of KEY, until Ctrl-C."""
    if since is not None and not in_order:
        raise click.UsageError("--since goes with --every: a newest state has no past")

    async def story(signals: Signals) -> int:
        async with service.client() as client:
            kv = client.kv
            if in_order:
                await every(kv, key, below, since, in_json)
            else:
                await newest(kv, key, below, in_json)
        return 0

    play(story)
