"""What becomes of the elements of a queue, and what that spares a search."""
from __future__ import annotations

import pytest

from agreed.check import linearizable, replay
from agreed.check.history import History, Operation, Status, history
from agreed.check.models import AnyModel, FifoQueue, Queue
from agreed.check.models.queue_fates import Fates, fates_of
from agreed.check.verdict import Budget
from tests.check.judged import holds
from tests.check.told import told


def fates(text: str, optional: frozenset[int] = frozenset(), initial: tuple[object, ...] = ()) -> Fates:
    return fates_of("fifo-queue", initial, told(text).operations, optional)  # type: ignore[arg-type]


TAKEN = """
    a 0-1 enqueue 1
    a 2-3 enqueue 2
    a 4-5 enqueue 3
    b 6-7 dequeue -> 1
    c 8-9 dequeue -> 2
    d 8-9 dequeue -> 3
"""


def test_who_came_out_before_another_was_asked_for_entered_before() -> None:
    found = fates(TAKEN)
    assert found.ranks == {1: 0, 2: 1, 3: 2}
    assert found.before == [0, 1, 1], "2 and 3 were asked for at once"
    assert found.loose == frozenset()


def test_who_was_not_taken_is_loose() -> None:
    found = fates(TAKEN + "a 20-21 enqueue 4 \n e 22- dequeue \n f 22-23 dequeue -> None")
    assert found.loose == {4}
    assert found.lost == 1
    assert fates(TAKEN, initial=(7,)).loose == {7}


def test_what_entered_twice_or_need_not_have_come_out_is_neither() -> None:
    assert 1 not in fates(TAKEN + "e 0-9 enqueue 1").ranks
    assert 1 not in fates(TAKEN, initial=(1,)).ranks
    assert fates(TAKEN, optional=frozenset({3})).ranks == {2: 0, 3: 1}
    assert fates(TAKEN, optional=frozenset({3})).loose == frozenset()


def crowd(clients: int, taken: int, lost: int = 0) -> History:
    """Everybody enters at once; some come out one after the other, the last first."""
    operations = [
        Operation(n, f"in {n}", "enqueue", n, None, 0, 100 + n, Status.OK) for n in range(clients)
    ]
    for number in range(taken):
        at, index = 1_000 + 10 * number, clients + number
        operations.append(
            Operation(index, "out", "dequeue", None, clients - 1 - number, at, at + 5, Status.OK)
        )
    for number in range(lost):
        index = clients + taken + number
        operations.append(Operation(index, f"lost {number}", "dequeue", None, None, 1_000, None, Status.INFO))
    return history(operations)


@pytest.mark.parametrize(("taken", "lost"), [(0, 0), (3, 0), (20, 0), (40, 0), (20, 5), (39, 1)])
@pytest.mark.parametrize("model", [FifoQueue(), Queue()], ids=lambda model: model.name)
def test_a_crowd_of_entries_takes_few_steps(model: AnyModel, taken: int, lost: int) -> None:
    """Of forty at once: of their orders there would be ten to the power of 47."""
    told_ = crowd(40, taken, lost)
    verdict = linearizable(told_, model, Budget(steps=40_000))
    assert verdict.holds
    assert replay.verdict(told_, model, verdict) == []


def test_a_crowd_in_which_one_overtook_is_refused_in_few_steps() -> None:
    told_ = crowd(12, 12)
    first = told_.operations[12]
    late = Operation(99, "late", "enqueue", "late", None, 2_000, 2_001, Status.OK)
    overtaking = Operation(100, "out", "dequeue", None, "late", 2_010, 2_011, Status.OK)
    behind = Operation(101, "out", "dequeue", None, first.result, 2_020, 2_021, Status.OK)
    rest = [each for each in told_ if each is not first]
    wrong = history([*rest, late, overtaking, behind])
    verdict = linearizable(wrong, FifoQueue(), Budget(steps=40_000))
    assert verdict.findings[0].culprit == 100


def test_behind_what_stays_for_ever_nothing_comes_out() -> None:
    assert not holds(told("a 0-1 enqueue 1 \n a 2-3 enqueue 2 \n b 4-5 dequeue -> 2"), FifoQueue())
    assert holds(told("a 0-1 enqueue 1 \n a 2-3 enqueue 2 \n b 4-5 dequeue -> 2"), Queue())
    text = "a 0-1 enqueue 1 \n a 2-3 enqueue 2 \n a 4-5 enqueue 3 \n x 4- dequeue \n b 6-7 dequeue -> 3"
    assert not holds(told(text), FifoQueue()), "one lost dequeue took one"
    assert holds(told(text + "\n y 4- dequeue"), FifoQueue())


def test_a_lost_dequeue_did_not_take_what_another_took() -> None:
    text = "a 0-1 enqueue 1 \n x 2- dequeue \n b 4-5 dequeue -> 1 \n b 6-7 dequeue -> None"
    assert holds(told(text), FifoQueue())
    assert holds(told(text), Queue())
    more = text + "\n c 8-9 enqueue 2 \n d 10-11 dequeue -> None"
    assert holds(told(more), FifoQueue()), "it took the second, late"
    assert not holds(told(more + "\n e 12-13 dequeue -> 2"), FifoQueue())


def test_what_they_begin_with_comes_out_first() -> None:
    assert holds(told("a 0-1 enqueue 3 \n b 2-3 dequeue -> 1 \n b 4-5 dequeue -> 2"), FifoQueue([1, 2]))
    assert not holds(told("a 0-1 enqueue 3 \n b 2-3 dequeue -> 3"), FifoQueue([1, 2]))
    lost = "x 0- dequeue \n y 0- dequeue"
    assert holds(told(f"a 0-1 enqueue 3 \n {lost} \n b 2-3 dequeue -> 3"), FifoQueue([1, 2]))
