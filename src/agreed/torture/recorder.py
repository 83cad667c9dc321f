"""Writes down who asked what, when, and what came of it.

A process of a history does one thing at a time, and nothing more after an operation that was never answered;
the session of its client goes on.  So processes are named `SESSION#NUMBER`, and a new number is taken after
each operation without an answer.  `session_of` finds the session again, for what is promised to sessions.

Times are nanoseconds of the monotonic clock of this machine, from the start of the recording.
"""
from __future__ import annotations

import itertools
import time
from collections.abc import Awaitable, Hashable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from agreed.check.history import Fault, History, Operation, Process, Status, history
from agreed.torture.client import NotAsked, Refused


class Answer(NamedTuple):
    """What an operation gave, and at which revision where that is known."""

    result: object
    revision: int | None = None


def session_of(process: Process) -> str:
    """The session to which a process belongs."""
    return str(process).partition("#")[0]


class Clock:
    """Nanoseconds since it was made; one for all that is recorded together."""

    def __init__(self) -> None:
        self._start = time.monotonic_ns()

    def now(self) -> int:
        return time.monotonic_ns() - self._start


@dataclass
class Actor:
    """One who calls, and under which number of its session it does so."""

    number: int = 0

    def process(self, session: str) -> str:
        return f"{session}#{self.number}"

    def retire(self) -> None:
        """Nothing more is heard of the process of before."""
        self.number += 1


class Recorder:
    """The operations of one workload."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._indices = itertools.count()
        self._operations: list[Operation] = []

    def __len__(self) -> int:
        return len(self._operations)

    def now(self) -> int:
        return self._clock.now()

    async def record(
        self,
        actor: Actor,
        session: str,
        function: str,
        argument: object,
        key: Hashable,
        asked: Awaitable[Answer],
    ) -> Answer:
        """Do it and write it down.  Raises what it raises: `Refused`, `NotAsked`, `Unanswered`."""
        index, process, called = next(self._indices), actor.process(session), self.now()
        result: object = None
        revision, error, status = None, None, Status.OK
        try:
            answer = await asked
            result, revision = answer
            return answer
        except Refused:
            status = Status.FAIL
            raise
        except NotAsked as problem:
            status, error = Status.FAIL, str(problem)
            raise
        except BaseException as problem:
            # Also where this was cancelled because the run is over: it may have been done.
            status, error = Status.INFO, str(problem) or type(problem).__name__
            actor.retire()
            raise
        finally:
            returned = None if status is Status.INFO else self.now()
            self._operations.append(
                Operation(
                    index, process, function, argument, result, called, returned, status, key, revision, error
                )
            )

    def note(
        self,
        process: str,
        function: str,
        argument: object,
        result: object,
        key: Hashable,
        called: int,
        status: Status,
        revision: int | None = None,
    ) -> None:
        """Write down what was found out afterwards."""
        returned = None if status is Status.INFO else self.now()
        self._operations.append(
            Operation(
                next(self._indices),
                process,
                function,
                argument,
                result,
                called,
                returned,
                status,
                key,
                revision,
            )
        )

    def history(self, faults: Iterable[Fault]) -> History:
        """All of it, numbered in the order of the calls."""
        ordered = sorted(self._operations, key=lambda operation: (operation.called, operation.index))
        return history(
            [msgspec.structs.replace(each, index=number) for number, each in enumerate(ordered)], faults
        )
