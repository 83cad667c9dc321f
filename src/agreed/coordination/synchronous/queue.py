"""The synchronous face of `agreed.recipes.queue`; written by `tools/write_synchronous.py`.

Each class has the methods of its namesake: what is awaited there is waited for here, on whichever thread
calls.  Do not change this file; change what it is written from.
"""

from __future__ import annotations

from typing import Generic, cast

from agreed.coordination.bodies import Taking
from agreed.coordination.on_the_loop import OnTheLoop
from agreed.coordination.synchronous.job import Job
from agreed.recipes import queue
from agreed.recipes.codec import Value


class Queue(Taking[queue.Queue[Value], Job[Value]], Generic[Value]):
    """`most`: so many jobs are in it at once, those that are worked on among them; whoever puts waits for a
    place.  All users of a name say the same (`Differs`).  `value`: what those who claim jobs call themselves.

    For any number of tasks at once."""

    @property
    def name(self) -> str:
        return self.asynchronous.name

    @property
    def most(self) -> int | None:
        return self.asynchronous.most

    def put(
        self, value: Value, *, priority: int = 5, delay: float = 0.0, timeout: float | None = None
    ) -> None:
        """`delay` seconds from now on it is handed out.  `timeout`: how long to wait for a place, and for an
        answer.

        Raises CodecError; QueueFull; TimedOut where the time was over while it was being put, which may be
        done; what the backend does."""
        self._wait_for(self.asynchronous.put(value, priority=priority, delay=delay, timeout=timeout))

    def take(self, timeout: float | None = None) -> Job[Value]:
        """Wait for a job, and have it.

        Raises AcquireTimeout; what the backend does.  After each of them nothing is taken."""
        return cast("Job[Value]", self._wait_for(self.asynchronous.take(timeout)))

    def try_take(self) -> Job[Value] | None:
        """None where there is none at present."""
        return cast("Job[Value] | None", self._wait_for(self.asynchronous.try_take()))

    def count(self) -> int:
        """How many jobs there are: free ones, those that are worked on, delayed ones.  All names are read."""
        return cast("int", self._wait_for(self.asynchronous.count()))


OnTheLoop.FACES[queue.Queue] = Queue
