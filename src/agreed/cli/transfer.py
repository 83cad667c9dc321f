"""`agreed transfer-leader`: a change of leader without the pause of an election timeout."""
from __future__ import annotations

import ssl

import click

from agreed.cli.member import asking
from agreed.cli.operator import addresses_of, change
from agreed.wire.peer.messages import LeadershipTransfer


@click.command("transfer-leader")
@click.argument("target", required=False)
@asking
def command(target: str | None, nodes: str, timeout_s: float, tls: ssl.SSLContext | None) -> None:
    """Hand leadership to TARGET, or to the follower that knows most."""
    change(addresses_of(nodes), LeadershipTransfer(target), timeout_s, tls)
    click.echo(f"{target or 'another node'} leads; see `agreed status`")
