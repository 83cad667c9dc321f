"""`agreed elect NAME`: who leads, who would follow; once, or whenever it changes.

It only looks, and stands for nothing: that is `agreed run`.
"""

from __future__ import annotations

import click
import msgspec

from agreed.cli.as_json import as_json
from agreed.cli.exits import REFUSED
from agreed.cli.service import Service, Signals, play, with_service
from agreed.cli.table import draw
from agreed.coordination.client import Client
from agreed.recipes.obtaining import Holder


class Candidate(msgspec.Struct, frozen=True):
    """A row of the table; `token` 0 for those who do not lead."""

    value: str
    role: str
    token: int
    session: str
    key: str


def candidates(holders: list[Holder]) -> list[Candidate]:
    return [
        Candidate(
            holder.value.decode("utf-8", "replace"),
            "waits" if index else "leads",
            0 if index else holder.token,
            f"{holder.session:x}",
            holder.key,
        )
        for index, holder in enumerate(holders)
    ]


@click.command("elect")
@click.argument("name")
@with_service
@click.option("--follow", is_flag=True, help="Tell each leader, and that there is none, until Ctrl-C.")
@click.option("--json", "in_json", is_flag=True, help="For programs; with --follow one line for each change.")
def command(name: str, service: Service, follow: bool, in_json: bool) -> None:
    """Who leads the election NAME, and who waits to.

    Also of a lock: its holder, and who waits for it. Ends with 0 if somebody leads, 1 if nobody does.
    """

    async def look(client: Client) -> int:
        rows = candidates(await client.election(name).candidates())
        if in_json:
            click.echo(as_json(rows))
        else:
            draw(rows, Candidate)
        return 0 if rows else REFUSED

    async def keep_looking(client: Client) -> int:
        async with client.election(name).follow() as leaders:
            async for leader in leaders:
                found = candidates([] if leader is None else [leader])
                if in_json:
                    click.echo(msgspec.json.encode(found[0] if found else None))
                else:
                    click.echo(f"{found[0].value} leads, token {found[0].token}" if found else "nobody leads")
        return 0

    async def story(signals: Signals) -> int:
        async with service.client() as client:
            return await (keep_looking(client) if follow else look(client))

    play(story)
