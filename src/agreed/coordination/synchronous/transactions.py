"""The synchronous face of `agreed.recipes.transactions`; written by `tools/write_synchronous.py`.

Each class has the methods of its namesake: what is awaited there is waited for here, on whichever thread
calls.  Do not change this file; change what it is written from.
"""

from __future__ import annotations

from typing import cast

from agreed.backends.contract import Guard
from agreed.coordination.on_the_loop import OnTheLoop
from agreed.coordination.transacting import Within
from agreed.recipes import transactions


class Transaction(Within[transactions.Transaction]):
    """One attempt.  By hand: read and write, then `commit`, and a new one where that returns False."""

    def get(self, key: str) -> bytes | None:
        """None where it is not there; what was written here before, if anything was."""
        return cast("bytes | None", self._wait_for(self.asynchronous.get(key)))

    def put(self, key: str, value: bytes) -> None:
        self._call(self.asynchronous.put, key, value)

    def delete(self, key: str) -> None:
        """If it is there."""
        self._call(self.asynchronous.delete, key)

    def require(self, guard: Guard) -> None:
        """Commit only if this holds as well, such as `held.condition()` of a lock."""
        self._call(self.asynchronous.require, guard)

    def commit(self) -> bool:
        """False: something that was read is another by now, or a guard does not hold; nothing was done.
        Raises what the backend does, TooLarge for more changes than it takes at once."""
        return cast("bool", self._wait_for(self.asynchronous.commit()))

    def raise_if_hopeless(self, hopeless: set[Guard]) -> None:
        """For who begins again: `hopeless` are guards of earlier attempts that never hold any more, and is
        added to.  What was made or changed once has that revision, and what comes after it another.  Raises
        Conflict where one is required again: a lock, say, that was lost."""
        self._wait_for(self.asynchronous.raise_if_hopeless(hopeless))

    def is_true(self) -> bool:
        """What was read is still there, all of it at one moment."""
        return cast("bool", self._wait_for(self.asynchronous.is_true()))


OnTheLoop.FACES[transactions.Transaction] = Transaction
