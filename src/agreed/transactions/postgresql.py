"""PostgreSQL as a participant, over psycopg (3), with blocking or with awaited calls.

What is peculiar about PostgreSQL:

* PREPARE TRANSACTION on a transaction that has failed, or is over, *succeeds*: it reports ROLLBACK, and
  nothing is prepared.  So we prepare by a statement of our own, and believe the command tag alone.  (The
  method of the driver for it does not look at the tag.)
* `max_prepared_transactions` is 0 unless somebody has set it; then nothing can be prepared, and we say so
  before the transaction begins instead of at its end.
* A prepared transaction belongs to nobody.  It survives its connection and the server, holds its locks, keeps
  VACUUM from cleaning up, and has no timeout.  Only who prepared it, or a superuser, can finish it.
* A lost connection during COMMIT tells nothing; but the number of the transaction was known before, and the
  server can be asked what has become of it (`outcome_alone`).

`tpc_begin` of the driver is used because from there on it refuses `commit()` and `rollback()` on the
connection, which would tear the branch out of its transaction.
"""
from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import psycopg
from psycopg import errors as sqlstate
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import tuple_row

from agreed.errors import ConfigurationError
from agreed.transactions.databases import CONNECT_S, STATEMENT_S, Prepared
from agreed.transactions.deadlines import shut_down
from agreed.transactions.errors import Forgotten, NotFinished, Refused, VotedNo
from agreed.transactions.names import BranchName, parse
from agreed.transactions.progress import Progress
from agreed.transactions.records import Outcome
from agreed.transactions.work import Work

WHO = """
    SELECT (SELECT system_identifier FROM pg_control_system()),
           (SELECT oid FROM pg_database WHERE datname = current_database()),
           current_setting('max_prepared_transactions')::int,
           pg_is_in_recovery()
"""

READY = "SELECT set_config('statement_timeout', '{timeout_ms}', true), pg_current_xact_id_if_assigned()::text"


class Server(NamedTuple):
    """What a server says of itself."""

    system: int
    database: int
    most_prepared: int
    standby: bool

    @property
    def identity(self) -> str:
        """The same on a standby that takes over, and different on any other server."""
        return f"postgresql:{self.system}:{self.database}"


_known: weakref.WeakKeyDictionary[Any, Server] = weakref.WeakKeyDictionary()
"""A connection stays with its server: it is asked once."""


