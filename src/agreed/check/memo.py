"""What a model said, remembered: states and classes are small numbers, and nothing is asked twice.

Models are written to be read, not to be fast.  A search asks the same few questions a million times; here the
answers are looked up.
"""
from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from sys import getsizeof

from agreed.check.models.model import AnyModel, Model
from agreed.check.timeline import Timeline

STATE_BITS = 32
"""A state and another number are one key: `number << STATE_BITS | state`.  (Memory ends before they do.)"""

BYTES_OF_A_CONFIGURATION = 400
"""The unit in which memory is counted (`Budget.states`)."""


class Memo:
    """A model, asked about the classes of a timeline."""

    def __init__(self, model: AnyModel, timeline: Timeline) -> None:
        kind = type(model)
        self.all_come_before = kind.may_follow is Model.may_follow
        """No operation may be left for later."""
        self.looks_ahead = kind.still_possible is not Model.still_possible
        self.states: list[Hashable] = []
        self._model = model
        self._samples = timeline.samples
        self._pure = timeline.pure
        self._numbers: dict[Hashable, int] = {}
        self._outcomes: dict[int, Sequence[int]] = {}
        self._followers: dict[tuple[int, int], bool] = {}
        self._makers: dict[int, list[int]] = {}
        self._weight = 0
        self._last = timeline.last

    @property
    def kept(self) -> int:
        """What is in memory, in configurations."""
        return self._weight + len(self._outcomes) // 2

    def number(self, state: Hashable) -> int:
        """The number of a state."""
        number = self._numbers.get(state)
        if number is None:
            number = self._numbers[state] = len(self.states)
            self.states.append(state)
            self._weight += 1 + getsizeof(state) // BYTES_OF_A_CONFIGURATION
        return number

    def forget_states(self) -> None:
        """Numbers begin anew."""
        self.states, self._numbers, self._outcomes, self._weight = [], {}, {}, 0

    def after(self, state: int, kind: int) -> Sequence[int]:
        """The states to which an operation of that class leads."""
        key = kind << STATE_BITS | state
        try:
            return self._outcomes[key]
        except KeyError:
            results = self._model.step(self.states[state], self._samples[kind])
            outcome = self._outcomes[key] = tuple([self.number(result) for result in results])
            return outcome

    def may_follow(self, first: int, second: int) -> bool:
        """`Model.may_follow`."""
        known = self._followers.get((first, second))
        if known is None:
            known = self._model.may_follow(self._samples[first], self._samples[second])
            self._followers[first, second] = known
        return known

    def is_possible(self, state: int, read: int, position: int) -> bool:
        """Whether a read can still be answered as it was, at an event."""
        if self._model.still_possible(self.states[state], self._samples[read]):
            return True
        makers = self._makers.get(read)
        if makers is None:
            makers = self._makers[read] = list(self._who_makes(read))
        return any(self._last[kind] >= position for kind in makers)

    def _who_makes(self, read: int) -> Iterable[int]:
        for kind, sample in enumerate(self._samples):
            if not self._pure[kind] and self._model.makes_possible(sample, self._samples[read]):
                yield kind
