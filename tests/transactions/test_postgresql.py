"""`agreed.atomic` over real databases of PostgreSQL, with decisions in a real cluster (of one node).

What two servers do when everything around them is killed is in `bank.py`; here are the stories one by one.
"""
from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session as OrmSession

import agreed
from agreed import client
from agreed.cli.atomic import command
from agreed.cli.playground import Playground
from agreed.client.errors import ConnectionLost
from agreed.transactions import (
    Aborted,
    Forgotten,
    InDoubt,
    Outcome,
    Refused,
    Transaction,
    aio,
    coordinator,
    outcome_of,
)
from agreed.transactions.databases import Database, database
from agreed.transactions.decisions import RECORDS, Decisions
from agreed.transactions.errors import NotFinished
from agreed.transactions.names import BranchName, new_cluster, new_transaction
from agreed.transactions.postgresql import PostgreSqlBranch, Server, _known
from agreed.transactions.records import Record
from agreed.transactions.recovery import Recovery
from agreed.transactions.work import Later, Together, Work, run
from tests.transactions.postgresql import PostgreSQL

pytestmark = pytest.mark.peer("postgresql")

WITHIN_S = 60.0

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


class Ground(NamedTuple):
    server: PostgreSQL
    cluster: Playground
    session: client.Session

    @property
    def url(self) -> str:
        return f"agreed://{self.cluster.hosts}"

    def connect(self, name: str) -> psycopg.Connection[Any]:
        return psycopg.connect(self.server.dsn_of(name))

    def rows(self, name: str) -> list[int]:
        with self.connect(name) as connection:
            return [row[0] for row in connection.execute("SELECT n FROM t ORDER BY n")]

    def prepared(self) -> list[str]:
        with self.connect("orders") as connection:
            return [row[0] for row in connection.execute("SELECT gid FROM pg_prepared_xacts")]

    def databases(self) -> list[Database]:
        return [database(name, self.server.dsn_of(name)) for name in ("orders", "billing")]

    def records(self) -> tuple[str, ...]:
        return self.session.children(RECORDS).names

    def ever_begun(self) -> int:
        """How many records there ever were."""
        stat = self.session.children(RECORDS).stat
        return (stat.children_version + stat.children) // 2

    def recovered(self) -> None:
        """Rounds of recovery until nothing is left."""
        recovery = Recovery(self.session, self.databases(), patience_s=0, keep_s=0)
        try:
            until(lambda: recovery.round().quiet and not self.records())
        finally:
            recovery.close()


