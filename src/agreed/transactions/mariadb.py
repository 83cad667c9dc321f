"""MariaDB and MySQL as participants, over PyMySQL, by their XA statements.

What is peculiar about them:

* PyMySQL has no two-phase commit of PEP 249; XA START, END, PREPARE, COMMIT and ROLLBACK are statements.
* A prepared transaction survives its connection since MariaDB 10.5 and MySQL 5.7; older servers roll it back
  when the connection is lost, although it has voted.  They are refused.
* While the connection that prepared it lives, nobody else can finish it, and whoever tries is told that it is
  not known.  The same words are used for one that is finished already.  So "not known" is believed only if
  XA RECOVER does not show it.
* XA RECOVER does not say how old a branch is, and is for those with a privilege.
* Nothing says cheaply whether a transaction has written.  Every branch is prepared; one that wrote nothing
  costs no sync.
"""
from __future__ import annotations

import re
import weakref
from typing import Any
from urllib.parse import unquote, urlsplit

import pymysql

from agreed.errors import ConfigurationError
from agreed.transactions.databases import CONNECT_S, STATEMENT_S, Prepared
from agreed.transactions.deadlines import shut_down
from agreed.transactions.errors import Forgotten, NotFinished, Refused, VotedNo
from agreed.transactions.names import FORMAT, BranchName, parse
from agreed.transactions.progress import Progress
from agreed.transactions.records import Outcome
from agreed.transactions.work import Work

UNKNOWN_XID = 1397
OUTSIDE = 1400

FIRST_VERSION = {True: (10, 5), False: (5, 7)}
"""By whether it is MariaDB: from which version on a prepared transaction survives its connection."""

_known: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()


def xid(name: BranchName) -> str:
    """As a literal; the letters of our names need no escape."""
    return f"'{name.global_part}','{name.branch}',{FORMAT}"


def identity(ask: Any) -> str:
    """What the server calls itself; `ask(statement)` gives rows."""
    variables = dict(ask("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_uid', 'server_uuid')"))
    named = variables.get("server_uid") or variables.get("server_uuid")
    if not named:
        ((host, port, data),) = ask("SELECT @@hostname, @@port, @@datadir")
        named = f"{host}:{port}:{data}"
    return f"mariadb:{named}"


def check_version(label: str, version: str) -> None:
    """Raises Refused."""
    numbers = re.match(r"(\d+)\.(\d+)", version.removeprefix("5.5.5-"))
    first = FIRST_VERSION["mariadb" in version.lower()]
    if numbers is None or (int(numbers[1]), int(numbers[2])) < first:
        raise Refused(f"{label}: {version} forgets what it has prepared when the connection is lost")


class MariaDbBranch:
    """`given` is a `pymysql.Connection`."""

    def __init__(self, name: str, given: Any) -> None:
        self.name = name
        self.database = ""
        self.connection: Any = given
        self.driver_connection: object = given
        self._progress = Progress.IDLE
        self._xid = ""
        self._name: BranchName | None = None

    def check(self) -> Work[None]:
        connection = self.connection
        if not connection.open:
            raise Refused(f"{self.name}: the connection is closed")
        if connection.get_autocommit():
            raise Refused(f"{self.name}: the connection is in autocommit mode, which has no transactions")
        if connection not in _known:
            check_version(self.name, connection.get_server_info())
            # What it asks begins no transaction, and ends none that the program may have open.
            _known[connection] = yield lambda: identity(self._rows)
        self.database = _known[connection]

    def begin(self, name: BranchName) -> Work[None]:
        self._name, self._xid = name, xid(name)
        try:
            yield lambda: self._rows(f"XA START {self._xid}")
        except pymysql.Error as error:
            if error.args[:1] != (OUTSIDE,):
                raise
            raise Refused(
                f"{self.name}: the connection is in a transaction already; commit it or roll it back first"
            ) from error
        self._progress = Progress.WORKING

    def ready(self, timeout_s: float) -> Work[bool]:
        return True
        yield

    def prepare(self) -> Work[None]:
        self._progress = Progress.UNKNOWN
        try:
            yield lambda: self._rows(f"XA END {self._xid}")
            yield lambda: self._rows(f"XA PREPARE {self._xid}")
        except pymysql.Error as error:
            self._check_answered(error)
            self._progress = Progress.WORKING
            yield from self.rollback()
            raise VotedNo(str(error)) from error
        self._progress = Progress.PREPARED

    def _check_answered(self, error: pymysql.Error) -> None:
        """What the server reports on a connection that lives is an answer; any other error is none."""
        if not self.connection.open or not isinstance(error, pymysql.MySQLError) or _is_lost(error):
            raise error

    def commit(self) -> Work[None]:
        yield from self._finish("XA COMMIT")

    def rollback(self) -> Work[None]:
        if self._progress is Progress.WORKING:
            self._progress = Progress.FINISHED
            try:
                yield lambda: self._rows(f"XA END {self._xid}")
            except pymysql.Error:
                pass  # it was ended, or the server has rolled it back already (a deadlock)
            yield lambda: self._rows(f"XA ROLLBACK {self._xid}")
        elif self._progress is not Progress.FINISHED and self._progress is not Progress.IDLE:
            yield from self._finish("XA ROLLBACK")

    def _finish(self, statement: str) -> Work[None]:
        if self._progress is not Progress.PREPARED:
            raise NotFinished("it is not known whether it was prepared")
        try:
            yield lambda: self._rows(f"{statement} {self._xid}")
        except pymysql.Error as error:
            if error.args[:1] != (UNKNOWN_XID,):
                raise
            shown = yield lambda: self._rows("XA RECOVER")
            if self._name in names_of(shown):
                raise NotFinished("another connection holds it") from error
        self._progress = Progress.FINISHED

    def commit_alone(self) -> Work[None]:
        self._progress = Progress.UNKNOWN
        try:
            yield lambda: self._rows(f"XA END {self._xid}")
            yield lambda: self._rows(f"XA COMMIT {self._xid} ONE PHASE")
        except pymysql.Error as error:
            self._check_answered(error)
            self._progress = Progress.WORKING
            yield from self.rollback()
            raise VotedNo(str(error)) from error
        self._progress = Progress.FINISHED

    def outcome_alone(self, deadline: float) -> Work[Outcome | None]:
        raise Forgotten(self.name)
        yield

    def release(self) -> Work[None]:
        """A connection that holds a prepared transaction can do nothing else, and recovery cannot finish
        what it holds: it is closed."""
        if self._progress in (Progress.PREPARED, Progress.UNKNOWN) and self.connection.open:
            yield lambda: self.connection.close()

    def hang_up(self) -> None:
        if self.connection.open:
            shut_down(self.connection._sock.fileno())

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        return rows(self.connection, statement)


