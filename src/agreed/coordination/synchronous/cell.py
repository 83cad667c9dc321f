"""The synchronous face of `agreed.recipes.cell`; written by `tools/write_synchronous.py`.

Each class has the methods of its namesake: what is awaited there is waited for here, on whichever thread
calls.  Do not change this file; change what it is written from.
"""

from __future__ import annotations

from typing import Generic, cast

from agreed.coordination.bodies import Following
from agreed.coordination.on_the_loop import OnTheLoop
from agreed.coordination.together import Updating
from agreed.recipes import cell
from agreed.recipes.cell import Versioned
from agreed.recipes.codec import Value


class Cell(Updating[cell.Cell[Value], Value], Generic[Value]):
    """`codec`: another way to write it than that of `codec_of(kind)`.  Everything raises CodecError where
    something else stands there, but `set` and `delete`."""

    @property
    def name(self) -> str:
        return self.asynchronous.name

    def get(self) -> Versioned[Value] | None:
        return cast("Versioned[Value] | None", self._wait_for(self.asynchronous.get()))

    def set(self, value: Value, *, if_version: int | None = None) -> Versioned[Value]:
        """`if_version`: only where it has this one, 0: only where there is none.  Raises BadVersion."""
        return cast("Versioned[Value]", self._wait_for(self.asynchronous.set(value, if_version=if_version)))

    def delete(self, *, if_version: int | None = None) -> bool:
        """False: there was none.  Raises BadVersion."""
        return cast("bool", self._wait_for(self.asynchronous.delete(if_version=if_version)))

    def follow(self) -> Following[Versioned[Value] | None]:
        """The newest state, then each newer one; None: there is none."""
        return cast("Following[Versioned[Value] | None]", self._call(self.asynchronous.follow))


OnTheLoop.FACES[cell.Cell] = Cell
