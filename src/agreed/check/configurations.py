"""How configurations lead on, at the return of an operation (Lowe's just-in-time linearization).

A configuration is one way in which things may stand at an instant: the state; which of the operations under
way have taken effect; and how many of those never answered have.  Nothing need be decided until an operation
returns.  By then it must have taken effect; so a configuration in which it has not is led on, through the
effects of others under way, to all those in which it has.

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
"""
from __future__ import annotations

from collections.abc import Container, Generator, Sequence
from typing import TypeAlias

from agreed.check.memo import STATE_BITS, Memo
from agreed.check.moments import Counts, Moment

Path: TypeAlias = "tuple[Path | None, int, int, int]"
"""How a configuration came about, last step first: the step before; the slots that took effect (a change
first, then the reads that fit); the class of the never-answered operation that did, or -1; and the event."""

Configuration: TypeAlias = "tuple[int, int, int, int, Path | None]"
"""State (its number), mask of slots, counts, how many those are in all, path."""

Seen: TypeAlias = "dict[int, list[int]]"
"""For each state and mask, the counts of the configurations that were there."""

Change: TypeAlias = "tuple[int, int, int, int]"
"""What an operation under way can do in a state: the slots to look at, which of them must be set, the slots
that get set (its own, and of reads that then fit), and the state to which it leads."""

Extra: TypeAlias = "tuple[int, int, int, int, int, int]"
"""What a never-answered operation can do in a state: the field in which its class is counted, one more of it,
the slots that must be set, those that get set, the state to which it leads, its class."""

QUANTUM = 2_000
"""Steps between two looks at the clock."""

MOST_MOVES = 20_000
"""States of which it is remembered what can happen in them; only to save work."""


class Return:
    """The way from before a return to after it.  May be gone several times, with other configurations."""

    def __init__(self, memo: Memo, counts: Counts, moment: Moment) -> None:
        self.moment = moment
        self._done: Seen = {}
        """Where configurations have come out."""
        self._seen: Seen = {}
        """Where they have been on the way."""
        self.steps = 0
        """Effects tried, this time."""
        self.made = 0
        """Configurations made, this time."""
        self._remembered_moves = 0
        self._memo = memo
        self._counts = counts
        self._involved = self._who_may_come_before()
        self._moves: dict[int, tuple[list[Change], list[Extra]]] = {}

    @property
    def kept(self) -> int:
        """What it remembers, in configurations: as long as it stands, nobody else can let go of that."""
        return (len(self._seen) + len(self._done) + self._remembered_moves) // 2

    def lead_on(self, before: Sequence[Configuration]) -> Generator[None, None, list[Configuration]]:
        """The configurations to which these lead and that nothing led to before; the slot of what returns is
        free in them."""
        moment, spare = self.moment, self._counts.spare
        bit, position, available = moment.bit, moment.position, moment.available | spare
        seen, done = self._seen, self._done
        after: list[Configuration] = []
        levels = self._with_reads(before)
        used = min(levels, default=0)
        self.steps = finished = 0
        pause = QUANTUM
        while levels:
            level = levels.pop(used, [])
            further: list[Configuration] = []
            for state, mask, counts, _, path in level:
                if mask & bit:
                    if is_new(done, (mask ^ bit) << STATE_BITS | state, counts, spare):
                        after.append((state, mask ^ bit, counts, used, path))
                    continue
                changes, extras = self._moves.get(state) or self._moves_of(state)
                self.steps += len(changes) + len(extras)
                for look, want, gain, target in changes:
                    if mask & look == want:
                        slots = mask | gain
                        if is_new(seen, slots << STATE_BITS | target, counts, spare):
                            level.append((target, slots, counts, used, (path, slots ^ mask, -1, position)))
                left = available - counts
                for field, one, want, gain, target, kind in extras:
                    if left & field and mask & want == want:
                        slots = mask | gain
                        if is_new(seen, slots << STATE_BITS | target, counts + one, spare):
                            came = (path, slots ^ mask, kind, position)
                            further.append((target, slots, counts + one, used + 1, came))
                if self.steps >= pause:
                    self.made = finished + len(level) + len(further)
                    yield
                    pause = self.steps + QUANTUM
            finished += len(level)
            used += 1
            if further:
                levels[used] = levels.get(used, []) + further
        self.made = finished
        return after

    def _with_reads(self, before: Sequence[Configuration]) -> dict[int, list[Configuration]]:
        """The configurations, reads that fit placed, by how many never-answered operations they use."""
        levels: dict[int, list[Configuration]] = {}
        for state, mask, counts, used, path in before:
            slots = mask | self._fits(state)
            lost = self._lost(state)
            if lost is None or slots & lost != lost:
                continue
            if not is_new(self._seen, slots << STATE_BITS | state, counts, self._counts.spare):
                continue
            if slots != mask:
                path = (path, slots ^ mask, -1, self.moment.position)
            levels.setdefault(used, []).append((state, slots, counts, used, path))
        return levels

    def _fits(self, state: int) -> int:
        slots = 0
        for bit, kind in self.moment.reading.items():
            if self._memo.after(state, kind):
                slots |= bit
        return slots

    def _lost(self, state: int) -> int | None:
        """The slots of reads that cannot be answered any more from this state on, and so must be done; None
        if there is such a read among those not yet called."""
        if not self._memo.looks_ahead:
            return 0
        position, slots = self.moment.position, 0
        for kind in self.moment.next_reads:
            if not self._memo.is_possible(state, kind, position):
                return None
        for bit, kind in self.moment.reading.items():
            if not self._memo.is_possible(state, kind, position):
                slots |= bit
        return slots

    def _moves_of(self, state: int) -> tuple[list[Change], list[Extra]]:
        if len(self._moves) == MOST_MOVES:
            self._moves.clear()
            self._remembered_moves = 0
        changes: list[Change] = []
        extras: list[Extra] = []
        for kind, under_way in self.moment.changing.items():
            for after in self._memo.after(state, kind) if kind in self._involved else ():
                lost = self._lost(after)
                if lost is None:
                    continue
                want, fits = lost, self._fits(after)
                for bit in under_way:
                    changes.append((bit | want, want, bit | fits, after))
                    want = bit | lost
        for kind in self.moment.crashed:
            for after in self._memo.after(state, kind) if kind in self._involved else ():
                lost = self._lost(after)
                if lost is None or after == state:
                    continue
                for bit in self.moment.changing.get(kind, ()):
                    lost |= bit
                field, one = self._counts.field[kind], self._counts.one[kind]
                extras.append((field, one, lost, self._fits(after), after, kind))
        self._moves[state] = changes, extras
        self._remembered_moves += 1 + len(changes) + len(extras)
        return changes, extras

    def _who_may_come_before(self) -> Container[int]:
        """The classes of which an operation may have to come before the one that returns: those that may not
        just as well follow it, nor follow another of these."""
        moment = self.moment
        if self._memo.all_come_before:
            return {*moment.crashed, *moment.changing}
        waiting = {*moment.crashed, *moment.changing, *moment.reading.values()}
        waiting.discard(moment.kind)
        found = [moment.kind]
        for each in found:
            before = [other for other in waiting if not self._memo.may_follow(other, each)]
            found += before
            waiting.difference_update(before)
        return frozenset(found)


def is_new(seen: Seen, key: int, counts: int, spare: int) -> bool:
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
