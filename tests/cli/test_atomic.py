"""`agreed atomic` without a database; with real ones in `tests/transactions/test_postgresql.py`."""
from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from agreed import client
from agreed.cli.atomic import command
from agreed.cli.playground import Playground
from agreed.transactions.decisions import RECORDS, Decisions
from agreed.transactions.names import new_transaction
from agreed.transactions.records import Branch, Record, State
from agreed.transactions.work import run


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[client.Session]:
    with Playground(tmp_path_factory.mktemp("cluster"), size=1) as cluster:
        cluster.start_all()
        cluster.wait_until_serving(60)
        with client.connect(f"agreed://{cluster.hosts}") as session:
            session.hosts = cluster.hosts  # type: ignore[attr-defined]
            yield session


def do(session: client.Session, *words: str) -> tuple[int, str]:
    url = f"agreed://{session.hosts}"  # type: ignore[attr-defined]
    done = CliRunner().invoke(command, [words[0], url, *words[1:]])
    return done.exit_code, done.output


def begun(session: client.Session) -> str:
    decisions, until, transaction = Decisions(session), time.monotonic() + 60, new_transaction()
    run(decisions.open(until))
    record = Record(State.OPEN, "shop:17", 10.0, (Branch("orders", "postgresql:1:2"),))
    run(decisions.begin(transaction, record, until))
    return transaction


def test_nothing_is_under_way_in_a_new_cluster(session: client.Session) -> None:
    assert do(session, "list") == (0, "nothing is under way\n")


def test_what_is_open_is_shown_and_can_be_aborted_once(session: client.Session) -> None:
    transaction = begun(session)
    assert f"{transaction}  open" in do(session, "list")[1]
    assert "undecided; recovery aborts it 10 s after its begin" in do(session, "show", transaction)[1]
    code, said = do(session, "resolve", transaction, "commit")
    assert code == 1
    assert "every branch must be seen to be prepared" in said
    assert do(session, "resolve", transaction, "abort")[0] == 0
    assert do(session, "resolve", transaction, "abort")[0] == 0, "as it is"
    code, said = do(session, "resolve", transaction, "commit")
    assert code == 1
    assert "that is final" in said
    shown = json.loads(do(session, "show", transaction, "--json")[1])
    assert (shown["id"], shown["record"]["state"]) == (transaction, "aborted")


def test_what_is_not_known_or_cannot_be_read_is_said(session: client.Session) -> None:
    for words in (("show", new_transaction()), ("resolve", new_transaction(), "abort"), ("show", "../nodes")):
        code, said = do(session, *words)
        assert code == 1
        assert "is not known" in said
    damaged = new_transaction()
    begun(session)
    session.create(f"{RECORDS}/{damaged}", b"nonsense")
    assert f"{damaged}  its record cannot be read" in do(session, "list")[1]
    session.delete(f"{RECORDS}/{damaged}")


def test_recovery_without_a_database_leaves_what_it_cannot_reach(
    session: client.Session, tmp_path: Path
) -> None:
    file = tmp_path / "databases.toml"
    file.write_text("")
    transaction = begun(session)
    code, said = do(session, "recover", "--once", "--databases", str(file))
    assert (code, said.splitlines()[-1]) == (0, "0 branches committed, 0 rolled back, 0 left")
    assert transaction in do(session, "list")[1]
