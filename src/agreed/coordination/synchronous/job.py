"""The synchronous face of `agreed.recipes.job`; written by `tools/write_synchronous.py`.

Each class has the methods of its namesake: what is awaited there is waited for here, on whichever thread
calls.  Do not change this file; change what it is written from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic

from agreed.backends.contract import Change
from agreed.coordination.bodies import Working
from agreed.coordination.on_the_loop import OnTheLoop
from agreed.coordination.synchronous.grant import Held
from agreed.recipes import job
from agreed.recipes.codec import Value


class Job(Working[job.Job[Value]], Held[job.Job[Value]], Generic[Value]):
    """`raw` is the value as it stands in the store."""

    @property
    def value(self) -> Value:
        """Raises CodecError."""
        return self.asynchronous.value

    @property
    def raw(self) -> bytes:
        return self.asynchronous.raw

    @property
    def priority(self) -> int:
        return self.asynchronous.priority

    def ack(self, also: Sequence[Change] = ()) -> None:
        """It is done, and `also` is done with it: all of it, or nothing where somebody else has the job.

        Raises JobLost; NotHeld where it was done or given back; what the backend does, with `maybe` only
        where the session was lost meanwhile."""
        self._wait_for(self.asynchronous.ack(also))

    def postpone(self, delay: float) -> None:
        """Nobody gets it for `delay` seconds; then it stands behind those that are there.  Raises what `ack`
        does."""
        self._wait_for(self.asynchronous.postpone(delay))


OnTheLoop.FACES[job.Job] = Job
