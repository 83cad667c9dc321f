"""The synchronous face of `agreed.recipes.event`; written by `tools/write_synchronous.py`.

Each class has the methods of its namesake: what is awaited there is waited for here, on whichever thread
calls.  Do not change this file; change what it is written from.
"""

from __future__ import annotations

from typing import cast

from agreed.coordination.bodies import Following
from agreed.coordination.on_the_loop import OnTheLoop
from agreed.recipes import event


class Event(OnTheLoop[event.Event]):
    @property
    def name(self) -> str:
        return self.asynchronous.name

    def is_set(self) -> bool:
        return cast("bool", self._wait_for(self.asynchronous.is_set()))

    def set(self) -> None:
        """Doing it twice is doing it once."""
        self._wait_for(self.asynchronous.set())

    def clear(self) -> None:
        """It is not set any more, for those who come from now on."""
        self._wait_for(self.asynchronous.clear())

    def wait(self, timeout: float | None = None) -> None:
        """Raises WaitTimeout."""
        self._wait_for(self.asynchronous.wait(timeout))

    def follow(self) -> Following[bool]:
        """Whether it is set, then each change of that."""
        return cast("Following[bool]", self._call(self.asynchronous.follow))


OnTheLoop.FACES[event.Event] = Event
