"""The search for a linearization of one object's history (Lowe's just-in-time linearization).

A configuration is one way in which things may stand at an instant: the state; which of the operations under
way have taken effect; and how many of those never answered have.  Going through the history, nothing need be
decided until an operation returns: by then it must have taken effect, so every configuration in which it has
not is led on, through the effects of operations under way, to those in which it has.  None left: the history
is not linearizable, and that operation is the first that cannot be placed (whatever the search does, it is
the same one: histories that fit are closed under cutting off their end).

What keeps the configurations few, with the reason why nothing is lost:

* A read whose answer fits is placed at once: it changes nothing and would otherwise have to be placed later.
* Of operations under way with equal effect the one that returns first is placed first (swap them).  Those
  never answered come last, and only their number is kept.
* Of two configurations with equal state and equal operations under way, one that used fewer of every class of
  never-answered operations makes the other superfluous: it can do all that the other can, and more.
* A never-answered operation that changes nothing is left out.
* An operation that may just as well follow the one that returns is left for later (`Model.may_follow`).
* A state from which the next reads can no longer be answered as they were leads nowhere
  (`Model.still_possible`).
* What returns at the end and is always possible need not be searched (`Timeline.end`).

Counts of all classes are packed into one integer with a spare bit above each count, so that "no more of any
class" is one subtraction: `(a | spare) - b` keeps every spare bit.
"""
from __future__ import annotations

from bisect import insort
from collections import Counter, deque
from collections.abc import Container, Generator, Hashable, Sequence
from itertools import islice
from sys import getsizeof
from typing import TypeAlias

from agreed.check.models.model import AnyModel, Model
from agreed.check.timeline import Timeline

Path: TypeAlias = "tuple[Path | None, int, int, int]"
"""How a configuration came about, last step first: the step before; the slots that took effect (a change
first, then the reads that fit); the class of the never-answered operation that did, or -1; and the event."""

Configuration: TypeAlias = "tuple[int, int, int, int, Path | None]"
"""State (its number), mask of slots, counts, how many those are in all, path."""

Change: TypeAlias = "tuple[int, int, int, int]"
"""What an operation under way can do in a state: the slots to look at, which of them must be set, the slots
that get set (its own, and of reads that then fit), and the state to which it leads."""

Extra: TypeAlias = "tuple[int, int, int, int, int, int]"
"""What a never-answered operation can do in a state: the field in which its class is counted, one more of it,
the slots that must be set, those that get set, the state to which it leads, its class."""

QUANTUM = 2_000
"""Steps between two looks at the clock."""

STATE_BITS = 32
"""A state and a mask are one key: `mask << STATE_BITS | state`.  (Memory ends long before the numbers do.)"""

BYTES_OF_A_CONFIGURATION = 400

TIDY_AFTER = 50_000
"""Configurations made since it was last looked which of them are still of use."""

MOST_MOVES = 20_000
"""States of which it is remembered what can happen in them; only to save work."""


LOOK_AHEAD = 3
"""Reads to come that are looked at."""


