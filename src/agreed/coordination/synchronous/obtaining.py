"""The synchronous face of `agreed.recipes.obtaining`; written by `tools/write_synchronous.py`.

Each class has the methods of its namesake: what is awaited there is waited for here, on whichever thread
calls.  Do not change this file; change what it is written from.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

from agreed.coordination.bodies import Bodies, Granted
from agreed.recipes import obtaining
from agreed.recipes.obtaining import Holder

AnyObtainable = TypeVar("AnyObtainable", bound=obtaining.Obtainable[Any])


class Obtained(Bodies[AnyObtainable, Granted]):
    """What is obtained by standing in line; locks, permits and leadership are.  `timeout` is for who names no
    other, as `async with` does."""

    @property
    def name(self) -> str:
        return self.asynchronous.name

    @property
    def timeout_s(self) -> float | None:
        return self.asynchronous.timeout_s

    def acquire(self, timeout: float | None = None) -> Granted:
        """Wait for it, `timeout` seconds in all (None: what the recipe was made with; that is as long as it
        takes, if nothing else was said).

        Raises AcquireTimeout; what the backend raises (`agreed.client.errors`), SessionExpired where the
        session ended meanwhile; `Lost` (of its kind) where it was obtained, and lost before it could be used.
        After each of them nobody stands in line for it any more."""
        return cast("Granted", self._wait_for(self.asynchronous.acquire(timeout)))

    def try_acquire(self) -> Granted | None:
        """None where it cannot be had at once."""
        return cast("Granted | None", self._wait_for(self.asynchronous.try_acquire()))

    def holders(self) -> list[Holder]:
        """Who has it now, in the order in which they came."""
        return cast("list[Holder]", self._wait_for(self.asynchronous.holders()))

    def waiters(self) -> list[Holder]:
        """Who waits for it now."""
        return cast("list[Holder]", self._wait_for(self.asynchronous.waiters()))
