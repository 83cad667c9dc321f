"""The bank on real databases: a short run under torture, and wrong coordinators that must be caught."""
from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random

import psycopg
import pytest

import agreed
import agreed.client
from agreed.client.sync import Session
from agreed.transactions.databases import database
from agreed.transactions.decisions import RECORDS
from agreed.transactions.postgresql import PostgreSqlBranch
from agreed.transactions.recovery import Recovery, Round
from agreed.transactions.work import Work
from tests.acceptance.cluster import Cluster
from tests.transactions import bank, bank_plain
from tests.transactions.bank_ledger import COMMITTED, Ledger
from tests.transactions.bank_money import DATABASES, FIRST_BALANCE, Observer, Transfer, found
from tests.transactions.bank_plain import PlainCoordinator
from tests.transactions.postgresql import PostgreSQL

pytestmark = pytest.mark.peer("postgresql")

ACCOUNTS = 10


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with PostgreSQL(in_memory=True) as running:
        yield running


@pytest.fixture
def dsns(server: PostgreSQL) -> dict[str, str]:
    """Two fresh databases.  They are on one server, which makes no difference: no snapshot covers both."""
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        for gid, name in connection.execute("SELECT gid, database FROM pg_prepared_xacts").fetchall():
            with psycopg.connect(server.dsn_of(name), autocommit=True) as there:
                there.execute(f"ROLLBACK PREPARED '{gid}'")
        for name in DATABASES:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            connection.execute(f'CREATE DATABASE "{name}"')
    dsns = {name: server.dsn_of(name) for name in DATABASES}
    for dsn in dsns.values():
        found(dsn, ACCOUNTS)
    return dsns


class Died(BaseException):
    """The coordinator is gone, with all it had in memory."""


class Dying(PlainCoordinator):
    """Right, and dies at its third commit between the two databases."""

    commits = 0

    def _finish(self, connection: psycopg.Connection, gid: str, commit: bool) -> None:
        self.commits += 1
        if self.commits == 6:
            raise Died
        super()._finish(connection, gid, commit)


class Guessing(PlainCoordinator):
    """Wrong: when it is back it takes what it finds prepared for undecided, whatever its log says."""

    def _decision(self, gid: str) -> bool:
        return False


class Sloppy(PlainCoordinator):
    """Wrong: one time in ten it commits the first branch and takes the second back."""

    asked = 0

    def _decision(self, gid: str) -> bool:
        self.asked += 1
        return self.asked % 20 != 0


def transfer(coordinator: PlainCoordinator, dsns: Mapping[str, str], ledger: Ledger, count: int) -> None:
    """Recover, then make that many transfers; the ledger hears of each."""
    dice = Random(7)
    with contextlib.ExitStack() as opened:
        connections = {
            name: opened.enter_context(contextlib.closing(psycopg.connect(dsn))) for name, dsn in dsns.items()
        }
        coordinator.recover(connections)
        for _ in range(count):
            with contextlib.suppress(psycopg.errors.CheckViolation):
                ledger.told(coordinator.run(connections, Transfer(ACCOUNTS, dice)), COMMITTED)


def judge(dsns: Mapping[str, str], ledger: Ledger) -> list[str]:
    """What two looks at each database find wrong."""
    observers = [Observer(name, dsn, transaction_of) for name, dsn in dsns.items()]
    for observer in observers * 2:
        ledger.look(observer.look())
    for observer in observers:
        assert observer.unlike_their_rows() == 0
        observer.close()
    return ledger.violations


def left_over(dsn: str) -> tuple[int, bool]:
    """How many branches are prepared there, and whether anything is locked."""
    with contextlib.closing(Observer("right", dsn, transaction_of)) as observer:
        return observer.count_prepared(), observer.locks() > 0


def transaction_of(gid: str) -> str | None:
    return bank.transaction_of(gid) or bank_plain.transaction_of(gid)


def new_ledger() -> Ledger:
    return Ledger(dict.fromkeys(DATABASES, ACCOUNTS * FIRST_BALANCE))


def test_a_coordinator_that_is_right_is_found_right(dsns: dict[str, str], tmp_path: Path) -> None:
    ledger = new_ledger()
    transfer(PlainCoordinator("c", tmp_path / "log"), dsns, ledger, 30)
    assert judge(dsns, ledger) == []
    assert len(ledger.committed()) > 20
    assert ledger.in_doubt == 0


