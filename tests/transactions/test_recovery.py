"""Recovery, story by story; what it does beside a transaction that lives is played in `test_coordinator`."""
from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agreed import client
from agreed.atomic_commit.messages import Vote
from agreed.cli.playground import Playground
from agreed.client.values import SetData
from agreed.errors import ConfigurationError
from agreed.transactions import databases as databases_of
from agreed.transactions.databases import Database, Prepared
from agreed.transactions.decisions import CLOCK, RECORDS, Decisions
from agreed.transactions.election import is_active
from agreed.transactions.errors import NotFinished, Refused
from agreed.transactions.names import BranchName, new_cluster, new_transaction
from agreed.transactions.operator import resolve
from agreed.transactions.records import Branch, Outcome, Record, State, encode
from agreed.transactions.recovery import Recovery
from agreed.transactions.work import run
from tests.transactions.worlds import Died, ServerForRecovery, World

SOON = 10.0**9
"""A deadline that no test reaches."""


class Silent(ServerForRecovery):
    """Does not answer."""

    def prepared(self) -> list[Prepared]:
        raise NotFinished(f"{self.label}: nobody is there")


class Aged(ServerForRecovery):
    """Everything in it is old, and nothing can be finished."""

    def prepared(self) -> list[Prepared]:
        return [Prepared(each.name, 1000.0) for each in super().prepared()]

    def rollback(self, name: BranchName, identity: str) -> None:
        raise NotFinished(f"{self.label}: permission denied to finish prepared transaction")


class Ground:
    def __init__(self, patience_s: float = 0.0, keep_s: float = 0.0) -> None:
        self.world = World()
        self.one, self.two = self.world.servers
        self.recovery = Recovery(
            self.world._quiet,  # type: ignore[arg-type]
            [ServerForRecovery(each, self.world) for each in self.world.servers],
            patience_s=patience_s,
            keep_s=keep_s,
        )
        self.decisions = Decisions(self.world._quiet)
        self.cluster = run(self.decisions.open(SOON))
        self.transaction = new_transaction()

    def name(self, branch: str) -> BranchName:
        return BranchName(self.cluster, self.transaction, branch)

    def begun(self) -> Record:
        branches = (Branch("a", self.one.identity()), Branch("b", self.two.identity()))
        record = Record(State.OPEN, "us", 10.0, branches)
        run(self.decisions.begin(self.transaction, record, SOON))
        self.one.prepared.add(self.name("a"))
        self.two.prepared.add(self.name("b"))
        witness = self.world.witness
        witness.begun(self.transaction, ("a", "b"))
        for each in ("a", "b"):
            witness.worked(self.transaction, each, Vote.YES)
            witness.voted(self.transaction, each, Vote.YES)
        return record

    def committed(self) -> Record:
        wish = self.begun().committed({"a": Vote.YES, "b": Vote.YES}, "us")
        return run(self.decisions.decide(self.transaction, wish, SOON))

    @property
    def record(self) -> Record | None:
        return run(self.decisions.read(self.transaction, SOON))

    def have_committed(self) -> list[str]:
        return [each.label for each in self.world.servers if self.transaction in each.committed]

    def pass_s(self, seconds: float) -> None:
        self.world.now_ms += int(seconds * 1000)


def test_what_is_committed_is_committed_everywhere_and_forgotten() -> None:
    ground = Ground()
    ground.committed()
    report = ground.recovery.round()
    assert (report.committed, report.rolled_back, report.forgotten) == (2, 0, 1)
    assert ground.have_committed() == ["one", "two"]
    assert ground.record is None
    assert ground.recovery.round().quiet
    assert ground.recovery.total.committed == 2


def test_an_idle_cluster_is_not_written_to() -> None:
    ground = Ground()
    ground.recovery.round()
    assert ground.world.nodes[CLOCK].version == 0
    ground.begun()
    ground.recovery.round()
    assert ground.world.nodes[CLOCK].version == 1
    del ground.world.nodes[CLOCK]
    ground.recovery.round()
    assert CLOCK in ground.world.nodes


