"""Schedulers of several nodes, one of which runs the jobs."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler

import agreed
from agreed.errors import ConfigurationError
from agreed.integrations import apscheduler
from agreed.integrations.apscheduler import BackgroundScheduler, BlockingScheduler, LeaderOnly
from agreed.recipes.errors import LeadershipLost
from agreed.testing.server import ZooKeeperServer

WITHIN_S = 30.0

_numbers = itertools.count(1)


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apscheduler, "FOLLOW_S", 0.02)


def nowhere_else() -> str:
    return f"memory://apscheduler/{next(_numbers)}"


Make = Callable[..., BackgroundScheduler]


@pytest.fixture
def schedulers() -> Iterator[Make]:
    made: list[BackgroundScheduler] = []

    def make(url: str, **options: Any) -> BackgroundScheduler:
        made.append(BackgroundScheduler(agreed_url=url, **options))
        return made[-1]

    yield make
    for each in made:
        if each.running:
            each.shutdown()


def leads(scheduler: LeaderOnly) -> bool:
    try:
        scheduler.term()
    except LeadershipLost:
        return False
    return True


RAN: list[tuple[str, datetime]] = []
"""What jobs of shared stores did, which are found by their name."""


def run_by_name(who: str) -> None:
    RAN.append((who, datetime.now(UTC)))


def claimed(url: str, job: str, at: datetime) -> None:
    """What a leader of before has left behind."""
    with agreed.connect(url) as client:
        value = b'{"at":"%s","count":5,"token":1}' % at.isoformat().encode()
        client.kv.put(f"apscheduler.runs/run-{job}", value)


def test_one_of_two_runs_the_jobs_and_the_other_when_it_is_shut_down(schedulers: Make) -> None:
    url = nowhere_else()
    ran: list[tuple[int, int]] = []
    one, two = schedulers(url), schedulers(url)
    for who, scheduler in enumerate((one, two)):

        def job(who: int = who, scheduler: BackgroundScheduler = scheduler) -> None:
            ran.append((who, scheduler.term().token))

        scheduler.add_job(job, "interval", seconds=0.03, id="job")
        scheduler.start()
        if who == 0:
            until(lambda: leads(one))
    until(lambda: len(ran) >= 3)
    assert {who for who, _ in ran} == {0}
    one.shutdown()
    before = len(ran)
    until(lambda: len(ran) >= before + 2)
    assert {who for who, _ in ran[before:]} == {1}
    tokens = [token for _, token in ran]
    assert tokens == sorted(tokens)
    assert len(set(tokens)) == 2


def test_a_loss_stops_it_at_once(schedulers: Make, zk_server: ZooKeeperServer) -> None:
    scheduler = schedulers(zk_server.url)
    ran: list[int] = []
    scheduler.add_job(lambda: ran.append(scheduler.term().token), "interval", seconds=0.02, id="job")
    scheduler.start()
    until(lambda: len(ran) >= 2)
    term = scheduler.term()
    zk_server.faults.expire(term.asynchronous.session.id)
    until(lambda: term.lost)
    with pytest.raises(LeadershipLost):
        term.check()
    until(lambda: ran[-1] > term.token)  # and it goes on in its next term


def test_a_lost_term_claims_nothing(schedulers: Make) -> None:
    scheduler = schedulers(nowhere_else())
    scheduler.start(paused=True)
    until(lambda: leads(scheduler))
    job = scheduler.add_job(print, "interval", hours=1, id="job")
    now = datetime.now(UTC)
    with pytest.raises(LeadershipLost, match="does not lead"):
        scheduler._claim(job, [now])
    scheduler._take_over(scheduler.term())
    assert scheduler._claim(job, [now - timedelta(hours=1), now]) == [now - timedelta(hours=1), now]
    assert scheduler._claim(job, [now - timedelta(hours=1), now]) == []
    assert scheduler._claim(job, [now, now + timedelta(hours=1)]) == [now + timedelta(hours=1)]


def test_the_next_leader_does_not_run_what_was_run(schedulers: Make) -> None:
    """A node that has stood by for hours has all of them before it."""
    url = nowhere_else()
    now = datetime.now(UTC)
    ran: list[str] = []
    scheduler = schedulers(url, job_defaults={"misfire_grace_time": 86400})
    began = now - timedelta(hours=5)
    for name in ("run by others", "missed by all"):
        scheduler.add_job(
            ran.append, "interval", (name,), hours=1, id=name, next_run_time=began, coalesce=False
        )
    for name in ("done", "to do"):
        scheduler.add_job(ran.append, "date", (name,), run_date=began, id=name)
    claimed(url, "run%20by%20others", now - timedelta(minutes=1))
    claimed(url, "done", began)
    scheduler.start()
    until(lambda: ran.count("missed by all") == 6 and "to do" in ran)
    assert set(ran) == {"missed by all", "to do"}
    until(lambda: {job.id for job in scheduler.get_jobs()} == {"run by others", "missed by all"})


def test_a_store_may_be_shared(schedulers: Make, tmp_path: Any) -> None:
    RAN.clear()
    url = nowhere_else()
    one, two = (
        schedulers(url, jobstores={"default": SQLAlchemyJobStore(f"sqlite:///{tmp_path}/jobs")})
        for _ in range(2)
    )
    one.start()
    two.start()
    until(lambda: leads(one) or leads(two))
    leader, other = (one, two) if leads(one) else (two, one)
    for number in range(3):
        leader.add_job(run_by_name, "date", (str(number),), id=f"job {number}")
    until(lambda: len(RAN) == 3)
    leader.shutdown()
    other.add_job(run_by_name, "date", ("last",), id="last")
    until(lambda: len(RAN) == 4)
    assert sorted(who for who, _ in RAN) == ["0", "1", "2", "last"]


def test_what_could_not_be_claimed_stays_for_the_next_leader(schedulers: Make, tmp_path: Any) -> None:
    """APScheduler takes a run for over whatever its executor raises, and deletes a job that has no other."""
    RAN.clear()
    url, path = nowhere_else(), f"sqlite:///{tmp_path}/jobs"
    one, two = (schedulers(url, jobstores={"default": SQLAlchemyJobStore(path)}) for _ in range(2))
    tries: list[str] = []

    def loses(job: Any, run_times: Any) -> list[datetime]:
        tries.append(job.id)
        raise LeadershipLost("it was lost in this very moment")

    one._claim = loses  # type: ignore[method-assign]
    one.start()
    until(lambda: leads(one))
    for name in ("a", "b"):
        one.add_job(run_by_name, "date", (name,), id=name)
    until(lambda: len(tries) >= 2)
    assert {job.id for job in one.get_jobs()} == {"a", "b"}
    one.shutdown()
    assert RAN == []
    two.start()
    until(lambda: len(RAN) == 2)
    assert sorted(who for who, _ in RAN) == ["a", "b"]


def test_a_leader_whose_store_is_away_does_not_keep_others_from_leading(schedulers: Make) -> None:
    """The error would end its thread, while its process went on leading: no job would be run any more."""

    class Away(MemoryJobStore):
        away = True

        def get_all_jobs(self) -> Any:
            if self.away:
                raise OSError("the database is away")
            return super().get_all_jobs()

    url, store = nowhere_else(), Away()
    ran: list[str] = []
    one, two = schedulers(url, jobstores={"default": store}, jobstore_retry_interval=0.02), schedulers(url)
    for who, scheduler in (("one", one), ("two", two)):
        scheduler.add_job(ran.append, "interval", (who,), seconds=0.02, id="job")
        scheduler.start()
    until(lambda: "two" in ran)
    assert "one" not in ran
    two.shutdown()
    store.away = False
    until(lambda: "one" in ran)


def test_a_run_that_somebody_asked_for_in_a_shared_store_is_no_run_that_was(
    schedulers: Make, tmp_path: Any
) -> None:
    RAN.clear()
    url = nowhere_else()
    now = datetime.now(UTC)
    claimed(url, "hourly", now - timedelta(minutes=10))
    scheduler = schedulers(url, jobstores={"default": SQLAlchemyJobStore(f"sqlite:///{tmp_path}/jobs")})
    scheduler.add_job(
        run_by_name, "interval", ("it",), hours=1, id="hourly", next_run_time=now, misfire_grace_time=3600
    )
    scheduler.start()
    until(lambda: RAN)


def test_what_may_have_been_run_by_somebody_who_is_forgotten_is_not_run(schedulers: Make) -> None:
    """A node that has stood by for longer than runs are remembered has their jobs before it."""
    ran: list[str] = []
    scheduler = schedulers(nowhere_else(), job_defaults={"misfire_grace_time": None})
    for days in (40, 20):
        at = datetime.now(UTC) - timedelta(days=days)
        scheduler.add_job(ran.append, "date", (f"{days} days",), run_date=at, id=f"{days} days ago")
    scheduler.start()
    until(lambda: not scheduler.get_jobs())
    until(lambda: ran)
    assert ran == ["20 days"]


def test_a_url_that_is_none_is_told_at_the_start(schedulers: Make) -> None:
    with pytest.raises(ConfigurationError, match="is no URL"):
        schedulers("nonsense").start()


def test_a_job_has_a_name() -> None:
    scheduler = BackgroundScheduler(agreed_url="memory://apscheduler/named")
    with pytest.raises(ConfigurationError, match="name the job"):
        scheduler.add_job(print, "interval", hours=1)
    with pytest.raises(ConfigurationError, match="name the job"):
        scheduler.scheduled_job("interval", hours=1)(print)
    scheduler.scheduled_job("interval", hours=1, id="it")(print)


def test_a_takeover_is_within_the_usual_grace() -> None:
    usual = BackgroundScheduler(agreed_url="memory://x", agreed_ttl=4.0)
    assert usual._job_defaults["misfire_grace_time"] == 12
    said = BackgroundScheduler({"apscheduler.job_defaults.misfire_grace_time": "7"}, agreed_url="memory://x")
    assert said._job_defaults["misfire_grace_time"] == 7
    assert BlockingScheduler(agreed_url="memory://x")._job_defaults["misfire_grace_time"] == 30


def test_a_scheduler_on_an_event_loop_is_refused() -> None:
    class Mine(LeaderOnly, AsyncIOScheduler):
        pass

    with pytest.raises(ConfigurationError, match="event loop"):
        Mine(agreed_url="memory://x")