class PostgreSqlBranch:
    """`given` is a `psycopg.Connection` or a `psycopg.AsyncConnection`."""

    def __init__(self, name: str, given: Any) -> None:
        self.name = name
        self.database = ""
        self.connection: Any = given
        self.driver_connection: object = given
        self.transaction_number: str | None = None
        """PostgreSQL's own, once it has written."""
        self._progress = Progress.IDLE
        self._alone = False
        self._gid = ""
        self._address = ""

    def check(self) -> Work[None]:
        connection = self.connection
        status = connection.info.transaction_status
        if connection.closed or status == TransactionStatus.UNKNOWN:
            raise Refused(f"{self.name}: the connection is closed")
        if connection.autocommit:
            raise Refused(f"{self.name}: the connection is in autocommit mode, which has no transactions")
        if status != TransactionStatus.IDLE:
            raise Refused(
                f"{self.name}: the connection is in a transaction already; commit it or roll it back first"
            )
        if connection.info.pipeline_status != PipelineStatus.OFF:
            raise Refused(f"{self.name}: the connection is in pipeline mode")
        server = _known.get(connection)
        if server is None:
            server = Server(*(yield from self._row(WHO)))
            yield lambda: connection.rollback()
            _known[connection] = server
        if server.most_prepared == 0:
            raise Refused(
                f"{self.name}: max_prepared_transactions is 0 on this server, so it can prepare nothing; "
                "set it to at least max_connections in postgresql.conf and restart the server"
            )
        if server.standby:
            raise Refused(f"{self.name}: this server is a standby, and cannot write")
        self.database = server.identity

    def begin(self, name: BranchName) -> Work[None]:
        self._gid = name.text
        yield lambda: self.connection.tpc_begin(self._gid)
        self._progress = Progress.WORKING

    def ready(self, timeout_s: float) -> Work[bool]:
        status = self.connection.info.transaction_status
        if status == TransactionStatus.INERROR:
            raise VotedNo("a statement has failed, so the transaction can only be rolled back")
        if status == TransactionStatus.IDLE:
            raise VotedNo("its transaction was ended by a statement (COMMIT or ROLLBACK) in the block")
        row = yield from self._row(READY.format(timeout_ms=max(int(timeout_s * 1000), 1)))
        self.transaction_number = row[1]
        return self.transaction_number is not None

    def prepare(self) -> Work[None]:
        self._progress = Progress.UNKNOWN
        cursor = self.connection.cursor()
        try:
            yield lambda: cursor.execute(f"PREPARE TRANSACTION '{self._gid}'", prepare=False)
        except psycopg.Error as error:
            self._check_answered(error)
            self._progress = Progress.WORKING
            yield from self.rollback()
            raise VotedNo(str(error)) from error
        if cursor.statusmessage != "PREPARE TRANSACTION":
            self._progress = Progress.WORKING
            raise VotedNo(f"PREPARE TRANSACTION has answered {cursor.statusmessage}: nothing is prepared")
        self._progress = Progress.PREPARED
        # The driver was not told of our statement.  This sends nothing, for there is no transaction any more.
        yield lambda: self.connection.tpc_rollback()

    def _check_answered(self, error: psycopg.Error) -> None:
        """What the server reports on a connection that lives is an answer; any other error is none."""
        if self.connection.broken or self.connection.closed or error.sqlstate is None:
            raise error

    def commit(self) -> Work[None]:
        yield from self._finish(self.connection.tpc_commit)

    def rollback(self) -> Work[None]:
        if self._progress is Progress.WORKING:
            self._progress = Progress.FINISHED
            yield lambda: self.connection.tpc_rollback()
        elif self._progress is Progress.PREPARED:
            yield from self._finish(self.connection.tpc_rollback)
        elif self._progress is Progress.UNKNOWN:
            yield from self._rollback_what_was_interrupted()

    def _rollback_what_was_interrupted(self) -> Work[None]:
        """Ctrl-C in the middle of PREPARE: the driver has cancelled the statement and heard how it ended, and
        we have not.  On a connection that lives, that can be found out."""
        status = self.connection.info.transaction_status
        if self._alone or status not in (TransactionStatus.IDLE, TransactionStatus.INERROR):
            raise NotFinished("it is not known whether it was prepared")
        yield lambda: self.connection.tpc_rollback()
        if status == TransactionStatus.IDLE:
            self._progress = Progress.PREPARED  # or rolled back, and then there is nothing of this name
            yield from self._finish(self.connection.tpc_rollback)
        self._progress = Progress.FINISHED

    def _finish(self, method: Any) -> Work[None]:
        if self._progress is not Progress.PREPARED:
            raise NotFinished("it is not known whether it was prepared")
        try:
            yield lambda: method(self._gid)
        except sqlstate.UndefinedObject:
            pass  # recovery was faster, and obeys the same decision
        self._progress = Progress.FINISHED

    def commit_alone(self) -> Work[None]:
        info = self.connection.info
        self._address = make_conninfo(info.dsn, password=info.password or None, connect_timeout=CONNECT_S)
        self._progress, self._alone = Progress.UNKNOWN, True
        try:
            yield lambda: self.connection.tpc_commit()
        except psycopg.Error as error:
            self._check_answered(error)
            self._progress = Progress.FINISHED
            raise VotedNo(str(error)) from error
        self._progress = Progress.FINISHED

    def outcome_alone(self, deadline: float) -> Work[Outcome | None]:
        """On a connection of its own: that of the branch is lost."""
        kind = psycopg.AsyncConnection if self._is_async else psycopg.Connection
        try:
            connection: Any = yield lambda: kind.connect(self._address, autocommit=True)
            try:
                cursor = connection.cursor(row_factory=tuple_row)
                yield lambda: cursor.execute("SELECT pg_xact_status(%s::xid8)", (self.transaction_number,))
                (status,) = yield lambda: cursor.fetchone()
            finally:
                yield lambda: connection.close()
        except psycopg.Error as error:
            raise NotFinished(f"{self.name}: {error}") from error
        if status is None:
            raise Forgotten(f"transaction {self.transaction_number} of {self.name}")
        return None if status == "in progress" else Outcome(status)

    @property
    def _is_async(self) -> bool:
        return isinstance(self.connection, psycopg.AsyncConnection)

    def release(self) -> Work[None]:
        return
        yield

    def hang_up(self) -> None:
        if not self.connection.closed:
            shut_down(self.connection.fileno())

    def _row(self, statement: str) -> Work[tuple[Any, ...]]:
        cursor = self.connection.cursor(row_factory=tuple_row)
        yield lambda: cursor.execute(statement, prepare=False)
        row: tuple[Any, ...] = yield lambda: cursor.fetchone()
        return row


