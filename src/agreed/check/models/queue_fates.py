"""Queues of which it is known what becomes of each element: for searching, where entries are many at a time.

A dozen elements that enter at once may stand in half a billion orders.  A plain queue (`queues.py`) tells all
of these apart, though the history says of most that they lead nowhere.  So what becomes of each element is
read from the operations first:

    certain   entered once and was taken once, and both must have happened
    loose     nobody is known to have taken it; only a dequeue that was never answered may have
    other     anything else: it entered twice, say

* Loose elements are all alike.  One mark stands for each, and their entries are one class of operations.
* No more of them come out than there are dequeues without an answer.  Behind one mark more than that nothing
  is kept, for it stays for ever; and before that mark enters, all that is certain must have.
* What came out before another was asked for had entered before it.  So in the order in which they came out,
  those that must have entered before a certain element are the first so many.
* A dequeue without an answer took nothing that another is known to have taken.

Of just these operations these models take the same orders as the plain ones, and refuse the others sooner.
(Which elements and orders convict a queue: Bouajjani, Emmi, Enea and Hamza, "On reducing linearizability to
state reachability", 2015.  Here it only makes the states fewer; a search decides.)
"""
from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from agreed.check.history import Operation
from agreed.check.models.model import AnyModel, Model
from agreed.check.models.queue_words import DEQUEUE, ENQUEUE, NOTHING, UNKNOWN, effect_of
from agreed.check.models.values import Map


class Mark(Enum):
    """In the place of a loose element."""

    LOOSE = "loose"


class Fates(NamedTuple):
    """What becomes of the elements of one queue."""

    ranks: Mapping[Hashable, int]
    """Of those that are certain: their place in the order in which they came out."""
    before: Sequence[int]
    """By rank: how many of the first of them must have entered before it."""
    loose: Collection[Hashable]
    lost: int
    """How many dequeues were never answered."""

    def standing_for(self, element: Hashable) -> Hashable:
        """The element, or the mark for it."""
        return Mark.LOOSE if element in self.loose else element


def fates_of(
    name: str, initial: Sequence[Hashable], operations: Sequence[Operation], optional: frozenset[int]
) -> Fates:
    """`optional`: operations (by index) that were answered and need not have happened."""
    entered, taken, lost = Counter(initial), Counter[Hashable](), 0
    spans: dict[Hashable, tuple[int, int]] = {}
    for operation in operations:
        what, element = effect_of(name, operation) or ("", None)
        if what == ENQUEUE:
            entered[element] += 1
        elif what == DEQUEUE:
            taken[element] += 1
            if operation.returned is not None and operation.index not in optional:
                spans[element] = operation.returned, operation.called
        elif what == UNKNOWN:
            lost += 1
    certain = [each for each in spans if entered[each] == taken[each] == 1]
    certain.sort(key=spans.__getitem__)
    returns = [spans[each][0] for each in certain]
    return Fates(
        ranks={element: rank for rank, element in enumerate(certain)},
        before=[bisect_left(returns, spans[each][1]) for each in certain],
        loose=frozenset(entered) - frozenset(taken),
        lost=lost,
    )


class Foreseen(Model[Hashable]):
    """What both have in common.  `plain` is the model that they are of."""

    def __init__(self, plain: AnyModel, fates: Fates) -> None:
        self.name = plain.name
        self.plain = plain
        self.fates = fates

    def effect(self, operation: Operation) -> tuple[str, Hashable] | None:
        match effect_of(self.name, operation):
            case (what, element) if what == ENQUEUE:
                return (ENQUEUE, self.fates.standing_for(element))
            case effect:
                return effect

    def reads_only(self, operation: Operation) -> bool:
        return self.plain.reads_only(operation)

    def always(self, operation: Operation) -> bool:
        """Entries, as in the plain one: at the end all that is certain has entered, and was taken."""
        return self.plain.always(operation)

    def may_follow(self, first: Operation, second: Operation) -> bool:
        """As in the plain one, for this one takes the same orders of all operations; and besides

        * a loose element may always enter later: it only stands in the way, and a dequeue without an answer
          that took it can do so as soon as it is the first,
        * what is certain may enter after a dequeue without an answer, which took another."""
        match self.effect(first), self.effect(second):
            case (what, element), _ if what == ENQUEUE and element is Mark.LOOSE:
                return True
            case (what, element), (does, _) if what == ENQUEUE and does == UNKNOWN:
                return element in self.fates.ranks
        return self.plain.may_follow(first, second)

    def makes_possible(self, change: Operation, read: Operation) -> bool:
        """What stays for ever is never gone."""
        return False


