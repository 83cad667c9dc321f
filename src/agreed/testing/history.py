"""What was asked and answered, for the judge of `agreed.check`.

Two histories are kept.  That of the wire is made by itself: simple reads and writes of single keys, with the
times at which the server heard and answered them, and beside them every change of the store (also those that
nobody asked for, as when a session ends).  Each key is a register; that it does not exist is a value as well.

The other is the test's own, of whatever it builds on the server, by one of the judge's models:

    with server.history.operation("worker 1", "write", 5) as operation:
        register.set(5)
    with server.history.operation("worker 2", "read") as operation:
        operation.result = register.get()
    server.assert_linearizable("register")

A body that raises may have been done: that is what the history says then.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Final

from agreed.check.history import History, Operation, Status, history

ABSENT: Final = "(absent)"

MOST_OPERATIONS: Final = 20_000
"""Of one test.  With more the judge has no history, and says so."""


class NoHistory(AssertionError):
    """There is nothing that could be judged, or not all of it."""


class Recorder:
    """The history of the wire; on the event loop of the server."""

    def __init__(self) -> None:
        self._operations: list[Operation] = []
        self._quiet_since = time.monotonic_ns()
        self._too_many = False

    def clear(self) -> None:
        self._operations.clear()
        self._too_many = False

    def note(self, function: str, value: object, key: Hashable, called: int) -> None:
        """Of a simple request that was just answered: `value` was read or written."""
        self._append(function, value, key, called)

    def changed(self, key: Hashable, value: object) -> None:
        """By whomever, since the turn before."""
        self._append("write", value, key, self._quiet_since)

    def turned(self) -> None:
        self._quiet_since = time.monotonic_ns()

    def _append(self, function: str, value: object, key: Hashable, called: int) -> None:
        index = len(self._operations)
        if index >= MOST_OPERATIONS:
            self._too_many = True
            return
        argument, result = (value, None) if function == "write" else (None, value)
        returned = time.monotonic_ns()
        self._operations.append(
            Operation(index, index, function, argument, result, called, returned, Status.OK, key)
        )

    def history(self) -> History:
        """Raises NoHistory."""
        if self._too_many:
            raise NoHistory(f"more than {MOST_OPERATIONS} operations were recorded")
        return history(self._operations)


@dataclass
class Recorded:
    """One operation of a test's own, while it is under way."""

    process: str
    function: str
    argument: object
    key: Hashable
    called: int = field(default_factory=time.monotonic_ns)
    result: object = None


class OwnHistory:
    """Thread-safe: workers of a test are threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._operations: list[Operation] = []
        self._numbers = itertools.count()
        self._lives: dict[str, int] = {}

    @contextlib.contextmanager
    def operation(
        self, process: str, function: str, argument: object = None, *, key: Hashable = None
    ) -> Iterator[Recorded]:
        """`function` and `argument` as the model says; the body sets `result`."""
        recorded = Recorded(process, function, argument, key)
        try:
            yield recorded
        except BaseException as error:
            self._ended(recorded, Status.INFO, str(error) or type(error).__name__)
            raise
        self._ended(recorded, Status.OK, None)

    def _ended(self, recorded: Recorded, status: Status, error: str | None) -> None:
        unknown = status is Status.INFO
        with self._lock:
            life = self._lives.get(recorded.process, 0)
            # Of whom one operation has no known end, the next is somebody else's.
            self._lives[recorded.process] = life + unknown
            self._operations.append(
                Operation(
                    next(self._numbers),
                    f"{recorded.process}#{life}",
                    recorded.function,
                    recorded.argument,
                    None if unknown else recorded.result,
                    recorded.called,
                    None if unknown else time.monotonic_ns(),
                    status,
                    recorded.key,
                    None,
                    error,
                )
            )

    def clear(self) -> None:
        with self._lock:
            self._operations.clear()
            self._lives.clear()

    def history(self) -> History:
        """Raises NoHistory where nothing was recorded, MalformedInput where one process did two things at a
        time."""
        with self._lock:
            if not self._operations:
                raise NoHistory("nothing was recorded: use `with server.history.operation(...)`")
            return history(self._operations)
