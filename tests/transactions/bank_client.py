"""A client of the bank, as a process of its own: transfers between the two databases until it is told to end.

    python -m tests.transactions.bank_client FILE              with a `ClientPlan` in it, as JSON

What it learns of each transfer it appends to a file, one line of JSON at a time, as soon as it knows it; that
file is what it was *told*.  SIGKILL may hit it anywhere.  SIGTERM lets it finish the transfer it is at.

A transfer that fails is not tried again, the next one is another.  Where a server went away it connects anew.
"""
from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Protocol

import msgspec
import psycopg
from psycopg.pq import TransactionStatus

import agreed
import agreed.client
from agreed.client.errors import ClientError
from agreed.transactions.errors import Aborted, AtomicCommitError, InDoubt
from tests.transactions.bank_ledger import ABORTED, COMMITTED, IN_DOUBT
from tests.transactions.bank_money import Transfer
from tests.transactions.bank_plain import PlainAborted, PlainCoordinator, PlainInDoubt

LOCK_TIMEOUT_MS = 2_000
STATEMENT_TIMEOUT_MS = 10_000
TIMEOUT_S = 5.0
"""Of a transaction that is decided by the cluster."""
DOUBT_S = 60.0
AGAIN_AFTER_S = 0.2


class ClientPlan(msgspec.Struct, frozen=True):
    """`cluster`: the address of ours, or empty for a coordinator with its log in `own_log`."""

    name: str
    dsns: dict[str, str]
    accounts: int
    seed: int
    told: str
    cluster: str = ""
    own_log: str = ""
    transfers: int | None = None
    """None: until told to end."""


class Told(msgspec.Struct, frozen=True):
    """One line of what a client was told.  `took_s`: from the first statement until then."""

    transfer: str
    outcome: str
    took_s: float
    reason: str = ""


class Way(Protocol):
    """One way to commit on both databases."""

    def run(self, connections: Mapping[str, psycopg.Connection], transfer: Transfer) -> Iterator[Told]:
        """What is learned of a transfer, as soon as it is known.  Raises what kept it from beginning, or from
        becoming known; then there is nothing more to tell."""
        ...

    def reconnected(self, connections: Mapping[str, psycopg.Connection]) -> None:
        """These are new connections, and may have a past."""
        ...

    def close(self) -> None: ...


class Replicated:
    """The decision is in the cluster."""

    def __init__(self, cluster: str) -> None:
        self._session = agreed.client.connect(cluster)

    def reconnected(self, connections: Mapping[str, psycopg.Connection]) -> None:
        """Nothing: recovery is somebody else's work."""

    def close(self) -> None:
        with contextlib.suppress(ClientError):
            self._session.close()

    def run(self, connections: Mapping[str, psycopg.Connection], transfer: Transfer) -> Iterator[Told]:
        began = time.monotonic()
        name = ""

        def told(outcome: str, reason: object = "") -> Told:
            return Told(name, outcome, time.monotonic() - began, str(reason))

        try:
            with agreed.atomic(self._session, timeout_s=TIMEOUT_S, **connections) as transaction:
                name = transaction.id
                transfer(name, connections)
        except InDoubt as doubt:
            yield told(IN_DOUBT, doubt)
            yield told(str(doubt.wait(DOUBT_S)))
        except (Aborted, psycopg.Error) as failure:
            if not name:
                raise
            yield told(ABORTED, failure)
        else:
            yield told(COMMITTED)


class Plain:
    """The decision is in a file of its coordinator."""

    def __init__(self, name: str, log_file: Path) -> None:
        self._coordinator = PlainCoordinator(name, log_file)

    def reconnected(self, connections: Mapping[str, psycopg.Connection]) -> None:
        self._coordinator.recover(connections)

    def close(self) -> None:
        """Nothing: its log is synced."""

    def run(self, connections: Mapping[str, psycopg.Connection], transfer: Transfer) -> Iterator[Told]:
        began = time.monotonic()
        name = ""

        def told(outcome: str, reason: object = "") -> Told:
            return Told(name, outcome, time.monotonic() - began, str(reason))

        def body(transaction: str, at: Mapping[str, psycopg.Connection]) -> None:
            nonlocal name
            name = transaction
            transfer(name, at)

        try:
            self._coordinator.run(connections, body)
        except PlainInDoubt as doubt:
            yield told(IN_DOUBT, doubt)
        except (PlainAborted, psycopg.Error) as failure:
            if not name:
                raise
            yield told(ABORTED, failure)
        else:
            yield told(COMMITTED)


class Client:
    def __init__(self, plan: ClientPlan) -> None:
        self._plan = plan
        self._dice = Random(plan.seed)
        self._told = os.open(plan.told, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._ending = False
        self._left = plan.transfers

    def run(self) -> None:
        signal.signal(signal.SIGTERM, self._end)
        faulthandler.register(signal.SIGUSR1)  # whoever wonders why we do not get on asks where we are
        way: Way | None = None
        while not self._done():
            try:
                way = way or self._way()
                with contextlib.ExitStack() as opened:
                    connections = {
                        name: opened.enter_context(contextlib.closing(self._connect(dsn)))
                        for name, dsn in self._plan.dsns.items()
                    }
                    way.reconnected(connections)
                    while not self._done() and self._one(way, connections):
                        pass
            except (psycopg.Error, AtomicCommitError, ClientError, TimeoutError) as failure:
                # A server is away.  Surely nothing, or doubt that lasts: in both cases nothing more to tell.
                self._note(f"{type(failure).__name__}: {failure}")
                if isinstance(failure, ClientError) and way is not None:
                    way.close()
                    way = None
            if not self._done():
                time.sleep(AGAIN_AFTER_S)
        if way is not None:
            way.close()

    def _way(self) -> Way:
        if self._plan.cluster:
            return Replicated(self._plan.cluster)
        return Plain(self._plan.name, Path(self._plan.own_log))

    def _one(self, way: Way, connections: Mapping[str, psycopg.Connection]) -> bool:
        """Whether the connections are as good as before."""
        if self._left is not None:
            self._left -= 1
        outcome = ""
        for told in way.run(connections, Transfer(self._plan.accounts, self._dice)):
            os.write(self._told, msgspec.json.encode(told) + b"\n")
            outcome = told.outcome
        idle = all(each.info.transaction_status == TransactionStatus.IDLE for each in connections.values())
        return idle and outcome in (COMMITTED, ABORTED)

    def _connect(self, dsn: str) -> psycopg.Connection:
        limits = f"-c lock_timeout={LOCK_TIMEOUT_MS} -c statement_timeout={STATEMENT_TIMEOUT_MS}"
        return psycopg.connect(dsn, application_name=self._plan.name, connect_timeout=5, options=limits)

    def _done(self) -> bool:
        return self._ending or self._left == 0

    def _end(self, _signal: int, _frame: object) -> None:
        self._ending = True

    @staticmethod
    def _note(text: str) -> None:
        print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    Client(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=ClientPlan)).run()
