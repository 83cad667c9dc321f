"""The synchronous face of `agreed.recipes.latch`; written by `tools/write_synchronous.py`.

Each class has the methods of its namesake: what is awaited there is waited for here, on whichever thread
calls.  Do not change this file; change what it is written from.
"""

from __future__ import annotations

from typing import cast

from agreed.coordination.bodies import Following
from agreed.coordination.on_the_loop import OnTheLoop
from agreed.recipes import latch


class Latch(OnTheLoop[latch.Latch]):
    @property
    def name(self) -> str:
        return self.asynchronous.name

    @property
    def count(self) -> int:
        return self.asynchronous.count

    def count_down(self, number: int = 1) -> int:
        """How many are left; never fewer than none.  Raises Differs."""
        return cast("int", self._wait_for(self.asynchronous.count_down(number)))

    def left(self) -> int:
        """Raises Differs."""
        return cast("int", self._wait_for(self.asynchronous.left()))

    def wait(self, timeout: float | None = None) -> None:
        """Raises WaitTimeout; Differs."""
        self._wait_for(self.asynchronous.wait(timeout))

    def follow(self) -> Following[int]:
        """How many are left, then each change of that."""
        return cast("Following[int]", self._call(self.asynchronous.follow))


OnTheLoop.FACES[latch.Latch] = Latch
