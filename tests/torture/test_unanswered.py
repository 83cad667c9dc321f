"""What may be concluded of queue operations that were never answered, and what may not."""
from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import pytest

from agreed.check.history import History, Operation, Status, history
from agreed.check.linearizable import linearizable
from agreed.check.models.queues import FifoQueue
from agreed.check.verdict import Outcome
from agreed.torture.workloads.unanswered import decided, pinned

Told = tuple[str, object, object, int, int | None]
"""Function, what was put in, what was got, call, return (None: never answered)."""


def told(*operations: Told, revisions: Sequence[int | None] = ()) -> History:
    made = []
    for number, (function, argument, result, called, returned) in enumerate(operations):
        status = Status.INFO if returned is None else Status.OK
        revision = revisions[number] if revisions else None
        made.append(
            Operation(
                number, f"p{number}", function, argument, result, called, returned, status, "q", revision
            )
        )
    return history(made)


def kept(decided_history: History) -> list[tuple[int, Status, object]]:
    return [(each.index, each.status, each.result) for each in decided_history]


def test_what_somebody_got_was_entered_before() -> None:
    recorded = told(
        ("enqueue", 1, None, 0, None), ("dequeue", None, 1, 10, 20), ("dequeue", None, None, 30, 40)
    )
    entered, *_ = decided(recorded, {})
    assert (entered.status, entered.returned) == (Status.OK, 20)


def test_what_nobody_got_and_nobody_reached_for_was_never_entered() -> None:
    recorded = told(("enqueue", 1, None, 0, None), ("dequeue", None, None, 30, 40))
    assert kept(decided(recorded, {})) == [(1, Status.OK, None)]


def test_who_reached_for_what_another_got_has_not_got_it() -> None:
    recorded = told(
        ("enqueue", 1, None, 0, 5), ("dequeue", None, None, 6, None), ("dequeue", None, 1, 10, 20)
    )
    assert [index for index, *_ in kept(decided(recorded, {"p1": 1}))] == [0, 2]


def test_who_reached_for_what_is_missing_has_got_it() -> None:
    recorded = told(
        ("enqueue", 1, None, 0, 5), ("dequeue", None, None, 6, None), ("dequeue", None, None, 30, 40)
    )
    assert kept(decided(recorded, {"p1": 1}))[1] == (1, Status.OK, 1)


def test_of_two_who_reached_for_what_is_missing_nothing_is_concluded() -> None:
    recorded = told(
        ("enqueue", 1, None, 0, 5),
        ("dequeue", None, None, 6, None),
        ("dequeue", None, None, 7, None),
        ("dequeue", None, None, 30, 40),
    )
    statuses = [status for _, status, _ in kept(decided(recorded, {"p1": 1, "p2": 1}))]
    assert statuses == [Status.OK, Status.INFO, Status.INFO, Status.OK]


def test_a_lost_element_stays_lost() -> None:
    """Entered for sure, in the queue for sure, and not there when it was emptied."""
    recorded = told(("enqueue", 1, None, 0, 5), ("dequeue", None, None, 30, 40))
    assert linearizable(decided(recorded, {}), FifoQueue()).outcome is Outcome.VIOLATED


def test_a_wrong_order_stays_wrong() -> None:
    recorded = told(
        ("enqueue", 1, None, 0, 5),
        ("enqueue", 2, None, 6, 9),
        ("dequeue", None, 2, 10, 20),
        ("dequeue", None, 1, 21, 30),
    )
    assert linearizable(decided(recorded, {}), FifoQueue()).outcome is Outcome.VIOLATED


def test_a_queue_of_known_order_is_pinned_to_moments() -> None:
    recorded = told(
        ("enqueue", 1, None, 0, 50),
        ("enqueue", 2, None, 0, 50),
        ("dequeue", None, 2, 0, 50),
        revisions=[2, 1, 3],
    )
    moments = {each.index: each.called for each in pinned(recorded)}
    assert moments[1] < moments[0] < moments[2]


def test_an_order_that_contradicts_the_times_pins_nothing() -> None:
    recorded = told(("enqueue", 1, None, 0, 5), ("enqueue", 2, None, 10, 20), revisions=[2, 1])
    assert pinned(recorded) == recorded


def test_who_was_never_answered_stands_before_the_next_one() -> None:
    """The one after it was asked for earlier: it must wait in the order, and so must all others."""
    recorded = told(
        ("enqueue", 1, None, 0, 1),
        ("enqueue", 2, None, 2, 3),
        ("dequeue", None, 2, 4, 30),
        ("dequeue", None, 1, 20, 90),
        ("dequeue", None, None, 40, 90),
        revisions=[1, 2, 3, None, 4],
    )
    quick = pinned(recorded)
    assert [each.index for each in quick] == [0, 1, 3, 2, 4]
    assert linearizable(quick, FifoQueue()).outcome is Outcome.HOLDS


def test_a_wrong_order_of_known_revisions_is_not_made_right() -> None:
    recorded = told(
        ("enqueue", 1, None, 0, 5),
        ("enqueue", 2, None, 6, 9),
        ("dequeue", None, 2, 10, 20),
        ("dequeue", None, 1, 21, 90),
        revisions=[1, 2, 3, None],
    )
    assert linearizable(pinned(recorded), FifoQueue()).outcome is Outcome.VIOLATED


def real_queue(dice: random.Random) -> tuple[History, dict[object, object]]:
    """A queue of few elements, used by four clients, emptied in the end; and what each wanted to take.

    Each operation happens at one moment between its call and its return.  Some are never answered: of those,
    some happen and some do not."""
    moments = sorted(dice.sample(range(100, 900), 12))
    queue: list[int] = []
    values = itertools.count(1)
    operations: list[Told] = []
    revisions: list[int | None] = []
    reached: dict[object, object] = {}
    for moment in moments:
        called, returned = moment - dice.randint(0, 90), moment + dice.randint(0, 90)
        answered, happens = dice.random() < 0.7, dice.random() < 0.5
        revisions.append(moment if answered else None)
        if dice.random() < 0.6:
            value = next(values)
            if answered or happens:
                queue.append(value)
            operations.append(("enqueue", value, None, called, returned if answered else None))
        elif answered:
            operations.append(("dequeue", None, queue.pop(0) if queue else None, called, returned))
        else:
            if queue:
                reached[f"p{len(operations)}"] = queue.pop(0) if happens else queue[0]
            operations.append(("dequeue", None, None, called, None))
    for number in range(len(queue) + 1):
        got = queue[number] if number < len(queue) else None
        operations.append(("dequeue", None, got, 1_000 + 10 * number, 1_005 + 10 * number))
        revisions.append(1_000 + 10 * number)
    return told(*operations, revisions=revisions), reached


@pytest.mark.parametrize("seed", range(80))
def test_what_can_be_explained_can_still_be_explained(seed: int) -> None:
    recorded, reached = real_queue(random.Random(seed))
    assert linearizable(recorded, FifoQueue()).outcome is Outcome.HOLDS
    assert linearizable(decided(recorded, reached), FifoQueue()).outcome is Outcome.HOLDS


def test_nearly_all_are_pinned_and_explained_so() -> None:
    """Not all: of an element whose entry and whose taking are both unanswered, the order is not known."""
    quick = [pinned(decided(*real_queue(random.Random(seed)))) for seed in range(80)]
    assert sum(is_pinned(each) for each in quick) > 75
    assert sum(linearizable(each, FifoQueue()).outcome is Outcome.HOLDS for each in quick) > 75


def is_pinned(quick: History) -> bool:
    return all(each.called == each.returned for each in quick if each.status is Status.OK)
