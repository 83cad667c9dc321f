"""MariaDB as a participant and under recovery, on a real server."""
from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pymysql
import pytest
from sqlalchemy import create_engine, text

import agreed
from agreed.client.errors import ConnectionLost
from agreed.transactions import InDoubt, Outcome, Transaction
from agreed.transactions.databases import Prepared, database
from agreed.transactions.decisions import Decisions
from agreed.transactions.errors import NotFinished, Refused, VotedNo
from agreed.transactions.mariadb import MariaDbBranch, check_version, names_of
from agreed.transactions.names import FORMAT, BranchName, new_cluster, new_transaction
from agreed.transactions.recovery import Recovery
from agreed.transactions.work import Work, run
from tests.transactions.mariadb import MariaDB
from tests.transactions.worlds import World, in_order

needs_mariadb = pytest.mark.peer("mariadb")


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDB]:
    with MariaDB(in_memory=True) as server:
        connection = pymysql.connect(**server.connection_arguments)
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE t (n int PRIMARY KEY) ENGINE=InnoDB")
        connection.close()
        yield server


def a_name() -> BranchName:
    return BranchName(new_cluster(), new_transaction(), "billing")


def begun(server: MariaDB, number: int, name: BranchName) -> MariaDbBranch:
    branch = MariaDbBranch("billing", pymysql.connect(**server.connection_arguments))
    run(branch.check())
    run(branch.begin(name))
    execute(branch.connection, f"INSERT INTO t VALUES ({number})")
    return branch


def execute(connection: Any, statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def numbers(server: MariaDB) -> list[int]:
    connection = pymysql.connect(**server.connection_arguments)
    found = [row[0] for row in execute(connection, "SELECT n FROM t ORDER BY n")]
    connection.close()
    return found


def recovery_of(server: MariaDB) -> Any:
    return database("billing", f"mariadb://root@127.0.0.1:{server.port}")


@needs_mariadb
def test_a_branch_is_prepared_and_then_committed_or_rolled_back(server: MariaDB) -> None:
    for number in (1, 2):
        branch = begun(server, number, a_name())
        assert run(branch.ready(5.0))
        run(branch.prepare())
        run(branch.commit() if number == 1 else branch.rollback())
        branch.connection.close()
    alone = begun(server, 3, a_name())
    run(alone.commit_alone())
    given_up = begun(server, 4, a_name())
    run(given_up.rollback())
    assert numbers(server) == [1, 3]
    assert alone.database.startswith("mariadb:")


@needs_mariadb
def test_recovery_finishes_what_is_prepared_once_who_prepared_it_is_gone(server: MariaDB) -> None:
    recovery = recovery_of(server)
    for number, finish in ((11, recovery.commit), (12, recovery.rollback)):
        name = a_name()
        branch = begun(server, number, name)
        run(branch.prepare())
        assert recovery.prepared() == [Prepared(name, None)]
        with pytest.raises(NotFinished, match="held by who made it"):
            finish(name, branch.database)
        branch.connection.close()
        deadline = time.monotonic() + 30
        while recovery.prepared():
            assert time.monotonic() < deadline
            try:
                finish(name, branch.database)
            except NotFinished:
                time.sleep(0.05)
        finish(name, branch.database)  # twice is as good as once
        assert recovery.identity() == branch.database
        with pytest.raises(NotFinished, match="another server answers there"):
            finish(name, "mariadb:another")
    recovery.close()
    assert 11 in numbers(server)
    assert 12 not in numbers(server)


@needs_mariadb
def test_a_failed_prepare_is_a_no(server: MariaDB) -> None:
    branch = begun(server, 21, a_name())
    execute(branch.connection, f"XA END {branch._xid}")
    execute(branch.connection, f"XA ROLLBACK {branch._xid}")
    with pytest.raises((VotedNo, pymysql.Error)):
        run(branch.prepare())
    assert 21 not in numbers(server)


@needs_mariadb
def test_what_cannot_take_part_is_refused(server: MariaDB) -> None:
    connection = pymysql.connect(**server.connection_arguments)
    execute(connection, "SELECT n FROM t")
    branch = MariaDbBranch("billing", connection)
    run(branch.check())
    with pytest.raises(Refused, match="in a transaction already"):
        run(branch.begin(a_name()))
    connection.autocommit(True)
    with pytest.raises(Refused, match="autocommit"):
        run(MariaDbBranch("billing", connection).check())
    connection.close()
    with pytest.raises(Refused, match="closed"):
        run(MariaDbBranch("billing", connection).check())


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ("10.11.6-MariaDB", True),
        ("5.5.5-10.11.6-MariaDB-0+deb12u1", True),
        ("11.4.2-MariaDB", True),
        ("10.4.30-MariaDB", False),
        ("8.0.36", True),
        ("5.7.44-log", True),
        ("5.6.51", False),
        ("who knows", False),
    ],
)
def test_a_server_that_forgets_is_refused(version: str, fits: bool) -> None:
    if fits:
        check_version("billing", version)
        return
    with pytest.raises(Refused, match="forgets"):
        check_version("billing", version)


