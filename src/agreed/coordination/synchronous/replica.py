"""The synchronous face of `agreed.recipes.replicated.replica`; written by `tools/write_synchronous.py`.

Each class has the methods of its namesake: what is awaited there is waited for here, on whichever thread
calls.  Do not change this file; change what it is written from.
"""

from __future__ import annotations

from typing import Generic, cast

from agreed.coordination.on_the_loop import OnTheLoop
from agreed.coordination.replicating import Replicating
from agreed.errors import AgreedError
from agreed.recipes.replicated import replica
from agreed.recipes.replicated.schema import Object


class Replica(Replicating[replica.Replica[Object], Object], Generic[Object]):
    """`timeout`: how long a call may take in all.  `compatible`: the oldest version that others run.

    `async with` keeps it up to date by itself; without, it is as new as its last call.  For any number of
    tasks.  Raises ConfigurationError for a class that cannot be replicated."""

    @property
    def name(self) -> str:
        return self.asynchronous.name

    @property
    def kind(self) -> type[Object]:
        return self.asynchronous.kind

    @property
    def position(self) -> int:
        """So many commands have been run here."""
        return self.asynchronous.position

    @property
    def digest(self) -> str:
        """Of the state after them: the same on every replica of this version."""
        return self.asynchronous.digest

    @property
    def error(self) -> AgreedError | None:
        """Why this replica has stopped, or is not kept up to date at present."""
        return self.asynchronous.error

    def sync(self) -> int:
        """Every command that was answered before this was called has been run here.  The position."""
        return cast("int", self._wait_for(self.asynchronous.sync()))


OnTheLoop.FACES[replica.Replica] = Replica
