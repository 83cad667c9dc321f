"""The synchronous face of `agreed.recipes.barrier`; written by `tools/write_synchronous.py`.

Each class has the methods of its namesake: what is awaited there is waited for here, on whichever thread
calls.  Do not change this file; change what it is written from.
"""

from __future__ import annotations

from typing import cast

from agreed.coordination.on_the_loop import OnTheLoop
from agreed.coordination.together import GoingInAndOut, Passage
from agreed.recipes import barrier


class Barrier(OnTheLoop[barrier.Barrier]):
    """`ttl`: after so long the others hear that a party is dead.  Who names another number of parties than
    the first is refused (`Differs`)."""

    @property
    def name(self) -> str:
        return self.asynchronous.name

    @property
    def parties(self) -> int:
        return self.asynchronous.parties

    def wait(self, timeout: float | None = None) -> int:
        """The generation with which it was let through; they grow.

        Raises WaitTimeout, BarrierBroken, Differs; what the backend does.  After each of them nobody waits
        here any more; and nobody was let through with it, unless `surely_not_done` is False: nobody knows."""
        return cast("int", self._wait_for(self.asynchronous.wait(timeout)))

    def waiting(self) -> int:
        """How many have come and wait for the others."""
        return cast("int", self._wait_for(self.asynchronous.waiting()))


OnTheLoop.FACES[barrier.Barrier] = Barrier


class DoubleBarrier(GoingInAndOut[barrier.DoubleBarrier]):
    """`async with` goes in with all parties, and out when all of them are done.  `timeout` is for each of the
    two.  A body that ends with an exception goes out at once.

        async with double as generation: ...
        async with double.once(timeout=60.0) as generation: ...

    The body is not cancelled when its session ends: it protects nothing.  But the others do not wait for it
    any more, and it hears of that when it goes out (SessionExpired)."""

    @property
    def timeout_s(self) -> float | None:
        return self.asynchronous.timeout_s

    def once(self, timeout: float | None = None) -> Passage:
        return cast("Passage", self._call(self.asynchronous.once, timeout))


OnTheLoop.FACES[barrier.DoubleBarrier] = DoubleBarrier
