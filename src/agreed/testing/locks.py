"""Who was inside of what a lock protects, and whose the lock was meanwhile.

A server sees who stands first in line, and never two of them.  What goes wrong with locks goes wrong outside:
a session ends, the lock goes to the next, and the body of the one before still runs.  So a test says when it
is inside (`with server.inside("orders"):`), and two things are looked at afterwards:

    nobody was inside while somebody else was
    while one was inside, the lock was nobody else's: it changed hands only between bodies

Whose a lock is, is read as kazoo, Curator, etcd's concurrency package and python-etcd3 write it: the oldest
key that is the name itself, or stands directly below it; on ZooKeeper the lowest sequence number.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agreed.store.events import Event, EventKind

_SEQUENCE: Final = re.compile(rb"(\d{10})$")


class NobodyInside(AssertionError):
    """Nobody was ever inside: there is nothing to assert."""


class LockShared(AssertionError):
    """The text says who was inside, and who else or whose the lock was."""


@dataclass
class Stay:
    """From `began` to `ended`, in turns of the one count of all that is noted here."""

    who: str
    began: int
    ended: int | None = None


class Locks:
    """Thread-safe; `changed` is called on the event loop of the server."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._count = itertools.count(1)
        self._numbers = itertools.count(1)
        self._stays: dict[str, list[Stay]] = {}
        self._lines: dict[bytes, dict[bytes, int]] = {}
        """By name of the lock: the keys in its line, and where each stands."""
        self._holders: dict[bytes, list[tuple[int, bytes | None]]] = {}
        """By name of the lock: who held it from when on."""

    def clear(self) -> None:
        with self._mutex:
            self._stays.clear()
            self._lines.clear()
            self._holders.clear()

    @contextlib.contextmanager
    def inside(self, name: str, who: str | None) -> Iterator[None]:
        with self._mutex:
            stay = Stay(who or f"body {next(self._numbers)}", next(self._count))
            self._stays.setdefault(name, []).append(stay)
        try:
            yield
        finally:
            with self._mutex:
                stay.ended = next(self._count)

    def changed(self, event: Event) -> None:
        key = event.record.key
        with self._mutex:
            for name in (key, key.rpartition(b"/")[0]):
                line = self._lines.setdefault(name, {})
                before = _first(line)
                if event.kind is EventKind.DELETED:
                    line.pop(key, None)
                elif key != name or event.record.lease:
                    line[key] = _place(event)
                after = _first(line)
                if after != before:
                    self._holders.setdefault(name, []).append((next(self._count), after))

    def assert_never_shared(self, name: str) -> None:
        """Raises LockShared, and NobodyInside."""
        with self._mutex:
            stays = list(self._stays.get(name, ()))
            holders = list(self._holders.get(name.encode(), ()))
        if not stays:
            raise NobodyInside(f"nobody was inside of {name!r}: use `with server.inside({name!r}):`")
        for one, other in itertools.pairwise(stays):
            if one.ended is None or one.ended > other.began:
                raise LockShared(f"{one.who} and {other.who} were inside of {name!r} at the same time")
        for stay in stays:
            before = [holder for moment, holder in holders if moment < stay.began]
            holder = before[-1] if before else None
            later = [
                taker
                for moment, taker in holders
                if moment > stay.began and (stay.ended is None or moment < stay.ended)
            ]
            for taker in later:
                if taker is not None and taker != holder:
                    whose = taker.decode(errors="replace")
                    raise LockShared(f"{stay.who} was inside of {name!r} when the lock was given to {whose}")


def _place(event: Event) -> int:
    sequence = _SEQUENCE.search(event.record.key)
    return int(sequence[1]) if sequence and event.record.lease else event.record.create_revision


def _first(line: dict[bytes, int]) -> bytes | None:
    return min(line, key=line.__getitem__, default=None)