def rows(connection: Any, statement: str) -> list[tuple[Any, ...]]:
    with pymysql.cursors.Cursor(connection) as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def names_of(shown: list[tuple[Any, ...]]) -> list[BranchName]:
    """Ours, of what XA RECOVER shows: a format, two lengths, and the two parts of the name in one."""
    found = []
    for number, global_length, _, data in shown:
        text = data.decode("utf-8", "replace") if isinstance(data, bytes) else str(data)
        if int(number) == FORMAT:
            found.append(parse(f"{text[: int(global_length)]}:{text[int(global_length) :]}"))
    return [name for name in found if name is not None]


def _is_lost(error: pymysql.Error) -> bool:
    """Errors that the client makes up when the server is gone."""
    number = error.args[0] if error.args else 0
    return isinstance(number, int) and (number == 0 or 2000 <= number < 2100)


# --- for recovery -----------------------------------------------------------------------------------------


class MariaDbDatabase:
    """One server in which prepared branches are finished; see `databases.Database`."""

    def __init__(self, label: str, address: str) -> None:
        """Raises ConfigurationError for an address that is none."""
        self.label = label
        parts = urlsplit(address)
        try:
            port = parts.port or 3306
        except ValueError as error:
            raise ConfigurationError(f"{label}: {error}") from error
        self._arguments: dict[str, Any] = {
            "host": parts.hostname or "127.0.0.1",
            "port": port,
            "user": unquote(parts.username or "") or None,
            "password": unquote(parts.password or ""),
        }
        self._connection: Any = None
        self._identity = ""

    def identity(self) -> str:
        self._ask("SELECT 1")
        return self._identity

    def prepared(self) -> list[Prepared]:
        return [Prepared(name, None) for name in names_of(self._ask("XA RECOVER"))]

    def commit(self, name: BranchName, identity: str) -> None:
        self._finish("XA COMMIT", name, identity)

    def rollback(self, name: BranchName, identity: str) -> None:
        self._finish("XA ROLLBACK", name, identity)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except pymysql.Error:
                pass

    def _finish(self, statement: str, name: BranchName, identity: str) -> None:
        try:
            self._ask(f"{statement} {xid(name)}", identity)
        except NotFinished as error:
            cause = error.__cause__
            if cause is None or cause.args[:1] != (UNKNOWN_XID,):
                raise
            if name in names_of(self._ask("XA RECOVER", identity)):
                raise NotFinished(f"{self.label}: {name.text} is held by who made it") from error

    def _ask(self, statement: str, identity: str | None = None) -> list[tuple[Any, ...]]:
        """Of the server of that identity, if there is one.  Raises NotFinished."""
        try:
            connection = self._connected()
            if identity is not None and self._identity != identity:
                raise NotFinished(f"{self.label}: another server answers there now")
            return rows(connection, statement)
        except (pymysql.Error, OSError) as error:
            if self._connection is not None and (isinstance(error, OSError) or _is_lost(error)):
                self.close()
            raise NotFinished(f"{self.label}: {error}") from error

    def _connected(self) -> Any:
        if self._connection is None:
            connection = pymysql.connect(
                **self._arguments,
                autocommit=True,
                connect_timeout=CONNECT_S,
                read_timeout=STATEMENT_S,
                write_timeout=STATEMENT_S,
            )
            self._identity = identity(lambda statement: rows(connection, statement))
            self._connection = connection
        return self._connection
