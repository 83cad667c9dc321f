"""The synchronous face of `agreed.recipes.ids`; written by `tools/write_synchronous.py`.

Each class has the methods of its namesake: what is awaited there is waited for here, on whichever thread
calls.  Do not change this file; change what it is written from.
"""

from __future__ import annotations

from typing import cast

from agreed.coordination.on_the_loop import OnTheLoop
from agreed.recipes import ids


class IdGenerator(OnTheLoop[ids.IdGenerator]):
    @property
    def name(self) -> str:
        return self.asynchronous.name

    def next(self) -> int:
        """Raises Forked in a process that is a copy of the one which took the block: both would give the
        same numbers."""
        return cast("int", self._wait_for(self.asynchronous.next()))

    def take(self, count: int) -> range:
        """A block of one's own, of so many numbers; `next` gives none of them."""
        return cast("range", self._wait_for(self.asynchronous.take(count)))


OnTheLoop.FACES[ids.IdGenerator] = IdGenerator
