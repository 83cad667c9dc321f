"""What becomes of what was written, once things have calmed down: sets that lose nothing, registers that
agree.

`set_full` follows each element of a set that only grows (function `add` with the element, `read` with all of
them), as Jepsen's test of that name does:

    known       the instant from which it must be there: its add was answered, or a read saw it
    stable      every read that began after that sees it
    stale       some read that began after it was known did not see it, and later ones did
    lost        a read that began after it was known did not see it, and no read that may be later did
    recovered   nobody was told what became of the add, and it was seen: nothing is wrong
    unseen      no read tells anything of it

A set is in order if nothing is lost, nothing is read that nobody added before (unexpected), and nothing is
there twice (duplicate); with `linearizable`, if nothing is stale either.  If no element is stable, nothing
was shown (unknown).

`converges` looks at registers once the last update was answered: reads that begin after that must find one
value.  It is the least that is expected of any replicated store, and says nothing of the time before.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from agreed.check.history import History, Operation, Status
from agreed.check.models.values import frozen
from agreed.check.sessions import READ_ONLY
from agreed.check.verdict import Finding, Outcome, Verdict
from agreed.errors import MalformedInput

MOST_FINDINGS = 100
"""More of the same kind are counted, not shown."""


class Fate(Enum):
    STABLE = "stable"
    STALE = "stale"
    LOST = "lost"
    UNSEEN = "unseen"


@dataclass(slots=True)
class Element:
    """One element of one set.  Times are those of the history."""

    key: Hashable
    value: Hashable
    adds: list[Operation] = field(default_factory=list)
    """All that tried, whatever came of it."""
    known: int | None = None
    known_by: Operation | None = None
    seen: list[Operation] = field(default_factory=list)
    missed: Operation | None = None
    """Of the reads that began after it was known and did not see it, the one that began last."""

    def is_known(self, by: Operation) -> None:
        if by.returned is not None and (self.known is None or by.returned < self.known):
            self.known, self.known_by = by.returned, by

    @property
    def fate(self) -> Fate:
        last = self.last_seen
        if self.missed is None:
            return Fate.UNSEEN if last is None else Fate.STABLE
        if last is None or last.returned is None or last.returned < self.missed.called:
            return Fate.LOST
        return Fate.STALE

    @property
    def last_seen(self) -> Operation | None:
        """Of the reads that saw it, the one that was answered last."""
        return max(self.seen, key=lambda each: each.returned or 0, default=None)

    @property
    def recovered(self) -> bool:
        return bool(self.seen) and all(each.status is not Status.OK for each in self.adds)

    @property
    def stale_for(self) -> int:
        """How long after it was known a read has begun that did not see it; 0 if there is none."""
        return 0 if self.missed is None or self.known is None else self.missed.called - self.known


def elements(history: History) -> list[Element]:
    """The elements that somebody tried to add, in that order.

    Raises MalformedInput for a read that was not answered with many elements."""
    found: dict[tuple[Hashable, Hashable], Element] = {}
    of_key: dict[Hashable, list[Element]] = {}
    for operation in history:
        if operation.function == "add":
            name = (operation.key, frozen(operation.argument))
            if name not in found:
                found[name] = Element(*name)
                of_key.setdefault(operation.key, []).append(found[name])
            found[name].adds.append(operation)
            if operation.status is Status.OK:
                found[name].is_known(operation)
    reads = [(each, Counter(_values(each))) for each in _reads(history)]
    for read, values in reads:
        for value in values:
            if (read.key, value) in found:
                found[read.key, value].seen.append(read)
                found[read.key, value].is_known(read)
    for read, values in reads:
        for element in of_key.get(read.key, ()):
            if element.known is not None and element.known < read.called and element.value not in values:
                element.missed = read
    return list(found.values())


def _reads(history: Iterable[Operation]) -> list[Operation]:
    """Test tools write None for an answer that they did not look at."""
    return [
        each
        for each in history
        if each.function == "read" and each.status is Status.OK and each.result is not None
    ]


def _values(read: Operation) -> list[Hashable]:
    if not isinstance(read.result, list | tuple | set | frozenset):
        raise MalformedInput(f"operation {read.index}: a read of a set finds a list, not {read.result!r}")
    return [frozen(each) for each in read.result]


def set_full(history: History, linearizable: bool = False) -> Verdict:
    """Was anything lost, or found that was never added, or (`linearizable`) not seen at once?

    Raises MalformedInput for a read that was not answered with many elements."""
    judged = "set-full (linearizable)" if linearizable else "set-full"
    found = elements(history)
    wrong = [_missing("lost", each) for each in found if each.fate is Fate.LOST]
    if linearizable:
        wrong += [_missing("stale", each) for each in found if each.fate is Fate.STALE]
    wrong += [*_unexpected(history, found), *_twice(history)]
    fates = Counter(each.fate for each in found)
    count = ", ".join(f"{fates[fate]} {fate.value}" for fate in Fate)
    reason = f"{len(found)} elements: {count}; {sum(each.recovered for each in found)} recovered"
    others = [each for each in history if each.function not in ("add", "read")]
    if others:
        reason = f"operation {others[0].index} ({others[0].function}) neither adds nor reads"
        return Verdict(judged, Outcome.UNKNOWN, reason)
    if wrong:
        return Verdict(judged, Outcome.VIOLATED, reason, findings=wrong[:MOST_FINDINGS], steps=len(wrong))
    seen = fates[Fate.STABLE] + fates[Fate.STALE]
    return Verdict(judged, Outcome.HOLDS if seen else Outcome.UNKNOWN, reason)


def _missing(name: str, element: Element) -> Finding:
    """An element that a read should have seen."""
    missed, last = element.missed, element.last_seen
    assert element.known_by is not None
    assert missed is not None
    what = f"{element.value!r}" + ("" if element.key is None else f" of {element.key}")
    told = [
        f"{what} was there when #{element.known_by.index} ({element.known_by.function}) was answered, "
        f"at {element.known}",
        f"#{missed.index} began after that, at {missed.called}, and did not see it",
    ]
    if name == "lost":
        told.append("nor did any that was answered later")
    elif last is not None:
        told.append(f"#{last.index} saw it again")
    pieces = (element.adds[0], element.known_by, last, missed)
    numbers = dict.fromkeys(each.index for each in pieces if each is not None)
    return Finding(name=name, operations=tuple(numbers), steps=tuple(told), key=element.key)


def _unexpected(history: History, found: Sequence[Element]) -> Iterator[Finding]:
    """Elements that were read before anybody tried to add them, or though all who tried surely failed."""
    possible: dict[tuple[Hashable, Hashable], int] = {}
    for element in found:
        called = [each.called for each in element.adds if each.status is not Status.FAIL]
        if called:
            possible[element.key, element.value] = min(called)
    told: set[tuple[Hashable, Hashable]] = set()
    for read in _reads(history):
        for value in dict.fromkeys(_values(read)):
            name = (read.key, value)
            since = possible.get(name)
            if name in told or (since is not None and read.returned is not None and since <= read.returned):
                continue
            told.add(name)
            steps = (f"#{read.index} saw {value!r}, which nobody had added successfully until then",)
            yield Finding(name="unexpected", operations=(read.index,), steps=steps, key=read.key)


def _twice(history: History) -> Iterator[Finding]:
    for read in _reads(history):
        twice = [value for value, count in Counter(_values(read)).items() if count > 1]
        if twice:
            steps = (f"#{read.index} saw {twice[0]!r} more than once",)
            yield Finding(name="duplicate", operations=(read.index,), steps=steps, key=read.key)


def converges(history: History) -> Verdict:
    """Do the reads that begin after the last update was answered find one value for each key?

    It is unknown if no key was read by two processes then, or if they differ and an update was never
    answered, which may be taking effect just then."""
    judged = "eventual convergence"
    updates: dict[Hashable, list[Operation]] = {}
    reads: dict[tuple[Hashable, str, Hashable], list[Operation]] = {}
    for operation in history:
        if operation.function not in READ_ONLY:
            updates.setdefault(operation.key, []).append(operation)
        elif operation.status is Status.OK:
            question = (operation.key, operation.function, frozen(operation.argument))
            reads.setdefault(question, []).append(operation)
    compared = 0
    doubt = ""
    for (key, _, _), of in reads.items():
        before = updates.get(key, [])
        quiet = max((each.returned or each.called for each in before), default=-1)
        late = [each for each in of if each.called > quiet]
        other = next((each for each in late if frozen(each.result) != frozen(late[0].result)), None)
        compared += len({each.process for each in late}) > 1
        pending = [each for each in before if each.status is Status.INFO]
        if other is not None and pending:
            doubt = f"#{late[0].index} and #{other.index} differ, and #{pending[0].index} was never answered"
        elif other is not None:
            return Verdict(judged, Outcome.VIOLATED, findings=(_diverged(key, before, late[0], other),))
    if doubt or not compared:
        reason = doubt or "nothing was read by two processes after its last update"
        return Verdict(judged, Outcome.UNKNOWN, reason)
    return Verdict(judged, Outcome.HOLDS, f"{compared} answers compared")


def _diverged(key: Hashable, updates: Sequence[Operation], first: Operation, other: Operation) -> Finding:
    last = max(updates, key=lambda each: each.returned or 0, default=None)
    told = f"#{first.index} found {first.result!r} and #{other.index} found {other.result!r}"
    if last is not None:
        told += f", both after #{last.index}, the last update, was answered"
    pieces = (*(() if last is None else (last.index,)), first.index, other.index)
    return Finding(name="diverged", operations=pieces, steps=(told,), key=key)
