"""The bank under torture: 1,000 accounts in two PostgreSQL servers, and SIGKILL for all that takes part.

    python -m tests.transactions.bank --minutes 10               decisions in a cluster of ours
    python -m tests.transactions.bank --minutes 2 --plain        decisions on the disk of each coordinator

Eight client processes transfer money between the databases.  They, the databases and the nodes of the
cluster are killed at random (`bank_faults.py`) and come back.  All the while a judge looks at the databases
in turn (`bank_ledger.py` says what must hold at every single look), and knows what the clients were told.
At the end everything is healed: then every client commits again, nothing stays prepared, no lock is left,
and every decision can be forgotten, all within a bound.

With `--plain` the same load shows what blocking means: whatever the coordinator has prepared stays locked
until it is back, because nobody else can know what it decided.  The money is conserved there as well.
"""
from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import click
import psycopg

import agreed.client
from agreed.client.errors import ClientError
from agreed.torture.processes import NotServing
from agreed.transactions import names
from agreed.transactions.databases import database
from agreed.transactions.decisions import RECORDS
from agreed.transactions.recovery import Recovery
from tests.acceptance.cluster import Cluster
from tests.transactions import bank_plain
from tests.transactions.bank_client import TIMEOUT_S, ClientPlan
from tests.transactions.bank_faults import KINDS, Breakable, Faults, Pause
from tests.transactions.bank_ledger import COMMITTED, Ledger, Look
from tests.transactions.bank_money import DATABASES, FIRST_BALANCE, Observer, found
from tests.transactions.bank_process import ClientProcess, freeze, thaw
from tests.transactions.bank_report import Report
from tests.transactions.postgresql import PostgreSQL

LOOK_EVERY_S = 0.1
END_WITHIN_S = 75.0
"""A client that has been told to end may be waiting for an outcome (`DOUBT_S`)."""


@dataclass(frozen=True)
class Plan:
    """`kinds`: what breaks.  `between_s`: from one fault to the next; `away_s`: from a kill to the new start;
    `pause_s`: for how long one stands still.  `recovered_within_s`: once healed, the bound for what is
    prepared, locked, or on record."""

    seconds: float
    seed: int
    plain: bool = False
    consensus: str = "raft"
    accounts: int = 500
    clients: int = 8
    in_memory: bool = False
    kinds: tuple[str, ...] = KINDS
    between_s: tuple[float, float] = (0.5, 3.0)
    away_s: tuple[float, float] = (0.1, 3.0)
    pause_s: tuple[float, float] = (0.1, 2 * TIMEOUT_S)
    recovered_within_s: float = 30.0


