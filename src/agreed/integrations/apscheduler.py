"""Schedulers of APScheduler 3, on every node, of which one runs the jobs.

    scheduler = BackgroundScheduler(agreed_url="agreed://10.0.0.1:2181/app", agreed_name="scheduled")
    scheduler.add_job(report, "cron", hour=4, id="report")          every job has a name
    scheduler.start()

    class Mine(LeaderOnly, SomeScheduler): ...                      the same for another class of schedulers

    def report():
        scheduler.term().check()                                    raises LeadershipLost
        write(..., token=scheduler.term().token)

A scheduler that does not lead runs nothing, and changes nothing in its job stores: those may be of each node
(the usual one, in memory) or shared.  Who leads claims each run in the service before it hands the job to its
executor, and looks once more in between (`last_runs.py`).  So no run is begun twice, on whichever node.  What
it cannot claim stays as it was, for the next leader.

What became due while nobody led is handed out by the next leader as far as the job's `misfire_grace_time`
allows.  Its usual value is 1 second, less than any takeover takes, and here three times the `ttl`.  A run is
skipped beyond that only where a leader died or lost its term between the claim and the job, or where it is a
month late: whether it was run would be forgotten.

What it does not do: end a job that runs already.  After a loss it goes on, beside the next leader's; one that
takes long asks `scheduler.term().check()`.  An "interval" begins anew with each process; take "cron" for what
counts in days.  What another process puts into a shared store is seen within ten seconds.

APScheduler 4 is not released yet, and another program; and those of 3 that live on an event loop
(AsyncIOScheduler) are refused, for asking the service would stop that loop: start such a one where
`agreed.integrations.asgi` or `election.run` leads, and shut it down at the end.
"""

from __future__ import annotations

import contextlib
import math
import time
from datetime import datetime
from typing import Any, Final

from agreed.coordination.synchronous.election import Term
from agreed.errors import ConfigurationError
from agreed.integrations.candidacy import MENDED_BY_WAITING, Where
from agreed.integrations.extras import missing
from agreed.integrations.last_runs import LastRuns
from agreed.integrations.leadership import Leadership
from agreed.recipes.errors import LeadershipLost

try:
    from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_SUBMITTED, JobSubmissionEvent
    from apscheduler.executors.base import MaxInstancesReachedError
    from apscheduler.jobstores.base import JobLookupError
    from apscheduler.jobstores.memory import MemoryJobStore
    from apscheduler.schedulers import background, base, blocking
except ImportError as error:
    raise missing("apscheduler", error) from error

FOLLOW_S: Final = 0.5
"""How often one that does not lead looks whether it does."""

LOOK_EVERY_S: Final = 10.0
"""How often the leader looks for what others have put into a shared store."""