# --- for recovery -----------------------------------------------------------------------------------------

PREPARED = """
    SELECT gid, extract(epoch FROM now() - prepared)::float8 FROM pg_prepared_xacts
    WHERE database = current_database() AND gid LIKE 'agreed:%'
"""


class PostgreSqlDatabase:
    """One database in which prepared branches are finished; see `databases.Database`."""

    def __init__(self, label: str, address: str) -> None:
        """Raises ConfigurationError for an address that is none."""
        self.label = label
        try:
            self._parameters = conninfo_to_dict(address)
        except psycopg.Error as error:
            raise ConfigurationError(f"{label}: {error}") from error
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._server: Server | None = None

    def identity(self) -> str:
        self._ask("SELECT 1")
        assert self._server is not None
        return self._server.identity

    def prepared(self) -> list[Prepared]:
        names = [(parse(gid), age_s) for gid, age_s in self._ask(PREPARED)]
        return [Prepared(name, age_s) for name, age_s in names if name is not None]

    def commit(self, name: BranchName, identity: str) -> None:
        self._finish(f"COMMIT PREPARED '{name.text}'", identity)

    def rollback(self, name: BranchName, identity: str) -> None:
        self._finish(f"ROLLBACK PREPARED '{name.text}'", identity)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _finish(self, statement: str, identity: str) -> None:
        try:
            self._ask(statement, identity)
        except NotFinished as error:
            if not isinstance(error.__cause__, sqlstate.UndefinedObject):
                raise

    def _ask(self, statement: str, identity: str | None = None) -> list[tuple[Any, ...]]:
        """Of the database of that identity, if there is one.  Raises NotFinished; the connection is made anew
        the next time if it may be broken."""
        try:
            connection = self._connected()
            if identity is not None and (self._server is None or self._server.identity != identity):
                raise NotFinished(f"{self.label}: another server answers there now")
            cursor = connection.execute(statement, prepare=False)
            return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            if self._connection is not None and (self._connection.broken or error.sqlstate is None):
                self.close()
            raise NotFinished(f"{self.label}: {str(error).strip()}") from error

    def _connected(self) -> psycopg.Connection[tuple[Any, ...]]:
        if self._connection is None:
            patience: dict[str, Any] = {
                "connect_timeout": CONNECT_S,
                "options": f"-c statement_timeout={STATEMENT_S * 1000}",
                "tcp_user_timeout": STATEMENT_S * 1000,
                "keepalives_idle": STATEMENT_S,
                "application_name": "agreed recovery",
            }
            connection = psycopg.connect(**{**patience, **self._parameters}, autocommit=True)
            row = connection.execute(WHO).fetchone()
            assert row is not None
            self._connection, self._server = connection, Server(*row)
        return self._connection