def test_what_is_decided_is_left_to_its_coordinator_for_a_while() -> None:
    ground = Ground(patience_s=2.0)
    ground.committed()
    assert ground.recovery.round().waiting == 2
    ground.pass_s(2.0)
    assert ground.recovery.round().committed == 2


def test_what_it_has_finished_is_kept_for_those_who_may_ask() -> None:
    ground = Ground(keep_s=300.0)
    ground.committed()
    ground.recovery.round()
    assert ground.record is not None
    ground.pass_s(299.0)
    ground.recovery.round()
    assert ground.record is not None
    ground.pass_s(1.0)
    assert ground.recovery.round().forgotten == 1
    assert ground.record is None


def test_an_open_one_is_left_until_its_limit_and_then_aborted() -> None:
    ground = Ground(keep_s=300.0)
    ground.begun()
    ground.pass_s(10.0)
    assert ground.recovery.round().waiting == 2
    ground.pass_s(0.1)
    report = ground.recovery.round()
    assert (report.aborted, report.rolled_back) == (1, 2)
    record = ground.record
    assert record is not None
    assert record.state is State.ABORTED
    assert record.by.startswith("recovery at ")
    assert not ground.have_committed()


def test_a_branch_without_a_record_is_rolled_back() -> None:
    ground = Ground()
    ground.one.prepared.add(ground.name("a"))
    assert ground.recovery.round().rolled_back == 1
    assert not ground.one.prepared


def test_a_record_that_cannot_be_read_is_not_the_same_as_none() -> None:
    """It may say committed: whoever takes it for nothing rolls back what others have committed."""
    ground = Ground()
    ground.committed()
    ground.world._quiet.set(f"{RECORDS}/{ground.transaction}", b"nonsense")
    assert ground.recovery.round().waiting == 2
    assert ground.one.prepared
    assert ground.two.prepared


def test_branches_of_another_cluster_are_told_and_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    ground = Ground()
    foreign = BranchName(new_cluster(), new_transaction(), "a")
    ground.one.prepared.add(foreign)
    with caplog.at_level(logging.WARNING, "agreed.transactions"):
        assert [ground.recovery.round().foreign for _ in range(2)] == [1, 1]
    assert ground.one.prepared == {foreign}
    assert caplog.text.count("belongs to another cluster") == 1


def test_a_record_is_kept_while_one_of_its_databases_is_not_known(caplog: pytest.LogCaptureFixture) -> None:
    ground = Ground()
    ground.committed()
    known = ground.recovery.databases
    ground.recovery.databases = known[:1]
    with caplog.at_level(logging.WARNING, "agreed.transactions"):
        ground.recovery.round()
    assert ground.have_committed() == ["one"]
    assert ground.record is not None
    assert "its branch b is in memory:two" in caplog.text
    ground.recovery.databases = known
    ground.recovery.round()
    assert ground.have_committed() == ["one", "two"]
    assert ground.record is None


def test_one_that_does_not_answer_holds_up_no_other() -> None:
    ground = Ground()
    ground.committed()
    one, two = ground.recovery.databases
    ground.recovery.databases = (Silent(ground.one, ground.world), two)
    report = ground.recovery.round()
    assert (report.unreachable, report.committed) == (("one",), 1)
    assert not report.quiet
    assert ground.record is not None
    ground.recovery.databases = (one, two)
    assert ground.recovery.round().committed == 1


def test_what_is_old_and_cannot_be_finished_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    ground = Ground()
    ground.one.prepared.add(ground.name("a"))
    ground.recovery.databases = (Aged(ground.one, ground.world),)
    with caplog.at_level(logging.WARNING, "agreed.transactions"):
        assert [ground.recovery.round().old for _ in range(2)] == [1, 1]
    assert caplog.text.count("has been prepared for 1000 s") == 1
    assert caplog.text.count("permission denied") == 1


