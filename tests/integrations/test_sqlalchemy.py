"""Fences in databases, and who meets whom there at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sql
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker

from agreed.errors import ConfigurationError
from agreed.integrations.sqlalchemy import (
    LONGEST_NAME,
    FenceColumn,
    NoSuchRow,
    StaleToken,
    fence_row,
    fence_table,
    fenced,
)

WITHIN_S = 30.0


class Base(DeclarativeBase):
    pass


class Stock(Base):
    __tablename__ = "stock"
    item: Mapped[str] = mapped_column(sql.String(20), primary_key=True)
    n: Mapped[int]


class Order(FenceColumn, Base):
    __tablename__ = "orders"
    shop: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(sql.String(20), default="new")


FENCES = fence_table(Base.metadata)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    from tests.transactions.postgresql import PostgreSQL

    with PostgreSQL(in_memory=True) as server:
        yield f"postgresql+psycopg://postgres@127.0.0.1:{server.port}/postgres"


@pytest.fixture(scope="module")
def mariadb() -> Iterator[str]:
    from tests.transactions.mariadb import MariaDB

    with MariaDB(in_memory=True) as server:
        yield f"mariadb+pymysql://root@127.0.0.1:{server.port}/test"


SERVERS = [
    pytest.param("postgresql", marks=pytest.mark.peer("postgresql")),
    pytest.param("mariadb", marks=pytest.mark.peer("mariadb")),
]


@pytest.fixture(params=["sqlite", *SERVERS])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sql.Engine]:
    url = f"sqlite:///{tmp_path}/it" if request.param == "sqlite" else request.getfixturevalue(request.param)
    made = sql.create_engine(url)
    Base.metadata.create_all(made)
    with Session(made) as session, session.begin():
        session.add_all([Stock(item="chair", n=9), Order(shop=1, number=42)])
    yield made
    Base.metadata.drop_all(made)
    made.dispose()


def take(engine: sql.Engine, token: int, number: int = 1) -> None:
    with Session(engine) as session, session.begin():
        fenced(session, "stock/chair", token)
        session.execute(sql.update(Stock).values(n=Stock.n - number))


def left(engine: sql.Engine) -> int:
    with Session(engine) as session:
        return session.scalars(sql.select(Stock.n)).one()


def test_an_older_token_is_refused_and_nothing_of_it_stays(engine: sql.Engine) -> None:
    take(engine, 5)
    take(engine, 5)  # the same holder once more
    take(engine, 1 << 40)
    with pytest.raises(StaleToken, match="stock/chair: a newer token than 7"):
        take(engine, 7)
    assert left(engine) == 6
    take(engine, 1 << 40)
    assert left(engine) == 5


def test_names_have_fences_of_their_own(engine: sql.Engine) -> None:
    with engine.begin() as connection:
        for name in ("a", "A", "ä", "x" * LONGEST_NAME):
            fenced(connection, name, 9)
            fenced(connection, f"{name[1:]}b", 1)
    with engine.connect() as connection, pytest.raises(ConfigurationError, match="longer than"):
        fenced(connection, "x" * (LONGEST_NAME + 1), 9)


def test_what_is_rolled_back_has_raised_nothing(engine: sql.Engine) -> None:
    with Session(engine) as session:
        fenced(session, "stock/chair", 100)
        session.rollback()
    take(engine, 5)
    assert left(engine) == 8


def test_a_session_of_each_thread_will_do(engine: sql.Engine) -> None:
    sessions = scoped_session(sessionmaker(engine))
    fenced(sessions, "stock/chair", 3)
    fence_row(sessions, Order, (1, 42), 3)
    sessions.commit()
    with pytest.raises(StaleToken):
        fenced(sessions, "stock/chair", 2)
    sessions.remove()


def test_autocommit_is_refused(engine: sql.Engine) -> None:
    alone = sql.create_engine(engine.url, isolation_level="AUTOCOMMIT")
    with alone.connect() as connection, pytest.raises(ConfigurationError, match="autocommit"):
        fenced(connection, "it", 1)
    with alone.connect() as connection, pytest.raises(ConfigurationError, match="autocommit"):
        fence_row(connection, Order, (1, 42), 1)
    alone.dispose()
    with (
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        pytest.raises(ConfigurationError, match="autocommit"),
    ):
        fenced(connection, "it", 1)


def test_a_driver_that_commits_by_itself_is_refused(engine: sql.Engine) -> None:
    """SQLAlchemy has not been told, so it cannot tell."""
    told = {"isolation_level": None} if engine.dialect.name == "sqlite" else {"autocommit": True}
    alone = sql.create_engine(engine.url, connect_args=told)
    with alone.connect() as connection, pytest.raises(ConfigurationError, match="autocommit"):
        fenced(connection, "it", 1)
    with alone.connect() as connection, pytest.raises(ConfigurationError, match="autocommit"):
        fence_row(connection, Order, (1, 42), 1)
    alone.dispose()


def test_transactions_of_sqlite_may_be_begun_by_hand(tmp_path: Path) -> None:
    """As SQLAlchemy tells users to, for whom the driver begins them too late."""
    made = sql.create_engine(f"sqlite:///{tmp_path}/it", connect_args={"isolation_level": None})
    sql.event.listen(made, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    Base.metadata.create_all(made)
    with made.begin() as connection:
        fenced(connection, "it", 1)
    made.dispose()


def test_other_databases_are_refused() -> None:
    from sqlalchemy.dialects import oracle

    class Elsewhere:
        dialect = oracle.dialect()

        def connection(self) -> Elsewhere:
            return self

        def get_execution_options(self) -> dict[str, str]:
            return {}

    with pytest.raises(ConfigurationError, match="no fence is known for oracle"):
        fenced(Elsewhere(), "it", 1)  # type: ignore[arg-type]


# --- a column of the row ----------------------------------------------------------------------------------


def test_a_row_has_a_fence_of_its_own(engine: sql.Engine) -> None:
    with Session(engine) as session, session.begin():
        order = session.get_one(Order, (1, 42))
        fence_row(session, Order, (1, 42), 7)
        order.state = "paid"
    with Session(engine) as session, session.begin():
        fence_row(session, Order, (1, 42), 7)
        with pytest.raises(StaleToken, match="token 7 was here, which is newer than 6"):
            fence_row(session, Order, (1, 42), 6)
        with pytest.raises(NoSuchRow):
            fence_row(session, Order, (1, 43), 7)
    with Session(engine) as session:
        assert session.get_one(Order, (1, 42)).state == "paid"
        assert session.get_one(Order, (1, 42)).fence_token == 7


def test_what_was_read_before_the_fence_is_read_anew(engine: sql.Engine) -> None:
    with Session(engine, expire_on_commit=False) as session:
        order = session.get_one(Order, (1, 42))
        session.commit()
        with Session(engine) as other, other.begin():
            fence_row(other, Order, (1, 42), 3)
            other.get_one(Order, (1, 42)).state = "paid"
        assert order.state == "new"
        fence_row(session, Order, (1, 42), 4)
        assert not sql.inspect(order).unloaded, "an AsyncSession could not read it where it is looked at"
        assert order.state == "paid"
        session.commit()
        order.state = "lost"
        with pytest.raises(ConfigurationError, match="changed before it was fenced"):
            fence_row(session, Order, (1, 42), 5)


# --- two at the same time ---------------------------------------------------------------------------------

CONCURRENT = [
    pytest.param(("sqlite", None), id="sqlite"),
    *(
        pytest.param((server, level), id=f"{server} {level}", marks=pytest.mark.peer(server))
        for server in ("postgresql", "mariadb")
        for level in ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
    ),
]

TOLD_TO_BEGIN_AGAIN = (sql.exc.OperationalError, sql.exc.DBAPIError)
"""A serialization failure, a deadlock, "database is locked": nothing was done."""


@pytest.fixture(params=CONCURRENT)
def at_a_level(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sql.Engine]:
    database, level = request.param
    url = f"sqlite:///{tmp_path}/it" if database == "sqlite" else request.getfixturevalue(database)
    patient = {"connect_args": {"timeout": WITHIN_S}}
    made = sql.create_engine(url, **({"isolation_level": level} if level else patient))
    Base.metadata.create_all(made)
    with Session(made) as session, session.begin():
        session.add(Stock(item="chair", n=0))
    yield made
    Base.metadata.drop_all(made)
    made.dispose()


def ended(future: Future[None]) -> BaseException | None:
    return future.exception(WITHIN_S)


def test_who_comes_meanwhile_waits_and_is_judged_by_what_was_committed(at_a_level: sql.Engine) -> None:
    """The newer one has the fence and has not committed.  The older one comes, and must not pass by what he
    can see of it: by its own snapshot there is nothing."""

    def write(token: int) -> None:
        with Session(at_a_level) as session, session.begin():
            fenced(session, "it", token)
            session.execute(sql.update(Stock).values(n=token))

    for rolled_back in (False, True):
        with ThreadPoolExecutor(1) as threads, Session(at_a_level) as newer:
            fenced(newer, "it", 20 if rolled_back else 10)
            newer.execute(sql.update(Stock).values(n=10))
            older = threads.submit(write, 10 if rolled_back else 9)
            time.sleep(0.05)
            assert not older.done(), "it waits for the transaction that has the fence"
            if rolled_back:
                newer.rollback()
            else:
                newer.commit()
            error = ended(older)
        if rolled_back:
            assert error is None or isinstance(error, TOLD_TO_BEGIN_AGAIN)
        else:
            assert isinstance(error, (StaleToken, *TOLD_TO_BEGIN_AGAIN))
        assert left(at_a_level) == 10


def test_a_snapshot_from_before_does_not_let_an_older_one_pass(at_a_level: sql.Engine) -> None:
    """What the older one reads is as it was when it began; its fence must be as it is."""
    with at_a_level.begin() as connection:
        fenced(connection, "it", 5)
    with Session(at_a_level) as older:
        older.scalars(sql.select(Stock.n)).all()
        with at_a_level.begin() as connection:
            fenced(connection, "it", 9)
        with pytest.raises((StaleToken, *TOLD_TO_BEGIN_AGAIN)):
            fenced(older, "it", 5)


def test_tokens_are_accepted_in_their_order(at_a_level: sql.Engine) -> None:
    """Each writes down its token and the number of those before; accepted ones must be a growing sequence."""
    numbers = sql.Table(
        "accepted",
        sql.MetaData(),
        sql.Column("place", sql.Integer, primary_key=True, autoincrement=False),
        sql.Column("token", sql.Integer),
        mysql_engine="InnoDB",
    )
    numbers.create(at_a_level)
    errors: list[BaseException] = []

    def write(token: int) -> None:
        for _ in range(3):
            try:
                with at_a_level.begin() as connection:
                    fenced(connection, "it", token)
                    place = connection.execute(sql.select(sql.func.count()).select_from(numbers)).scalar_one()
                    connection.execute(numbers.insert().values(place=place, token=token))
            except (StaleToken, *TOLD_TO_BEGIN_AGAIN) as error:
                errors.append(error)

    threads = [threading.Thread(target=write, args=(token,)) for token in (1, 2, 3, 4, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WITHIN_S)
    with at_a_level.begin() as connection:
        accepted = connection.execute(sql.select(numbers.c.token).order_by(numbers.c.place)).scalars().all()
    numbers.drop(at_a_level)
    assert accepted
    assert list(accepted) == sorted(accepted)
    assert len(accepted) + len(errors) == 15
    # Places are primary keys: had one counted what another had not committed yet, there would be one twice.
    assert not [error for error in errors if isinstance(error, sql.exc.IntegrityError)]
