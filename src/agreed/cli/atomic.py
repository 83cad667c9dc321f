"""`agreed atomic`: the transactions over several databases that are under way, and what can be done there.

    agreed atomic list agreed://127.0.0.1:2181
    agreed atomic show agreed://127.0.0.1:2181 8c1f...
    agreed atomic resolve agreed://127.0.0.1:2181 8c1f... abort
    agreed atomic recover agreed://127.0.0.1:2181 --databases databases.toml

What lies here is decided or finished within seconds by the programs themselves or by recovery.  A person is
needed where recovery cannot reach a database, or may not finish what another user has prepared.
"""
from __future__ import annotations

import getpass
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any

import click
import msgspec

from agreed import client
from agreed.cli.as_json import as_json
from agreed.cli.exits import REFUSED
from agreed.transactions.databases import Database, load
from agreed.transactions.decisions import USUAL_TIMEOUT_S, Decisions
from agreed.transactions.errors import NotFinished, Refused
from agreed.transactions.operator import resolve as resolved
from agreed.transactions.records import Filed, Outcome, Record
from agreed.transactions.recovery import SESSION_S, Recovery
from agreed.transactions.work import run


class Listed(msgspec.Struct):
    """One transaction, as it is shown; `record` None: there is one, and it cannot be read."""

    id: str
    age_s: float | None
    record: Record | None


class Branch(msgspec.Struct):
    """A branch that is prepared in a database, whose transaction may be unknown here."""

    database: str
    name: str
    age_s: float | None
    ours: bool


class Listing(msgspec.Struct):
    cluster: str
    transactions: list[Listed]
    prepared: list[Branch]


@click.group("atomic")
def command() -> None:
    """Transactions over several databases: what is under way, and what is left of it.

    URL is that of a cluster, agreed://host:port,host:port/path, with the ports for clients.
    """


def asking(function: Callable[..., None]) -> Callable[..., None]:
    """A command with the URL of a cluster, which is given a session; what is refused ends with 1."""

    @click.argument("url")
    @click.option(
        "--timeout", "timeout_s", default=15.0, show_default=True, help="How many seconds to look for a node."
    )
    @wraps(function)
    def asked(url: str, timeout_s: float, **arguments: Any) -> None:
        with client.connect(url, connect_timeout_s=timeout_s) as session:
            try:
                function(session, **arguments)
            except Refused as error:
                click.echo(f"agreed: {error}", err=True)
                click.get_current_context().exit(REFUSED)

    return asked


databases_option = click.option(
    "--databases",
    "file",
    type=click.Path(path_type=Path),
    help='TOML file with the databases: orders = "postgresql://user:password@host/name".',
)
json_option = click.option("--json", "json", is_flag=True, help="For programs.")


@command.command("list")
@asking
@databases_option
@json_option
def list_(session: client.Session, file: Path | None, json: bool) -> None:
    """All transactions of which the cluster knows; with --databases, also what is prepared there."""
    listing = survey(session, load(file) if file else [])
    if json:
        click.echo(as_json(listing))
        return
    for each in listing.transactions:
        click.echo(f"{each.id}  {line(each)}")
    for branch in listing.prepared:
        age = "?" if branch.age_s is None else f"{branch.age_s:.0f} s"
        whose = "" if branch.ours else "  of another cluster"
        click.echo(f"prepared in {branch.database} for {age}: {branch.name}{whose}")
    if not listing.transactions and not listing.prepared:
        click.echo("nothing is under way")


def survey(session: client.Session, databases: list[Database]) -> Listing:
    deadline = time.monotonic() + USUAL_TIMEOUT_S
    decisions = Decisions(session)
    cluster = run(decisions.open(deadline))
    prepared = []
    for database in databases:
        try:
            found = database.prepared()
        except NotFinished as error:
            click.echo(f"agreed: {error}", err=True)
            continue
        prepared += [
            Branch(database.label, each.name.text, each.age_s, each.name.cluster == cluster) for each in found
        ]
    now_ms = run(decisions.now_ms(deadline))
    known = run(decisions.all(deadline))
    listed = [listed_of(name, filed, now_ms) for name, filed in known.items()]
    return Listing(cluster, sorted(listed, key=lambda each: -(each.age_s or 0)), prepared)


