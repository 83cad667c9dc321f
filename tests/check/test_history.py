"""What is a history, and what cannot be one."""
from __future__ import annotations

import pytest

from agreed.check.history import Fault, Operation, Process, Status, history
from agreed.errors import MalformedInput


def operation(index: int, process: Process, called: int, returned: int | None) -> Operation:
    status = Status.INFO if returned is None else Status.OK
    return Operation(index, process, "read", None, None, called, returned, status)


def test_operations_are_sorted_by_their_calls() -> None:
    operations = [operation(0, "b", 5, 6), operation(1, "a", 3, 9), operation(2, "c", 3, 4)]
    told = history(operations, [Fault("x", 1, 2)])
    assert [each.index for each in told] == [1, 2, 0]
    assert len(told) == 3
    assert told.faults == (Fault("x", 1, 2),)


def test_a_process_may_call_when_it_has_returned_at_the_same_instant() -> None:
    assert len(history([operation(0, "a", 0, 5), operation(1, "a", 5, 5), operation(2, "a", 5, 9)])) == 3


IMPOSSIBLE = {
    "two operations have the number 7": [operation(7, "a", 0, 1), operation(7, "b", 0, 1)],
    "operation 0 returns before it is called": [operation(0, "a", 5, 4)],
    "process a calls operation 1 while another is under way": [
        operation(0, "a", 0, 9),
        operation(1, "a", 8, 12),
    ],
    "process b calls operation 3 while another is under way": [
        operation(2, "b", 0, None),
        operation(3, "b", 8, 9),
    ],
    "operation 0 is ok, and never returned": [Operation(0, "a", "f", None, None, 0, None, Status.OK)],
    "operation 0 is fail, and never returned": [Operation(0, "a", "f", None, None, 0, None, Status.FAIL)],
    "operation 0 is info, and has a return": [Operation(0, "a", "f", None, None, 0, 1, Status.INFO)],
}


@pytest.mark.parametrize("complaint", IMPOSSIBLE)
def test_what_cannot_be_is_refused(complaint: str) -> None:
    with pytest.raises(MalformedInput, match=complaint):
        history(IMPOSSIBLE[complaint])
