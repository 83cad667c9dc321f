"""An engine or a connection of SQLAlchemy as a participant.

The branch is that of the driver below (`postgresql.py`, `mariadb.py`): SQLAlchemy's own two-phase transaction
does not look at what PREPARE TRANSACTION has answered.  SQLAlchemy is told of a plain transaction, so that it
begins none of its own and its connection can be used as ever, by a `Session` of its ORM as well
(`Session(tx.orders)`, and `flush` it before the block ends).  At the end it is told that this transaction was
rolled back: by then the driver's has ended as decided, and there is nothing left to roll back.

An engine lends a connection for the block; a connection that is given stays open.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine

from agreed.transactions.errors import Refused
from agreed.transactions.names import BranchName
from agreed.transactions.participants import Participant, driver_participant
from agreed.transactions.records import Outcome
from agreed.transactions.work import Work


class SqlAlchemyBranch:
    """`given` is a `sqlalchemy.Engine` or a `sqlalchemy.Connection`."""

    def __init__(self, name: str, given: Any) -> None:
        """Raises Refused."""
        if not isinstance(given, Engine | Connection):
            raise Refused(f"{name}: give an engine or a connection of SQLAlchemy, not {type(given).__name__}")
        self.name = name
        self.driver_connection: object = given if isinstance(given, Connection) else self
        self._given = given
        self._connection: Connection | None = None
        self._plain: Any = None
        self._branch: Participant | None = None

    @property
    def connection(self) -> Connection | None:
        return self._connection

    @property
    def database(self) -> str:
        return self._inner.database

    @property
    def _inner(self) -> Participant:
        assert self._branch is not None, "`check` comes first"
        return self._branch

    def check(self) -> Work[None]:
        if isinstance(self._given, Connection):
            if self._given.in_transaction():
                raise Refused(f"{self.name}: the connection is in a transaction already")
            self._connection = self._given
        else:
            engine = self._given
            self._connection = yield lambda: engine.connect()
        self._branch = driver_participant(self.name, self._connection.connection.driver_connection)
        yield from self._branch.check()

    def begin(self, name: BranchName) -> Work[None]:
        assert self._connection is not None
        self._plain = self._connection.begin()
        yield from self._inner.begin(name)

    def ready(self, timeout_s: float) -> Work[bool]:
        return (yield from self._inner.ready(timeout_s))

    def prepare(self) -> Work[None]:
        yield from self._inner.prepare()

    def commit(self) -> Work[None]:
        yield from self._inner.commit()

    def rollback(self) -> Work[None]:
        if self._branch is not None:
            yield from self._branch.rollback()

    def commit_alone(self) -> Work[None]:
        yield from self._inner.commit_alone()

    def outcome_alone(self, deadline: float) -> Work[Outcome | None]:
        return (yield from self._inner.outcome_alone(deadline))

    def hang_up(self) -> None:
        self._inner.hang_up()

    def release(self) -> Work[None]:
        connection, plain = self._connection, self._plain
        if connection is None:
            return
        self._connection = None if connection is not self._given else connection
        if self._branch is not None:
            yield from self._branch.release()
        if plain is not None:
            try:
                yield lambda: plain.close()
            except Exception:
                connection.invalidate()  # it was lost, or closed because it holds what is prepared
        if connection is not self._given:
            yield lambda: connection.close()