class Bank:
    """A run.  The servers are there and serve."""

    def __init__(
        self, plan: Plan, directory: Path, databases: Mapping[str, PostgreSQL], cluster: Cluster | None
    ) -> None:
        self._plan = plan
        self._databases = databases
        self._cluster = cluster
        dice = Random(plan.seed)
        dsns = {name: server.dsn for name, server in databases.items()}
        for dsn in dsns.values():
            found(dsn, plan.accounts)
        self._clients = [
            ClientProcess(self._client_plan(f"client-{number}", dsns, directory, number), directory)
            for number in range(1, plan.clients + 1)
        ]
        read_name = bank_plain.transaction_of if cluster is None else transaction_of
        self._observers = {name: Observer(name, dsn, read_name) for name, dsn in dsns.items()}
        self._turn = 0
        self._ledger = Ledger(dict.fromkeys(DATABASES, FIRST_BALANCE * plan.accounts))
        nodes = cluster.nodes if cluster is not None else []
        victims: dict[str, Sequence[Breakable]] = {
            "coordinator": self._clients,
            "database": list(databases.values()),
            "node": nodes,
            "pause": [Pause(each.pause, each.resume) for each in self._clients]
            + [Pause(partial(freeze, each), partial(thaw, each)) for each in nodes],
        }
        victims = {kind: victims[kind] for kind in plan.kinds}
        away_s = {**dict.fromkeys(KINDS, plan.away_s), "pause": plan.pause_s}
        self._faults = Faults(victims, dice, plan.between_s, away_s)
        way = "a plain coordinator" if plan.plain else f"decisions in {plan.consensus}"
        self._report = Report(way, plan.seed, 0)
        self._committed_by: Counter[str] = Counter()
        self._wrong: list[str] = []
        self._began = time.monotonic()

    def _client_plan(self, name: str, dsns: dict[str, str], directory: Path, number: int) -> ClientPlan:
        return ClientPlan(
            name=name,
            dsns=dsns,
            accounts=self._plan.accounts,
            seed=self._plan.seed * 100 + number,
            told=str(directory / f"{name}.told"),
            cluster=f"agreed://{self._cluster.hosts}" if self._cluster is not None else "",
            own_log=str(directory / f"{name}.log-of-decisions"),
        )

    def run(self) -> Report:
        """Everything it has started is gone when this returns."""
        try:
            for client in self._clients:
                client.start()
            while time.monotonic() < self._began + self._plan.seconds:
                self._faults.step()
                self._watch()
            self._faults.heal()
            self._go_on()
            self._end_clients()
            self._close()
        finally:
            for client in self._clients:
                client.kill()
            for observer in self._observers.values():
                observer.close()
        return self._reported()

    # --- while it runs --------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Hear what the clients were told, then look at one database; they take turns."""
        due = time.monotonic() + LOOK_EVERY_S
        self._hear()
        observer = self._observers[DATABASES[self._turn % len(DATABASES)]]
        self._turn += 1
        with contextlib.suppress(psycopg.Error):  # it is away: nothing was seen, and nothing is judged
            self._judge(observer.look())
        time.sleep(max(0.0, due - time.monotonic()))

    def _judge(self, look: Look) -> None:
        self._ledger.look(look)
        self._report.locks.look(look.database, look.prepared, time.monotonic())

    def _hear(self) -> None:
        for client in self._clients:
            for told in client.told():
                self._ledger.told(told.transfer, told.outcome)
                self._report.told[told.outcome] += 1
                if told.outcome == COMMITTED:
                    self._committed_by[client.plan.name] += 1
                    self._report.took_s.append(told.took_s)
                elif told.reason:
                    self._report.reasons[kind_of(told.reason)] += 1

    # --- once healed ----------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """All is healed, so every client commits again."""
        before = Counter(self._committed_by)
        names_of_all = [each.plan.name for each in self._clients]

        def stuck() -> list[str]:
            self._faults.heal()  # one that was started may have ended, see there
            self._watch()
            return [name for name in names_of_all if self._committed_by[name] == before[name]]

        if not self._within_bound(lambda: not stuck()):
            for client in (each for each in self._clients if each.plan.name in stuck()):
                self._wrong.append(f"healed, and {client.plan.name} does not commit:\n{client.where()}")

    def _end_clients(self) -> None:
        for client in self._clients:
            client.ask_to_end()
        deadline = time.monotonic() + END_WITHIN_S
        while any(client.running for client in self._clients) and time.monotonic() < deadline:
            self._watch()
        self._report.seconds = time.monotonic() - self._began
        for client in self._clients:
            if client.exit_code != 0:
                end = f"{client.plan.name} did not end well ({client.exit_code}):\n{client.where()}"
                self._wrong.append(end)
        for kind in ("coordinator", "node"):
            if ended := self._faults.ended[kind]:
                said = "\n".join(client.last_words() for client in self._clients)
                self._wrong.append(f"{ended} times a {kind} ended by itself; the clients said:\n{said}")

    def _close(self) -> None:
        """Nothing is prepared, locked or on record any more, and the books are right."""
        ended = time.monotonic()
        for what, left in self._unfinished():
            if not self._within_bound(self._nothing(left)):
                self._wrong.append(f"{self._plan.recovered_within_s:.0f} s after the end: {what}")
        self._report.healed_after_s = time.monotonic() - ended
        self._hear()
        last = [observer.complete_look() for observer in self._observers.values()]
        self._ledger.close(last)
        for name, observer in self._observers.items():
            if unlike := observer.unlike_their_rows():
                self._wrong.append(f"{name}: {unlike} accounts whose balance is not what their rows say")

    def _nothing(self, left: Callable[[], int]) -> Callable[[], bool]:
        """Whether nothing is left; whoever does not answer may have something."""

        def watched() -> bool:
            self._watch()
            with contextlib.suppress(psycopg.Error, ClientError):
                return left() == 0
            return False

        return watched

    def _unfinished(self) -> Iterator[tuple[str, Callable[[], int]]]:
        for name, observer in self._observers.items():
            yield f"{name} has prepared branches", observer.count_prepared
            yield f"{name} is locked by somebody", observer.locks
        if self._cluster is not None:
            addresses = {name: server.dsn for name, server in self._databases.items()}
            yield "there are records of decisions", partial(forget, self._cluster.hosts, addresses)

    def _within_bound(self, condition: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + self._plan.recovered_within_s
        while not condition():
            if time.monotonic() > deadline:
                return False
        return True

    def _reported(self) -> Report:
        report, ledger = self._report, self._ledger
        report.broken = self._faults.broken
        report.rows, report.looks = len(ledger.committed()), ledger.looks
        report.most_in_doubt = ledger.most_in_doubt
        report.violations = [*ledger.violations, *self._wrong]
        return report


def forget(hosts: str, addresses: Mapping[str, str]) -> int:
    """How many records are left after a round of recovery which keeps none of what is finished everywhere.

    (The recovery of the nodes keeps what it has finished for some minutes, for those who may ask.)"""
    with agreed.client.connect(f"agreed://{hosts}") as session:
        recovery = Recovery(session, [database(*each) for each in addresses.items()], patience_s=0, keep_s=0)
        try:
            recovery.round()
        finally:
            recovery.close()
        return len(session.children(RECORDS).names)


def transaction_of(gid: str) -> str | None:
    """The transaction of ours whose branch is called so."""
    name = names.parse(gid)
    return name.transaction if name is not None else None


def kind_of(reason: str) -> str:
    """What reasons have in common, without names and numbers."""
    first = reason.splitlines()[0]
    return "".join(letter for letter in first if not letter.isdigit())[:60].strip()


def run(plan: Plan) -> Report:
    """Start the servers, run the bank, end the servers."""
    with contextlib.ExitStack() as opened:
        directory = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="bank-")))
        databases = {name: opened.enter_context(PostgreSQL(plan.in_memory)) for name in DATABASES}
        cluster = None if plan.plain else opened.enter_context(cluster_for(databases, directory, plan))
        return Bank(plan, directory, databases, cluster).run()