def test_names_of_others_are_passed_over() -> None:
    name = a_name()
    parts = (name.global_part + name.branch).encode()
    ours = (FORMAT, len(name.global_part), len(name.branch), parts)
    other = (1, 3, 2, b"\xff\xfe\xfdab")
    assert names_of([other, ours, (FORMAT, 2, 1, b"abc")]) == [name]


@needs_mariadb
def test_a_whole_transaction_over_two_branches_and_its_recovery(server: MariaDB) -> None:
    world = World()
    session: Any = world._quiet
    two = [pymysql.connect(**server.connection_arguments) for _ in range(2)]

    def insert(tx: Transaction, number: int) -> None:
        execute(tx.one, f"INSERT INTO t VALUES ({number})")
        execute(tx.other, f"INSERT INTO t VALUES ({number + 1})")

    with agreed.atomic(session, one=two[0], other=two[1]) as tx:
        insert(tx, 101)
    with pytest.raises(ZeroDivisionError), agreed.atomic(session, one=two[0], other=two[1]) as tx:
        insert(tx, 103)
        raise ZeroDivisionError
    with pytest.raises(pymysql.Error), agreed.atomic(session, one=two[0], other=two[1]) as tx:
        insert(tx, 105)
        tx.one.commit()
    with agreed.atomic(session, one=two[0]) as tx:
        execute(tx.one, "INSERT INTO t VALUES (107)")
    dead = agreed.atomic(session, one=two[0], other=two[1])
    dead.__enter__()
    insert(dead, 109)
    # Ready twice is no call here; the record, two prepared, the decision, and then nobody commits.
    commit = in_order(dead._coordinator.commit())
    while not (record := run(dead._decisions.read(dead.id, 0))) or record.outcome is None:
        next(commit)
    for each in two:
        each.close()
    recovery = Recovery(session, [recovery_of(server)], patience_s=0, keep_s=0)
    deadline = time.monotonic() + 30
    while not recovery.round().quiet:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    recovery.close()
    assert [number for number in numbers(server) if number > 100] == [101, 102, 107, 109, 110]


@needs_mariadb
def test_who_leaves_a_branch_to_recovery_lets_go_of_it(server: MariaDB) -> None:
    """Nobody else can finish what a connection holds, so it is closed: also one of SQLAlchemy's pool."""
    world, recovery = World(), recovery_of(server)
    session: Any = world._quiet
    engine = create_engine(f"mysql+pymysql://root@127.0.0.1:{server.port}/test")
    given = pymysql.connect(**server.connection_arguments)
    decided = Decisions.decide

    def unanswered(self: Decisions, *arguments: Any) -> Work[Any]:
        yield from decided(self, *arguments)
        raise ConnectionLost("the reply is lost", maybe=True)

    with pytest.MonkeyPatch.context() as patched, pytest.raises(InDoubt) as doubt:
        patched.setattr(Decisions, "decide", unanswered)
        with agreed.atomic(session, one=engine, other=given) as tx:
            tx.one.execute(text("INSERT INTO t VALUES (201)"))
            execute(tx.other, "INSERT INTO t VALUES (202)")
    assert not given.open
    finish = Recovery(session, [recovery], patience_s=0, keep_s=1000)
    deadline = time.monotonic() + 30
    while not finish.round().quiet:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    finish.close()
    assert doubt.value.outcome() is Outcome.COMMITTED
    with agreed.atomic(session, one=engine) as tx:
        tx.one.execute(text("INSERT INTO t VALUES (203)"))
    engine.dispose()
    assert [number for number in numbers(server) if number > 200] == [201, 202, 203]
