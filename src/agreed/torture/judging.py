"""Which part of a history goes to which judge of `agreed.check`.

Writes, and reads that follow a `sync`, have to be linearizable.  Local reads promise less: each session sees
what it has written itself, and never goes back (docs/guarantees.md).  So one history is judged twice: without
the local reads for the one promise, and with them, by session, for the other.
"""
from __future__ import annotations

import time
from typing import Final

import msgspec

from agreed.check.history import History, Status, history
from agreed.check.linearizable import linearizable as judge_linearizable
from agreed.check.models.model import AnyModel
from agreed.check.sessions import session_guarantees
from agreed.check.verdict import Budget
from agreed.torture.recorder import session_of
from agreed.torture.workloads.judgement import Judgement

LOCAL_READ: Final = "local-read"
"""The function of a read that any server answers at once."""

JUDGE_WITHIN_S: Final = 120.0


def budget() -> Budget:
    return Budget(seconds=JUDGE_WITHIN_S, clock=time.monotonic)


def without(recorded: History, *functions: str) -> History:
    """The same without the operations of these functions."""
    return history([each for each in recorded if each.function not in functions], recorded.faults)


def linearizable(recorded: History, model: AnyModel) -> Judgement:
    """Without the local reads: they do not promise it."""
    judged = without(recorded, LOCAL_READ)
    return Judgement("linearizable", judged, judge_linearizable(judged, model, budget()))


def sessions(recorded: History, initial: object = None) -> Judgement:
    """No session reads older than it has written or read, on whichever server."""
    judged = by_session(recorded)
    return Judgement("sessions", judged, session_guarantees(judged, initial=initial))


def by_session(recorded: History) -> History:
    """Every session as one process, all reads called `read`, and a compare-and-set that was done a `write`.

    A write that was never answered is nobody's: a process would have to end with it, and the session goes on;
    but somebody may have read it."""
    operations = []
    for each in recorded:
        function, argument, process = each.function, each.argument, session_of(each.process)
        if each.status is Status.FAIL:
            continue
        if each.status is Status.INFO:
            process = f"{each.process}!"
        if function == LOCAL_READ:
            function = "read"
        elif function == "cas" and isinstance(argument, list):
            function, argument = "write", argument[1]
        operations.append(
            msgspec.structs.replace(each, process=process, function=function, argument=argument)
        )
    return history(operations, recorded.faults)
