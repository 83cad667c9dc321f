"""A Celery beat of which several stand by, and one sends.

    celery -A app beat -S agreed.integrations.celery:Scheduler          on every machine

    app.conf.agreed_url = "agreed://10.0.0.1:2181,10.0.0.2:2181/app"    else AGREED_URL
    app.conf.agreed_beat_name = "celery/beat"                           of the election
    app.conf.agreed_beat_ttl = 10.0                                     seconds until another one takes over
    app.conf.agreed_beat_scheduler = "django_celery_beat.schedulers:DatabaseScheduler"
                                                                        what it is put around; beat's own

A beat that does not lead sends nothing.  One that does claims each run first, in the service and for its
term, and looks once more right before it hands the task to the broker (`term.check()`).  The task finds the
token of that term among its headers: `self.request.headers["agreed_token"]`.  Let what it writes to refuse an
older one: a beat that stands still within a call of the broker's may still send what it had in its hands.

Due tasks at a takeover (`last_runs.py`).  When each entry was sent last stands in the service, not in a file
of one machine.  No run is sent twice.  What became due while nobody led is sent at once by the next leader,
once for each entry, however often it would have been its turn (as beat does after it was stopped).  A run is
skipped only where a leader died, lost its term or had its broker refuse, between its claim and the message.

What it does not do: make the task run once.  That a message is delivered twice is the broker's matter, and
that two runs overlap is one of locks (`client.lock` in the task).  A leader whose broker does not answer
keeps leading.  What another scheduler remembers by itself is overruled by what stands in the service.
"""

from __future__ import annotations

import logging
import pkgutil
from datetime import UTC, datetime
from typing import Any, Final

from agreed.coordination.synchronous.election import Term
from agreed.integrations.candidacy import MENDED_BY_WAITING, Where
from agreed.integrations.extras import missing
from agreed.integrations.last_runs import LastRuns, Run
from agreed.integrations.leadership import Leadership
from agreed.recipes.errors import Lost, NotHeld

try:
    from celery import beat
except ImportError as error:
    raise missing("celery", error) from error

LOG: Final = logging.getLogger("agreed.integrations")

TOKEN_HEADER: Final = "agreed_token"

USUAL_NAME: Final = "celery/beat"

FOLLOW_S: Final = 1.0
"""So long a tick waits for leadership: beat looks between two ticks whether it is to end."""


class Scheduler(beat.Scheduler):
    """With `agreed_beat_scheduler`, it is put around that class; see `around`."""

    def __new__(cls, app: Any, *arguments: Any, **named: Any) -> Scheduler:
        other = app.conf.get("agreed_beat_scheduler")
        made: Scheduler = super().__new__(
            around(pkgutil.resolve_name(other)) if other and cls is Scheduler else cls
        )
        return made

    def __init__(self, app: Any, *arguments: Any, **named: Any) -> None:
        self._leadership = Leadership(
            Where(
                url=app.conf.get("agreed_url"),
                name=app.conf.get("agreed_beat_name") or USUAL_NAME,
                ttl_s=float(app.conf.get("agreed_beat_ttl") or 10.0),
            )
        )
        self._runs = LastRuns(self._leadership)
        self._term: Term | None = None
        super().__init__(app, *arguments, **named)

    @property
    def info(self) -> str:
        return f"{super().info}\n    . leader -> {self._leadership.where.name}"

    def tick(self, *arguments: Any, **named: Any) -> float:
        """Stands for election from the first one on: beat may have forked in between."""
        self._leadership.start()
        try:
            term = self._leadership.term()
            if term is None:
                self._term = None
                self._leadership.wait(FOLLOW_S)
                return 0.01
            if self._term is None or term.token != self._term.token:
                self._take_over(term)
            interval: float = super().tick(*arguments, **named)
            return interval
        except (Lost, NotHeld, *MENDED_BY_WAITING) as error:
            LOG.warning("beat does not send: %s", error)
            self._term = None
            return 0.01 if isinstance(error, Lost) else FOLLOW_S

    def _take_over(self, term: Term) -> None:
        """Go on where others have ended."""
        self._runs.take_over(term)
        for entry in self.schedule.values():
            run = self._runs.get(entry.name)
            if run is not None:
                self._go_on_behind(entry, run)
                entry.total_run_count = run.count
        seen = {entry.name: self._aware(entry.last_run_at) for entry in self.schedule.values()}
        self._runs.begin(term, seen)
        self._runs.forget(term, self.schedule, datetime.now(UTC))
        self._term = term
        self._heap = None  # of other times, and without what was taken from it when a claim failed
        LOG.info("beat leads %s, token %d", term.name, term.token)

    def is_due(self, entry: Any) -> Any:
        """A scheduler that reads its entries anew may have read an older time than stands in the service."""
        run = self._runs.get(entry.name)
        if run is not None and self._aware(entry.last_run_at) < run.at:
            self._go_on_behind(entry, run)
        return super().is_due(entry)

    def _go_on_behind(self, entry: Any, run: Run) -> None:
        """An entry of django-celery-beat that is to run once knows by the counter of its row that it has run.
        The row may have been read before, or the leader may have died before it wrote it.  Who wants it once
        more saves the row anew, behind the run."""
        entry.last_run_at = self._as_entry_has_it(entry, run.at)
        row: Any = getattr(entry, "model", None)
        if getattr(row, "one_off", False) and run.count and self._aware(row.date_changed) <= run.at:
            row.total_run_count = max(row.total_run_count, run.count)

    def reserve(self, entry: Any) -> Any:
        """Claims it.  Whoever claims is connected to the broker: a claim that waits for that may come to
        nothing."""
        term = self._certain()
        assert self.producer is not None
        self._runs.claim(term, entry.name, self._aware(entry.default_now()))
        return super().reserve(entry)

    def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **named: Any) -> Any:
        """Raises LeadershipLost, and then nothing was sent."""
        if advance:
            entry = self.reserve(entry)
        options = entry.options
        headers = {**options.get("headers", {}), TOKEN_HEADER: self._certain().token}
        entry.options = {**options, "headers": headers}
        try:
            return super().apply_async(entry, producer=producer, advance=False, **named)
        finally:
            entry.options = options

    def _aware(self, at: datetime) -> datetime:
        """Some schedulers have times without a zone; those are the application's."""
        return at if at.tzinfo is not None else at.replace(tzinfo=self.app.timezone)

    def _as_entry_has_it(self, entry: Any, at: datetime) -> datetime:
        zone = entry.default_now().tzinfo
        return at.astimezone(zone) if zone else at.astimezone(self.app.timezone).replace(tzinfo=None)

    def _certain(self) -> Term:
        if self._term is None:
            raise NotHeld(f"{self._leadership.where.name}: this beat does not lead")
        self._term.check()
        return self._term

    def close(self) -> None:
        """Resigns, so that the next one goes on at once."""
        try:
            super().close()
        finally:
            self._term = None
            self._leadership.close()


def around(scheduler: type[Any]) -> type[Scheduler]:
    """The same for another class of schedulers: `-S` takes the result, by the name that it is given."""
    if issubclass(scheduler, Scheduler):
        return scheduler
    return type(f"LeaderOnly{scheduler.__name__}", (Scheduler, scheduler), {})
