"""How far a search may go."""
from __future__ import annotations

from agreed.check.verdict import Budget


class OutOfTime(Exception):
    """The budget's seconds are over."""


class Meter:
    """Counts steps (edges followed), and looks at the clock of the budget now and then."""

    __slots__ = ("_clock", "_deadline", "_look_again", "steps")

    _STEPS_BETWEEN_LOOKS = 20_000

    def __init__(self, budget: Budget | None) -> None:
        self.steps = 0
        self._look_again = 0
        self._clock = budget.clock if budget is not None and budget.seconds is not None else None
        self._deadline = 0.0
        if self._clock is not None and budget is not None and budget.seconds is not None:
            self._deadline = self._clock() + budget.seconds

    def spend(self, steps: int) -> None:
        """Raises OutOfTime if there is no more."""
        self.steps += steps
        if self._clock is not None and self.steps >= self._look_again:
            self._look_again = self.steps + self._STEPS_BETWEEN_LOOKS
            if self._clock() > self._deadline:
                raise OutOfTime
