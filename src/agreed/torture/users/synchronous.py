"""Users that do not await: one thread for each recipe, all on one client."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

from agreed.backends.contract import Put
from agreed.check.history import Status
from agreed.coordination.synchronous.client import Client, connect
from agreed.coordination.synchronous.job import Job
from agreed.coordination.synchronous.queue import Queue
from agreed.errors import AgreedError
from agreed.recipes.errors import AcquireTimeout, Lost
from agreed.torture.users import work
from agreed.torture.users.diary import (
    Acknowledged,
    Believes,
    Diary,
    Failed,
    Finished,
    Kept,
    Looked,
    Putting,
    now,
    status_of,
)
from agreed.torture.users.resource import use
from agreed.torture.users.work import Task

Obtain = Callable[[Client, str], Any]

OBTAIN: dict[str, Obtain] = {
    "lock": lambda client, name: client.lock(name),
    "semaphore": lambda client, name: client.semaphore(name, work.PERMITS),
    "election": lambda client, name: client.election(name),
}


def live(task: Task, diary: Diary) -> None:
    """Until it may leave.  Raises what ended one of the threads."""
    with _connected(task, diary) as client:
        users = [user(client, task, diary, recipe) for recipe in task.recipes]
        threads = [threading.Thread(target=each.live, name=each.recipe, daemon=True) for each in users]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for each in users:
            if each.failure is not None:
                raise each.failure
        while not task.may_leave:
            time.sleep(0.05)


def _connected(task: Task, diary: Diary) -> Client:
    while True:
        try:
            return connect(task.url, ttl=task.ttl_s, identity=task.who)
        except AgreedError as error:
            diary.write(Failed("connect", repr(error)))
            time.sleep(0.2)


def user(client: Client, task: Task, diary: Diary, recipe: str) -> User:
    """One user of one recipe."""
    return Worker(client, task, diary) if recipe == "queue" else Holder(client, task, diary, recipe)


class User:
    """`failure`: what is no error of a service, and has ended it."""

    def __init__(self, client: Client, task: Task, diary: Diary, recipe: str) -> None:
        self.recipe = recipe
        self.failure: BaseException | None = None
        self._client = client
        self._task = task
        self._diary = diary
        self._dice = task.dice(recipe)
        self._who = task.holder(recipe)

    def live(self) -> None:
        try:
            self._live()
        except BaseException as error:
            self.failure = error

    def _live(self) -> None:
        last = False
        while not last:
            last = self._task.finishing
            try:
                if not self._round(last):
                    last = False
            except AgreedError as error:
                self._diary.write(Failed(self.recipe, repr(error)))
                last = False
            time.sleep(self._dice.expovariate(1 / work.PAUSE_S))
        self._diary.write(Finished(self.recipe, now()))

    def _round(self, last: bool) -> bool:
        """True: what was wanted was obtained."""
        raise NotImplementedError

    def _body(self, number: int, name: str, grant: Believes) -> None:
        fenced = self.recipe != "semaphore"
        for _ in range(work.ACCESSES):
            if self._dice.random() >= work.CARELESS:
                self._diary.is_certain(number, grant)
            use(self._task.resource, name, grant.token, self._who, fenced=fenced)
            time.sleep(self._dice.expovariate(work.ACCESSES / work.HELD_S))
        self._diary.is_certain(number, grant)


class Holder(User):
    """Of a lock, a permit or a term."""

    def _round(self, last: bool) -> bool:
        name = self._dice.choice(work.NAMES[self.recipe])
        wanted = OBTAIN[self.recipe](self._client, name)
        if self.recipe == "election":
            self._look(name)
        asked = now()
        with wanted.hold(work.LAST_PATIENCE_S if last else work.PATIENCE_S) as grant:
            number = self._diary.granted(self.recipe, name, grant, asked)
            try:
                self._body(number, name, grant)
            finally:
                self._diary.ending(number)
        return True

    def _look(self, name: str) -> None:
        asked = now()
        leader = self._client.election(name).leader()
        self._diary.write(Looked(name, asked, now(), None if leader is None else leader.token))


class Worker(User):
    """Puts jobs and works on them."""

    def __init__(self, client: Client, task: Task, diary: Diary) -> None:
        super().__init__(client, task, diary, "queue")
        self._queue: Queue[str] = client.queue(work.QUEUE, str)
        self._jobs = itertools.count(1)

    def _round(self, last: bool) -> bool:
        """The last one is over when there are no jobs any more; those of the dead come back in a while."""
        if not last and self._dice.random() < work.PUTS:
            self._put()
        asked = now()
        try:
            job = self._queue.take(timeout=work.LAST_LOOK_S if last else 2 * self._task.ttl_s)
        except AcquireTimeout:
            return last and not self._queue.count()
        number = self._diary.granted(self.recipe, job.value, job, asked)
        with job:
            try:
                self._body(number, job.value, job)
                if not last and self._dice.random() < work.GIVEN_BACK:
                    self._diary.ending(number)
                    job.release()
                else:
                    self._acknowledge(number, job)
            except BaseException:
                self._diary.ending(number)
                raise
        return False

    def _put(self) -> None:
        job = f"{work.JOBS}/{self._task.who}-{next(self._jobs)}"
        self._diary.write(Putting(job))
        try:
            self._queue.put(job, priority=self._dice.choice((5, 5, 5, 1)))
        except BaseException as error:
            self._diary.write(Kept(job, status_of(error)))
            raise
        self._diary.write(Kept(job, Status.OK))

    def _acknowledge(self, number: int, job: Job[str]) -> None:
        self._diary.ending(number, acknowledges=True)
        effect = Put(f"{work.DONE}/{job.value.rpartition('/')[2]}", b"%d" % job.token)
        try:
            job.ack(also=[effect])
        except BaseException as error:
            surely_not = isinstance(error, Lost)
            self._diary.write(Acknowledged(number, Status.FAIL if surely_not else status_of(error)))
            raise
        self._diary.write(Acknowledged(number, Status.OK))