def test_one_database_under_two_names_is_looked_at_once() -> None:
    ground = Ground()
    ground.committed()
    ground.recovery.databases = (*ground.recovery.databases, *ground.recovery.databases)
    assert ground.recovery.round().committed == 2


@pytest.mark.parametrize("decided", [True, False])
def test_a_recovery_that_dies_anywhere_is_followed_by_another_that_ends_the_same(decided: bool) -> None:
    def die() -> None:
        raise Died

    died = 0
    for place in range(1, 20):
        ground = Ground()
        if decided:
            ground.committed()
        else:
            ground.begun()
            ground.pass_s(11.0)
        ground.world._recovery_calls, ground.world._beside = 0, (place, die)
        try:
            ground.recovery.round()
        except Died:
            died += 1
        ground.world._beside = None
        ground.recovery.finished.clear()  # the next one knows nothing of it
        ground.recovery.round()
        assert ground.have_committed() == (["one", "two"] if decided else [])
        assert not ground.one.prepared | ground.two.prepared
        assert ground.record is None
    assert died > 8


# --- what an operator may not do --------------------------------------------------------------------------


def test_what_the_coordinator_alone_knows_is_not_committed_by_anybody_else() -> None:
    """It would be committed without its operations on the cluster."""
    ground = Ground()
    record = msgspec.structs.replace(ground.begun(), operations=1)
    ground.world._quiet._apply([SetData(f"{RECORDS}/{ground.transaction}", encode(record))])
    databases = ground.recovery.databases
    session: Any = ground.world._quiet
    with pytest.raises(Refused, match="only its coordinator knows"):
        resolve(session, ground.transaction, Outcome.COMMITTED, "me", databases)
    assert ground.record == record


# --- who is active ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Playground(tmp_path_factory.mktemp("cluster"), size=1) as cluster:
        cluster.start_all()
        cluster.wait_until_serving(60)
        yield f"agreed://{cluster.hosts}"


def test_of_several_one_is_active_until_its_session_ends(url: str) -> None:
    first, second = client.connect(url), client.connect(url)
    run(Decisions(first).open(SOON))
    assert is_active(first, "first", 10.0)
    assert not is_active(second, "second", 10.0)
    assert is_active(first, "first", 10.0)
    first.close()
    assert is_active(second, "second", 10.0)
    second.close()


def test_it_runs_until_it_is_told_to_stop_whatever_goes_wrong(url: str) -> None:
    sessions: list[client.Session] = []
    looked = threading.Semaphore(0)

    class Counting:
        label = "nowhere"

        def identity(self) -> str:
            return "nowhere"

        def prepared(self) -> list[Prepared]:
            looked.release()
            raise ZeroDivisionError

        def close(self) -> None:
            pass

    def connect() -> client.Session:
        sessions.append(client.connect(url))
        return sessions[-1]

    nowhere: Database = Counting()  # type: ignore[assignment]
    recovery = Recovery(connect, [nowhere], every_s=0.01)
    stop = threading.Event()
    thread = threading.Thread(target=recovery.run, args=(stop,))
    thread.start()
    for _ in range(2):
        assert looked.acquire(timeout=30)
    sessions[0].close()
    while len(sessions) < 2:
        assert looked.acquire(timeout=30)
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    assert sessions[-1].state.final


# --- the file of databases --------------------------------------------------------------------------------


def test_a_file_names_databases(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    pytest.importorskip("pymysql")
    file = tmp_path / "databases.toml"
    file.write_text('a = "postgresql://me@db1/a"\nb = "host=db2 dbname=b"\nc = "mariadb://me:secret@db3:3307"\n')
    assert [each.label for each in databases_of.load(file)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a = 1", "give an address"),
        ("a", "not TOML"),
        ('a = "oracle://db"', "no database of ours"),
        ('a = "postgresql://[nonsense"', "a: "),
        ('a = "mariadb://db:port"', "a: "),
    ],
)
def test_what_is_no_such_file_is_told(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "databases.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=why):
        databases_of.load(file)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        databases_of.load(tmp_path / "nowhere")
