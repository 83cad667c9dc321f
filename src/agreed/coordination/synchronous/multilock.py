"""The synchronous face of `agreed.recipes.multilock`; written by `tools/write_synchronous.py`.

Each class has the methods of its namesake: what is awaited there is waited for here, on whichever thread
calls.  Do not change this file; change what it is written from.
"""

from __future__ import annotations

from typing import cast

from agreed.backends.contract import Stands
from agreed.coordination.bodies import Bodies, EndOfBody
from agreed.coordination.on_the_loop import OnTheLoop
from agreed.recipes import multilock
from agreed.recipes.errors import Lost
from agreed.recipes.obtaining import Holder


class MultiGrant(EndOfBody[multilock.MultiGrant]):
    """The grants of all of them, by name."""

    @property
    def tokens(self) -> dict[str, int]:
        """Each resource is given the token of its own lock."""
        return self.asynchronous.tokens

    @property
    def lost(self) -> bool:
        """One at least is."""
        return self.asynchronous.lost

    def lost_by_now(self) -> bool:
        """`lost`, also where nobody has noticed so far."""
        return cast("bool", self._call(self.asynchronous.lost_by_now))

    @property
    def held(self) -> bool:
        """All are, as far as is known here; `check` is the stricter question."""
        return self.asynchronous.held

    def remaining(self) -> float:
        """Seconds for which all of them are held for certain."""
        return cast("float", self._call(self.asynchronous.remaining))

    def check(self) -> None:
        """Raises LockLost unless nobody else can hold any of them now, and NotHeld after `release`."""
        self._call(self.asynchronous.check)

    def loss(self) -> Lost:
        return cast("Lost", self._call(self.asynchronous.loss))

    def conditions(self) -> list[Stands]:
        """Guards for a commit that is done only while all are held."""
        return cast("list[Stands]", self._call(self.asynchronous.conditions))

    def release(self) -> None:
        """All of them at once, also where whoever waits for it is cancelled.  What went wrong is raised when
        all were tried."""
        self._wait_for(self.asynchronous.release())


OnTheLoop.FACES[multilock.MultiGrant] = MultiGrant


class MultiLock(Bodies[multilock.MultiLock, MultiGrant]):
    """`timeout` is for who names no other; it is for all of them together."""

    @property
    def timeout_s(self) -> float | None:
        return self.asynchronous.timeout_s

    def acquire(self, timeout: float | None = None) -> MultiGrant:
        """Raises AcquireTimeout; what the backend does.  After each of them none is held or waited for."""
        return cast("MultiGrant", self._wait_for(self.asynchronous.acquire(timeout)))

    def try_acquire(self) -> MultiGrant | None:
        """None where one of them cannot be had at once."""
        return cast("MultiGrant | None", self._wait_for(self.asynchronous.try_acquire()))

    def holders(self) -> dict[str, Holder | None]:
        """Who has which of them now."""
        return cast("dict[str, Holder | None]", self._wait_for(self.asynchronous.holders()))


OnTheLoop.FACES[multilock.MultiLock] = MultiLock