class Line(NamedTuple):
    """A queue in the order of entry."""

    elements: tuple[Hashable, ...]
    marks: int
    entered: int
    """All certain elements below this rank have entered; no more than that is known of the next."""
    beyond: frozenset[int]
    """The ranks above of those that have as well."""

    def __sizeof__(self) -> int:
        return tuple.__sizeof__(self) + self.elements.__sizeof__() + self.beyond.__sizeof__()


class FifoQueueForeseen(Foreseen):
    """First in, first out."""

    def __init__(self, plain: AnyModel, initial: Sequence[Hashable], fates: Fates) -> None:
        super().__init__(plain, fates)
        line = Line((), 0, 0, frozenset())
        for element in initial:
            line = self._with(line, fates.standing_for(element))
        self._initial = line

    @property
    def initial(self) -> Line:
        return self._initial

    def step(self, state: Hashable, operation: Operation) -> Sequence[Hashable]:
        assert isinstance(state, Line)
        what, element = self.effect(operation) or ("", None)
        if what == ENQUEUE:
            return (self._with(state, element),) if self._may_enter(state, element) else ()
        if what == NOTHING:
            return () if state.elements else (state,)
        if not state.elements:
            return ()
        first = state.elements[0]
        if what == DEQUEUE:
            return (state._replace(elements=state.elements[1:]),) if first == element else ()
        if first in self.fates.ranks:
            return ()
        marks = state.marks - (first is Mark.LOOSE)
        return (state._replace(elements=state.elements[1:], marks=marks),)

    def still_possible(self, state: Hashable, read: Operation) -> bool:
        assert isinstance(state, Line)
        return state.marks <= self.fates.lost

    def _may_enter(self, line: Line, element: Hashable) -> bool:
        if element is Mark.LOOSE:
            return line.marks != self.fates.lost or line.entered == len(self.fates.ranks)
        rank = self.fates.ranks.get(element)
        return rank is None or (line.marks <= self.fates.lost and self.fates.before[rank] <= line.entered)

    def _with(self, line: Line, element: Hashable) -> Line:
        """With that element at its end, unless what stands there is never gone."""
        if line.marks > self.fates.lost:
            return line
        elements, marks = (*line.elements, element), line.marks + (element is Mark.LOOSE)
        rank = self.fates.ranks.get(element)
        if rank is None:
            return Line(elements, marks, line.entered, line.beyond)
        entered, beyond = line.entered, line.beyond | {rank}
        while entered in beyond:
            beyond -= {entered}
            entered += 1
        return Line(elements, marks, entered, beyond)


class QueueForeseen(Foreseen):
    """In any order."""

    def __init__(self, plain: AnyModel, initial: Sequence[Hashable], fates: Fates) -> None:
        super().__init__(plain, fates)
        self._initial = Map()
        for element in initial:
            self._initial = self._with(self._initial, fates.standing_for(element))

    @property
    def initial(self) -> Map:
        return self._initial

    def step(self, state: Hashable, operation: Operation) -> Sequence[Hashable]:
        assert isinstance(state, Map)
        what, element = self.effect(operation) or ("", None)
        if what == ENQUEUE:
            return (self._with(state, element),)
        if what == NOTHING:
            return () if state else (state,)
        if what == DEQUEUE:
            return (put(state, element, -1),) if element in state else ()
        return [put(state, each, -1) for each in state if each not in self.fates.ranks]

    def still_possible(self, state: Hashable, read: Operation) -> bool:
        assert isinstance(state, Map)
        return self._marks(state) <= self.fates.lost

    def _with(self, state: Map, element: Hashable) -> Map:
        """With that element, unless there are more such marks than can come out."""
        if element is Mark.LOOSE and self._marks(state) > self.fates.lost:
            return state
        return put(state, element, 1)

    def _marks(self, state: Map) -> int:
        marks = state.get(Mark.LOOSE, 0)
        assert isinstance(marks, int)
        return marks


def put(state: Map, element: Hashable, change: int) -> Map:
    """One more or less of an element, in a bag that counts them."""
    count = state.get(element, 0)
    assert isinstance(count, int)
    return state.with_(element, count + change) if count + change else state.without(element)