def listed_of(name: str, filed: Filed | None, now_ms: int) -> Listed:
    if filed is None:
        return Listed(name, None, None)
    return Listed(name, round(max(now_ms - filed.begun_ms, 0) / 1000, 3), filed.record)


def line(each: Listed) -> str:
    record = each.record
    if record is None:
        return "its record cannot be read"
    branches = ", ".join(branch.name for branch in record.branches) or "the cluster alone"
    return f"{record.state:<9}  {each.age_s:.1f} s  {branches}  begun by {record.coordinator}"


@command.command()
@asking
@click.argument("transaction")
@json_option
def show(session: client.Session, transaction: str, json: bool) -> None:
    """One of them, with its branches and who has decided."""
    deadline = time.monotonic() + USUAL_TIMEOUT_S
    decisions = Decisions(session)
    run(decisions.open(deadline))
    now_ms = run(decisions.now_ms(deadline))
    filed = run(decisions.filed(transaction, deadline))
    if filed is None:
        raise Refused(f"{transaction} is not known: it was finished and forgotten, or never begun")
    each, record = listed_of(transaction, filed, now_ms), filed.record
    if json:
        click.echo(as_json(each))
        return
    click.echo(f"{transaction}  {line(each)}")
    for branch in record.branches:
        vote = branch.vote.value if branch.vote else "no vote recorded"
        click.echo(f"    {branch.name}: {branch.database}, {vote}")
    if record.outcome is None:
        click.echo(f"    undecided; recovery aborts it {record.limit_s:g} s after its begin")
    else:
        click.echo(f"    {record.state} by {record.by}{': ' + record.reason if record.reason else ''}")


@command.command()
@asking
@click.argument("transaction")
@click.argument("outcome", type=click.Choice(["commit", "abort"]))
@databases_option
def resolve(session: client.Session, transaction: str, outcome: str, file: Path | None) -> None:
    """Decide an open transaction by hand.

    What is decided already is never changed.  `commit` needs --databases, and is refused unless every branch
    is seen to be prepared.  The branches are finished by recovery."""
    wish = Outcome.COMMITTED if outcome == "commit" else Outcome.ABORTED
    who = f"{getpass.getuser()} at {socket.gethostname()}"
    record = resolved(session, transaction, wish, who, load(file) if file else [])
    click.echo(f"{transaction} is {record.state}, decided by {record.by}")


def seconds(name: str, default: float, what: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(f"--{name}", f"{name}_s", default=default, show_default=True, help=f"Seconds {what}")


@command.command()
@click.argument("url")
@click.option("--databases", "file", type=click.Path(path_type=Path), required=True, help="As in `list`.")
@seconds("every", 1.0, "between two looks.")
@seconds("patience", 2.0, "for which what is decided is left to its program.")
@seconds("keep", 300.0, "for which the record of what was finished here is kept.")
@seconds("alert", 60.0, "after which a prepared branch is worth a line.")
@click.option("--once", is_flag=True, help="One look; ends with 1 if something is left.")
@json_option
def recover(
    url: str,
    file: Path,
    every_s: float,
    patience_s: float,
    keep_s: float,
    alert_s: float,
    once: bool,
    json: bool,
) -> None:
    """Finish what dead programs have begun, until interrupted.

    Any number of these, and of nodes with --atomic-databases, may run: one of them is active."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    recovery = Recovery(
        partial(client.connect, url, session_timeout_s=SESSION_S),
        load(file),
        every_s=every_s,
        patience_s=patience_s,
        keep_s=keep_s,
        alert_s=alert_s,
    )
    if once:
        try:
            report = recovery.round()
        finally:
            recovery.close()
        click.echo(as_json(report) if json else said(report.committed, report.rolled_back, report.waiting))
        click.get_current_context().exit(0 if report.quiet else REFUSED)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    recovery.run(stop)


def said(committed: int, rolled_back: int, waiting: int) -> str:
    return f"{committed} branches committed, {rolled_back} rolled back, {waiting} left"
