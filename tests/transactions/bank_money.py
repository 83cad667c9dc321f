"""The bank in its two databases: tables, a transfer, and looks at them for the ledger.

`transfer` is what a client does within one transaction over both; `Observer` is the eye of `bank_ledger`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, LiteralString

import psycopg

from tests.transactions.bank_ledger import Look

DATABASES = ("left", "right")
"""In the order in which every transfer touches them: who waits at the right one blocks nobody there."""

FIRST_BALANCE = 200
MOST_AT_ONCE = 60
BUSY_ACCOUNTS = 25
"""Half of the transfers go to the first so many, so that they meet."""

TABLES = """
CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0));
CREATE TABLE journal (
    transfer text PRIMARY KEY,
    account int NOT NULL,
    amount bigint NOT NULL,
    written xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX journal_written ON journal (written);
"""

ACCOUNTS = "INSERT INTO account SELECT id, %s FROM generate_series(0, %s) AS id"

PREPARED = "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"
SNAPSHOT = "SELECT sum(balance)::bigint, pg_snapshot_xmin(pg_current_snapshot())::text FROM account"
ROWS = "SELECT transfer, amount FROM journal WHERE written >= %s::xid8"

UNLIKE_THEIR_ROWS = """
SELECT count(*) FROM account
LEFT JOIN (SELECT account, sum(amount) AS moved FROM journal GROUP BY account) AS rows ON account = id
WHERE balance <> %s + coalesce(moved, 0)
"""

LOCKS = """
SELECT count(*) FROM pg_locks AS lock LEFT JOIN pg_stat_activity AS activity USING (pid)
WHERE lock.pid IS DISTINCT FROM pg_backend_pid()
AND (activity.backend_type IS NULL OR activity.backend_type = 'client backend')
"""
"""What is locked by others than us and the servants of the database.  Prepared transactions have no pid."""


def found(dsn: str, accounts: int) -> None:
    """Make the tables and open the accounts 0 to `accounts` - 1."""
    with psycopg.connect(dsn) as connection:
        connection.execute(TABLES)
        connection.execute(ACCOUNTS, [FIRST_BALANCE, accounts - 1])


CHANGE = "UPDATE account SET balance = balance + %s WHERE id = %s"
ROW = "INSERT INTO journal (transfer, account, amount) VALUES (%s, %s, %s)"


class Transfer:
    """From an account of one database to one of the other."""

    def __init__(self, accounts: int, dice: Random) -> None:
        self.amount = dice.randint(1, MOST_AT_ONCE) * dice.choice((1, -1))
        among = min(BUSY_ACCOUNTS, accounts) if dice.random() < 0.5 else accounts
        self.accounts = [dice.randrange(among) for _ in DATABASES]

    def __call__(self, name: str, connections: Mapping[str, psycopg.Connection]) -> None:
        """Within a transaction over both.  An account that would be overdrawn makes its database refuse."""
        for database, account, amount in zip(
            DATABASES, self.accounts, (self.amount, -self.amount), strict=True
        ):
            at = connections[database]
            at.execute(CHANGE, [amount, account])
            at.execute(ROW, [name, account, amount])


class Observer:
    """Looks at one database.  `transaction_of` reads the name of a prepared branch; None: not one of ours."""

    def __init__(self, database: str, dsn: str, transaction_of: Callable[[str], str | None]) -> None:
        self.database = database
        self._dsn = dsn
        self._transaction_of = transaction_of
        self._connection: psycopg.Connection | None = None
        self._seen_below = "0"
        """All rows whose transaction has a lower number were shown, if they are there at all.

        Over a crash of the database nothing is known: it gives numbers of transactions that left no trace
        to new ones.  So it holds for one connection."""

    def look(self) -> Look:
        """Raises psycopg.Error while the database is away."""
        connection = self._connected()
        prepared = self.prepared()
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            balance, unfinished = one_row(connection, SNAPSHOT)
            rows: dict[str, int] = dict(connection.execute(ROWS, [self._seen_below]))
        self._seen_below = unfinished
        return Look(self.database, frozenset(prepared), balance, rows)

    def prepared(self) -> list[str]:
        """The transactions that have a branch prepared now."""
        found = [self._transaction_of(gid) for (gid,) in self._connected().execute(PREPARED)]
        return [transaction for transaction in found if transaction is not None]

    def count_prepared(self) -> int:
        return len(self.prepared())

    def complete_look(self) -> Look:
        """With all rows."""
        self.close()
        return self.look()

    def locks(self) -> int:
        """How many are held by clients, or by what is prepared."""
        (count,) = one_row(self._connected(), LOCKS)
        return int(count)

    def unlike_their_rows(self) -> int:
        """Accounts whose balance is another one than their rows say."""
        (count,) = one_row(self._connected(), UNLIKE_THEIR_ROWS, FIRST_BALANCE)
        return int(count)

    def _connected(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed or self._connection.broken:
            self.close()
            self._connection = psycopg.connect(
                self._dsn, autocommit=True, connect_timeout=5, application_name="judge"
            )
        return self._connection

    def close(self) -> None:
        self._seen_below = "0"
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def one_row(connection: psycopg.Connection, statement: LiteralString, *values: object) -> tuple[Any, ...]:
    row = connection.execute(statement, values).fetchone()
    assert row is not None
    return row
