"""The search for one order of all operations that contains that of each session and that a model accepts.

It is the search for a linearization without real time (Wing and Gong 1993; Lowe 2017 for remembering where
one has been).  Where it stands is how far each session has come, and the state of each object; where it has
been once it does not go again.  That leaves about n^k places for n operations in k sessions, and what keeps
it from seeing them all is this:

* What only reads is placed as soon as its answer fits.  It changes nothing, so nothing can be lost by it. *
The next update is guessed from the servers' revisions where all operations carry one, else from the times
of
  the answers: most systems that keep this promise keep it nearly in that order.
* Of updates that were never answered and are the same to the model, the first will do.
* A guide may forbid updates after which no order can be completed (`saturation`).

Objects are independent (`Model.parts`), their states are kept side by side.
"""
from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from agreed.check.history import Operation, Process, Status
from agreed.check.models.model import AnyModel
from agreed.check.verdict import Budget

Path: TypeAlias = "tuple[Path, int] | None"
"""The operations placed so far, the last one first."""

Place: TypeAlias = tuple[tuple[int, ...], tuple[int, ...], Path]
"""How far each session has come, the state of each object, and how one got there."""

Move: TypeAlias = tuple[int, int]
"""Which session goes on, and to which state of its object that leads; or PASSED_OVER: it did not happen."""

PASSED_OVER = -1

Guide: TypeAlias = Callable[[int, Sequence[int]], bool]
"""Whether an update may come next, given how far each session has come."""

BYTES_PER_STATE = 400
"""Of `Budget.states`."""

ASKS_THE_CLOCK_EVERY = 256

UNLIKELY = 1 << 64
"""Behind every revision and every time."""


class OutOfBounds(Exception):
    """The search is given up; the argument says which bound was reached."""


@dataclass(slots=True)
class Plan:
    """The operations that matter to a model, by session.  `optional` ones need not have happened."""

    operations: list[Operation] = field(default_factory=list)
    sessions: list[list[int]] = field(default_factory=list)
    objects: list[int] = field(default_factory=list)
    """By operation: which object it is about."""
    kinds: list[int] = field(default_factory=list)
    """By operation: operations of equal effect on one object share a kind."""
    pure: list[bool] = field(default_factory=list)
    optional: list[bool] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)
    """By operation: what is to be tried first."""

    def needed(self) -> list[int]:
        """By session: how many of its operations must be placed, or passed over."""
        return [
            max((at + 1 for at, each in enumerate(own) if not self.optional[each]), default=0)
            for own in self.sessions
        ]


def plan(model: AnyModel, operations: Sequence[Operation], free: Collection[int] = ()) -> Plan:
    """What there is to be ordered.  Operations that were never answered are optional, and so are those that
    are `free` (by index): they may have happened or not, with any answer."""
    found = Plan()
    operations = _freed(operations, free)
    objects = _objects(model, operations)
    idle = _idle(model, operations, objects)
    sessions: dict[Process, list[int]] = {}
    kinds: dict[Hashable, int] = {}
    by_revision = all(each.revision is not None for each in operations if each.status is Status.OK)
    for operation in operations:
        effect = None if operation.index in idle else model.effect(operation)
        optional = operation.status is Status.INFO
        if effect is None or (optional and model.reads_only(operation)):
            continue
        number = len(found.operations)
        about = objects[operation.index]
        found.operations.append(operation)
        found.objects.append(about)
        found.kinds.append(kinds.setdefault((about, effect), len(kinds)))
        found.pure.append(model.reads_only(operation))
        found.optional.append(optional)
        found.ranks.append(_rank(operation, by_revision))
        sessions.setdefault(operation.process, []).append(number)
    found.sessions = list(sessions.values())
    return found


def _freed(operations: Sequence[Operation], free: Collection[int]) -> list[Operation]:
    return [
        unanswered(each) if each.index in free else each
        for each in operations
        if each.index not in free or each.status is not Status.FAIL
    ]


def unanswered(operation: Operation) -> Operation:
    """The same, had nobody been told what came of it."""
    return Operation(
        index=operation.index,
        process=operation.process,
        function=operation.function,
        argument=operation.argument,
        result=None,
        called=operation.called,
        returned=None,
        status=Status.INFO,
        key=operation.key,
    )


def _objects(model: AnyModel, operations: Sequence[Operation]) -> dict[int, int]:
    """By index of the operation.  Some models cut even one object into parts, for linearizability alone; an
    operation is in several of them then, and what it is about is all of them."""
    parts = model.parts(operations)
    found: dict[int, int] = {}
    for number, part in enumerate(parts.values()):
        for operation in part:
            if operation.index in found:
                return {each.index: 0 for each in operations}
            found[operation.index] = number
    return {each.index: found.get(each.index, 0) for each in operations}


def _idle(model: AnyModel, operations: Sequence[Operation], objects: Mapping[int, int]) -> set[int]:
    """Never answered, and nobody can tell that they happened."""
    parts: dict[int, list[Operation]] = {}
    for operation in operations:
        parts.setdefault(objects[operation.index], []).append(operation)
    return {index for part in parts.values() for index in model.idle(part)}


def _rank(operation: Operation, by_revision: bool) -> int:
    if by_revision and operation.revision is not None:
        return operation.revision
    return operation.called if operation.returned is None else operation.returned


