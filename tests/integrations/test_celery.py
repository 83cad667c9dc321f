"""Several beats, one of which sends; with a broker in memory, and as programs that are killed."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, beat
from celery.schedules import crontab

import agreed
from agreed.errors import ConfigurationError
from agreed.integrations.celery import TOKEN_HEADER, Scheduler, around
from agreed.recipes.errors import LeadershipLost, NotHeld
from agreed.recipes.obtaining import Holder
from agreed.testing.server import ZooKeeperServer

WITHIN_S = 30.0

_numbers = itertools.count(1)


def until(holds: Callable[[], object], within_s: float = WITHIN_S) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Fleet:
    """One application; each of its beats has an object of its own, as on another machine."""

    def __init__(self, url: str, schedule: dict[str, Any], **conf: Any) -> None:
        self.queue = f"queue{next(_numbers)}"
        self.schedule = schedule
        self.conf = {"agreed_url": url, "task_default_queue": self.queue, **conf}
        self.beats: list[Scheduler] = []

    def app(self) -> Celery:
        app = Celery("fleet", broker="memory://", set_as_current=False)
        entries = {name: {"task": "work", **entry} for name, entry in self.schedule.items()}
        app.conf.update(beat_schedule=entries, **self.conf)
        return app

    def beat(self, kind: type[Scheduler] = Scheduler, **named: Any) -> Scheduler:
        self.beats.append(kind(self.app(), **named))
        return self.beats[-1]

    def sent(self) -> list[Any]:
        """The messages that came since it was asked last."""
        found = []
        with self.app().connection_for_read() as connection:
            queue = connection.SimpleQueue(self.queue)
            with contextlib.suppress(queue.Empty):
                while True:
                    message = queue.get(block=False)
                    message.ack()
                    found.append(message)
        return found


@pytest.fixture
def fleets() -> Iterator[Callable[..., Fleet]]:
    made: list[Fleet] = []

    def make(url: str, schedule: dict[str, Any], **conf: Any) -> Fleet:
        made.append(Fleet(url, schedule, **conf))
        return made[-1]

    yield make
    for fleet in made:
        for each in fleet.beats:
            each.close()


def lead(scheduler: Scheduler) -> None:
    until(lambda: scheduler.tick() is not None and scheduler._term is not None)


def kept(url: str, entry: str, at: datetime, name: str = "celery/beat") -> None:
    """What a leader of before has left behind."""
    value = b'{"at":"%s","count":5,"token":1}' % at.isoformat().encode()
    with agreed.connect(url) as client:
        client.kv.put(f"{name}.runs/run-{entry}", value)


HOURLY = {"hourly": {"schedule": 3600.0}}


def test_one_of_two_sends_and_each_task_carries_its_token(fleets: Callable[..., Fleet]) -> None:
    fleet = fleets("memory://celery/a", {"often": {"schedule": 0.02, "options": {"headers": {"own": "1"}}}})
    one, two = fleet.beat(), fleet.beat()
    lead(one)
    until(lambda: one.tick() is not None and fleet.beats[0]._runs.get("often").count >= 3)  # type: ignore[union-attr]
    two._leadership.start()
    assert two._leadership.term() is None
    sent = fleet.sent()
    run = one._runs.get("often")
    assert run is not None
    assert len(sent) == run.count
    assert one._term is not None
    assert {message.headers[TOKEN_HEADER] for message in sent} == {one._term.token}
    assert {message.headers["own"] for message in sent} == {"1"}
    assert TOKEN_HEADER not in one.schedule["often"].options.get("headers", {})


def test_services_in_threads_take_over_and_neither_repeat_nor_skip(
    fleets: Callable[..., Fleet], zk_server: ZooKeeperServer
) -> None:
    """The session of whoever leads is ended under it, several times."""
    fleet = fleets(zk_server.url, {"often": {"schedule": 0.03}})
    schedulers = [fleet.beat(), fleet.beat()]
    services = [beat.Service(each.app) for each in schedulers]
    for service, scheduler in zip(services, schedulers, strict=True):
        service.__dict__["scheduler"] = scheduler  # what it would make itself
        threading.Thread(target=service.start, kwargs={"embedded_process": False}, daemon=True).start()
    sent: list[Any] = []
    losses = 0

    def tokens() -> list[int]:
        sent.extend(fleet.sent())
        return [message.headers[TOKEN_HEADER] for message in sent]

    try:
        for terms in range(1, 4):
            until(lambda terms=terms: len(set(tokens())) >= terms and tokens().count(max(tokens())) >= 2)
            for term in [each._term for each in schedulers if each._term is not None]:
                with contextlib.suppress(ConfigurationError):  # it is over already
                    zk_server.faults.expire(term.asynchronous.session.id)
                    losses += 1
    finally:
        for service in services:
            service.stop()
    with agreed.connect(zk_server.url) as client:
        entry = client.kv.get("celery/beat.runs/run-often")
        assert entry is not None
        claimed = int(entry.value.partition(b'"count":')[2].partition(b",")[0])
    # Each claim is sent but the one that a loss meets between claim and message.
    assert claimed - losses <= len(tokens()) <= claimed


def test_what_was_claimed_and_not_sent_is_not_sent_by_the_next(
    fleets: Callable[..., Fleet], zk_server: ZooKeeperServer
) -> None:
    class StandsStill(Scheduler):
        def apply_entry(self, entry: Any, producer: Any = None) -> None:
            assert self._term is not None
            zk_server.faults.expire(self._term.asynchronous.session.id)
            until(lambda: self._term is not None and self._term.lost)
            super().apply_entry(entry, producer)

    kept(zk_server.url, "hourly", datetime.now(UTC) - timedelta(hours=2))
    fleet = fleets(zk_server.url, HOURLY)
    one = fleet.beat(StandsStill)
    lead(one)
    one.tick()
    assert fleet.sent() == []
    one.close()
    two = fleet.beat()
    lead(two)
    for _ in range(5):
        assert two.tick() > 0
    assert fleet.sent() == []


def test_what_could_not_be_claimed_is_sent_in_the_next_term(
    fleets: Callable[..., Fleet], zk_server: ZooKeeperServer
) -> None:
    class LosesOnce(Scheduler):
        losses = 0

        def reserve(self, entry: Any) -> Any:
            if not self.losses and self._term is not None:
                self.losses += 1
                zk_server.faults.expire(self._term.asynchronous.session.id)
                until(lambda: self._term is not None and self._term.lost)
            return super().reserve(entry)

    kept(zk_server.url, "hourly", datetime.now(UTC) - timedelta(hours=2))
    fleet = fleets(zk_server.url, HOURLY)
    one = fleet.beat(LosesOnce)
    until(lambda: one.tick() is not None and one.losses)
    assert fleet.sent() == []
    lead(one)
    for _ in range(3):
        one.tick()
    assert len(fleet.sent()) == 1


def test_entries_that_are_read_anew_are_not_sent_again(fleets: Callable[..., Fleet]) -> None:
    """From a database, say, to which the last leader had not written yet when it died."""
    url = "memory://celery/anew"
    kept(url, "hourly", datetime.now(UTC) - timedelta(minutes=1))
    fleet = fleets(url, HOURLY)
    one = fleet.beat()
    lead(one)
    old = one.schedule["hourly"]
    one.schedule["hourly"] = type(old)(**{**dict(old), "last_run_at": old.last_run_at - timedelta(hours=2)})
    one._heap = None
    for _ in range(3):
        one.tick()
    assert fleet.sent() == []
    assert abs(one.schedule["hourly"].last_run_at - old.last_run_at) < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("schedule", "ago", "sent"),
    [
        (3600.0, timedelta(minutes=1), 0),
        (3600.0, timedelta(hours=1, seconds=5), 1),
        (3600.0, timedelta(hours=50), 1),
        (crontab(minute="*"), timedelta(hours=2), 1),
        (crontab(minute="0", hour="4", day_of_month="1", month_of_year="1"), timedelta(seconds=1), 0),
    ],
)
def test_the_next_leader_goes_on_where_the_last_one_ended(
    fleets: Callable[..., Fleet], schedule: Any, ago: timedelta, sent: int
) -> None:
    """Not where its own process began: that may have been a minute or a month ago."""
    url = f"memory://celery/goes-on-{next(_numbers)}"
    kept(url, "it", datetime.now(UTC) - ago)
    fleet = fleets(url, {"it": {"schedule": schedule}})
    one = fleet.beat()
    lead(one)
    for _ in range(4):
        one.tick()
    assert len(fleet.sent()) in ((sent, sent + 1) if isinstance(schedule, crontab) and sent else (sent,))
    assert one.schedule["it"].total_run_count >= 5 + sent


def test_an_entry_that_nobody_has_run_counts_from_when_it_was_first_seen(
    fleets: Callable[..., Fleet],
) -> None:
    """Otherwise an hourly one would never be sent by beats that are started anew every half an hour."""
    fleet = fleets("memory://celery/first", HOURLY)
    one = fleet.beat()
    one.schedule["hourly"].last_run_at -= timedelta(minutes=59)
    began = one.schedule["hourly"].last_run_at
    lead(one)
    one.close()
    two = fleet.beat()
    lead(two)
    assert abs(two.schedule["hourly"].last_run_at - began) < timedelta(milliseconds=1)


def test_nothing_is_sent_by_one_that_does_not_lead(
    fleets: Callable[..., Fleet], zk_server: ZooKeeperServer
) -> None:
    fleet = fleets(zk_server.url, HOURLY)
    one = fleet.beat()
    entry = one.schedule["hourly"]
    with pytest.raises(NotHeld):
        one.apply_async(entry)
    lead(one)
    assert one._term is not None
    zk_server.faults.expire(one._term.asynchronous.session.id)
    until(lambda: one._term is not None and one._term.lost)
    with pytest.raises(LeadershipLost):
        one.apply_async(entry)
    with pytest.raises(LeadershipLost):
        one.apply_async(entry, advance=False)
    assert fleet.sent() == []
    lead(one)
    one.apply_async(one.schedule["hourly"])
    [message] = fleet.sent()
    assert message.headers[TOKEN_HEADER] == one._term.token


def test_a_service_that_is_away_is_waited_for(
    fleets: Callable[..., Fleet], zk_server: ZooKeeperServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agreed.integrations.celery.FOLLOW_S", 0.01)
    fleet = fleets(zk_server.url, HOURLY)
    one = fleet.beat()
    with zk_server.faults.unreachable():
        assert one.tick() < 1
        assert one.tick() < 1
    lead(one)


def test_it_is_put_around_another_scheduler(fleets: Callable[..., Fleet], tmp_path: Path) -> None:
    kept("memory://celery/around", "hourly", datetime.now(UTC) - timedelta(hours=2))
    fleet = fleets("memory://celery/around", HOURLY, agreed_beat_scheduler="celery.beat:PersistentScheduler")
    one = fleet.beat(schedule_filename=str(tmp_path / "schedule"))
    assert isinstance(one, beat.PersistentScheduler)
    assert "celery/beat" in one.info
    assert "schedule" in one.info
    lead(one)
    one.tick()
    assert len(fleet.sent()) == 1
    one.close()
    assert around(type(one)) is type(one)


def test_entries_may_have_times_without_a_zone(fleets: Callable[..., Fleet]) -> None:
    """As those of django-celery-beat have where Django has none."""

    class Naive(beat.ScheduleEntry):
        def default_now(self) -> datetime:
            return datetime.now(self.app.timezone).replace(tzinfo=None)

        def is_due(self) -> Any:
            left = self.last_run_at + timedelta(hours=1) - self.default_now()
            return left <= timedelta(0), 3600.0

    class Other(beat.Scheduler):
        Entry = Naive

    url = "memory://celery/naive"
    kept(url, "hourly", datetime.now(UTC) - timedelta(minutes=61))
    fleet = fleets(url, HOURLY, timezone="Asia/Tokyo")
    one = fleet.beat(around(Other))
    lead(one)
    for _ in range(3):
        one.tick()
    assert len(fleet.sent()) == 1
    run = one._runs.get("hourly")
    assert run is not None
    assert abs(run.at - datetime.now(UTC)) < timedelta(minutes=5)


@pytest.mark.parametrize(("saved_again", "sent"), [(False, 0), (True, 1)])
def test_what_is_to_run_once_is_not_run_by_the_next_leader(
    fleets: Callable[..., Fleet], saved_again: bool, sent: int
) -> None:
    """An entry of django-celery-beat with a time of the clock: due for as long as its row does not say that
    it has run, and the one that ran it died before it wrote that."""
    now = datetime.now(UTC)

    class Row:
        one_off = True
        total_run_count = 0
        date_changed = now if saved_again else now - timedelta(hours=1)

    class OfRow(beat.ScheduleEntry):
        model = Row()

        def is_due(self) -> Any:
            return self.model.total_run_count == 0, 3600.0

        def __next__(self) -> Any:
            self.model.total_run_count += 1
            return super().__next__()

    class Other(beat.Scheduler):
        Entry = OfRow

    url = f"memory://celery/once-{next(_numbers)}"
    kept(url, "it", now - timedelta(minutes=1))
    fleet = fleets(url, {"it": {"schedule": 3600.0}})
    one = fleet.beat(around(Other))
    lead(one)
    for _ in range(3):
        one.tick()
    assert len(fleet.sent()) == sent


def test_settings_may_have_a_prefix() -> None:
    """As those of Django have."""

    class Settings:
        CELERY_AGREED_URL = "memory://celery/prefix"
        CELERY_AGREED_BEAT_NAME = "other"
        CELERY_AGREED_BEAT_TTL = 4

    app = Celery("prefixed", broker="memory://", set_as_current=False)
    app.config_from_object(Settings, namespace="CELERY")
    where = Scheduler(app, lazy=True)._leadership.where
    assert (where.url, where.name, where.ttl_s) == ("memory://celery/prefix", "other", 4.0)


PROGRAM = """
import sys
from celery import Celery
directory, url = sys.argv[1:3]
app = Celery("killed", broker="filesystem://", set_as_current=True)
app.conf.update(
    agreed_url=url, agreed_beat_ttl=1.0, beat_schedule={"often": {"task": "work", "schedule": 0.05}},
    broker_transport_options={f"{each}_folder": directory for each in ("data", "control")}
    | {f"data_folder_{way}": directory for way in ("in", "out")},
)
app.start(["beat", "-S", "agreed.integrations.celery:Scheduler", "-l", "WARNING", "--pidfile="])
"""


def leading(client: agreed.Client) -> Holder:
    """Their time is short: on a machine that stands still for a moment nobody leads for another one."""
    found: list[Holder | None] = []
    until(lambda: found.append(client.election("celery/beat").leader()) or found[-1])
    assert found[-1] is not None
    return found[-1]


def test_the_next_takes_over_when_the_leader_is_killed(tmp_path: Path) -> None:
    """`celery beat` twice; SIGKILL, so that nobody resigns."""
    messages = tmp_path / "messages"
    messages.mkdir()

    def seen() -> set[str]:
        return {path.name for path in messages.iterdir() if path.name.endswith(".msg")}

    arguments = [sys.executable, "-c", PROGRAM, str(messages), f"file://{tmp_path}/locks"]
    quietly = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    programs = [subprocess.Popen(arguments, cwd=tmp_path, **quietly) for _ in range(2)]
    try:
        until(lambda: len(seen()) >= 3)
        with agreed.connect(f"file://{tmp_path}/locks") as client:
            holder = leading(client)
            leader = int(holder.value.rpartition(b":")[2])
            assert leader in {each.pid for each in programs}
            os.kill(leader, signal.SIGKILL)
            next(each for each in programs if each.pid == leader).wait()
            before = len(seen())
            until(lambda: len(seen()) >= before + 2)
            assert leading(client).token > holder.token
    finally:
        for program in programs:
            program.kill()
            program.wait()