def cluster_for(databases: Mapping[str, PostgreSQL], directory: Path, plan: Plan) -> Cluster:
    """Three nodes, each of which can recover transactions on the databases."""
    file = directory / "databases.toml"
    file.write_text("".join(f'{name} = "{server.dsn}"\n' for name, server in databases.items()), "utf-8")
    options = ["--atomic-databases", str(file), "--consensus", plan.consensus]
    return Cluster(3, options=options, in_memory=plan.in_memory)


@click.command()
@click.option("--minutes", type=click.FloatRange(0.05, 24 * 60), default=1.0, show_default=True)
@click.option("--plain", is_flag=True, help="Each coordinator keeps its decisions on its own disk.")
@click.option("--seed", type=int, help="Of what breaks and when; drawn if it is not given.")
@click.option("--away", default=3.0, show_default=True, help="The longest time, in s, for which one is down.")
@click.option("--consensus", type=click.Choice(["raft", "multipaxos", "vr", "zab"]), default="raft")
@click.option("--in-memory", is_flag=True, help="The servers keep their files in memory.")
@click.option("--break", "kinds", multiple=True, type=click.Choice(KINDS), help="Only this; default: all.")
def main(
    minutes: float,
    plain: bool,
    seed: int | None,
    away: float,
    consensus: str,
    in_memory: bool,
    kinds: tuple[str, ...],
) -> None:
    """Exit status: 0, 1 if money or a decision was lost, 2 if it could not be run, 3 if told to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))  # not without ending the servers
    seed = Random().randrange(1_000_000) if seed is None else seed
    kinds = kinds or KINDS
    plan = Plan(
        60 * minutes,
        seed,
        plain=plain,
        consensus=consensus,
        in_memory=in_memory,
        kinds=kinds,
        away_s=(0.1, away),
    )
    try:
        report = run(plan)
    except (NotServing, ClientError) as problem:
        click.echo(f"cannot run: {problem}", err=True)
        sys.exit(2)
    click.echo(report.text())
    sys.exit(1 if report.violations else 0)


if __name__ == "__main__":
    main()