class Search:
    """`run` once.  `steps` counts the steps of the model, those that were known from before as well."""

    def __init__(self, model: AnyModel, of: Plan, budget: Budget, guide: Guide | None = None) -> None:
        self._model = model
        self._plan = of
        self._guide = guide
        self._needed = of.needed()
        self._numbers: dict[Hashable, int] = {}
        self._states: list[Hashable] = []
        self._known: dict[tuple[int, int], tuple[int, ...]] = {}
        self._budget = budget
        self._clock = budget.clock if budget.seconds is not None else None
        self._began = self._clock() if self._clock else 0.0
        bytes_per_place = BYTES_PER_STATE + 200 * len(of.sessions) + 8 * max(of.objects, default=0)
        """A place is kept with what could come next there."""
        self._most_places = max(1, budget.states * BYTES_PER_STATE // bytes_per_place)
        self.steps = 0
        self._farthest: tuple[int, Path] = (-1, None)

    def run(self) -> list[int] | None:
        """An order (numbers of the plan) that explains everything, or None if there is none.

        Raises OutOfBounds."""
        count = max(self._plan.objects, default=0) + 1
        states = (self._number(self._model.initial),) * count
        place = self._settled([0] * len(self._plan.sessions), states, None)
        been: set[tuple[tuple[int, ...], tuple[int, ...]]] = set()
        ahead: list[tuple[Place, Move]] = []
        while True:
            positions, states, path = place
            if (positions, states) not in been:
                been.add((positions, states))
                if sum(positions) > self._farthest[0]:
                    self._farthest = (sum(positions), path)
                if all(done >= needed for done, needed in zip(positions, self._needed, strict=True)):
                    return _order(path)
                self._stay_within_bounds(len(been))
                ahead += [(place, move) for move in self._moves(place)]
            while ahead and self._is_forbidden(*ahead[-1]):
                ahead.pop()
            if not ahead:
                return None
            place = self._moved(*ahead.pop())

    def _moves(self, place: Place) -> list[Move]:
        """What can come next, what is likely last.  That something has happened of which nobody was told is
        likely if somebody can read then who could not before."""
        positions, states, _ = place
        of = self._plan
        found: list[tuple[int, Move]] = []
        unanswered_kinds: set[int] = set()
        for session, own in enumerate(of.sessions):
            if positions[session] == len(own):
                continue
            number = own[positions[session]]
            optional = of.optional[number]
            if optional and number != own[-1]:
                found.append((UNLIKELY, (session, PASSED_OVER)))
            elif optional and of.kinds[number] in unanswered_kinds:
                continue
            elif optional:
                unanswered_kinds.add(of.kinds[number])
            if of.pure[number]:
                continue
            for after in self._after(number, states[of.objects[number]]):
                likely = not optional or self._lets_read(positions, of.objects[number], after)
                found.append((of.ranks[number] if likely else UNLIKELY, (session, after)))
        found.sort(key=lambda each: -each[0])
        return [move for _, move in found]

    def _lets_read(self, positions: Sequence[int], about: int, state: int) -> bool:
        """Whether a read that waits for its object to change fits that state."""
        of = self._plan
        return any(
            of.pure[own[done]] and of.objects[own[done]] == about and self._after(own[done], state)
            for own, done in zip(of.sessions, positions, strict=True)
            if done < len(own)
        )

    def _is_forbidden(self, place: Place, move: Move) -> bool:
        if self._guide is None or move[1] == PASSED_OVER:
            return False
        number = self._plan.sessions[move[0]][place[0][move[0]]]
        return not self._guide(number, place[0])

    def _moved(self, place: Place, move: Move) -> Place:
        positions, states, path = place
        session, after = move
        number = self._plan.sessions[session][positions[session]]
        later = list(positions)
        later[session] += 1
        if after == PASSED_OVER:
            return self._settled(later, states, path)
        about = self._plan.objects[number]
        return self._settled(later, (*states[:about], after, *states[about + 1 :]), (path, number))

    def _settled(self, positions: list[int], states: tuple[int, ...], path: Path) -> Place:
        """With all the reads placed that fit."""
        of = self._plan
        for session, own in enumerate(of.sessions):
            while positions[session] < len(own):
                number = own[positions[session]]
                if not of.pure[number] or not self._after(number, states[of.objects[number]]):
                    break
                positions[session] += 1
                path = (path, number)
        return tuple(positions), states, path

    def _after(self, number: int, state: int) -> tuple[int, ...]:
        """The states to which the operation leads, as numbers."""
        self.steps += 1
        kind = self._plan.kinds[number]
        known = self._known.get((kind, state))
        if known is None:
            reached = self._model.step(self._states[state], self._plan.operations[number])
            known = self._known[kind, state] = tuple(self._number(each) for each in reached)
        return known

    def _number(self, state: Hashable) -> int:
        number = self._numbers.get(state)
        if number is None:
            number = self._numbers[state] = len(self._states)
            self._states.append(state)
        return number

    def farthest(self) -> list[int]:
        """The longest order that was tried."""
        return _order(self._farthest[1])

    def _stay_within_bounds(self, places: int) -> None:
        if places > self._most_places:
            raise OutOfBounds(f"memory: more than {self._most_places} places were visited")
        if self._budget.steps is not None and self.steps > self._budget.steps:
            raise OutOfBounds(f"steps: more than {self._budget.steps} were taken")
        if self._clock is None or self._budget.seconds is None or places % ASKS_THE_CLOCK_EVERY:
            return
        if self._clock() - self._began > self._budget.seconds:
            raise OutOfBounds(f"time: more than {self._budget.seconds:g} s")


def _order(path: Path) -> list[int]:
    found = []
    while path is not None:
        path, number = path
        found.append(number)
    return found[::-1]