class LeaderOnly(base.BaseScheduler):
    """Goes before a class of schedulers, with three more arguments; without `agreed_url`, AGREED_URL says
    which service it is."""

    def __init__(
        self,
        *arguments: Any,
        agreed_url: str | None = None,
        agreed_name: str = "apscheduler",
        agreed_ttl: float = 10.0,
        **options: Any,
    ) -> None:
        if not isinstance(self, blocking.BlockingScheduler):
            raise ConfigurationError(f"{type(self).__name__} lives on an event loop, which would stand still")
        self._leadership = Leadership(Where(url=agreed_url, name=agreed_name, ttl_s=agreed_ttl))
        self._runs = LastRuns(self._leadership)
        self._known: Term | None = None
        super().__init__(*arguments, **options)

    def term(self) -> Term:
        """Raises LeadershipLost unless it is certain that this node leads."""
        term = self._leadership.term()
        if term is None:
            raise LeadershipLost(f"{self._leadership.where.name}: this scheduler does not lead")
        return term

    def start(self, *arguments: Any, **named: Any) -> None:
        self._leadership.start()
        super().start(*arguments, **named)

    def shutdown(self, *arguments: Any, **named: Any) -> None:
        """Resigns when the jobs that run have ended (`wait=True`)."""
        try:
            super().shutdown(*arguments, **named)
        finally:
            self._leadership.close()

    def add_job(
        self,
        func: Any,
        trigger: Any = None,
        args: Any = None,
        kwargs: Any = None,
        id: str | None = None,
        *others: Any,
        **named: Any,
    ) -> Any:
        """Raises ConfigurationError for a job without a name: it would have another one on each node."""
        if id is None:
            raise ConfigurationError(f"{func}: name the job (`id`), for it is one job on all nodes")
        return super().add_job(func, trigger, args, kwargs, id, *others, **named)

    # --- what APScheduler calls ---------------------------------------------------------------------------

    def _configure(self, config: dict[str, Any]) -> None:
        usual = {"misfire_grace_time": math.ceil(3 * self._leadership.where.ttl_s)}
        super()._configure({**config, "job_defaults": {**usual, **config.get("job_defaults", {})}})

    def _process_jobs(self) -> float:
        """So many seconds until the next look."""
        try:
            term = self._leadership.term()
            if term is None:
                self._known = None
                return FOLLOW_S
            if self._known is None or term.token != self._known.token:
                self._take_over(term)
            return LOOK_EVERY_S if self.state == base.STATE_PAUSED else self._begin_due()
        except (LeadershipLost, *MENDED_BY_WAITING) as error:
            self._logger.warning("no jobs are run: %s", error)
            self._known = None
            return FOLLOW_S
        except Exception:
            self._logger.exception("no jobs are run; another node may lead, and this one tries again")
            self._resign()
            retry_s: float = self.jobstore_retry_interval
            return retry_s

    def _resign(self) -> None:
        """Who cannot work (his database is away, say) must not keep others from it: raised instead, the error
        would end this thread, and the process would go on leading."""
        self._known = None
        self._leadership.close()
        self._leadership.start()
        if self.state == base.STATE_STOPPED:
            self._leadership.close()

    def _begin_due(self) -> float:
        """As APScheduler's own, but that what is not ours to run stays in its store as it was: there,
        whatever an executor raises, the run is over and a job without another one is deleted."""
        now = datetime.now(self.timezone)
        wait_s = LOOK_EVERY_S
        told: list[JobSubmissionEvent] = []
        try:
            with self._jobstores_lock:
                for alias, store in self._jobstores.items():
                    try:
                        due = store.get_due_jobs(now)
                    except Exception as error:
                        self._logger.warning("Error getting due jobs from job store %r: %s", alias, error)
                        wait_s = min(wait_s, self.jobstore_retry_interval)
                        continue
                    for job in due:
                        self._begin(job, alias, store, now, told)
                    following = store.get_next_run_time()
                    if following is not None:
                        wait_s = min(wait_s, following.timestamp() - time.time())
        finally:
            for event in told:
                self._dispatch_event(event)
        return max(wait_s, 0.0)

    def _begin(
        self, job: Any, alias: str, store: Any, now: datetime, told: list[JobSubmissionEvent]
    ) -> None:
        run_times = job._get_run_times(now)
        if not run_times:
            return
        due = self._claim(job, run_times[-1:] if job.coalesce else run_times)
        if due:
            outcome = EVENT_JOB_SUBMITTED
            try:
                self._lookup_executor(job.executor).submit_job(job, due)
            except MaxInstancesReachedError as error:
                self._logger.warning("skipped: %s", error)
                outcome = EVENT_JOB_MAX_INSTANCES
            except Exception:
                self._logger.exception("Error submitting job %r to executor %r", job, job.executor)
                outcome = 0
            if outcome:
                told.append(JobSubmissionEvent(outcome, job.id, alias, due))
        next_run = job.trigger.get_next_fire_time(run_times[-1], now)
        with contextlib.suppress(JobLookupError):  # somebody has removed it from the store meanwhile
            if next_run is None:
                self.remove_job(job.id, alias)
            else:
                job._modify(next_run_time=next_run)
                store.update_job(job)

    def _take_over(self, term: Term) -> None:
        """A node that did not lead has its jobs where they were when it began; what others have run of them
        since is not due."""
        self._runs.take_over(term)
        now = datetime.now(self.timezone)
        known = set()
        with self._jobstores_lock:
            for alias, store in self._jobstores.items():
                known |= {job.id for job in store.get_all_jobs()}
                for job in store.get_due_jobs(now):
                    run = self._runs.get(job.id)
                    # In memory each node has a time of its own.  In a store that is shared, a time behind
                    # the last run is a run that nobody has begun; somebody may have asked for it.
                    if run is not None and (
                        isinstance(store, MemoryJobStore) or job.next_run_time <= run.at
                    ):
                        self._go_on_behind(job, alias, run.at.astimezone(self.timezone), now)
        self._runs.forget(term, known, now)
        self._known = term

    def _go_on_behind(self, job: Any, alias: str, last: datetime, now: datetime) -> None:
        next_run = job.trigger.get_next_fire_time(last, now)
        if next_run is None:
            self.remove_job(job.id, alias)
        elif next_run > job.next_run_time:
            self.modify_job(job.id, alias, next_run_time=next_run)

    def _claim(self, job: Any, run_times: list[datetime]) -> list[datetime]:
        """Those that nobody has begun, and that are ours now."""
        term = self._known
        if term is None:
            raise LeadershipLost(f"{self._leadership.where.name}: this scheduler does not lead")
        term.check()
        now = datetime.now(self.timezone)
        due = [at for at in run_times if not self._runs.may_be_done(job.id, at, now)]
        if due:
            self._runs.claim(term, job.id, due[-1])
            term.check()
        return due


class BackgroundScheduler(LeaderOnly, background.BackgroundScheduler):
    """On a thread of its own."""


class BlockingScheduler(LeaderOnly, blocking.BlockingScheduler):
    """On the thread that starts it."""