class Search:
    """One search.  `run` gives way now and then, so that many may take turns."""

    def __init__(
        self, model: AnyModel, timeline: Timeline, starts: Sequence[Hashable] | None = None
    ) -> None:
        self.steps = 0
        """Effects tried."""
        self.failed_at: int | None = None
        """The event (its position) at which no configuration was left."""
        self._model = model
        self.timeline = timeline
        self._all_come_before = type(model).may_follow is Model.may_follow
        self.looks_ahead = type(model).still_possible is not Model.still_possible
        """Whether it may have failed earlier than at the first operation that cannot be placed."""
        self._reads_to_come = deque(_reads(timeline) if self.looks_ahead else ())
        """Classes of the answered reads that were not called yet."""
        self._to_come = Counter(timeline.classes)
        """How many of each class have not returned."""
        self._makers: dict[int, list[int]] = {}
        self._units, self._fields, self._spare = _layout(timeline.crashes)
        self._states: list[Hashable] = []
        self._numbers: dict[Hashable, int] = {}
        self._outcomes: dict[int, Sequence[int]] = {}
        self._followers: dict[tuple[int, int], bool] = {}
        self._weight = 0
        self._made = 0
        self._fresh = 0
        self._tidy_at = TIDY_AFTER
        self._called = 0
        """How many never-answered operations of each class were called, packed."""
        self._crashed: list[int] = []
        """Their classes."""
        self._changing: dict[int, list[tuple[int, int]]] = {}
        """Of the operations under way that change something, by class: when each returns, and its slot."""
        self._reading: dict[int, int] = {}
        """Of the other operations under way, by slot: the class."""
        self.frontier: list[Configuration] = [
            (self._number(state), 0, 0, 0, None) for state in ([model.initial] if starts is None else starts)
        ]
        """The configurations after the last event; where it failed, those before it."""

    @property
    def kept(self) -> int:
        """What is in memory, in configurations of about 400 bytes."""
        return self._made + self._fresh + self._weight + len(self._outcomes) // 2

    def forget(self) -> None:
        """Lets go of everything but `steps`; the search cannot go on."""
        self.frontier = []
        self._fresh = 0
        self._tidy()

    def states_now(self) -> list[Hashable]:
        """The state of each configuration of the frontier."""
        return [self._states[state] for state, *_ in self.frontier]

    def run(self) -> Generator[None, None, bool]:
        """Whether it is linearizable."""
        timeline = self.timeline
        bits, classes = timeline.bits, timeline.classes
        for position in range(timeline.end):
            event = timeline.events[position]
            if event >= 0:
                self._call(event)
                continue
            later = yield from self._linearize(classes[~event], bits[~event], position)
            if not later:
                self.failed_at = position
                return False
            self.frontier = later
            self._return(classes[~event], bits[~event])
            if self.kept > self._tidy_at:
                self._tidy()
        return True

    def _call(self, number: int) -> None:
        timeline = self.timeline
        kind, bit = timeline.classes[number], timeline.bits[number]
        if not bit:
            if not self._called & self._fields[kind]:
                self._crashed.append(kind)
            self._called += self._units[kind]
        elif timeline.pure[kind]:
            self._reading[bit] = kind
            if self.looks_ahead:
                self._reads_to_come.popleft()
        else:
            insort(self._changing.setdefault(kind, []), (timeline.returns[number], bit))

    def _return(self, kind: int, bit: int) -> None:
        self._to_come[kind] -= 1
        if self.timeline.pure[kind]:
            del self._reading[bit]
        elif len(self._changing[kind]) == 1:
            del self._changing[kind]
        else:
            del self._changing[kind][0]

    def _linearize(self, kind: int, bit: int, position: int) -> Generator[None, None, list[Configuration]]:
        """The configurations in which the operation of that slot has taken effect, its slot free again."""
        spare, most = self._spare, self._called | self._spare
        involved = self._involved(kind)
        moves: dict[int, tuple[list[Change], list[Extra]]] = {}
        seen: dict[int, list[int]] = {}
        done: dict[int, list[int]] = {}
        kept: list[Configuration] = []
        levels = self._with_reads(position)
        used = min(levels, default=0)
        pause = self.steps + QUANTUM
        while levels:
            level = levels.pop(used, [])
            further: list[Configuration] = []
            for state, mask, counts, _, path in level:
                if mask & bit:
                    if _is_new(done, (mask ^ bit) << STATE_BITS | state, counts, spare):
                        kept.append((state, mask ^ bit, counts, used, path))
                    continue
                if state not in moves:
                    if len(moves) == MOST_MOVES:
                        moves.clear()
                    moves[state] = self._moves(state, involved)
                changes, extras = moves[state]
                self.steps += len(changes) + len(extras)
                for look, want, gain, after in changes:
                    if mask & look == want:
                        slots = mask | gain
                        if _is_new(seen, slots << STATE_BITS | after, counts, spare):
                            level.append((after, slots, counts, used, (path, slots ^ mask, -1, position)))
                left = most - counts
                for field, one, want, gain, after, extra in extras:
                    if left & field and mask & want == want:
                        slots = mask | gain
                        if _is_new(seen, slots << STATE_BITS | after, counts + one, spare):
                            came = (path, slots ^ mask, extra, position)
                            further.append((after, slots, counts + one, used + 1, came))
                if self.steps >= pause:
                    self._fresh = len(level) + len(further)
                    yield
                    pause = self.steps + QUANTUM
            self._made += len(level)
            self._fresh = 0
            used += 1
            if further:
                levels[used] = levels.get(used, []) + further
        return kept

    def _with_reads(self, position: int) -> dict[int, list[Configuration]]:
        """The configurations, reads that fit placed, by how many never-answered operations they use."""
        levels: dict[int, list[Configuration]] = {}
        for state, mask, counts, used, path in self.frontier:
            slots = mask | self._fits(state)
            lost = self._lost(state)
            if lost is None or slots & lost != lost:
                continue
            if slots != mask:
                path = (path, slots ^ mask, -1, position)
            levels.setdefault(used, []).append((state, slots, counts, used, path))
        return levels

    def _fits(self, state: int) -> int:
        slots = 0
        for bit, kind in self._reading.items():
            if self._after(state, kind):
                slots |= bit
        return slots

    def _moves(self, state: int, involved: Container[int]) -> tuple[list[Change], list[Extra]]:
        changes: list[Change] = []
        extras: list[Extra] = []
        for kind, slots in self._changing.items():
            if kind not in involved:
                continue
            for after in self._after(state, kind):
                lost = self._lost(after)
                if lost is None:
                    continue
                earlier, fits = lost, self._fits(after)
                for _, bit in slots:
                    changes.append((bit | earlier, earlier, bit | fits, after))
                    earlier = bit | lost
        for kind in self._crashed:
            if kind not in involved:
                continue
            want = 0
            for _, bit in self._changing.get(kind, ()):
                want |= bit
            for after in self._after(state, kind):
                lost = self._lost(after)
                if lost is not None and after != state:
                    field, one = self._fields[kind], self._units[kind]
                    extras.append((field, one, want | lost, self._fits(after), after, kind))
        return changes, extras

    def _lost(self, state: int) -> int | None:
        """The slots of reads that cannot be answered any more from this state on, and so must be done; None
        if there is such a read among those not yet called."""
        slots = 0
        if self.looks_ahead:
            for kind in islice(self._reads_to_come, LOOK_AHEAD):
                if not self._is_possible(state, kind):
                    return None
            for bit, kind in self._reading.items():
                if not self._is_possible(state, kind):
                    slots |= bit
        return slots

    def _is_possible(self, state: int, read: int) -> bool:
        samples, model = self.timeline.samples, self._model
        if model.still_possible(self._states[state], samples[read]):
            return True
        makers = self._makers.get(read)
        if makers is None:
            makers = self._makers[read] = [
                kind
                for kind, sample in enumerate(samples)
                if not self.timeline.pure[kind] and model.makes_possible(sample, samples[read])
            ]
        return any(self._to_come[kind] for kind in makers)

    def _involved(self, kind: int) -> Container[int]:
        """The classes of which an operation may have to come before one of class `kind`: those that may not
        just as well follow it, nor follow another of these."""
        if self._all_come_before:
            return range(len(self._units))
        waiting = {*self._crashed, *self._changing, *self._reading.values()}
        waiting.discard(kind)
        found = [kind]
        for each in found:
            before = [other for other in waiting if not self._may_follow(other, each)]
            found += before
            waiting.difference_update(before)
        return frozenset(found)

    def _may_follow(self, first: int, second: int) -> bool:
        known = self._followers.get((first, second))
        if known is None:
            samples = self.timeline.samples
            known = self._model.may_follow(samples[first], samples[second])
            self._followers[first, second] = known
        return known

    def _after(self, state: int, kind: int) -> Sequence[int]:
        key = kind << STATE_BITS | state
        try:
            return self._outcomes[key]
        except KeyError:
            results = self._model.step(self._states[state], self.timeline.samples[kind])
            outcome = self._outcomes[key] = tuple([self._number(result) for result in results])
            return outcome

    def _number(self, state: Hashable) -> int:
        number = self._numbers.get(state)
        if number is None:
            number = self._numbers[state] = len(self._states)
            self._states.append(state)
            self._weight += 1 + getsizeof(state) // BYTES_OF_A_CONFIGURATION
        return number

    def _tidy(self) -> None:
        """Counts the steps of paths that are still of use, and forgets states that no configuration is in."""
        alive: set[int] = set()
        for *_, path in self.frontier:
            while path is not None and id(path) not in alive:
                alive.add(id(path))
                path = path[0]
        states = self.states_now()
        self._states, self._numbers, self._outcomes, self._weight = [], {}, {}, 0
        self.frontier = [
            (self._number(state), mask, counts, used, path)
            for state, (_, mask, counts, used, path) in zip(states, self.frontier, strict=True)
        ]
        self._made = len(alive) + len(self.frontier)
        self._tidy_at = 2 * self.kept + TIDY_AFTER


def _is_new(seen: dict[int, list[int]], key: int, counts: int, spare: int) -> bool:
    """Takes note of a configuration, unless one that is as good was there already."""
    found = seen.get(key)
    if found is None:
        seen[key] = [counts]
        return True
    probe = counts | spare
    for each in found:
        if (probe - each) & spare == spare:
            return False
    found.append(counts)
    return True


def _reads(timeline: Timeline) -> list[int]:
    """The classes of the answered reads, in the order of their calls."""
    return [
        kind for kind, bit in zip(timeline.classes, timeline.bits, strict=True) if bit and timeline.pure[kind]
    ]


def _layout(crashes: Sequence[int]) -> tuple[list[int], list[int], int]:
    """For each class, one of it and its field, in packed counts; and the spare bits."""
    units, fields, spare, shift = [], [], 0, 0
    for count in crashes:
        width = count.bit_length()
        units.append(1 << shift)
        fields.append(((1 << width) - 1) << shift)
        if width:
            spare |= 1 << (shift + width)
            shift += width + 1
    return units, fields, spare
