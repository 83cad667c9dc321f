"""Which part of a history goes to which judge of `agreed.check`.

Writes, and reads that follow a `sync`, have to be linearizable.  Local reads promise less: each session sees
what it has written itself, and never goes back (docs/guarantees.md).  So one history is judged twice: without
the local reads for the one promise, and with them, by session, for the other.
"""
from __future__ import annotations

import time
from typing import Final

from agreed.check.history import History, Operation, Process, Status, history
from agreed.check.linearizable import linearizable as judge_linearizable
from agreed.check.models.model import AnyModel
from agreed.check.verdict import Budget, Finding, Outcome, Verdict
from agreed.torture.recorder import session_of

LOCAL_READ: Final = "local-read"
"""The function of a read that any server answers at once."""

JUDGE_WITHIN_S: Final = 120.0


def budget() -> Budget:
    return Budget(seconds=JUDGE_WITHIN_S, clock=time.monotonic)


def without(recorded: History, *functions: str) -> History:
    """The same without the operations of these functions."""
    return history([each for each in recorded if each.function not in functions], recorded.faults)


def linearizable(recorded: History, model: AnyModel, *ignored: str) -> Verdict:
    return judge_linearizable(without(recorded, LOCAL_READ, *ignored), model, budget())


def by_session(recorded: History) -> History:
    """Every session as one process: what was answered, all reads called `read`.

    What was never answered is left out: it promised nothing, and a process would have to end with it."""
    operations = [
        _changed(each, session_of(each.process), "read" if each.function == LOCAL_READ else each.function)
        for each in recorded
        if each.status is Status.OK
    ]
    return history(operations, recorded.faults)


def _changed(operation: Operation, process: Process, function: str) -> Operation:
    return Operation(
        operation.index,
        process,
        function,
        operation.argument,
        operation.result,
        operation.called,
        operation.returned,
        operation.status,
        operation.key,
        operation.revision,
        operation.error,
    )


def nothing_left_behind(recorded: History, function: str) -> Verdict:
    """Whoever looked for what hung on a session that was over has found nothing."""
    looked = [each for each in recorded if each.function == function]
    found = [
        Finding(
            "left behind",
            (each.index,),
            (f"{each.argument} is still there, although its session was told that it has expired",),
        )
        for each in looked
        if each.result
    ]
    outcome = Outcome.VIOLATED if found else Outcome.HOLDS
    return Verdict("nothing left behind by sessions", outcome, findings=found, steps=len(looked))


