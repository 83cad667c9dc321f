"""The search for a linearization of one object's history: configurations, from return to return.

If no configuration comes through a return, the history is not linearizable, and what returns there is the
first operation that cannot be placed.  (Whatever the search does, it is the same one: histories that are
linearizable are closed under cutting off their end.)

Where configurations are few they go on together, and each return is left behind for good.  Where they are
many only the first go on, and the others wait: if there is an explanation some of them will find it, and the
rest is never looked at.  If there is none all have to be tried, and it has cost nothing: what comes out of a
return where another came out before is not tried again.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Generator, Hashable, Sequence

from agreed.check.configurations import QUANTUM, Configuration, Return
from agreed.check.memo import Memo
from agreed.check.models.model import AnyModel
from agreed.check.moments import Counts, moments
from agreed.check.timeline import Timeline

TOGETHER = 4
"""Configurations that go on while the others wait."""

LOOK_AHEAD = 3
"""Reads to come that are looked at."""

TIDY_AFTER = 50_000
"""Configurations made since it was last looked which of them are still of use."""

MOST_ENDS = 6
"""States in which the last configurations were that are remembered, for telling why it failed."""


class Search:
    """One search.  `run` gives way now and then, so that many may take turns."""

    def __init__(
        self, model: AnyModel, timeline: Timeline, starts: Sequence[Hashable] | None = None
    ) -> None:
        self.timeline = timeline
        self.failed_at: int | None = None
        """The event (its position) at which no configuration was left."""
        self.ends: list[tuple[Hashable, Configuration]] = []
        """Some configurations with their states, each another: those that came farthest."""
        self._memo = Memo(model, timeline)
        self._counts = Counts(timeline.crashes)
        self._coming = moments(timeline, self._counts, LOOK_AHEAD if self.looks_ahead else 0)
        self._many = sum(event < 0 for event in timeline.events[: timeline.end])
        self._returns: deque[Return] = deque()
        """Those through which configurations may still have to go."""
        self._first = 0
        """The place of the first of them."""
        self._now: Return | None = None
        numbers = [self._memo.number(state) for state in ([model.initial] if starts is None else starts)]
        self._waiting: list[tuple[int, list[Configuration]]] = [
            (0, [(number, 0, 0, 0, None) for number in numbers])
        ]
        """Configurations, and the place of the return that is before them; what has come farthest is last."""
        self._farthest = -1
        self._steps = 0
        self._made = 0
        self._tidy_at = TIDY_AFTER
        self._pause_at = QUANTUM

    @property
    def looks_ahead(self) -> bool:
        """Whether it may have failed earlier than at the first operation that cannot be placed."""
        return self._memo.looks_ahead

    @property
    def steps(self) -> int:
        """Effects tried."""
        return self._steps + (self._now.steps if self._now else 0)

    @property
    def kept(self) -> int:
        """What is in memory, in configurations of about 400 bytes."""
        returns = sum(each.kept for each in self._returns)
        return self._made + (self._now.made if self._now else 0) + returns + self._memo.kept

    def forget(self) -> None:
        """Lets go of everything but `steps`; the search cannot go on."""
        steps = self.steps
        self._returns.clear()
        self._now = None
        self._steps = steps
        self._waiting.clear()
        self._memo.forget_states()
        self._made = 0
        self.ends.clear()

    def run(self) -> Generator[None, None, bool]:
        """Whether it is linearizable."""
        while self._waiting:
            place, batch = self._waiting.pop()
            self._note(place, batch)
            if place == self._many:
                return True
            if len(batch) > TOGETHER:
                self._waiting.append((place, batch[TOGETHER:]))
                batch = batch[:TOGETHER]
            self._now = self._return(place)
            after = yield from self._now.lead_on(batch)
            self._steps += self._now.steps
            self._made += self._now.made
            self._now = None
            if self._steps >= self._pause_at:  # many short ways are as long as one
                self._pause_at = self._steps + QUANTUM
                yield
            if after:
                self._waiting.append((place + 1, sorted(after, key=_by_use)))
            self._leave_behind()
            if self.kept > self._tidy_at:
                self._tidy()
        self.failed_at = self._return(self._farthest).moment.position
        return False

    def _note(self, place: int, batch: Sequence[Configuration]) -> None:
        """Remembers who came farthest."""
        if place > self._farthest:
            self._farthest = place
            self.ends.clear()
        if place == self._farthest:
            for configuration in batch:
                state = self._memo.states[configuration[0]]
                if len(self.ends) < MOST_ENDS and all(state != end for end, _ in self.ends):
                    self.ends.append((state, configuration))

    def _return(self, place: int) -> Return:
        """Made when it is come to for the first time."""
        if place - self._first == len(self._returns):
            self._returns.append(Return(self._memo, self._counts, next(self._coming)))
        return self._returns[place - self._first]

    def _leave_behind(self) -> None:
        """Forgets the returns that nobody is before any more."""
        first = self._waiting[0][0] if self._waiting else self._farthest
        while self._first < first and self._returns:
            self._returns.popleft()
            self._first += 1

    def _tidy(self) -> None:
        """Counts the steps of paths that are still of use; forgets states that no configuration is in."""
        alive: set[int] = set()
        for _, batch in self._waiting:
            for *_, path in batch:
                while path is not None and id(path) not in alive:
                    alive.add(id(path))
                    path = path[0]
        self._made = len(alive) + sum(len(batch) for _, batch in self._waiting)
        if not self._returns:
            states = [[self._memo.states[each[0]] for each in batch] for _, batch in self._waiting]
            self._memo.forget_states()
            for of, (_, batch) in zip(states, self._waiting, strict=True):
                batch[:] = [
                    (self._memo.number(state), each[1], each[2], each[3], each[4])
                    for state, each in zip(of, batch, strict=True)
                ]
        self._tidy_at = 2 * self.kept + TIDY_AFTER


def _by_use(configuration: Configuration) -> tuple[int, int]:
    """Those that have most of what is needed, and used least of what is not."""
    _, mask, _, used, _ = configuration
    return used, -mask.bit_count()