def test_what_is_committed_by_half_is_in_doubt_until_its_coordinator_is_back(
    dsns: dict[str, str], tmp_path: Path
) -> None:
    ledger = new_ledger()
    with pytest.raises(Died):
        transfer(Dying("c", tmp_path / "log"), dsns, ledger, 5)
    assert judge(dsns, ledger) == []
    assert ledger.in_doubt > 0
    assert left_over(dsns["right"]) == (1, True)
    transfer(PlainCoordinator("c", tmp_path / "log"), dsns, ledger, 0)
    assert judge(dsns, ledger) == []
    assert ledger.in_doubt == 0
    assert left_over(dsns["right"]) == (0, False)


def test_recovery_that_guesses_is_caught(dsns: dict[str, str], tmp_path: Path) -> None:
    ledger = new_ledger()
    with pytest.raises(Died):
        transfer(Dying("c", tmp_path / "log"), dsns, ledger, 5)
    transfer(Guessing("c", tmp_path / "log"), dsns, ledger, 0)
    (violation,) = judge(dsns, ledger)
    assert "neither committed nor prepared at right: it is committed at left" in violation


def test_a_coordinator_that_commits_the_second_branch_only_sometimes_is_caught(
    dsns: dict[str, str], tmp_path: Path
) -> None:
    ledger = new_ledger()
    transfer(Sloppy("c", tmp_path / "log"), dsns, ledger, 15)
    assert any("neither committed nor prepared at right" in each for each in judge(dsns, ledger))


# --- decisions in a cluster -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Cluster(1, in_memory=True) as cluster, agreed.client.connect(f"agreed://{cluster.hosts}") as opened:
        yield opened


@pytest.fixture
def dies_between_two_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is to commit the branch called `right` is gone before it does."""
    right = PostgreSqlBranch.commit

    def commit(branch: PostgreSqlBranch) -> Work[None]:
        if branch.name == "right":
            raise Died
        yield from right(branch)

    monkeypatch.setattr(PostgreSqlBranch, "commit", commit)


def half_a_transfer(session: Session, dsns: Mapping[str, str]) -> None:
    connections = {name: psycopg.connect(dsn) for name, dsn in dsns.items()}
    with pytest.raises(Died), agreed.atomic(session, timeout_s=30.0, **connections) as transaction:
        Transfer(ACCOUNTS, Random(7))(transaction.id, connections)
    for connection in connections.values():
        connection.close()


def recover(session: Session, dsns: Mapping[str, str]) -> None:
    """One round, which leaves nobody any time."""
    recovery = Recovery(session, [database(*each) for each in dsns.items()], patience_s=0, keep_s=0)
    recovery.round()
    recovery.close()


@pytest.mark.usefixtures("dies_between_two_commits")
def test_what_a_dead_coordinator_has_decided_is_finished_by_another(
    session: Session, dsns: dict[str, str]
) -> None:
    ledger = new_ledger()
    half_a_transfer(session, dsns)
    assert judge(dsns, ledger) == []
    assert ledger.in_doubt > 0
    recover(session, dsns)
    assert judge(dsns, ledger) == []
    assert ledger.in_doubt == 0
    assert session.children(RECORDS).names == ()


@pytest.mark.usefixtures("dies_between_two_commits")
def test_recovery_that_does_not_ask_for_the_decision_is_caught(
    session: Session, dsns: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Round, "_committed", lambda *_: False)
    ledger = new_ledger()
    half_a_transfer(session, dsns)
    recover(session, dsns)
    (violation,) = judge(dsns, ledger)
    assert "neither committed nor prepared at right: it is committed at left" in violation


def test_money_is_conserved_while_everything_is_killed() -> None:
    """Some seconds of `python -m tests.transactions.bank`."""
    plan = bank.Plan(
        6,
        seed=38,
        clients=4,
        in_memory=True,
        between_s=(0.3, 1.5),
        away_s=(0.1, 2.0),
        pause_s=(0.1, 4.0),
        recovered_within_s=60,
    )
    report = bank.run(plan)
    assert report.violations == [], report.text()
    assert report.broken, report.text()
    assert report.rows > 4, report.text()
