"""The synchronous face of `agreed.recipes.lock`; written by `tools/write_synchronous.py`.

Each class has the methods of its namesake: what is awaited there is waited for here, on whichever thread
calls.  Do not change this file; change what it is written from.
"""

from __future__ import annotations

from typing import cast

from agreed.coordination.on_the_loop import OnTheLoop
from agreed.coordination.synchronous.grant import Grant
from agreed.coordination.synchronous.obtaining import Obtained
from agreed.recipes import lock
from agreed.recipes.obtaining import Holder


class Lock(Obtained[lock.Lock, Grant]):
    """`reentrant`: whoever holds it (a task, or a thread) and asks again has it at once, and gives it back as
    often.  Otherwise he waits for himself, until his `timeout` is over."""

    def holder(self) -> Holder | None:
        return cast("Holder | None", self._wait_for(self.asynchronous.holder()))


OnTheLoop.FACES[lock.Lock] = Lock


class ReadOrWriteLock(Obtained[lock.ReadOrWriteLock, Grant]):
    """Half of a read-write lock."""


OnTheLoop.FACES[lock.ReadOrWriteLock] = ReadOrWriteLock


class ReadWriteLock(OnTheLoop[lock.ReadWriteLock]):
    """`async with lock.read() as held`, `async with lock.write() as held`; each call makes a lock of its own,
    with the methods of `Lock`.  On ZooKeeper it is kazoo's, or with Layout.CURATOR_READ_WRITE Curator's.

    Raises ConfigurationError for a layout in which others do not see readers."""

    @property
    def name(self) -> str:
        return self.asynchronous.name

    def read(self) -> ReadOrWriteLock:
        return cast("ReadOrWriteLock", self._call(self.asynchronous.read))

    def write(self) -> ReadOrWriteLock:
        return cast("ReadOrWriteLock", self._call(self.asynchronous.write))


OnTheLoop.FACES[lock.ReadWriteLock] = ReadWriteLock
