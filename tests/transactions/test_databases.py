"""The servers that other tests break are real ones: they keep what was prepared through SIGKILL."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pymysql
import pytest

from tests.peers import WHY_MISSING
from tests.transactions import mariadb, postgresql
from tests.transactions.database import children_of
from tests.transactions.mariadb import MariaDB
from tests.transactions.postgresql import PostgreSQL


@pytest.mark.peer("postgresql")
def test_a_postgresql_keeps_a_prepared_transaction_through_sigkill() -> None:
    with PostgreSQL(in_memory=True) as server:
        with psycopg.connect(server.dsn) as connection:
            connection.execute("CREATE TABLE kept (number int)")
        connection = psycopg.connect(server.dsn)
        connection.tpc_begin("a transaction")
        connection.execute("INSERT INTO kept VALUES (7)")
        connection.tpc_prepare()
        assert server.process is not None
        family = [server.process.pid, *children_of(server.process.pid)]
        server.kill()
        assert len(family) > 1
        assert not server.answers()

        server.start()
        server.wait_until_answering()
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            assert connection.execute("SELECT gid FROM pg_prepared_xacts").fetchall() == [("a transaction",)]
            connection.execute("COMMIT PREPARED 'a transaction'")
            assert connection.execute("SELECT number FROM kept").fetchall() == [(7,)]
    assert not server.directory.exists()
    assert not server.running


@pytest.mark.peer("mariadb")
def test_a_mariadb_keeps_a_prepared_transaction_through_sigkill() -> None:
    with MariaDB(in_memory=True) as server:
        cursor = pymysql.connect(**server.connection_arguments).cursor()
        cursor.execute("CREATE TABLE kept (number int) ENGINE = InnoDB")
        for statement in ("XA START 'x'", "INSERT INTO kept VALUES (7)", "XA END 'x'", "XA PREPARE 'x'"):
            cursor.execute(statement)
        server.kill()
        assert not server.answers()

        server.start()
        server.wait_until_answering()
        cursor = pymysql.connect(**server.connection_arguments, autocommit=True).cursor()
        cursor.execute("XA RECOVER")
        assert [row[3] for row in cursor.fetchall()] == [b"x"]
        cursor.execute("XA COMMIT 'x'")
        cursor.execute("SELECT number FROM kept")
        assert cursor.fetchall() == ((7,),)
    assert not server.directory.exists()


def test_a_peer_that_is_missing_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for module, place in ((postgresql, "DEBIAN"), (mariadb, "STATEMENTS")):
        monkeypatch.setattr(module, place, tmp_path)
    assert "make peers" in str(WHY_MISSING["postgresql"]())
    assert "make peers" in str(WHY_MISSING["mariadb"]())