def until(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not there():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    directory = tmp_path_factory.mktemp("cluster")
    with PostgreSQL(in_memory=True) as server, Playground(directory, size=1) as cluster:
        cluster.start_all()
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            for name in ("orders", "billing"):
                connection.execute(f"CREATE DATABASE {name}")
        cluster.wait_until_serving(WITHIN_S)
        with client.connect(f"agreed://{cluster.hosts}") as session:
            run(Decisions(session).open(time.monotonic() + WITHIN_S))
            yield Ground(server, cluster, session)


@pytest.fixture(autouse=True)
def _tables(ground: Ground) -> Iterator[None]:
    for name in ("orders", "billing"):
        with ground.connect(name) as connection:
            connection.execute("DROP TABLE IF EXISTS t")
            connection.execute("CREATE TABLE t (n int, UNIQUE (n) DEFERRABLE INITIALLY DEFERRED)")
    yield
    assert not ground.prepared()


@pytest.fixture
def two(ground: Ground) -> Iterator[dict[str, psycopg.Connection[Any]]]:
    connections = {name: ground.connect(name) for name in ("orders", "billing")}
    yield connections
    for each in connections.values():
        each.close()


@pytest.fixture
def given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recovery waits a moment only for a coordinator that has died; one that lives has all the time that it
    was given, and is not too late because the machine stood still."""
    begin = Decisions.begin

    def begin_for_a_moment(self: Decisions, transaction: str, record: Record, deadline: float) -> Work[None]:
        return begin(self, transaction, msgspec.structs.replace(record, limit_s=1.5), deadline)

    monkeypatch.setattr(Decisions, "begin", begin_for_a_moment)


def insert(tx: Transaction, *numbers: int) -> None:
    for number in numbers:
        tx.orders.execute("INSERT INTO t VALUES (%s)", (number,))
        tx.billing.execute("INSERT INTO t VALUES (%s)", (number,))


def both(ground: Ground) -> tuple[list[int], list[int]]:
    return ground.rows("orders"), ground.rows("billing")


# --- together ---------------------------------------------------------------------------------------------


def test_both_are_committed_and_nothing_is_left(ground: Ground, two: dict[str, Any]) -> None:
    with agreed.atomic(ground.url, **two) as tx:
        insert(tx, 1)
        assert tx["orders"] is two["orders"]
    assert tx.outcome is Outcome.COMMITTED
    assert not tx.unfinished
    assert both(ground) == ([1], [1])
    until(lambda: not ground.records())


def test_connections_can_be_used_again(ground: Ground, two: dict[str, Any]) -> None:
    for number in range(3):
        with agreed.atomic(ground.session, **two) as tx:
            insert(tx, number)
        two["orders"].execute("SELECT 1")
        two["orders"].commit()
    assert both(ground) == ([0, 1, 2], [0, 1, 2])


def test_what_the_block_raises_rolls_both_back(ground: Ground, two: dict[str, Any]) -> None:
    with pytest.raises(KeyboardInterrupt), agreed.atomic(ground.session, **two) as tx:
        insert(tx, 1)
        raise KeyboardInterrupt
    assert tx.outcome is Outcome.ABORTED
    assert both(ground) == ([], [])


def test_a_failed_statement_that_nobody_minds_does_not_commit_the_other(
    ground: Ground, two: dict[str, Any]
) -> None:
    """PREPARE TRANSACTION would say ROLLBACK here, without an error."""
    no_vote = pytest.raises(Aborted, match="billing: a statement has failed")
    with no_vote, agreed.atomic(ground.session, **two) as tx:
        insert(tx, 1)
        with contextlib.suppress(psycopg.Error):
            tx.billing.execute("nonsense")
    assert both(ground) == ([], [])


@pytest.mark.parametrize("statement", ["COMMIT", "ROLLBACK"])
def test_a_transaction_that_was_ended_in_the_block_is_no_vote(
    ground: Ground, two: dict[str, Any], statement: str
) -> None:
    with pytest.raises(Aborted, match="ended by a statement"), agreed.atomic(ground.session, **two) as tx:
        insert(tx, 1)
        tx.billing.execute(statement)
    assert ground.rows("orders") == []


def test_the_answer_of_prepare_is_believed_and_nothing_else(
    ground: Ground, two: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the check before it had not been: the command tag alone says whether it is prepared."""
    def ready(self: PostgreSqlBranch, timeout_s: float) -> Work[bool]:
        return True
        yield

    monkeypatch.setattr(PostgreSqlBranch, "ready", ready)
    with pytest.raises(Aborted, match="has answered ROLLBACK"), agreed.atomic(ground.session, **two) as tx:
        insert(tx, 1)
        with contextlib.suppress(psycopg.Error):
            tx.billing.execute("nonsense")
    assert both(ground) == ([], [])


def test_who_finds_out_when_it_prepares_votes_no(ground: Ground, two: dict[str, Any]) -> None:
    """A deferred constraint is looked at then."""
    with pytest.raises(Aborted, match="billing: duplicate key"), agreed.atomic(ground.session, **two) as tx:
        insert(tx, 1)
        tx.billing.execute("INSERT INTO t VALUES (1)")
    assert both(ground) == ([], [])
    with agreed.atomic(ground.session, **two) as tx:
        insert(tx, 2)
    assert both(ground) == ([2], [2])


def test_who_has_only_read_drops_out_and_one_alone_needs_no_cluster(
    ground: Ground, two: dict[str, Any]
) -> None:
    before = ground.ever_begun()
    with agreed.atomic(ground.session, **two) as tx:
        tx.orders.execute("SELECT * FROM t")
        tx.billing.execute("INSERT INTO t VALUES (1)")
    with agreed.atomic(ground.session, orders=two["orders"]) as tx:
        tx.orders.execute("INSERT INTO t VALUES (2)")
    with agreed.atomic(ground.session, **two) as tx:
        tx.orders.execute("SELECT * FROM t")
    assert both(ground) == ([2], [1])
    assert ground.ever_begun() == before


def test_one_alone_that_cannot_commit_says_so(ground: Ground, two: dict[str, Any]) -> None:
    no_vote = pytest.raises(Aborted, match="duplicate key")
    with no_vote, agreed.atomic(ground.session, orders=two["orders"]) as tx:
        tx.orders.execute("INSERT INTO t VALUES (1), (1)")
    with agreed.atomic(ground.session, orders=two["orders"]) as tx:
        tx.orders.execute("INSERT INTO t VALUES (2)")
    assert ground.rows("orders") == [2]


@pytest.mark.parametrize("done", [True, False])
def test_one_alone_whose_connection_is_lost_while_it_commits_is_in_doubt_and_its_database_knows(
    ground: Ground, two: dict[str, Any], monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    commit = psycopg.Connection.tpc_commit

    def lost(connection: psycopg.Connection[Any]) -> None:
        if done:
            commit(connection)
        terminate(ground, connection)
        connection.execute("SELECT 1")

    monkeypatch.setattr(psycopg.Connection, "tpc_commit", lost)
    with pytest.raises(InDoubt) as doubt, agreed.atomic(ground.session, orders=two["orders"]) as tx:
        tx.orders.execute("INSERT INTO t VALUES (1)")
    two["orders"].close()
    assert doubt.value.wait() is (Outcome.COMMITTED if done else Outcome.ABORTED)
    assert ground.rows("orders") == ([1] if done else [])


def test_the_cluster_takes_part(ground: Ground, two: dict[str, Any]) -> None:
    with agreed.atomic(ground.session, orders=two["orders"]) as tx:
        tx.orders.execute("INSERT INTO t VALUES (1)")
        tx.cluster.create("/with-orders", b"1")
        assert ground.session.exists("/with-orders") is None
    assert ground.session.get("/with-orders").data == b"1"
    with pytest.raises(Aborted, match="BadVersion /with-orders"), agreed.atomic(ground.session, **two) as tx:
        insert(tx, 2)
        tx.cluster.set("/with-orders", b"2", version=7)
    with agreed.atomic(ground.session) as tx:
        tx.cluster.check("/with-orders", 0)
        tx.cluster.delete("/with-orders")
    assert ground.session.exists("/with-orders") is None
    assert both(ground) == ([1], [])


# --- refused ----------------------------------------------------------------------------------------------


def refused(ground: Ground, why: str, **connections: Any) -> None:
    with pytest.raises(Refused, match=why), agreed.atomic(ground.session, **connections):
        pytest.fail("it was begun")


def test_what_cannot_take_part_is_refused_in_time(ground: Ground, two: dict[str, Any]) -> None:
    orders, billing = two["orders"], two["billing"]
    refused(ground, "same connection|one connection", orders=orders, again=orders)
    refused(ground, "means something else", outcome=orders)
    refused(ground, "no two-phase commit", orders=orders, thing=object())
    refused(ground, "cannot be told to prepare", orders=orders, other=ground.session)
    orders.execute("SELECT 1")
    refused(ground, "in a transaction already", **two)
    orders.rollback()
    billing.autocommit = True
    refused(ground, "autocommit", **two)
    billing.autocommit = False
    with agreed.atomic(ground.session, **two) as tx:
        refused(ground, "under way", orders=orders)
        insert(tx, 1)
    billing.close()
    refused(ground, "closed", **two)
    assert ground.rows("orders") == [1]


def test_a_server_that_can_prepare_nothing_is_refused_before_the_block(
    ground: Ground, two: dict[str, Any]
) -> None:
    _known[two["billing"]] = Server(1, 1, 0, False)
    refused(ground, "max_prepared_transactions is 0", **two)


def test_nobody_ends_the_transaction_of_a_branch_in_the_block(ground: Ground, two: dict[str, Any]) -> None:
    with pytest.raises(psycopg.ProgrammingError), agreed.atomic(ground.session, **two) as tx:
        insert(tx, 1)
        tx.orders.commit()
    assert both(ground) == ([], [])


# --- what dies --------------------------------------------------------------------------------------------


def die_after(calls: int, work: Work[Any]) -> None:
    """The first calls of this work, and then nobody makes the others."""
    left = calls

    def go(work: Work[Any], answer: Any = None) -> Any:
        nonlocal left
        try:
            while True:
                wanted = work.send(answer)
                if isinstance(wanted, Together):
                    answer = [go(each) for each in wanted.works]
                    continue
                assert not isinstance(wanted, Later)
                left -= 1
                if left < 0:
                    raise SystemExit
                answer = wanted()
        except StopIteration as end:
            return end.value

    with contextlib.suppress(SystemExit):
        go(work)
        pytest.fail("it did not die")


@pytest.mark.usefixtures("given_up_soon")
def test_whoever_dies_wherever_recovery_ends_it_the_same_on_both(ground: Ground) -> None:
    """Its calls: two to ask each whether it has written, the record, two to prepare each, the decision."""
    for calls in range(12):
        two = {name: ground.connect(name) for name in ("orders", "billing")}
        tx = agreed.atomic(ground.session, timeout_s=WITHIN_S, **two)
        tx.__enter__()
        insert(tx, calls)
        die_after(calls, tx._coordinator.commit())
        for each in two.values():
            each.close()
    ground.recovered()
    # From the decision on it is committed.
    assert both(ground) == ([10, 11], [10, 11])


def test_a_branch_whose_connection_is_lost_takes_the_other_along(ground: Ground, two: dict[str, Any]) -> None:
    with pytest.raises(Aborted, match="billing"), agreed.atomic(ground.session, **two) as tx:
        insert(tx, 1)
        terminate(ground, two["billing"])
    assert both(ground) == ([], [])


def terminate(ground: Ground, connection: psycopg.Connection[Any]) -> None:
    with ground.connect("orders") as killer:
        killer.execute("SELECT pg_terminate_backend(%s, 10000)", (connection.info.backend_pid,))


def test_a_connection_lost_after_the_decision_is_left_to_recovery(
    ground: Ground, two: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    decide = Decisions.decide

    def then_lost(self: Decisions, *arguments: Any) -> Work[Any]:
        standing = yield from decide(self, *arguments)
        terminate(ground, two["billing"])
        return standing

    monkeypatch.setattr(Decisions, "decide", then_lost)
    with agreed.atomic(ground.session, **two) as tx:
        insert(tx, 1)
    assert tx.outcome is Outcome.COMMITTED
    assert tx.unfinished == ("billing",)
    assert both(ground) == ([1], [])
    ground.recovered()
    assert both(ground) == ([1], [1])


def test_who_is_interrupted_while_a_branch_prepares_leaves_nothing(
    ground: Ground, two: dict[str, Any]
) -> None:
    """It waits for somebody else, who has the same number and does not decide."""
    with ground.connect("orders") as other:
        other.execute("INSERT INTO t VALUES (1)")

        def interrupt_who_waits() -> None:
            until(lambda: other.execute(WAITING).fetchone() != (0,))
            os.kill(os.getpid(), signal.SIGINT)

        with (
            pytest.raises(KeyboardInterrupt),
            agreed.atomic(ground.session, timeout_s=WITHIN_S, **two) as tx,
        ):
            insert(tx, 1)
            threading.Thread(target=interrupt_who_waits).start()
        other.rollback()
    assert tx.outcome is Outcome.ABORTED
    assert not ground.prepared()
    with agreed.atomic(ground.session, **two) as tx:
        insert(tx, 2)
    until(lambda: not ground.records())
    assert both(ground) == ([2], [2])


@pytest.mark.parametrize("phase", ["body", "record", "decision"])
def test_a_database_that_stands_still_does_not_hold_up_the_other(
    ground: Ground, two: dict[str, Any], monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    """It is stopped, so its connection lives, and says nothing.  There is time enough for all else, on any
    machine: from the stop on the time is over a moment later, for the one that stands still."""
    number = two["billing"].info.backend_pid

    def stop(left_s: float) -> None:
        """`left_s`: how long the coordinator would wait for the next answer."""
        os.kill(number, signal.SIGSTOP)
        monkeypatch.setattr(coordinator, "GRACE_S", 0.2 - left_s)

    def then_stopped(method: Callable[..., Work[Any]]) -> Callable[..., Work[Any]]:
        def stopping(
            self: Decisions, transaction: str, record: Record, deadline: float, *more: Any
        ) -> Work[Any]:
            answer = yield from method(self, transaction, record, deadline, *more)
            stop(coordinator.FINISHING_S if phase == "decision" else deadline - time.monotonic())
            return answer

        return stopping

    hang_up = PostgreSqlBranch.hang_up

    def hang_up_on_the_one(branch: PostgreSqlBranch) -> None:
        if branch.name == "billing":
            hang_up(branch)

    if phase == "record":
        monkeypatch.setattr(Decisions, "begin", then_stopped(Decisions.begin))
    if phase == "decision":
        monkeypatch.setattr(Decisions, "decide", then_stopped(Decisions.decide))
    monkeypatch.setattr(PostgreSqlBranch, "hang_up", hang_up_on_the_one)
    committed = contextlib.nullcontext() if phase == "decision" else pytest.raises(Aborted)
    try:
        with committed, agreed.atomic(ground.session, timeout_s=WITHIN_S, **two) as tx:
            insert(tx, 1)
            if phase == "body":
                stop(WITHIN_S)
        assert ground.rows("orders") == ([1] if phase == "decision" else [])
    finally:
        os.kill(number, signal.SIGCONT)
    # What it was told last it may do yet: it is finished by recovery, as decided.
    with ground.connect("orders") as connection:
        alive = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
        until(lambda: connection.execute(alive, (number,)).fetchone() == (0,))
    ground.recovered()
    assert both(ground) == (([1], [1]) if phase == "decision" else ([], []))


@pytest.mark.usefixtures("given_up_soon")
def test_without_the_cluster_it_is_in_doubt_until_the_cluster_is_back(
    ground: Ground, two: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    decide = Decisions.decide

    def without_cluster(
        self: Decisions, transaction: str, decided: Record, deadline: float, *more: Any
    ) -> Work[Any]:
        ground.cluster.kill("n1")
        return (yield from decide(self, transaction, decided, time.monotonic() + 1.0, *more))

    with monkeypatch.context() as patched, pytest.raises(InDoubt) as doubt:
        patched.setattr(Decisions, "decide", without_cluster)
        with agreed.atomic(ground.session, timeout_s=WITHIN_S, **two) as tx:
            insert(tx, 1)
    assert tx.outcome is None
    assert len(ground.prepared()) == 2
    ground.cluster.start("n1")
    ground.cluster.wait_until_serving(WITHIN_S)
    assert outcome_of(ground.session, doubt.value.transaction) is doubt.value.outcome()
    recovery = Recovery(ground.session, ground.databases(), patience_s=0)
    until(lambda: recovery.round().quiet)
    recovery.close()
    outcome = doubt.value.wait(WITHIN_S)
    assert both(ground) == (([1], [1]) if outcome is Outcome.COMMITTED else ([], []))
    ground.recovered()


def test_recovery_touches_nothing_of_others(ground: Ground, two: dict[str, Any]) -> None:
    foreign = BranchName(new_cluster(), new_transaction(), "orders").text
    for number, gid in enumerate((foreign, "of somebody else")):
        two["orders"].execute("INSERT INTO t VALUES (%s)", (number,))
        two["orders"].execute(f"PREPARE TRANSACTION '{gid}'")
    recovery = Recovery(ground.session, ground.databases(), patience_s=0, keep_s=0)
    assert recovery.round().foreign == 1
    recovery.close()
    assert sorted(ground.prepared()) == sorted([foreign, "of somebody else"])
    for gid in (foreign, "of somebody else"):
        two["orders"].tpc_rollback(gid)


def test_what_another_server_does_not_know_is_not_finished(ground: Ground) -> None:
    """Behind an address may be another one since: it knows nothing of the branch, and that says nothing."""
    orders, billing = ground.databases()
    name = BranchName(new_cluster(), new_transaction(), "orders")
    orders.commit(name, orders.identity())
    for finish in (orders.commit, orders.rollback):
        with pytest.raises(NotFinished, match="orders: another server answers there"):
            finish(name, billing.identity())
    for each in (orders, billing):
        each.close()


# --- other faces ------------------------------------------------------------------------------------------


def test_the_asynchronous_form(ground: Ground) -> None:
    async def both_ways() -> None:
        names = ("orders", "billing")
        two = {name: await psycopg.AsyncConnection.connect(ground.server.dsn_of(name)) for name in names}
        async with await aio.atomic(ground.url, **two) as tx:
            await asyncio.gather(*(each.execute("INSERT INTO t VALUES (1)") for each in two.values()))
        assert tx.outcome is Outcome.COMMITTED
        with pytest.raises(Aborted, match="duplicate key"):
            async with await aio.atomic(ground.url, **two) as tx:
                await tx.orders.execute("INSERT INTO t VALUES (2), (2)")
                await tx.billing.execute("INSERT INTO t VALUES (2)")
        for each in two.values():
            await each.close()
        await (await aio._session(ground.url)).close()

    asyncio.run(both_ways())
    assert both(ground) == ([1], [1])


def test_in_doubt_is_awaited_in_the_asynchronous_form(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide = Decisions.decide

    def unanswered(self: Decisions, *arguments: Any) -> Work[Any]:
        yield from decide(self, *arguments)
        raise ConnectionLost("the reply is lost", maybe=True)

    async def story() -> None:
        names = ("orders", "billing")
        two = {name: await psycopg.AsyncConnection.connect(ground.server.dsn_of(name)) for name in names}
        with monkeypatch.context() as patched, pytest.raises(InDoubt) as doubt:
            patched.setattr(Decisions, "decide", unanswered)
            async with await aio.atomic(ground.url, **two) as tx:
                for each in two.values():
                    await each.execute("INSERT INTO t VALUES (1)")
        assert tx.outcome is None
        assert await doubt.value.outcome() is Outcome.COMMITTED
        assert await doubt.value.wait(WITHIN_S) is Outcome.COMMITTED
        assert await aio.outcome_of(ground.url, tx.id) is Outcome.COMMITTED
        assert await aio.wait_for(ground.url, tx.id) is Outcome.COMMITTED
        with pytest.raises(Forgotten):
            await aio.outcome_of(ground.url, new_transaction())
        async with await aio.atomic(ground.url, orders=two["orders"]) as tx:
            await two["orders"].execute("INSERT INTO t VALUES (2)")
        for each in two.values():
            await each.close()
        await (await aio._session(ground.url)).close()

    asyncio.run(asyncio.wait_for(story(), WITHIN_S))
    ground.recovered()
    assert both(ground) == ([1, 2], [1])


def test_a_task_that_is_cancelled_while_a_branch_prepares_leaves_nothing(ground: Ground) -> None:
    async def story(other: psycopg.Connection[Any]) -> None:
        names = ("orders", "billing")
        two = {name: await psycopg.AsyncConnection.connect(ground.server.dsn_of(name)) for name in names}
        tx = await aio.atomic(ground.url, **two)

        async def sell() -> None:
            async with tx:
                for each in two.values():
                    await each.execute("INSERT INTO t VALUES (1)")

        task = asyncio.create_task(sell())
        while other.execute(WAITING).fetchone() == (0,):
            await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert tx.outcome is Outcome.ABORTED
        for each in two.values():
            await each.close()
        await (await aio._session(ground.url)).close()

    with ground.connect("orders") as other:
        other.execute("INSERT INTO t VALUES (1)")
        asyncio.run(asyncio.wait_for(story(other), WITHIN_S))
        other.rollback()
    ground.recovered()
    assert both(ground) == ([], [])


def test_engines_and_connections_of_sqlalchemy(ground: Ground) -> None:
    address = f"postgresql+psycopg://postgres@127.0.0.1:{ground.server.port}"
    orders, billing = create_engine(f"{address}/orders"), create_engine(f"{address}/billing")
    with billing.connect() as connection:
        for number in range(2):
            with agreed.atomic(ground.session, orders=orders, billing=connection) as tx:
                tx.orders.execute(text("INSERT INTO t VALUES (:n)"), {"n": number})
                with OrmSession(tx.billing) as orm:
                    orm.execute(text("INSERT INTO t VALUES (:n)"), {"n": number})
                    orm.commit()
            assert not connection.in_transaction()
        no_vote = pytest.raises(Aborted, match="duplicate key")
        with no_vote, agreed.atomic(ground.session, orders=orders, billing=connection) as tx:
            tx.orders.execute(text("INSERT INTO t VALUES (1)"))
            tx.billing.execute(text("INSERT INTO t VALUES (2)"))
        connection.execute(text("SELECT 1"))
        refused(ground, "in a transaction", orders=orders, billing=connection)
    assert orders.pool.checkedout() == 0  # type: ignore[attr-defined]
    orders.dispose()
    billing.dispose()
    assert both(ground) == ([0, 1], [0, 1])


# --- operators --------------------------------------------------------------------------------------------


def left_open(ground: Ground, number: int, calls: int) -> str:
    """A transaction whose coordinator has died there; its name."""
    two = {name: ground.connect(name) for name in ("orders", "billing")}
    tx = agreed.atomic(ground.session, timeout_s=1000, **two)
    tx.__enter__()
    insert(tx, number)
    die_after(calls, tx._coordinator.commit())
    for each in two.values():
        each.close()
    return tx.id


def test_an_operator_sees_and_resolves_what_is_open(ground: Ground, tmp_path: Path) -> None:
    file = tmp_path / "databases.toml"
    file.write_text("".join(f'{name} = "{ground.server.dsn_of(name)}"\n' for name in ("orders", "billing")))
    databases = ["--databases", str(file)]

    def do(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(command, [words[0], ground.url, *words[1:]])
        return done.exit_code, done.output

    half, whole, unwanted = left_open(ground, 1, 6), left_open(ground, 2, 9), left_open(ground, 3, 9)
    listing = json.loads(do("list", "--json", *databases)[1])
    assert {half, whole, unwanted} <= {each["id"] for each in listing["transactions"]}
    assert len(listing["prepared"]) == 5
    assert "undecided" in do("show", whole)[1]
    assert do("resolve", half, "commit", *databases)[0] == 1
    assert do("resolve", whole, "commit")[0] == 1, "it was not looked whether all are prepared"
    assert do("resolve", whole, "commit", *databases)[0] == 0
    assert do("resolve", whole, "abort")[0] == 1
    assert do("resolve", unwanted, "abort")[0] == 0
    assert do("resolve", half, "abort")[0] == 0
    assert do("show", new_transaction())[0] == 1
    code, said = do("recover", "--once", "--patience", "0", "--keep", "0", *databases)
    assert (code, said.splitlines()[-1]) == (0, "2 branches committed, 3 rolled back, 0 left")
    assert both(ground) == ([2], [2])
    until(lambda: do("list")[1] == "nothing is under way\n")


@pytest.mark.usefixtures("given_up_soon")
def test_a_node_recovers_by_itself(ground: Ground, tmp_path: Path) -> None:
    """From its start on, so that everything is seen to be as it was left before."""
    file = tmp_path / "databases.toml"
    file.write_text("".join(f'{name} = "{ground.server.dsn_of(name)}"\n' for name in ("orders", "billing")))
    with Playground(tmp_path, size=1) as cluster:
        cluster.start_all()
        cluster.wait_until_serving(WITHIN_S)
        with client.connect(f"agreed://{cluster.hosts}") as session:
            two = {name: ground.connect(name) for name in ("orders", "billing")}
            tx = agreed.atomic(session, timeout_s=WITHIN_S, **two)
            tx.__enter__()
            insert(tx, 1)
            die_after(9, tx._coordinator.commit())
            assert len(ground.prepared()) == 2
            cluster.kill("n1")
            cluster.flags = ["--atomic-databases", str(file)]
            cluster.start("n1")
            until(lambda: not ground.prepared())
            assert outcome_of(session, tx.id) is Outcome.ABORTED
            for each in two.values():
                each.close()
