"""What a transaction over two databases costs: `agreed.atomic` beside two local commits.

    python -m bench.atomic [--seconds 5] [--rounds 3] [--publish]

On two PostgreSQL servers and a cluster of three nodes, all with their syncs on, in one run:

    local        each database commits for itself, one after the other, as one does without a coordinator;
                 a crash between the two commits leaves one half
    two-phase    prepare on both, the decision into a file with fsync, commit on both; while its coordinator
                 is away, nobody can finish it
    agreed       `agreed.atomic`: the decision is replicated, and recovery finishes what is left

The transaction is the same for all: in each database one account changed and one row written.  Each client
is a process of its own with its own two connections, and has one transaction at a time.  The ways take turns
in every round; a figure is the median of the rounds.
"""
from __future__ import annotations

import contextlib
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.pool import Pool
from pathlib import Path
from random import Random

import click
import msgspec
import psycopg
from tests.transactions.bank_money import CHANGE, DATABASES, ROW, found
from tests.transactions.bank_plain import PlainCoordinator
from tests.transactions.postgresql import PostgreSQL

import agreed
from agreed.torture.processes import NotServing
from bench import report
from bench.cluster import Cluster
from bench.compare import to_terminal
from bench.machine import Machine, describe
from bench.systems import Agreed

ACCOUNTS = 500
WARM_UP_S = 1.5
"""Connecting is a part of it."""
CLIENTS = (1, 8)

Connections = Mapping[str, psycopg.Connection]
Way = Callable[[Connections, Random], None]
"""One transaction."""


class Order(msgspec.Struct, frozen=True):
    """To one client.  `begin` on the clock of `time.monotonic`, the same for all who measure together."""

    way: str
    number: int
    begin: float
    seconds: float
    dsns: dict[str, str]
    cluster: str
    directory: str


class Measured(msgspec.Struct, frozen=True):
    """One way with so many clients in one round."""

    way: str
    clients: int
    throughput: float
    p50_us: float
    p99_us: float


class Overhead(msgspec.Struct, frozen=True):
    taken: str
    machine: Machine
    versions: dict[str, str]
    rounds: int
    seconds: float
    measured: list[Measured]


# --- the three ways ---------------------------------------------------------------------------------------


def change(connections: Connections, dice: Random) -> None:
    """What every transaction does."""
    name, amount = f"{dice.getrandbits(128):032x}", dice.choice((1, -1))
    for connection in connections.values():
        connection.execute(CHANGE, [amount, dice.randrange(ACCOUNTS)])
        connection.execute(ROW, [name, 0, amount])


def local(_: Order) -> Way:
    def transaction(connections: Connections, dice: Random) -> None:
        change(connections, dice)
        for connection in connections.values():
            connection.commit()

    return transaction


def two_phase(order: Order) -> Way:
    log = Path(order.directory) / f"log-of-decisions-{time.monotonic_ns()}-{order.number}"
    coordinator = PlainCoordinator(f"client-{order.number}", log)

    def transaction(connections: Connections, dice: Random) -> None:
        coordinator.run(connections, lambda _, at: change(at, dice))

    return transaction


def replicated(order: Order) -> Way:
    def transaction(connections: Connections, dice: Random) -> None:
        with agreed.atomic(order.cluster, timeout_s=10.0, **connections):
            change(connections, dice)

    return transaction


WAYS: Mapping[str, Callable[[Order], Way]] = {"local": local, "two-phase": two_phase, "agreed": replicated}


# --- measuring --------------------------------------------------------------------------------------------


def client(order: Order) -> list[float]:
    """In a process of its own: how long each transaction took, in µs."""
    dice = Random(f"{order.way} {order.number} {time.monotonic_ns()}")
    transaction = WAYS[order.way](order)
    with contextlib.ExitStack() as opened:
        connections = {
            name: opened.enter_context(contextlib.closing(psycopg.connect(dsn)))
            for name, dsn in order.dsns.items()
        }
        _until(order.begin, transaction, connections, dice)
        return _until(order.begin + order.seconds, transaction, connections, dice)


def _until(end: float, transaction: Way, connections: Connections, dice: Random) -> list[float]:
    took_us: list[float] = []
    now = time.monotonic()
    while now < end:
        transaction(connections, dice)
        before, now = now, time.monotonic()
        took_us.append((now - before) * 1e6)
    return took_us


