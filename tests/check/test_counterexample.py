"""Why it is not linearizable: who cannot be placed, and the smallest piece that forbids it."""
from __future__ import annotations

import pytest

from agreed.check import linearizable, replay
from agreed.check.history import History, Operation, Status, history
from agreed.check.models import AnyModel, CasRegister, Counter, FifoQueue, KeyValue, Mutex, Register, Set
from agreed.check.verdict import Finding
from tests.check.judged import judged
from tests.check.told import told


def found(told_: History, model: AnyModel) -> Finding:
    """The one finding, proved."""
    (finding,) = judged(told_, model).findings
    return finding


PIECES: dict[str, tuple[AnyModel, str, list[int], int, bool]] = {
    "what was overwritten": (
        Register(),
        "a 0-1 write 1 \n b 2-3 write 2 \n c 4-5 write 3 \n d 6-7 read -> 2",
        [2, 3],
        3,
        True,
    ),
    "what was there before does not matter, nor what comes later": (
        Register(),
        "a 0-1 write 1 \n b 2-3 read -> 1 \n b 4-5 write 2 \n c 6-7 read -> 1 \n d 8-9 read -> 2",
        [2, 3],
        3,
        True,
    ),
    "of two swaps from one value one": (
        CasRegister(),
        "w 0-1 write 1 \n a 2-9 cas [1, 2] \n b 2-9 cas [1, 3] \n c 2-8 read -> 1",
        [1, 2],
        2,
        True,
    ),
    "two who hold it": (
        Mutex(),
        "a 0-1 acquire \n a 2-3 release \n b 4-5 acquire \n c 6-7 acquire",
        [2, 3],
        3,
        True,
    ),
    "a sum from the beginning": (
        Counter(),
        "a 0-1 add 2 \n b 2-3 add 3 \n c 4-5 read -> 3",
        [0, 2],
        2,
        False,
    ),
    "a sum of nothing that there is": (Counter(), "a 0-1 add 2 \n c 4-5 read -> 1", [1], 1, False),
    "a lost element": (Set(), "a 0-1 add 1 \n b 0-1 add 2 \n c 2-3 read -> [2]", [0, 2], 2, False),
    "a text from nowhere": (KeyValue(), "a 0-1 append 'x' \n b 2-3 get -> 'z'", [1], 1, False),
}


@pytest.mark.parametrize("story", PIECES)
def test_the_piece_is_the_smallest(story: str) -> None:
    model, text, operations, culprit, whatever_before = PIECES[story]
    finding = found(told(text), model)
    assert finding.culprit == culprit
    assert list(finding.operations) == operations
    assert finding.whatever_before is whatever_before


def test_a_search_that_looks_ahead_still_names_the_first_that_cannot_be_placed() -> None:
    """The last reading rules z out as soon as it is appended; yet all can be explained up to there."""
    text = "a 0-1 append 'x' \n b 2-3 append 'y' \n c 4-5 append 'z' \n d 6-7 get -> 'xy'"
    assert found(told(text), KeyValue()).culprit == 3


def test_attempts_show_how_far_it_gets_each_to_another_state() -> None:
    text = "a 0-9 write 1 \n b 0-9 write 2 \n c 10-11 read -> 3"
    finding = found(told(text), Register())
    assert finding.culprit == 2
    ends = {tuple(each.order): each.states[-1] for each in finding.attempts}
    assert ends == {(0, 1): "2", (1, 0): "1"}
    assert finding.steps[0] == (
        "everything that had returned before operation 2 did can be explained, and leaves the state 1 or 2"
    )
    assert "operation 2 can take effect in none of these" in finding.steps[1]
    assert finding.steps[2].startswith("these 1 operations alone cannot be explained, whatever the state was")


def test_the_piece_of_a_long_history_is_short() -> None:
    """A thousand writes and readings that are fine, and then a stale one."""
    operations = []
    for number in range(1_000):
        function = ("write", "read")[number % 2]
        value = number - number % 2
        argument, result = (value, None) if function == "write" else (None, value)
        operations.append(
            Operation(number, 0, function, argument, result, 10 * number, 10 * number + 9, Status.OK)
        )
    operations.append(Operation(1_000, 9, "read", None, 996, 20_000, 20_001, Status.OK))
    long = history(operations)
    (finding,) = linearizable(long, Register()).findings
    assert list(finding.operations) == [999, 1_000], "one reading after the other"
    assert replay.counterexample(long, Register(), finding) == []


def test_never_answered_operations_are_no_part_of_it() -> None:
    text = "a 0- write 5 \n b 0-1 write 1 \n c 2-3 write 2 \n d 4-5 read -> 1 \n e 0- write 6"
    assert list(found(told(text), Register()).operations) == [2, 3]


def test_a_queue_is_convicted_by_who_overtook_whom() -> None:
    text = """
        a 0-1 enqueue 1
        a 2-3 enqueue 2
        a 4-5 enqueue 3
        b 6-7 dequeue -> 1
        b 8-9 dequeue -> 3
        c 10-11 dequeue -> 2
    """
    finding = found(told(text), FifoQueue())
    assert finding.culprit == 4
    assert list(finding.operations) == [1, 4], "2 was in, and nobody else had asked for it"
