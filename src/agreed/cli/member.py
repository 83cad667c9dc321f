"""`agreed member`: change who belongs to the cluster, one member at a time.

Each of these ends when the change is agreed and in force, or says why it was refused.  A new member is added
as a learner: it receives the log and does not count.  Promoted too early, it would count without knowing
anything, and a cluster of three with one dead node could not agree on anything until it had caught up; so
promotion is refused while it lags.
"""
from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import click

from agreed.cli.operator import addresses_of, change
from agreed.cli.peer_tls import with_peer_tls
from agreed.wire.peer.messages import (
    MemberAdd,
    MemberPromote,
    MemberRemove,
    MemberReplace,
    OperatorRequest,
)


def asking(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command that asks the cluster for a change."""
    node = click.option(
        "--node",
        "nodes",
        default="127.0.0.1:7421",
        show_default=True,
        metavar="HOST:PORT[,...]",
        help="Any members, by the address of their peer port; the leader is found from there.",
    )
    timeout = click.option(
        "--timeout", "timeout_s", default=30.0, show_default=True, help="How many seconds to wait."
    )
    return node(timeout(with_peer_tls(function)))


@click.group("member")
def command() -> None:
    """Add, promote, remove or replace members.

    To grow: start the node with --join, `add` it, `promote` it once it has caught up.
    After a lost disk: start it empty under its old name with --join, and `replace` it.
    """


def _do(
    nodes: str, request: OperatorRequest, timeout_s: float, tls: ssl.SSLContext | None, done: str
) -> None:
    change(addresses_of(nodes), request, timeout_s, tls)
    click.echo(done)


@command.command()
@click.argument("name")
@asking
def add(name: str, nodes: str, timeout_s: float, tls: ssl.SSLContext | None) -> None:
    """Add NAME as a learner; it must be running with --join."""
    _do(nodes, MemberAdd(name), timeout_s, tls, f"{name} receives the log; promote it once it has caught up")


@command.command()
@click.argument("name")
@asking
def promote(name: str, nodes: str, timeout_s: float, tls: ssl.SSLContext | None) -> None:
    """Let the learner NAME vote, once it has caught up."""
    _do(nodes, MemberPromote(name), timeout_s, tls, f"{name} votes")


@command.command()
@click.argument("name")
@asking
def remove(name: str, nodes: str, timeout_s: float, tls: ssl.SSLContext | None) -> None:
    """Remove NAME; stop it afterwards."""
    _do(nodes, MemberRemove(name), timeout_s, tls, f"{name} is no member any more; stop it")


@command.command()
@click.argument("name")
@asking
def replace(name: str, nodes: str, timeout_s: float, tls: ssl.SSLContext | None) -> None:
    """Accept NAME with a new, empty data directory in place of its lost one."""
    _do(nodes, MemberReplace(name), timeout_s, tls, f"{name} is a member with its new data directory")