def measure_one(pool: Pool, orders: Sequence[Order]) -> Measured:
    """`pool` has as many processes as there are orders, or more, and they wait for work."""
    took_us = pool.map(client, orders, chunksize=1)
    every = sorted(each for client_us in took_us for each in client_us)
    throughput = sum(len(client_us) / (sum(client_us) / 1e6) for client_us in took_us)
    p50_us, p99_us = (percentile(every, share) for share in (0.50, 0.99))
    return Measured(orders[0].way, len(orders), throughput, p50_us, p99_us)


def percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def measure(seconds: float, rounds: int, below: Path) -> Overhead:
    measured: list[Measured] = []
    with contextlib.ExitStack() as opened:
        directory = opened.enter_context(tempfile.TemporaryDirectory(prefix="bench-atomic-", dir=below))
        servers = {name: opened.enter_context(PostgreSQL()) for name in DATABASES}
        cluster = opened.enter_context(Cluster(Agreed(), below))
        dsns = {name: server.dsn for name, server in servers.items()}
        for dsn in dsns.values():
            found(dsn, ACCOUNTS)
        pool = opened.enter_context(multiprocessing.get_context("spawn").Pool(max(CLIENTS)))
        pool.map(time.sleep, [0.5] * max(CLIENTS), chunksize=1)  # each of them has started
        url = f"agreed://{','.join(cluster.addresses())}"
        for number in range(rounds):
            for way in list(WAYS)[number % len(WAYS) :] + list(WAYS)[: number % len(WAYS)]:
                for clients in CLIENTS:
                    begin = time.monotonic() + WARM_UP_S
                    orders = [
                        Order(way, each, begin, seconds, dsns, url, directory) for each in range(clients)
                    ]
                    measured.append(measure_one(pool, orders))
                    to_terminal(f"round {number + 1}: {as_line(measured[-1])}")
        with psycopg.connect(dsns[DATABASES[0]]) as connection:
            (postgresql,) = connection.execute("SHOW server_version").fetchone() or ("",)
        versions = {"agreed": Agreed().version(), "PostgreSQL": postgresql, "psycopg": psycopg.__version__}
        return Overhead(report.now(), describe(below), versions, rounds, seconds, measured)


def as_line(each: Measured) -> str:
    times = f"p50 {each.p50_us / 1000:.2f} ms, p99 {each.p99_us / 1000:.2f} ms"
    return f"{each.way}, {each.clients} clients: {each.throughput:.0f}/s, {times}"


def as_text(result: Overhead) -> str:
    machine = result.machine
    head = [
        f"Taken {result.taken} on {machine.processors} x {machine.processor}, Linux {machine.kernel},",
        f"{machine.file_system}; an append of 4 KiB with fdatasync takes {machine.sync_us:.0f} µs there.",
        *(f"{name}: {version}." for name, version in result.versions.items()),
        f"{result.rounds} rounds of {result.seconds:g} s a case; medians of the rounds.",
    ]

    def middle(way: str, clients: int, figure: str) -> float:
        of = [each for each in result.measured if (each.way, each.clients) == (way, clients)]
        found: float = statistics.median(getattr(each, figure) for each in of)
        return found

    rows = []
    for clients in CLIENTS:
        for way in WAYS:
            throughput, p50_us, p99_us = (
                middle(way, clients, figure) for figure in ("throughput", "p50_us", "p99_us")
            )
            ratio = p50_us / middle("local", clients, "p50_us")
            share = throughput / middle("local", clients, "throughput")
            times = [f"{p50_us / 1000:.2f}", f"{p99_us / 1000:.2f}", f"{ratio:.2f}x"]
            rows.append([f"{way}, {clients} at once", f"{throughput:,.0f}", f"{share:.2f}x", *times])
    heads = ["way, clients", "transactions /s", "beside local", "p50 ms", "p99 ms", "p50 beside local"]
    return "\n".join(head) + "\n\n" + report.table(heads, rows)


@click.command()
@click.option("--seconds", type=click.FloatRange(0.5, 120), default=5.0, show_default=True)
@click.option("--rounds", type=click.IntRange(1, 20), default=3, show_default=True)
@click.option(
    "--directory",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Where the nodes keep their data; default: the directory for temporary files.",
)
@click.option("--publish", is_flag=True, help="Write the table into docs/benchmarks.md.")
def main(seconds: float, rounds: int, directory: Path | None, publish: bool) -> None:
    """Transactions over two databases beside two local commits.

    Exit status: 0, 2 if it could not be measured.
    """
    with report.or_cannot_measure(NotServing):
        result = measure(seconds, rounds, directory or Path(tempfile.gettempdir()))
    report.deliver("atomic", result, as_text(result), published=publish)


if __name__ == "__main__":
    main()
