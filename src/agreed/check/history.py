"""What clients saw: operations with a call, perhaps a return, and what came of them.

A process does one thing at a time.  An operation that was never answered (`INFO`) may have happened at any
moment after its call, or never; so its process never does anything again (a client that goes on takes a new
process).  One that has surely failed (`FAIL`) did not happen; it stays in the history because it is evidence
(a failed compare-and-set says that the expected value was not there).

Intervals are closed: an operation called at the very instant at which another returned overlaps it.  Times
are nanoseconds of one clock that all clients share, or any integers with the same order.
"""
from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from enum import Enum

import msgspec

from agreed.errors import MalformedInput

Process = int | str


class Status(Enum):
    """What the client knows."""

    OK = "ok"
    """It happened, and `result` is the answer."""
    FAIL = "fail"
    """It surely did not happen."""
    INFO = "info"
    """Nobody knows: timed out, connection lost, client killed, or still under way at the end."""


class Operation(msgspec.Struct, frozen=True, gc=False):
    """One request of one client.

    `function` and the shapes of `argument` and `result` are the model's (`models`).  `key` names the
    independent object it is about where there are many of a kind (a key of a map, a znode), else None.
    `revision` is the position in the server's order of changes where the server told it (zxid, revision,
    index), and is never needed.
    """

    index: int
    """Its number in the history, from 0, in the order of calls; unique."""
    process: Process
    function: str
    argument: object
    result: object
    """None unless `status` is OK (and then it may be None as well)."""
    called: int
    returned: int | None
    """None if `status` is INFO.  (Of an INFO operation the time of giving up says nothing.)"""
    status: Status
    key: Hashable = None
    revision: int | None = None
    error: str | None = None


class Fault(msgspec.Struct, frozen=True, gc=False):
    """Something that was done to the system meanwhile; drawn beside the history, never judged."""

    name: str
    began: int
    ended: int | None
    detail: str = ""


class History(msgspec.Struct, frozen=True):
    """Operations in the order of their calls.  Made by `history`, which checks what is said above."""

    operations: Sequence[Operation]
    faults: Sequence[Fault] = ()

    def __len__(self) -> int:
        return len(self.operations)

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.operations)


def history(operations: Iterable[Operation], faults: Iterable[Fault] = ()) -> History:
    """Sorts by call, and raises MalformedInput for what cannot be a history: an index twice, a return before
    its call, two operations of one process at a time, an answer without a return."""
    ordered = sorted(operations, key=lambda operation: (operation.called, operation.index))
    busy_until: dict[Process, int | None] = {}
    seen: set[int] = set()
    for operation in ordered:
        if operation.index in seen:
            raise MalformedInput(f"two operations have the number {operation.index}")
        seen.add(operation.index)
        if (operation.returned is None) != (operation.status is Status.INFO):
            raise MalformedInput(
                f"operation {operation.index} is {operation.status.value}, and "
                + ("never returned" if operation.returned is None else "has a return")
            )
        if operation.returned is not None and operation.returned < operation.called:
            raise MalformedInput(f"operation {operation.index} returns before it is called")
        until = busy_until.get(operation.process, operation.called)
        if until is None or until > operation.called:
            raise MalformedInput(
                f"process {operation.process} calls operation {operation.index} while another is under way"
            )
        busy_until[operation.process] = operation.returned
    return History(tuple(ordered), tuple(faults))
