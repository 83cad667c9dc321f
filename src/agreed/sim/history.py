"""What the clients of a run saw, written down for the judge of histories (`agreed.check`)."""
from __future__ import annotations

from collections.abc import Hashable

from agreed.check.history import Fault, History, Operation, Status, history


class Recorder:
    """Operations get their number when they are called, and are written down when they have ended."""

    def __init__(self) -> None:
        self._operations: list[Operation] = []
        self._faults: list[Fault] = []
        self._next = 0
        self.open: dict[int, Call] = {}

    def call(self, process: str, function: str, key: Hashable, now: int) -> Call:
        call = Call(self._next, process, function, key, now)
        self._next += 1
        self.open[call.index] = call
        return call

    def end(
        self,
        call: Call,
        status: Status,
        now: int,
        result: object = None,
        revision: int | None = None,
        error: str | None = None,
    ) -> None:
        self.open.pop(call.index, None)
        self._operations.append(
            Operation(
                call.index,
                call.process,
                call.function,
                call.argument,
                result,
                call.called,
                None if status is Status.INFO else now,
                status,
                call.key,
                revision,
                error,
            )
        )

    def fault(self, name: str, began: int, ended: int | None, detail: str) -> None:
        self._faults.append(Fault(name, began, ended, detail))

    def history(self) -> History:
        """Whatever is still open may have happened or not."""
        for call in list(self.open.values()):
            self.end(call, Status.INFO, call.called, error="under way at the end")
        return history(self._operations, self._faults)


class Call:
    """An operation under way; `argument` may become known only in its course."""

    __slots__ = ("argument", "called", "function", "index", "key", "process")

    def __init__(self, index: int, process: str, function: str, key: Hashable, called: int) -> None:
        self.index, self.process, self.function, self.key, self.called = index, process, function, key, called
        self.argument: object = None


class Processes:
    """The processes of one client: each does one thing at a time, and none after one whose end is unknown.

    `space` tells what it works on from what others call by the same name."""

    def __init__(self, recorder: Recorder, client: str, space: str = "") -> None:
        self._recorder = recorder
        self._client = client
        self._space = space
        self._idle: list[str] = []
        self._count = 0

    def begin(self, function: str, key: tuple[str, str | None], now: int) -> Call:
        if self._idle:
            process = self._idle.pop()
        else:
            self._count += 1
            process = f"{self._client}.{self._count}"
        if self._space:
            key = key[0], f"{self._space} {key[1]}"
        return self._recorder.call(process, function, key, now)

    def end(
        self,
        call: Call,
        status: Status,
        now: int,
        result: object = None,
        revision: int | None = None,
        error: str | None = None,
    ) -> None:
        self._recorder.end(call, status, now, result, revision, error)
        if status is not Status.INFO:
            self._idle.append(call.process)
