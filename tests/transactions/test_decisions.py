"""The log of decisions: one record, replaced once, whatever is lost on the way."""
from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agreed.atomic_commit.messages import Vote
from agreed.client.errors import ConnectionLost, NodeExists, SessionExpired
from agreed.client.values import Create
from agreed.errors import MalformedInput
from agreed.transactions.decisions import RECORDS, ROOT, Decisions, GuardFailed
from agreed.transactions.errors import Forgotten
from agreed.transactions.names import is_cluster, new_transaction
from agreed.transactions.records import Branch, Record, State, encode
from agreed.transactions.work import run
from tests.transactions.worlds import MemorySession, World

OPEN = Record(State.OPEN, "us", 10.0, (Branch("a", "x"),))
COMMITTED = OPEN.committed({"a": Vote.YES}, "us")
ABORTED = OPEN.aborted("recovery", "too late")


class Log:
    """Its calls are lost as a test says: each of `fates` is "request", "reply" or ""."""

    def __init__(self) -> None:
        self.world = World()
        self.fates: Iterator[str] = iter(())
        self.decisions = Decisions(MemorySession(self.world, self._through))
        self.transaction = new_transaction()
        self.until = time.monotonic() + 60

    def _through(self, kind: str, ask: Callable[[], Any]) -> Any:
        fate = next(self.fates, "")
        if fate == "request":
            raise ConnectionLost("lost", maybe=True)
        answer = ask()
        if fate == "reply":
            raise ConnectionLost("lost", maybe=True)
        return answer

    def begin(self) -> None:
        run(self.decisions.begin(self.transaction, OPEN, self.until))

    def decide(self, wish: Record, *operations: Any) -> Record:
        return run(self.decisions.decide(self.transaction, wish, self.until, operations))

    def read(self) -> Record | None:
        return run(self.decisions.read(self.transaction, self.until))


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.mark.parametrize("fate", ["", "request", "reply"])
def test_a_record_is_begun_and_decided_once(log: Log, fate: str) -> None:
    log.fates = iter([fate, ""])
    log.begin()
    assert log.read() == OPEN
    log.fates = iter([fate, fate, ""])
    assert log.decide(COMMITTED) == COMMITTED
    assert log.decide(ABORTED) == COMMITTED
    assert log.read() == COMMITTED


def test_a_name_is_not_begun_twice(log: Log) -> None:
    log.begin()
    with pytest.raises(NodeExists):
        log.begin()


def test_who_decides_about_what_is_gone_hears_that_it_is(log: Log) -> None:
    log.begin()
    log.decide(ABORTED)
    run(log.decisions.forget(log.transaction, log.until))
    assert log.read() is None
    with pytest.raises(Forgotten):
        log.decide(COMMITTED)
    run(log.decisions.forget(log.transaction, log.until))


def test_operations_happen_with_the_decision_or_it_is_not_taken(log: Log) -> None:
    log.begin()
    with pytest.raises(GuardFailed, match="NoNode /missing/child"):
        log.decide(COMMITTED, Create(path="/missing/child"))
    assert log.read() == OPEN
    log.fates = iter(["reply"])
    assert log.decide(COMMITTED, Create(path="/with")) == COMMITTED
    assert "/with" in log.world.nodes


def test_what_stands_is_read_up_to_date_however_far_behind_a_server_is(log: Log) -> None:
    """Else an open record of the past would look as if nobody had decided."""
    log.begin()
    log.decide(COMMITTED)
    get = log.decisions.session.get

    def behind(path: str, fresh: bool = False, timeout_s: float | None = None) -> Any:
        found = get(path)
        return found if fresh else found._replace(data=encode(OPEN))

    log.decisions.session.get = behind
    assert log.decide(ABORTED) == COMMITTED


def test_a_session_that_is_over_is_renewed_where_its_maker_is_known(log: Log) -> None:
    other = log.decisions.session
    log.begin()

    def over(kind: str, ask: Callable[[], Any]) -> Any:
        raise SessionExpired("it is over", maybe=True)

    log.decisions.session = MemorySession(log.world, over)
    with pytest.raises(SessionExpired):
        log.decide(COMMITTED)
    log.decisions = Decisions(MemorySession(log.world, over), lambda: other)
    assert log.decide(COMMITTED) == COMMITTED


def test_when_the_time_is_over_what_was_lost_last_comes_out(log: Log) -> None:
    log.begin()
    log.until = 0
    log.fates = iter(["request"])
    with pytest.raises(ConnectionLost):
        log.decide(COMMITTED)
    assert log.read() == OPEN


def test_the_name_of_the_cluster_is_drawn_once() -> None:
    world = World()
    world.nodes.clear()
    first, second = (run(Decisions(world._quiet).open(0)) for _ in range(2))
    assert first == second
    assert is_cluster(first)


@pytest.mark.parametrize("data", [b"", b"{}", b'{"cluster": "somebody"}'])
def test_a_cluster_without_a_proper_name_is_not_used(data: bytes) -> None:
    world = World()
    world._quiet.set(ROOT, data)
    with pytest.raises(MalformedInput, match="does not name a cluster"):
        run(Decisions(world._quiet).open(0))


def test_all_of_them_with_those_that_cannot_be_read(log: Log) -> None:
    log.begin()
    log.world._quiet.create(f"{RECORDS}/{new_transaction()}", b"nonsense")
    found = run(log.decisions.all(log.until))
    assert [filed.record for filed in found.values() if filed is not None] == [OPEN]
    assert list(found.values()).count(None) == 1
