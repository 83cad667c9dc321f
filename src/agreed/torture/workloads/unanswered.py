"""What a queue that was emptied tells of operations that were never answered, and a server of the others.

Left alone, each of them may have happened at any time or not at all, and a dequeue may have taken anything: a
search through all of that does not end.  But elements are unique, each dequeue knows what it reached for, and
in the end everything left was taken out.  So most of it can be decided without losing an explanation:

    an element that somebody got      was entered, and before that; whoever else reached for it has not got it
    one that nobody got               was taken by the one who reached for it without an answer; if nobody
                                      did, its own unanswered entry did not happen

And an operation of which only a late answer is known has a narrower time than that, for a queue keeps order:
what left it earlier had entered it earlier, and what entered it earlier must leave it earlier.  Nothing here
trusts the numbers of a server's nodes, only which elements were got, and when.
"""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence

import msgspec

from agreed.check.history import History, Operation, Process, Status, history

Element = tuple[Hashable, object]
"""The key of a queue, and what was put into it."""


def decided(recorded: History, reached_for: Mapping[Process, object]) -> History:
    """The same history, with what can be known of its unanswered operations.

    `reached_for`: by process, what its last dequeue wanted to take.  All queues must have been emptied in the
    end, by dequeues that are part of the history."""
    end = max((each.returned or each.called for each in recorded), default=0)
    got = {
        (each.key, each.result): each
        for each in recorded
        if _is(each, "dequeue", Status.OK) and each.result is not None
    }
    reached: dict[Element, list[Operation]] = defaultdict(list)
    for each in recorded:
        if _is(each, "dequeue", Status.INFO) and each.process in reached_for:
            reached[each.key, reached_for[each.process]].append(each)
    kept = []
    for each in recorded:
        if each.status is not Status.INFO:
            kept.append(each)
        elif each.function == "enqueue":
            element = (each.key, each.argument)
            if element in got or element in reached:
                kept.append(_answered(each, None, end))
        else:
            element = (each.key, reached_for.get(each.process))
            if element not in got and len(reached[element]) == 1:
                kept.append(_answered(each, element[1], end))
            elif element not in got and element[1] is not None:
                kept.append(each)
    return history(_narrowed(kept), recorded.faults)


def _is(operation: Operation, function: str, status: Status) -> bool:
    return operation.function == function and operation.status is status


def _answered(operation: Operation, result: object, returned: int) -> Operation:
    return msgspec.structs.replace(
        operation, status=Status.OK, result=result, returned=returned, error=None
    )


def _narrowed(operations: Sequence[Operation]) -> list[Operation]:
    """Times as narrow as the order of the queue makes them; the operations themselves stay."""
    enters: dict[Hashable, dict[object, Operation]] = defaultdict(dict)
    leaves: dict[Hashable, dict[object, Operation]] = defaultdict(dict)
    for each in operations:
        if _is(each, "enqueue", Status.OK):
            enters[each.key][each.argument] = each
        elif _is(each, "dequeue", Status.OK) and each.result is not None:
            leaves[each.key][each.result] = each
    narrower: dict[int, Operation] = {}
    for key, entered in enters.items():
        left = leaves[key]
        both = [value for value in entered if value in left]
        for value in both:
            enter, leave = entered[value], left[value]
            enter_by = min(
                [_end(enter), _end(leave)]
                + [_end(entered[w]) for w in both if w != value and _end(leave) < left[w].called]
            )
            leave_by = min(
                [_end(leave)]
                + [_end(left[w]) for w in both if w != value and _end(enter) < entered[w].called]
            )
            # What cannot be stays as it was: the judge has to see it.
            if enter_by >= enter.called:
                narrower[enter.index] = msgspec.structs.replace(enter, returned=enter_by)
            if leave_by >= leave.called:
                narrower[leave.index] = msgspec.structs.replace(leave, returned=leave_by)
    return [narrower.get(each.index, each) for each in operations]


def _end(operation: Operation) -> int:
    assert operation.returned is not None
    return operation.returned


def by_key(recorded: History) -> dict[Hashable, list[Operation]]:
    """The operations of each queue."""
    found: dict[Hashable, list[Operation]] = defaultdict(list)
    for each in recorded:
        found[each.key].append(each)
    return found


def pinned(recorded: History) -> History:
    """The same history, with the operations of each queue at single moments, in the order of their revisions,
    as far as they fit between their calls and returns so; a queue that does not is left as it is.

    Whatever explains this explains the recorded history too, and is found at once; if nothing does, that
    says nothing, for the server may have lied about the order."""
    moments: dict[int, int] = {}
    for operations in by_key(recorded).values():
        moments |= _moments(operations)
    return history(
        [
            msgspec.structs.replace(each, called=moments[each.index], returned=moments[each.index])
            if each.index in moments
            else each
            for each in recorded
        ],
        recorded.faults,
    )


def _moments(operations: Sequence[Operation]) -> dict[int, int]:
    """By index; empty: they do not fit."""
    order = _Order(operations)
    moments: dict[int, int] = {}
    last = -1
    for each in sorted(order.placed, key=order.place):
        moment = max(each.called, last + 1)
        if moment > _end(each):
            return {}
        last = moments[each.index] = moment
    return moments


Place = tuple[float, int, int]
"""A revision; before (0), at (1) or behind (2) its change; and who is first among those before it."""

NEVER = float("inf")


class _Order:
    """Where each operation of one queue stands that is known to have happened.

    One that was never answered has no revision of its own.  It stands as late as the order of a queue lets
    it: an element is taken before the next one is, and before anybody finds the queue empty; it was entered
    before it was taken, and before the next one was of those that were taken later."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.placed: list[Operation] = []
        self._entered: dict[object, int] = {}
        self._taken: dict[object, int] = {}
        self._empty: list[int] = []
        for each in operations:
            if each.status is not Status.OK:
                continue
            if each.revision is None:
                self.placed += [] if _looked(each) else [each]
                continue
            self.placed.append(each)
            if _looked(each):
                self._empty.append(each.revision)
            elif each.function == "enqueue":
                self._entered[each.argument] = each.revision
            else:
                self._taken[each.result] = each.revision
        self._row = self._in_a_row()

    def _in_a_row(self) -> list[object]:
        """The elements in their order, as far as a revision of either kind tells it."""
        row = sorted(self._entered.keys() & self._taken.keys(), key=self._entered.__getitem__)
        for known in (self._entered, self._taken):
            # What was taken before another one was even entered is before it.
            at = {**self._entered, **known}
            for value in sorted(known.keys() - set(row), key=known.__getitem__):
                behind = (number for number, other in enumerate(row) if at[other] > known[value])
                row.insert(next(behind, len(row)), value)
        return row

    def place(self, each: Operation) -> Place:
        if each.revision is not None:
            return each.revision, 2 if _looked(each) else 1, 0
        if each.function == "enqueue":
            value, known = each.argument, self._entered
            limits = [self._taken[value]] if value in self._taken else []
        else:
            value, known = each.result, self._taken
            limits = [at for at in self._empty if at >= self._entered.get(value, NEVER)]
        number = self._row.index(value) if value in self._row else len(self._row)
        limits += [known[other] for other in self._row[number + 1 :] if other in known]
        return min(limits, default=NEVER), 0, number


def _looked(operation: Operation) -> bool:
    """Into an empty queue."""
    return operation.function == "dequeue" and operation.result is None
