"""`agreed status`: every node as it sees itself, side by side, where differences catch the eye.

One node is enough to ask: it names the others.  A node that does not answer has a row too, with the reason.
`lag` is how many entries of the log a node has yet to apply, against the highest commit index among them.
"""

from __future__ import annotations

import ssl
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import click
import msgspec

from agreed.cli.as_json import as_json
from agreed.cli.exits import NO_ANSWER, REFUSED
from agreed.cli.operator import NoAnswer, addresses_of, status
from agreed.cli.peer_tls import with_peer_tls
from agreed.cli.table import Column, draw_cells
from agreed.wire.peer.messages import StatusReply


class Row(msgspec.Struct):
    """One line of the table; `status` None: `problem` says why there is no answer."""

    name: str
    address: str
    vote: str
    status: StatusReply | None
    problem: str | None
    lag: int | None = None


def survey(addresses: list[str], timeout_s: float, tls: ssl.SSLContext | None = None) -> list[Row]:
    """Ask these nodes, and all members of which they tell; in the order of the names."""
    rows: dict[str, Row] = {}
    to_ask = deque(addresses)
    named: dict[str, tuple[str, str]] = {}
    with ThreadPoolExecutor(max_workers=8) as pool:
        while to_ask:
            asked = [address for address in dict.fromkeys(to_ask) if address not in rows]
            to_ask.clear()
            answers = pool.map(lambda address: _ask(address, timeout_s, tls), asked)
            for address, answer in zip(asked, answers, strict=True):
                rows[address] = answer
                if answer.status is not None:
                    for name, its_address, vote in _members(answer.status):
                        named[its_address] = (name, vote)
                        to_ask.append(its_address)
    highest = max((row.status.commit_index for row in rows.values() if row.status), default=0)
    for row in rows.values():
        row.name, row.vote = named.get(row.address, (row.name, row.vote))
        if row.status is not None:
            row.lag = highest - row.status.applied_index
    return _without_doubles(rows)


def _ask(address: str, timeout_s: float, tls: ssl.SSLContext | None) -> Row:
    try:
        reply = status(address, timeout_s, tls)
    except NoAnswer as error:
        return Row("?", address, "", None, str(error).removeprefix(f"{address}: "))
    return Row(reply.name, address, "", reply, reply.problem)


def _members(reply: StatusReply) -> list[tuple[str, str, str]]:
    members = reply.members
    found = [(each.name, each.address, "learner") for each in members.learners]
    found += [(each.name, each.address, "leaving") for each in members.outgoing]
    return found + [(each.name, each.address, "voter") for each in members.voters]


def _without_doubles(rows: dict[str, Row]) -> list[Row]:
    """One node may have been asked at two addresses (localhost and 127.0.0.1): keep one row of it."""
    kept: dict[int | str, Row] = {}
    for row in rows.values():
        key = row.address if row.status is None else row.status.identity
        if key not in kept or row.vote:
            kept[key] = row
    return sorted(kept.values(), key=lambda row: (row.name, row.address))


def span(milliseconds: int) -> str:
    """A time in the two largest of its units: 3d 4h, 5m 6s, 7.8s."""
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if minutes < 60:
        return f"{minutes}m {int(seconds % 60)}s"
    return f"{hours}h {minutes % 60}m" if hours < 24 else f"{days}d {hours % 24}h"


def _cells(row: Row) -> list[str]:
    it = row.status
    if it is None:
        return [row.name, row.address, row.vote, "no answer", *[""] * 8, row.problem or ""]
    return [
        row.name,
        row.address,
        row.vote,
        it.role,
        str(it.term),
        str(it.commit_index),
        str(row.lag),
        f"{it.revision:#x}",
        str(it.keys),
        str(it.sessions),
        f"{it.resident_bytes / 2**20:.0f} MiB",
        span(it.uptime_ms),
        row.problem or "",
    ]


WORDS = ("node", "address", "vote", "role")
NUMBERS = ("term", "commit", "lag", "zxid", "keys", "sessions", "memory", "up")


def draw(rows: list[Row]) -> None:
    """The table on standard output; in colour where that is a terminal."""
    columns = [
        *(Column(heading) for heading in WORDS),
        *(Column(heading, right=True) for heading in NUMBERS),
        Column("problem"),
    ]
    colours = ["red" if row.problem else "green" if row.status and row.status.leads else None for row in rows]
    draw_cells(columns, [_cells(row) for row in rows], colours)


@click.command("status")
@click.option(
    "--node",
    "nodes",
    default="127.0.0.1:7421",
    show_default=True,
    metavar="HOST:PORT[,...]",
    help="Any members, by the address of their peer port; they name the others.",
)
@click.option("--timeout", "timeout_s", default=2.0, show_default=True, help="Seconds to wait for a node.")
@click.option("--json", "in_json", is_flag=True, help="For programs: everything the nodes say, as JSON.")
@with_peer_tls
def command(nodes: str, timeout_s: float, in_json: bool, tls: ssl.SSLContext | None) -> None:
    """What the nodes of a cluster say of themselves.

    Ends with 0 if all is well, 1 if a node has a problem or does not answer, 3 if none answers.
    """
    rows = survey(addresses_of(nodes), timeout_s, tls)
    if in_json:
        click.echo(as_json(rows))
    else:
        draw(rows)
    if all(row.status is None for row in rows):
        click.get_current_context().exit(NO_ANSWER)
    click.get_current_context().exit(REFUSED if any(row.problem for row in rows) else 0)
