"""A counter within bounds: no read finds less than what was surely added, nor more than what may have been.

| function    | argument       | result                        |
| ----------- | -------------- | ----------------------------- |
| add         | a whole number |                               |
| add-and-get | a whole number | the value, with this included |
| read        |                | the value                     |

For each read, the additions that were answered before it was called are in it.  Those that were called
before it returned may be in it or not, as may those of which nobody knows what became.  So the value lies
between two sums.  This takes time n log n however many run at once, and finds less than linearizability of
the model of the same name (`models.counter`): of two reads each may be within its bounds, and both together
impossible.

Intervals are closed: what is called at the very instant at which a read returns may be in it.
"""
from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Sequence
from itertools import accumulate
from typing import Final

from agreed.check.history import History, Operation, Status
from agreed.check.models.values import number, unknown_function
from agreed.check.verdict import Finding, Outcome, Verdict

MOST_FINDINGS: Final = 8
JUDGED: Final = "counter within bounds"


class _Sums:
    """How much was added up to some instant: what only grew, and what only shrank it."""

    def __init__(self, additions: Iterable[tuple[int, int]]) -> None:
        """From pairs (instant, change)."""
        ordered = sorted(additions)
        self.instants = [instant for instant, _ in ordered]
        self.up = [0, *accumulate(max(change, 0) for _, change in ordered)]
        self.down = [0, *accumulate(min(change, 0) for _, change in ordered)]

    def before(self, instant: int) -> tuple[int, int]:
        position = bisect_left(self.instants, instant)
        return self.up[position], self.down[position]

    def until(self, instant: int) -> tuple[int, int]:
        position = bisect_right(self.instants, instant)
        return self.up[position], self.down[position]


def counter(history: History, initial: int = 0) -> Verdict:
    """Judges the reads of counters, one for each `Operation.key`, that begin with `initial`.

    Raises MalformedInput for other functions than those above, and for what is no whole number."""
    parts: dict[Hashable, list[Operation]] = {}
    for operation in history:
        parts.setdefault(operation.key, []).append(operation)
    findings = [finding for operations in parts.values() for finding in _out_of_bounds(operations, initial)]
    reads = sum(1 for operation in history if _value(operation) is not None)
    if findings:
        reason = f"out-of-bounds ({len(findings)} of {reads} reads)"
        told = tuple(findings[:MOST_FINDINGS])
        return Verdict(JUDGED, Outcome.VIOLATED, reason, findings=told, steps=len(history))
    reason = f"all of {reads} reads are within their bounds" if reads else "nothing was read"
    return Verdict(JUDGED, Outcome.HOLDS, reason, steps=len(history))


def _change(operation: Operation) -> int:
    """What it adds, if it happened."""
    if operation.function not in ("add", "add-and-get", "read"):
        raise unknown_function("counter", operation)
    return 0 if operation.function == "read" else number(operation, operation.argument)


def _value(operation: Operation) -> int | None:
    """What it found, if it looked and was answered."""
    looked = operation.function != "add" and operation.status is Status.OK
    return number(operation, operation.result) if looked and operation.result is not None else None


def _out_of_bounds(operations: Sequence[Operation], initial: int) -> list[Finding]:
    possible = [each for each in operations if each.status is not Status.FAIL]
    called = _Sums((each.called, _change(each)) for each in possible)
    sure = [each for each in possible if each.status is Status.OK]
    answered = _Sums((each.returned, _change(each)) for each in sure if each.returned is not None)
    findings = []
    for each in sure:
        value = _value(each)
        if value is None or each.returned is None:
            continue
        up, down = answered.before(each.called)
        up_at_most, down_at_most = called.until(each.returned)
        own = _change(each)  # surely in its own answer
        least = initial + up + down_at_most + max(own, 0)
        most = initial + up_at_most + down + min(own, 0)
        if not least <= value <= most:
            findings.append(_tell(each, value, least, most))
    return findings


def _tell(read: Operation, value: int, least: int, most: int) -> Finding:
    why = (
        f"What was answered before it was called makes it {least} at least."
        if value < least
        else f"What was called before it returned makes it {most} at most."
    )
    steps = (f"Operation {read.index} ({read.function}) found {value}.", why)
    return Finding("out-of-bounds", (read.index,), steps, key=read.key)
