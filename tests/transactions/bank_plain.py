"""A plain coordinator of two-phase commit, with its log on its own disk: correct, and blocking.

    prepare everywhere;  write `commit <transaction>` into the log, with fsync;  commit everywhere

What is prepared and not in the log is rolled back (presumed abort): by this coordinator, when it is back, for
nobody else can read its log.  Until then the accounts stay locked, and nothing in the databases is wrong.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg

PREFIX = "bank"

PREPARED = "SELECT gid FROM pg_prepared_xacts WHERE database = current_database() AND starts_with(gid, %s)"

END_OF_FORMER_LIVES = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE application_name = %s AND pid <> pg_backend_pid()
"""

Work = Callable[[str, Mapping[str, psycopg.Connection]], None]
"""The body of a transaction: its name, and the connections by the names of their databases."""


class PlainAborted(Exception):
    """Rolled back, or will be: nothing of it happens."""


class PlainInDoubt(Exception):
    """Decided to commit, and a database is away: it will be committed there when both are back."""

    def __init__(self, transaction: str) -> None:
        super().__init__(transaction)
        self.transaction = transaction


def transaction_of(gid: str) -> str | None:
    """`gid` is bank:COORDINATOR:TRANSACTION:BRANCH."""
    parts = gid.split(":")
    return parts[2] if len(parts) == 4 and parts[0] == PREFIX else None


class PlainCoordinator:
    """`name` stays the same over restarts, and so does `log_file`."""

    def __init__(self, name: str, log_file: Path) -> None:
        self.name = name
        self._log = os.open(log_file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        written = log_file.read_text("ascii").splitlines()
        self._decided = {line.removeprefix("commit ") for line in written if line.startswith("commit ")}

    def recover(self, connections: Mapping[str, psycopg.Connection]) -> None:
        """To be called with fresh connections before anything else; also finishes what was in doubt.

        What its former connections still do on the server ends first: a branch that one of them prepares
        after we have looked would be forgotten."""
        for connection in connections.values():
            connection.autocommit = True
            connection.execute(END_OF_FORMER_LIVES, [self.name])
            for (gid,) in connection.execute(PREPARED, [f"{PREFIX}:{self.name}:"]).fetchall():
                self._finish(connection, gid, self._decision(gid))

    def _decision(self, gid: str) -> bool:
        return transaction_of(gid) in self._decided

    def _finish(self, connection: psycopg.Connection, gid: str, commit: bool) -> None:
        verb = "COMMIT" if commit else "ROLLBACK"
        connection.execute(f"{verb} PREPARED '{gid}'")

    def run(self, connections: Mapping[str, psycopg.Connection], work: Work) -> str:
        """Raises PlainAborted, PlainInDoubt, and what the body raises, after which nothing is left."""
        transaction = uuid.uuid4().hex
        gids = {name: f"{PREFIX}:{self.name}:{transaction}:{name}" for name in connections}
        prepared: set[str] = set()
        try:
            for connection in connections.values():
                connection.autocommit = True
                connection.execute("BEGIN")
            work(transaction, connections)
            for name, connection in connections.items():
                answer = connection.execute(f"PREPARE TRANSACTION '{gids[name]}'").statusmessage
                if answer != "PREPARE TRANSACTION":
                    raise PlainAborted(f"PREPARE TRANSACTION was answered with {answer}")
                prepared.add(name)
        except (PlainAborted, psycopg.Error):
            for name, connection in connections.items():
                if not connection.closed:
                    what = f"PREPARED '{gids[name]}'" if name in prepared else ""
                    connection.execute(f"ROLLBACK {what}")
            raise
        self._decide(transaction)
        try:
            for name, connection in connections.items():
                self._finish(connection, gids[name], self._decision(gids[name]))
        except psycopg.Error as error:
            raise PlainInDoubt(transaction) from error
        return transaction

    def _decide(self, transaction: str) -> None:
        os.write(self._log, f"commit {transaction}\n".encode("ascii"))
        os.fsync(self._log)
        self._decided.add(transaction)
