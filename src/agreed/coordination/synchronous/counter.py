"""The synchronous face of `agreed.recipes.counter`; written by `tools/write_synchronous.py`.

Each class has the methods of its namesake: what is awaited there is waited for here, on whichever thread
calls.  Do not change this file; change what it is written from.
"""

from __future__ import annotations

from typing import cast

from agreed.coordination.bodies import Following
from agreed.coordination.on_the_loop import OnTheLoop
from agreed.recipes import counter


class Counter(OnTheLoop[counter.Counter]):
    @property
    def name(self) -> str:
        return self.asynchronous.name

    def get(self) -> int:
        return cast("int", self._wait_for(self.asynchronous.get()))

    def add(self, number: int = 1) -> int:
        """The value with this addition, and no later one."""
        return cast("int", self._wait_for(self.asynchronous.add(number)))

    def set(self, number: int) -> None:
        """Whatever it was."""
        self._wait_for(self.asynchronous.set(number))

    def follow(self) -> Following[int]:
        """The value, then each newer one; not each in between."""
        return cast("Following[int]", self._call(self.asynchronous.follow))


OnTheLoop.FACES[counter.Counter] = Counter
