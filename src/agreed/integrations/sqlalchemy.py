"""A fence in the database: an older token than was seen is refused, in the transaction of the write.

    FENCES = fence_table(Base.metadata)                     one row for each name; make it with the others

    with client.lock("stock/chair") as held, Session(engine) as session, session.begin():
        fenced(session, "stock/chair", held.token)          first; raises StaleToken
        session.execute(update(Stock)...)

    class Order(FenceColumn, Base): ...                     or the fence is a column of the row itself
        fence_row(session, Order, 42, held.token)           first; raises StaleToken, NoSuchRow

It raises the largest token that was seen to this one, and with that keeps the row locked until the
transaction ends: whoever is newer waits for our commit, and whoever is older waits and is refused.  A
transaction that is rolled back has not raised it.

First means: before anything is read on which the write depends.  What was read before the row was locked may
be from before the last holder's write.

    PostgreSQL          READ COMMITTED is sound.  REPEATABLE READ and SERIALIZABLE are too: who meets another
                        one there is told of a serialization failure, and begins again
    MariaDB, MySQL      every level, for tables of InnoDB.  At REPEATABLE READ, their usual one, what is read
                        before the fence is old for the whole transaction: the fence first
    SQLite              every level: one transaction writes at a time.  One that has read already may be told
                        "database is locked"; begin again
    autocommit          is refused: the row would be free again before the write

On other databases it raises ConfigurationError.  With an AsyncSession: `await session.run_sync(fenced, name,
token)`.

What it does not do: fence what is written without it.  All who write have to ask.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from agreed.errors import AgreedError, ConfigurationError
from agreed.integrations.extras import missing

try:
    import sqlalchemy as sql
    from sqlalchemy.dialects import mysql, postgresql, sqlite
    from sqlalchemy.orm import Mapped, Session, mapped_column, scoped_session
except ImportError as error:
    raise missing("sqlalchemy", error) from error

TABLE: Final = "agreed_fences"

LONGEST_NAME: Final = 190
"""Characters; four bytes each of them are within what a key of an older InnoDB may have."""


Bind: TypeAlias = sql.Connection | Session | scoped_session[Any]


class StaleToken(AgreedError):
    """A newer token was here.  Roll back: nothing was written then."""

    surely_not_done = True


class NoSuchRow(AgreedError, LookupError):
    """There is no such row to be fenced."""

    surely_not_done = True


def fence_table(metadata: sql.MetaData, name: str = TABLE) -> sql.Table:
    """The table of fences, within this metadata; the same one if it is asked for again."""
    if name in metadata.tables:
        return metadata.tables[name]
    return sql.Table(
        name,
        metadata,
        # Names that differ in case are different names of locks: MariaDB would take them for one.
        sql.Column(
            "name",
            sql.String(LONGEST_NAME).with_variant(
                mysql.VARCHAR(LONGEST_NAME, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
            ),
            primary_key=True,
        ),
        sql.Column("token", sql.BigInteger, nullable=False),
        mysql_engine="InnoDB",
        mariadb_engine="InnoDB",
    )


_USUAL: Final = fence_table(sql.MetaData())


def fenced(bind: Bind, name: str, token: int, *, table: sql.Table = _USUAL) -> None:
    """`token` is that of a grant.  Raises StaleToken, also where a grant of the same name was newer;
    ConfigurationError where there is no transaction to be in."""
    if len(name) > LONGEST_NAME:
        raise ConfigurationError(f"{name[:40]}... is longer than {LONGEST_NAME} characters")
    connection = _in_transaction(bind)
    dialect = connection.dialect.name
    if dialect in ("mysql", "mariadb"):
        newest = _raised_and_read(connection, table, name, token)
    elif dialect == "postgresql":
        newest = _raised(connection, table, postgresql.insert(table).values(name=name, token=token), token)
    elif dialect == "sqlite":
        newest = _raised(connection, table, sqlite.insert(table).values(name=name, token=token), token)
    else:
        raise ConfigurationError(f"no fence is known for {dialect}")
    _still_in_transaction(connection)
    if newest != token:
        raise StaleToken(f"{name}: a newer token than {token} was here")


def _raised(connection: sql.Connection, table: sql.Table, insert: Any, token: int) -> int | None:
    """Waits for whoever has the row, and looks at what he has left there."""
    statement = insert.on_conflict_do_update(
        index_elements=[table.c.name],
        set_={"token": insert.excluded.token},
        where=table.c.token <= insert.excluded.token,
    )
    found: int | None = connection.execute(statement.returning(table.c.token)).scalar()
    return found


def _raised_and_read(connection: sql.Connection, table: sql.Table, name: str, token: int) -> int | None:
    """MariaDB has no condition there: the larger of both is kept, and read with a lock, which is to say as it
    is and not as it was when the transaction began."""
    insert = mysql.insert(table).values(name=name, token=token)
    larger = sql.func.greatest(table.c.token, insert.inserted.token)
    connection.execute(insert.on_duplicate_key_update(token=larger))
    newest = sql.select(table.c.token).where(table.c.name == name).with_for_update()
    found: int | None = connection.execute(newest).scalar()
    return found


# --- a column of the row itself ---------------------------------------------------------------------------


class FenceColumn:
    """For mapped classes: the largest token with which the row was written."""

    fence_token: Mapped[int] = mapped_column(sql.BigInteger, default=0, server_default="0", nullable=False)


def fence_row(bind: Bind, kind: type[FenceColumn], key: Any, token: int) -> None:
    """Raise the fence of the row with this primary key (a tuple where it has several columns), which stays
    locked until the transaction ends.  Raises StaleToken, NoSuchRow; ConfigurationError as `fenced`.

    What the session has read of that row before is read anew, at once.  ConfigurationError where it was
    changed there before: that was reckoned from what is perhaps old."""
    connection = _in_transaction(bind)
    mapper: Any = sql.inspect(kind)
    keys = key if isinstance(key, tuple) else (key,)
    if isinstance(bind, sql.Connection):
        _raise_row(connection, kind, mapper, keys, token)
        return
    known = bind.identity_map.get(mapper.identity_key_from_primary_key(keys))
    if known is not None and bind.is_modified(known):
        raise ConfigurationError(f"{kind.__name__} {key} was changed before it was fenced")
    _raise_row(connection, kind, mapper, keys, token)
    if known is not None:
        bind.refresh(known)  # now: with an AsyncSession nothing can be read when it is looked at


def _raise_row(
    connection: sql.Connection, kind: type[FenceColumn], mapper: Any, keys: tuple[Any, ...], token: int
) -> None:
    column = mapper.columns["fence_token"]
    same = sql.and_(*(part == value for part, value in zip(column.table.primary_key, keys, strict=True)))
    raise_it = sql.update(column.table).where(same, column <= token).values({column: token})
    raised = connection.execute(raise_it).rowcount
    _still_in_transaction(connection)
    if raised:
        return
    row = f"{kind.__name__} {keys if len(keys) > 1 else keys[0]}"
    newest = connection.execute(sql.select(column).where(same).with_for_update()).scalar()
    if newest is None:
        raise NoSuchRow(row)
    if newest > token:
        raise StaleToken(f"{row}: token {newest} was here, which is newer than {token}")
    connection.execute(raise_it)  # the newer one was rolled back in between; now we have the row


def _in_transaction(bind: Bind) -> sql.Connection:
    connection = bind if isinstance(bind, sql.Connection) else bind.connection()
    chosen = connection.get_execution_options().get("isolation_level")
    usual = getattr(connection.dialect, "_on_connect_isolation_level", None)
    if "AUTOCOMMIT" in (chosen, usual if chosen is None else None):
        raise _autocommit()
    return connection


def _still_in_transaction(connection: sql.Connection) -> None:
    """Of a driver that was told to commit by itself (`connect_args`) SQLAlchemy knows nothing."""
    driver = connection.connection.dbapi_connection
    if connection.dialect.name == "sqlite":
        # Told so it may have begun a transaction all the same, by an event: many do.
        driver = getattr(driver, "driver_connection", driver)
        alone = not getattr(driver, "in_transaction", True)
    else:
        ask = getattr(driver, "get_autocommit", None)
        alone = bool(ask()) if ask else getattr(driver, "autocommit", False) is True
    if alone:
        raise _autocommit()


def _autocommit() -> ConfigurationError:
    return ConfigurationError("autocommit: the fence would be open again before the write")
