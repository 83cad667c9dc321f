"""The synchronous face of `agreed.recipes.semaphore`; written by `tools/write_synchronous.py`.

Each class has the methods of its namesake: what is awaited there is waited for here, on whichever thread
calls.  Do not change this file; change what it is written from.
"""

from __future__ import annotations

from agreed.coordination.on_the_loop import OnTheLoop
from agreed.coordination.synchronous.grant import Grant
from agreed.coordination.synchronous.obtaining import Obtained
from agreed.recipes import semaphore


class Semaphore(Obtained[semaphore.Semaphore, Grant]):
    """What is obtained by standing in line; locks, permits and leadership are.  `timeout` is for who names no
    other, as `async with` does."""

    @property
    def permits(self) -> int:
        return self.asynchronous.permits


OnTheLoop.FACES[semaphore.Semaphore] = Semaphore
